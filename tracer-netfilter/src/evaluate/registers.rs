//! The registers of nf_tables, with what is known of each bit.
//!
//! Rule: a bit that comes from a mark is not asked for until something depends on it ([`Registers::resolve`]), because what
//! is taken from the mark at the end of the walk is an assumption, and the fewer the better. Words are in the order of
//! this machine's memory, as the kernel keeps them (`include/net/netfilter/nf_tables.h`, `struct nft_regs`).

use std::borrow::Cow;

use super::View;
use crate::model::{BitwiseOperation, Register};

/// Why something is not known.
pub(super) type Reason = Cow<'static, str>;

/// Which mark a bit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Packet,
    Connection,
}

/// A bit of a mark, perhaps turned over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub source: Source,
    pub bit: u8,
    pub is_flipped: bool,
}

type Tags = Option<Box<[Option<Tag>; 32]>>;

#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    pub value: u32,
    pub known: u32,
    pub tags: Tags,
    reason: Option<Reason>,
    /// What was loaded, in nft's words.
    name: &'static str,
}

impl Word {
    /// What bit `bit` is of a mark.
    pub(super) fn tag(&self, bit: u8) -> Option<Tag> {
        self.tags.as_ref()?.get(usize::from(bit)).copied().flatten()
    }

    /// The same with each bit taken from where `from` says; `None` is a zero.
    fn permuted(&self, from: impl Fn(u8) -> Option<u8>) -> Self {
        let mut word = Self { known: u32::MAX, reason: self.reason.clone(), name: self.name, ..Self::default() };
        let mut tags: [Option<Tag>; 32] = [None; 32];
        for (bit, tag) in (0_u8..32).zip(&mut tags) {
            let Some(source) = from(bit) else { continue };
            word.value |= ((self.value >> source) & 1) << bit;
            word.known &= !(1 << bit) | (((self.known >> source) & 1) << bit);
            *tag = self.tag(source);
        }
        if self.tags.is_some() {
            word.tags = Some(Box::new(tags));
        }
        word
    }

    fn masked(&mut self, mask: u32, xor: u32) {
        self.value = (self.value & mask) ^ xor;
        self.known |= !mask;
        if let Some(tags) = &mut self.tags {
            for (bit, tag) in tags.iter_mut().enumerate() {
                if mask >> bit & 1 == 0 {
                    *tag = None;
                } else if let Some(tag) = tag {
                    tag.is_flipped ^= xor >> bit & 1 != 0;
                }
            }
        }
    }
}

/// Bytes of registers: the least and the greatest that they can be, by what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub low: Vec<u8>,
    pub high: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Registers {
    words: [Word; 16],
}

/// `length` bytes from `register` on, as words; each with the mask of its bytes that count.
fn span(length: usize) -> impl Iterator<Item = (usize, u32)> {
    (0..length.div_ceil(4).min(16)).map(move |word| {
        let bytes = length.saturating_sub(word * 4).min(4);
        let mut mask = [0; 4];
        mask.iter_mut().take(bytes).for_each(|byte| *byte = 0xff);
        (word, u32::from_ne_bytes(mask))
    })
}

/// Up to four bytes at `offset` as a word, with zeroes behind the end.
pub(super) fn word_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(bytes.iter().skip(offset)) {
        *to = *from;
    }
    u32::from_ne_bytes(word)
}

impl Registers {
    pub(super) fn word(&self, register: Register, index: usize) -> Option<&Word> {
        self.words.get(usize::from(register.0).checked_add(index)?)
    }

    fn word_mut(&mut self, register: Register, index: usize) -> Option<&mut Word> {
        self.words.get_mut(usize::from(register.0).checked_add(index)?)
    }

    fn put(&mut self, register: Register, index: usize, word: Word) {
        if let Some(place) = self.word_mut(register, index) {
            *place = word;
        }
    }

    /// Stores bytes; the rest of the last word is zero, as in the kernel.
    pub(super) fn store(&mut self, register: Register, bytes: &[u8], name: &'static str) {
        for (index, _) in span(bytes.len()) {
            let value = word_at(bytes, index * 4);
            self.put(register, index, Word { value, known: u32::MAX, name, ..Word::default() });
        }
    }

