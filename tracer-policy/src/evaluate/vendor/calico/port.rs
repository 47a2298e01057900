//! Protocols and ports of a rule.

use serde_json::Value;

use super::super::fields::short;
use super::super::question::Question;
use super::super::truth::Truth;
use crate::model::Protocol;

/// Whether the connection has a protocol, by its name or number (IANA); yes where nothing is asked.
pub(super) fn protocol(question: &Question<'_>, wanted: Option<&Value>, is_wanted: bool) -> Truth {
    let protocol = question.connection.protocol;
    let number: u64 = match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    let is = match wanted {
        None | Some(Value::Null) => return Truth::Yes,
        Some(Value::Number(wanted)) => wanted.as_u64() == Some(number),
        Some(Value::String(wanted)) => wanted.eq_ignore_ascii_case(protocol.as_str()) || wanted.parse() == Ok(number),
        Some(other) => return Truth::Unknown(format!("{} is no protocol", short(&other.to_string()))),
    };
    Truth::of(is == is_wanted)
}

/// Whether the port of the destination is an entry of a list: a number, `first:last`, or the name of a container's port.
pub(super) fn is(question: &Question<'_>, entry: &Value) -> Truth {
    let asked = question.connection.port;
    match entry {
        Value::Number(number) => Truth::of(number.as_u64() == Some(u64::from(asked))),
        Value::String(text) => match text.split_once(':') {
            Some((first, last)) => match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) => Truth::of((first..=last).contains(&asked)),
                _ => Truth::Unknown(format!("{} is no range of ports", short(text))),
            },
            None => match text.parse::<u16>() {
                Ok(number) => Truth::of(number == asked),
                Err(_) => question.is_port_named(text),
            },
        },
        other => Truth::Unknown(format!("{} is no port", short(&other.to_string()))),
    }
}
