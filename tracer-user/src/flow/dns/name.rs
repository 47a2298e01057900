//! A question in wire format (RFC 1035, section 4.1.2) as text.
//!
//! Own code, as libraries refuse a question that was cut, which is still worth a name here. Rule: bytes come from the
//! network: each step is bounded by the bytes that are there, and what is no printable ASCII is escaped as in zone files
//! (RFC 1035, section 5.1), so that the text is safe for terminals and shells that get it quoted.

use std::fmt::Write;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Without the final dot; `.` for the root; ends with `…` if it was cut.
    pub name: String,
    /// `A`, `AAAA`, …; `TYPE65535` for those without a name; empty if it was cut off.
    pub kind: String,
}

impl Question {
    /// The same however it is spelled: some clients mix the case of letters at random against forged answers.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self { name: self.name.to_ascii_lowercase(), kind: self.kind.clone() }
    }

    /// Whether the whole name is known.
    pub fn is_whole(&self) -> bool {
        !self.name.ends_with('…')
    }
}

/// Bytes of a label and of a name (RFC 1035, section 2.3.4).
const LONGEST_LABEL: u8 = 63;
const LONGEST_NAME: usize = 255;

/// `IN` of section 3.2.4.
const INTERNET: u16 = 1;

/// Type and class.
const TYPE_AND_CLASS: usize = 4;

/// The question that `wire` begins with, without what is behind it. `None` if it is none, or ends before it is whole; but of
/// `is_cut` bytes, whose rest was not kept, all may be the begin of a long one.
pub(crate) fn first(wire: &[u8], is_cut: bool) -> Option<&[u8]> {
    let mut at = 0;
    while let Some(&length) = wire.get(at) {
        if length == 0 {
            let whole = wire.get(..at + 1 + TYPE_AND_CLASS);
            return whole.or(is_cut.then_some(wire));
        }
        at += 1 + usize::from(length);
        if length > LONGEST_LABEL || at + 1 > LONGEST_NAME {
            return None;
        }
    }
    is_cut.then_some(wire)
}

