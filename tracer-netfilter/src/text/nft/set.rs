//! Sets in a rule: by name, or with their elements where they have no name of their own.

use std::fmt::Write as _;

use super::header::Protocol;
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
    /// `key` looked up in a set; `between` them stands `map`, `vmap` or an operator. Numbers in a map have `data_order`.
    pub(super) fn lookup(&mut self, key: &Term, set: &str, between: &str, data_order: Order) -> String {
        self.learn_icmp_type(key, set);
        let terms = if let Term::Concat(parts) = key { parts.as_slice() } else { std::slice::from_ref(key) };
        let subjects: Vec<_> = terms.iter().map(|part| Subject { bits: part.bits(), ..self.part(part) }).collect();
        let is_binary = subjects.iter().any(|subject| subject.rank > 0) && subjects.len() == 1;
        let between = if is_binary && between == " " { " == " } else { between };
        let left: Vec<_> = subjects.iter().map(|subject| subject.text.as_str()).collect();
        format!("{}{between}{}", left.join(" . "), self.set(set, &subjects, data_order))
    }

    /// Fields of ICMP hang on the type, which is taken from the first element.
    fn learn_icmp_type(&mut self, key: &Term, set: &str) {
        let Term::Bits(at) = key else { return };
        let is_type = self
            .protocols
            .field(*at)
            .is_some_and(|(protocol, field)| matches!(protocol, Protocol::Icmp | Protocol::Icmp6) && field.is_key);
        let is_anonymous = self.table.set(set).is_some_and(|set| set.flags.anonymous());
        if is_type && is_anonymous && self.protocols.icmp_type.is_none() {
            let elements = (self.sets)(set);
            let first = elements.as_ref().and_then(|elements| elements.iter().next());
            if let Some(kind) = first.and_then(|element| element.key.first().copied()) {
                self.protocols.learn(at.base, kind.into());
            }
        }
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
    pub(super) fn set(&self, name: &str, subjects: &[Subject], data_order: Order) -> String {
        let Some(set) = self.table.set(name).filter(|set| set.flags.anonymous()) else {
            return format!("@{}", super::name(name));
        };
        let Some(elements) = (self.sets)(name) else { return format!("@{}", super::name(name)) };
        let parts = layout(set, subjects);
        let mut sorted: Vec<_> = elements.iter().take(MAX_ELEMENTS).collect();
        if !set.flags.interval() {
            sorted.sort_by_key(|element| sort_key(&element.key, &parts));
        }
        let mut written: Vec<_> = sorted.iter().map(|element| self.element(set, element, &parts, data_order)).collect();
        if let Some(element) = elements.catch_all() {
            written.push(format!("*{}", self.data(set, element, data_order)));
        }
        if elements.len() > MAX_ELEMENTS {
            written.push(format!("… ({} more)", elements.len().saturating_sub(MAX_ELEMENTS)));
        }
        format!("{{ {} }}", written.join(", "))
    }

    fn element(&self, set: &Set, element: &Element, parts: &[Part], data_order: Order) -> String {
        let mut at = 0_usize;
        let mut written = Vec::new();
        for part in parts {
            let end = at.saturating_add(part.length);
            let bytes = |key: &[u8]| key.get(at..end).unwrap_or_default().to_vec();
            let to = element.key_end.as_deref().map(bytes);
            written.push(range(*part, &bytes(&element.key), to.as_deref()));
            at = at.saturating_add(part.length.next_multiple_of(4));
        }
        format!("{}{}", written.join(" . "), self.data(set, element, data_order))
    }

    /// What stands behind the key of an element.
    fn data(&self, set: &Set, element: &Element, data_order: Order) -> String {
        let mut text = String::new();
        if let Some(counter) = &element.counter {
            text.push_str(&super::counter(counter, self.has_numbers));
            text.insert(0, ' ');
        }
        if let Some(comment) = &element.comment {
            let _ = write!(text, " comment \"{comment}\"");
        }
        let data = match &element.data {
            Some(ElementData::Verdict(to)) => verdict(to),
            Some(ElementData::Object(name)) => format!("\"{name}\""),
            Some(ElementData::Value(bytes)) => data_value(set, bytes, data_order),
            None => return text,
        };
        let _ = write!(text, " : {data}");
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

/// nft sorts plain values by number, concatenations as one number of the host's order, and flags by the
/// lowest.
fn sort_key(key: &[u8], parts: &[Part]) -> Vec<u8> {
    let is_little = cfg!(target_endian = "little");
    if let [part] = parts {
        let mut bytes = key.to_vec();
        if part.order == Order::Host && is_little {
            bytes.reverse();
        }
        if let (true, Some(flags)) = (part.kind.is_flags(), number(&bytes, Order::Network)) {
            let lowest = flags & flags.wrapping_neg();
            return [lowest, !flags].map(u128::to_be_bytes).concat();
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
fn data_value(set: &Set, bytes: &[u8], order: Order) -> String {
    let kinds = Kind::parts(set.data_type.unwrap_or(0));
    let part = |kind: &Kind| {
        let order = if *kind == Kind::Integer { order } else { kind.order() };
        let length = match kind {
            Kind::Ipv6 | Kind::InterfaceName => 16,
            Kind::Ipv4 => 4,
            Kind::LinkAddress => 6,
            Kind::Service | Kind::EtherType => 2,
            Kind::Protocol => 1,
            _ if kinds.len() == 1 => bytes.len(),
            _ => 4,
        };
        Part { kind: *kind, order, shift: 0, length }
    };
    let parts: Vec<_> = kinds.iter().map(part).collect();
    let padded = |part: &Part| part.length.next_multiple_of(4);
    let whole: usize = match parts.as_slice() {
        [] => return value(Kind::Integer, order, bytes, Style::Named),
        [part] => part.length,
        parts => parts.iter().map(padded).sum(),
    };
    let (from, to) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
    let mut at = 0_usize;
    let written = parts.iter().map(|part| {
        let end = at.saturating_add(part.length.min(whole));
        let text = range(*part, from.get(at..end).unwrap_or_default(), to.get(at..end));
        at = at.saturating_add(padded(part));
        text
    });
    written.collect::<Vec<_>>().join(" . ")
}
