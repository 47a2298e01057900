//! Sets in a rule: by name, or with their elements where they have no name of their own.

use super::kind::{Kind, Order, low, number};
use super::rebuild::{Rebuild, Subject};
use super::term::{Operation, Term};
use super::value::{Style, numeric, text, value, verdict};
use crate::model::{Element, ElementData, Set};

/// A line of text is no place for more.
const MAX_ELEMENTS: usize = 1000;

/// How the values of one part of a key are written.
#[derive(Clone, Copy, Debug)]
struct Part {
    kind: Kind,
    order: Order,
    shift: u32,
    /// Bytes in a key.
    length: usize,
}

impl Rebuild<'_> {
    /// `key` looked up in a set; `between` them stands `map`, `vmap` or an operator.
    pub(super) fn lookup(&mut self, key: &Term, set: &str, between: &str) -> String {
        let terms = if let Term::Concat(parts) = key { parts.as_slice() } else { std::slice::from_ref(key) };
        let subjects: Vec<_> = terms.iter().map(|part| Subject { bits: part.bits(), ..self.part(part) }).collect();
        let is_binary = subjects.iter().any(|subject| subject.rank > 0) && subjects.len() == 1;
        let between = if is_binary && between == " " { " == " } else { between };
        let left: Vec<_> = subjects.iter().map(|subject| subject.text.as_str()).collect();
        format!("{}{between}{}", left.join(" . "), self.set(set, &subjects))
    }

    /// A part of a key: here a mask stands for the field that it leaves.
    pub(super) fn part(&mut self, term: &Term) -> Subject {
        let any = (Kind::Integer, Order::Network);
        let (inner, shifted_back) = match term {
            Term::Binary { left, operation: Operation::ShiftRight, right } => (&**left, count(right)),
            term => (term, 0),
        };
        if let Term::Binary { left, operation: Operation::And, right } = inner
            && let Term::Constant(mask) = &**right
            && let Some((field, shift)) = number(mask, Order::Network).and_then(|mask| self.unmasked(left, mask))
        {
            let subject = self.describe(&field, any);
            return Subject { shift: shift.saturating_sub(shifted_back), ..subject };
        }
        self.describe(term, any)
    }

    /// A set as it stands in a rule.
    pub(super) fn set(&self, name: &str, subjects: &[Subject]) -> String {
        let Some(set) = self.table.set(name).filter(|set| set.flags.anonymous()) else {
            return format!("@{}", super::name(name));
        };
        let Some(elements) = (self.sets)(name) else { return format!("@{}", super::name(name)) };
        let parts = layout(set, subjects);
        let mut sorted: Vec<_> = elements.iter().take(MAX_ELEMENTS).collect();
        if !set.flags.interval() {
            sorted.sort_by_key(|element| sort_key(&element.key, &parts));
        }
        let mut written: Vec<_> = sorted.iter().map(|element| self.element(set, element, &parts)).collect();
        if let Some(element) = elements.catch_all() {
            written.push(format!("*{}", self.data(set, element)));
        }
        if elements.len() > MAX_ELEMENTS {
            written.push(format!("… ({} more)", elements.len().saturating_sub(MAX_ELEMENTS)));
        }
        format!("{{ {} }}", written.join(", "))
    }

    fn element(&self, set: &Set, element: &Element, parts: &[Part]) -> String {
        let mut at = 0_usize;
        let mut written = Vec::new();
        for part in parts {
            let end = at.saturating_add(part.length);
            let bytes = |key: &[u8]| key.get(at..end).unwrap_or_default().to_vec();
            let to = element.key_end.as_deref().map(bytes);
            written.push(range(*part, &bytes(&element.key), to.as_deref()));
            at = at.saturating_add(part.length.next_multiple_of(4));
        }
        format!("{}{}", written.join(" . "), self.data(set, element))
    }

    /// What stands behind the key of an element.
    fn data(&self, set: &Set, element: &Element) -> String {
        let mut text = String::new();
        if let Some(counter) = &element.counter {
            text.push_str(&super::counter(counter, self.has_numbers));
            text.insert(0, ' ');
        }
        if let Some(comment) = &element.comment {
            text.push_str(&format!(" comment \"{comment}\""));
        }
        match &element.data {
            Some(ElementData::Verdict(to)) => text.push_str(&format!(" : {}", verdict(to))),
            Some(ElementData::Object(name)) => text.push_str(&format!(" : \"{name}\"")),
            Some(ElementData::Value(bytes)) => text.push_str(&format!(" : {}", data_value(set, bytes))),
            None => {}
        }
        text
    }
}

fn count(term: &Term) -> u32 {
    match term {
        Term::Constant(data) => number(data, Order::Host).and_then(|bits| u32::try_from(bits).ok()).unwrap_or(0),
        _ => 0,
    }
}