    /// Stores `length` bytes of which only the first few are known.
    pub(super) fn store_unknown(
        &mut self,
        register: Register,
        (known, length): (&[u8], usize),
        reason: &Reason,
        name: &'static str,
    ) {
        let first: Vec<u32> = span(known.len()).map(|(_, mask)| mask).collect();
        for (index, mask) in span(length) {
            let has = first.get(index).copied().unwrap_or(0) | !mask;
            let value = word_at(known, index * 4) & has;
            self.put(register, index, Word { value, known: has, tags: None, reason: Some(reason.clone()), name });
        }
    }

    /// Stores a mark without asking for any of it.
    pub(super) fn store_mark(&mut self, register: Register, source: Source, (value, known): (u32, u32)) {
        let mut tags = [None; 32];
        for (bit, tag) in (0_u8..32).zip(&mut tags) {
            *tag = Some(Tag { source, bit, is_flipped: false });
        }
        let (reason, name) = match source {
            Source::Packet => ("the packet's mark on the way", "meta mark"),
            Source::Connection => ("the connection's mark on the way", "ct mark"),
        };
        let word = Word { value, known, tags: Some(Box::new(tags)), reason: Some(reason.into()), name };
        self.put(register, 0, word);
    }

    /// What stands in a register, in nft's words.
    pub(super) fn name(&self, register: Register) -> &'static str {
        self.word(register, 0).map_or("", |word| word.name)
    }

    /// Why these bytes are not all known.
    pub(super) fn reason(&self, register: Register, length: usize) -> Reason {
        let mut words = span(length).filter_map(|(index, mask)| {
            self.word(register, index).filter(|word| mask & !word.known != 0).and_then(|word| word.reason.clone())
        });
        words.next().unwrap_or(Cow::Borrowed("a register that no expression has set"))
    }

    /// The bytes, if all of them are known.
    pub(super) fn bytes(&self, register: Register, length: usize) -> Option<Vec<u8>> {
        let bounds = self.bounds(register, length)?;
        (bounds.low == bounds.high).then_some(bounds.low)
    }

    /// `None` for bytes beyond the last register.
    pub(super) fn bounds(&self, register: Register, length: usize) -> Option<Bounds> {
        // Lengths come from the kernel unchecked.
        self.word(register, length.div_ceil(4).saturating_sub(1))?;
        let mut bounds = Bounds { low: Vec::with_capacity(length + 3), high: Vec::with_capacity(length + 3) };
        for index in 0..length.div_ceil(4) {
            let word = self.word(register, index)?;
            bounds.low.extend((word.value & word.known).to_ne_bytes());
            bounds.high.extend((word.value | !word.known).to_ne_bytes());
        }
        bounds.low.truncate(length);
        bounds.high.truncate(length);
        Some(bounds)
    }

    /// Bits in which the bytes surely differ from `data`, and bits that are not known.
    pub(super) fn difference(&self, register: Register, data: &[u8]) -> (bool, bool) {
        let mut differs = false;
        let mut is_open = false;
        for (index, mask) in span(data.len()) {
            let Some(word) = self.word(register, index) else { return (false, true) };
            differs |= (word.value ^ word_at(data, index * 4)) & word.known & mask != 0;
            is_open |= mask & !word.known != 0;
        }
        (differs, is_open)
    }

    /// Says which bits of marks were looked at: those that are known without the mark at the end.
    pub(super) fn note(&self, register: Register, length: usize, view: &mut View<'_>) {
        for (index, mask) in span(length) {
            let Some(word) = self.word(register, index).filter(|word| word.tags.is_some()) else { continue };
            for bit in (0_u8..32).filter(|bit| (mask & word.known) >> bit & 1 != 0) {
                match word.tag(bit) {
                    Some(Tag { source: Source::Packet, bit, .. }) => view.mark.note(1 << bit),
                    Some(Tag { source: Source::Connection, bit, .. }) => view.connection_mark.note(1 << bit),
                    None => {}
                }
            }
        }
    }

    /// Asks the marks for the bits that come from them.
    pub(super) fn resolve(&mut self, register: Register, length: usize, view: &mut View<'_>) {
        for (index, mask) in span(length) {
            let Some(word) = self.word_mut(register, index) else { return };
            if word.tags.is_none() {
                continue;
            }
            for bit in (0_u8..32).filter(|bit| mask >> bit & 1 != 0) {
                let Some(tag) = word.tag(bit) else { continue };
                let mark = match tag.source {
                    Source::Packet => &mut view.mark,
                    Source::Connection => &mut view.connection_mark,
                };
                let Some(value) = mark.rely(1 << tag.bit) else { continue };
                let is_set = (value != 0) != tag.is_flipped;
                word.known |= 1 << bit;
                word.value = (word.value & !(1 << bit)) | (u32::from(is_set) << bit);
            }
        }
    }

    /// A mark is written: what was loaded before is no longer what it is.
    pub(super) fn detach(&mut self) {
        self.words.iter_mut().for_each(|word| word.tags = None);
    }

    pub(super) fn bitwise(&mut self, from: Register, to: Register, length: usize, operation: &BitwiseOperation) {
        let words = length.div_ceil(4).min(16);
        let source: Vec<Word> = (0..words).filter_map(|index| self.word(from, index).cloned()).collect();
        match operation {
            BitwiseOperation::Boolean { mask, xor } => {
                for (index, mut word) in source.into_iter().enumerate() {
                    word.masked(word_at(mask, index * 4), word_at(xor, index * 4));
                    self.put(to, index, word);
                }
            }
            BitwiseOperation::ShiftLeft(by) => self.shift(to, &source, i64::from(*by)),
            BitwiseOperation::ShiftRight(by) => self.shift(to, &source, -i64::from(*by)),
            BitwiseOperation::And(other) | BitwiseOperation::Or(other) | BitwiseOperation::Xor(other) => {
                for (index, left) in source.into_iter().enumerate() {
                    let Some(right) = self.word(*other, index).cloned() else { return };
                    self.put(to, index, combine(operation, left, &right));
                }
            }
        }
    }

    /// Left if positive. The first word holds the highest bits (`nft_bitwise_eval_lshift`, Linux 5.6).
    fn shift(&mut self, to: Register, source: &[Word], by: i64) {
        for (index, word) in (0_i64..).zip(source) {
            let near = word.permuted(|bit| u8::try_from(i64::from(bit) - by).ok().filter(|bit| *bit < 32));
            let neighbour = if by > 0 { index + 1 } else { index - 1 };
            let carried = usize::try_from(neighbour).ok().and_then(|index| source.get(index));
            let mut result = near;
            if let Some(carried) = carried {
                let wrap = if by > 0 { 32 } else { -32 };
                let far = carried.permuted(|bit| u8::try_from(i64::from(bit) - by + wrap).ok().filter(|bit| *bit < 32));
                result = combine(&BitwiseOperation::Or(Register(0)), result, &far);
            }
            self.put(to, usize::try_from(index).unwrap_or(usize::MAX), result);
        }
    }

    /// Swaps each `size` bytes, where this machine's order is not the network's.
    pub(super) fn swap(&mut self, from: Register, to: Register, length: usize, size: u32) {
        let words = length.div_ceil(4).min(16);
        let mut source: Vec<Word> = (0..words).filter_map(|index| self.word(from, index).cloned()).collect();
        if cfg!(target_endian = "little") {
            if size == 8 {
                source.chunks_exact_mut(2).for_each(<[Word]>::reverse);
            }
            let flip = if size == 2 { 8 } else { 24 };
            for word in &mut source {
                *word = word.permuted(|bit| Some(bit ^ flip));
            }
        }
        for (index, word) in source.into_iter().enumerate() {
            self.put(to, index, word);
        }
    }
}