/// `None` if it is no question: no byte, a pointer (there is nothing before it to point to), or a name that is too long.
pub fn decode(wire: &[u8]) -> Option<Question> {
    let (mut name, mut rest) = (String::new(), wire);
    if rest.is_empty() {
        return None;
    }
    let is_whole = loop {
        let Some((&length, behind)) = rest.split_first() else { break false };
        if length == 0 {
            rest = behind;
            break true;
        }
        if length > LONGEST_LABEL || wire.len() - rest.len() + usize::from(length) + 2 > LONGEST_NAME {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        let here = behind.get(..usize::from(length)).unwrap_or(behind);
        for &byte in here {
            push(&mut name, byte);
        }
        let Some(next) = behind.get(usize::from(length)..) else { break false };
        rest = next;
    };
    if !is_whole {
        name.push('…');
        return Some(Question { name, kind: String::new() });
    }
    if name.is_empty() {
        name.push('.');
    }
    let kind = number(rest).map(|kind| class(rest.get(2..).and_then(number)) + &kind_name(kind));
    Some(Question { name, kind: kind.unwrap_or_default() })
}

fn number(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

/// One byte of a label.
fn push(name: &mut String, byte: u8) {
    match byte {
        b'.' | b'\\' => {
            name.push('\\');
            name.push(char::from(byte));
        }
        b'!'..=b'~' => name.push(char::from(byte)),
        _ => {
            let _ = write!(name, "\\{byte:03}");
        }
    }
}

/// The class before the type, where it is not the usual one.
fn class(class: Option<u16>) -> String {
    match class {
        // The highest bit is "unicast answer, please" of multicast DNS (RFC 6762, section 5.4).
        None => String::new(),
        Some(class) if class & 0x7fff == INTERNET => String::new(),
        Some(3) => "CH ".into(),
        Some(4) => "HS ".into(),
        Some(255) => "ANY ".into(),
        Some(class) => format!("CLASS{class} "),
    }
}

/// IANA's "Resource Record (RR) TYPEs", those that are asked for; others as in RFC 3597.
fn kind_name(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        41 => "OPT",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

/// IANA's "DNS RCODEs", those that fit into the header (RFC 6895, section 2.3).
pub fn rcode_name(rcode: u16) -> String {
    let name = match rcode {
        NOERROR => "NOERROR",
        1 => "FORMERR",
        SERVFAIL => "SERVFAIL",
        NXDOMAIN => "NXDOMAIN",
        4 => "NOTIMP",
        REFUSED => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        other => return format!("RCODE{other}"),
    };
    name.to_owned()
}

pub const NOERROR: u16 = 0;
pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;
pub const REFUSED: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(labels: &[&[u8]], tail: &[u8]) -> Vec<u8> {
        let labels = labels.iter().flat_map(|label| [&[u8::try_from(label.len()).unwrap()], *label].concat());
        labels.chain([0]).chain(tail.iter().copied()).collect()
    }

    fn asked(wire: &[u8]) -> (String, String) {
        let question = decode(wire).unwrap();
        (question.name, question.kind)
    }

    #[test]
    fn a_question_ends_where_its_class_does() {
        let question = b"\x03www\x07example\x03com\0\0\x1c\0\x01";
        let more = [&question[..], b"\0\0\x29\x10\0\0\0\0\0\0\0"].concat();
        assert_eq!(first(&more, false), Some(&question[..]));
        assert_eq!(first(&more, true), Some(&question[..]));
        assert_eq!(first(b"\0\0\x02\0\x01", false), Some(&b"\0\0\x02\0\x01"[..]), "the root");
        for length in 0..question.len() {
            assert_eq!(first(&question[..length], false), None, "{length}");
            assert_eq!(first(&question[..length], true), Some(&question[..length]), "{length}");
        }
        let long = [&[63; 64][..], &[62; 63], &[61; 62], &[65; 66]].concat();
        for not in [b"\xc0\x0c\0\x01\0\x01", &b"\x40aaaa"[..], b"\x01a\xff\0\0\0\0", &long] {
            assert_eq!((first(not, false), first(not, true)), (None, None), "{not:?}");
        }
    }

    #[test]
    fn a_question_is_a_name_and_a_type() {
        assert_eq!(asked(b"\x03www\x07example\x03com\0\0\x1c\0\x01"), ("www.example.com".into(), "AAAA".into()));
        assert_eq!(asked(b"\0\0\x02\0\x01"), (".".into(), "NS".into()));
        assert_eq!(asked(&wire(&[b"a"], b"\xff\xff\0\x01")), ("a".into(), "TYPE65535".into()));
        assert_eq!(asked(&wire(&[b"version", b"bind"], b"\0\x10\0\x03")).1, "CH TXT");
        assert_eq!(asked(&wire(&[b"a"], b"\0\x01\x80\x01")).1, "A");
    }

    #[test]
    fn what_was_cut_says_so() {
        assert_eq!(asked(b"\x03ww"), ("ww…".into(), String::new()));
        assert_eq!(asked(b"\x03www\x07exa"), ("www.exa…".into(), String::new()));
        assert_eq!(asked(b"\x03www"), ("www…".into(), String::new()));
        assert_eq!(asked(b"\x03www\0\0"), ("www".into(), String::new()));
        assert!(!decode(b"\x03ww").unwrap().is_whole());
    }

    #[test]
    fn hostile_bytes_are_escaped_or_refused() {
        assert_eq!(
            asked(&wire(&[b"a.b\\c", b"\x1b[2J \xe2\x80\xae"], b"\0\x01")).0,
            "a\\.b\\\\c.\\027[2J\\032\\226\\128\\174"
        );
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"\xc0\x0c\0\x01\0\x01"), None, "a pointer");
        assert_eq!(decode(b"\x03www\xc0\x00"), None, "a pointer to itself");
        assert_eq!(decode(b"\x40a"), None);
        let long = wire(&[&[b'a'; 63], &[b'b'; 63], &[b'c'; 63], &[b'd'; 61]], b"\0\x01");
        assert_eq!(decode(&long).unwrap().name.len(), 253, "the longest there may be");
        assert_eq!(decode(&wire(&[&[b'a'; 63], &[b'b'; 63], &[b'c'; 63], &[b'd'; 62]], b"\0\x01")), None);
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..200_000 {
            let length = usize::try_from(next() % 193).unwrap();
            let small = next() % 2 == 0;
            let bytes: Vec<u8> =
                (0..length).map(|_| next().to_le_bytes()[3] & if small { 0x0f } else { 0xff }).collect();
            if let Some(question) = decode(&bytes) {
                assert!(question.name.len() <= 4 * bytes.len() + 3 && !question.name.is_empty());
                assert!(question.name.chars().all(|c| c == '…' || c.is_ascii_graphic()), "{question:?}");
            }
        }
    }

    #[test]
    fn codes_have_the_names_of_the_registry() {
        assert_eq!([0, 2, 3, 5, 15].map(rcode_name), ["NOERROR", "SERVFAIL", "NXDOMAIN", "REFUSED", "RCODE15"]);
    }
}