/// The parts of the keys of a set that is looked up with `subjects`. The kernel tells the lengths of ranges only.
fn layout(set: &Set, subjects: &[Subject]) -> Vec<Part> {
    let length = |index: usize, subject: &Subject| match set.parts.get(index) {
        Some(length) => *length as usize,
        None if subjects.len() == 1 => set.key_length as usize,
        None => subject.bits.div_ceil(8) as usize,
    };
    let part = |(index, subject): (usize, &Subject)| {
        let Subject { kind, order, shift, .. } = *subject;
        Part { kind, order, shift, length: length(index, subject).min(64) }
    };
    subjects.iter().enumerate().map(part).collect()
}

/// nft sorts plain values by number, concatenations as one number of the host's order, and flags by the lowest.
fn sort_key(key: &[u8], parts: &[Part]) -> Vec<u8> {
    let is_little = cfg!(target_endian = "little");
    if let [part] = parts {
        let mut bytes = key.to_vec();
        if part.order == Order::Host && is_little {
            bytes.reverse();
        }
        if let (true, Some(flags)) = (part.kind.is_flags(), number(&bytes, Order::Network)) {
            return (flags & flags.wrapping_neg()).to_be_bytes().to_vec();
        }
        return bytes;
    }
    let (mut bytes, mut at) = (Vec::new(), 0_usize);
    for part in parts {
        bytes.extend_from_slice(key.get(at..at.saturating_add(part.length)).unwrap_or_default());
        at = at.saturating_add(part.length.next_multiple_of(4));
    }
    if is_little {
        bytes.reverse();
    }
    bytes
}

fn one(part: Part, bytes: &[u8], style: Style) -> String {
    match number(bytes, part.order) {
        Some(number) if part.shift > 0 => numeric(part.kind, number.checked_shr(part.shift).unwrap_or(0), style),
        _ => value(part.kind, part.order, bytes, style),
    }
}

/// A value, a prefix or a range.
fn range(part: Part, from: &[u8], to: Option<&[u8]>) -> String {
    let Some(to) = to.filter(|to| *to != from) else { return one(part, from, Style::Named) };
    if part.kind.is_text() {
        let end = from.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        return text(from.get(..end).unwrap_or_default());
    }
    if let (true, Some(low_end), Some(high_end)) =
        (part.kind.has_prefix(), number(from, part.order), number(to, part.order))
    {
        let free = (low_end ^ high_end).trailing_ones();
        let bits = u32::try_from(from.len()).unwrap_or(0).saturating_mul(8);
        if low_end ^ high_end == low(free) && low_end & low(free) == 0 {
            return format!("{}/{}", one(part, from, Style::Named), bits.saturating_sub(free));
        }
    }
    format!("{}-{}", one(part, from, Style::Numeric), one(part, to, Style::Numeric))
}

/// What a map holds: a value, a concatenation, or a range of either.
fn data_value(set: &Set, bytes: &[u8]) -> String {
    let kinds = Kind::parts(set.data_type.unwrap_or(0));
    let plain = |kind: Kind, bytes: &[u8]| value(kind, kind.order(), bytes, Style::Named);
    let width = |kind: Kind| match kind {
        Kind::Ipv6 | Kind::InterfaceName => 16,
        Kind::LinkAddress => 6,
        Kind::Service | Kind::EtherType => 2,
        Kind::Protocol => 1,
        _ => 4_usize,
    };
    let joined = |bytes: &[u8]| {
        let mut at = 0_usize;
        let parts = kinds.iter().map(|kind| {
            let part = bytes.get(at..at.saturating_add(width(*kind))).unwrap_or_default();
            at = at.saturating_add(width(*kind).next_multiple_of(4));
            plain(*kind, part)
        });
        parts.collect::<Vec<_>>().join(" . ")
    };
    match kinds.as_slice() {
        [] => value(Kind::Integer, Order::Network, bytes, Style::Named),
        [kind @ (Kind::Ipv4 | Kind::Ipv6 | Kind::Service)] if bytes.len() >= width(*kind).saturating_mul(2) => {
            let (from, to) = bytes.split_at(bytes.len() / 2);
            let part = Part { kind: *kind, order: Order::Network, shift: 0, length: width(*kind) };
            range(part, from, Some(to))
        }
        [kind] => plain(*kind, bytes),
        kinds => {
            let whole = kinds.iter().map(|kind| width(*kind).next_multiple_of(4)).sum::<usize>();
            if bytes.len() < whole.saturating_mul(2) {
                return joined(bytes);
            }
            let (from, to) = bytes.split_at(whole);
            let (from, to) = (joined(from), joined(to));
            from.split(" . ")
                .zip(to.split(" . "))
                .map(|(from, to)| if from == to { from.to_owned() } else { format!("{from}-{to}") })
                .collect::<Vec<_>>()
                .join(" . ")
        }
    }
}