/// Two words with each other, bit by bit.
fn combine(operation: &BitwiseOperation, left: Word, right: &Word) -> Word {
    let both = left.known & right.known;
    let (value, known) = match operation {
        BitwiseOperation::And(_) => {
            let zero = (left.known & !left.value) | (right.known & !right.value);
            (left.value & right.value, both | zero)
        }
        BitwiseOperation::Or(_) => {
            let one = (left.known & left.value) | (right.known & right.value);
            ((left.value & left.known) | (right.value & right.known), both | one)
        }
        _ => (left.value ^ right.value, both),
    };
    // A bit that is decided by nothing but the other word's neutral bit stays the mark's bit that it was.
    let neutral = |word: &Word, bit: u8| {
        let wanted = matches!(operation, BitwiseOperation::And(_));
        word.known >> bit & 1 != 0 && (word.value >> bit & 1 != 0) == wanted
    };
    let mut tags = [None; 32];
    for (bit, tag) in (0_u8..32).zip(&mut tags) {
        *tag = if neutral(right, bit) {
            left.tag(bit)
        } else if neutral(&left, bit) {
            right.tag(bit)
        } else {
            None
        };
    }
    let reason = left.reason.or_else(|| right.reason.clone());
    let has_tags = left.tags.is_some() || right.tags.is_some();
    Word { value, known, tags: has_tags.then(|| Box::new(tags)), reason, name: left.name }
}
