//! `toPorts` and `icmps`.

use serde_json::Value;

use super::super::fields::{is_set, list, short, text};
use super::super::question::Question;
use super::super::truth::Truth;
use crate::model::Protocol;

/// Whether the port is one of those that are listed; none if the rule is about all.
pub(super) fn matches(question: &Question<'_>, rule: &Value) -> Option<Truth> {
    let entries = list(rule, "toPorts");
    if entries.is_empty() {
        // Of a protocol that has no ports.
        return is_set(rule, "icmps").then_some(Truth::No);
    }
    Some(Truth::any(entries.iter().map(|entry| match list(entry, "ports") {
        [] => Truth::Yes,
        ports => Truth::any(ports.iter().map(|port| is(question, port))),
    })))
}

fn is(question: &Question<'_>, port: &Value) -> Truth {
    let protocol = match text(port, "protocol") {
        None => Truth::Yes,
        Some(text) if text.eq_ignore_ascii_case("any") => Truth::Yes,
        Some(text) => Truth::of(Protocol::parse(text) == Some(question.connection.protocol)),
    };
    protocol.and(|| is_number(question, port))
}

fn is_number(question: &Question<'_>, port: &Value) -> Truth {
    let asked = u64::from(question.connection.port);
    let first = match port.get("port") {
        None | Some(Value::Null) => 0,
        Some(Value::Number(number)) => number.as_u64().unwrap_or(u64::MAX),
        Some(Value::String(text)) if text.is_empty() => 0,
        Some(Value::String(text)) => match text.parse() {
            Ok(number) => number,
            Err(_) => return question.is_port_named(text),
        },
        Some(other) => return Truth::Unknown(format!("{} is no port", short(&other.to_string()))),
    };
    let last = port.get("endPort").and_then(Value::as_u64).filter(|last| *last > 0).unwrap_or(first);
    Truth::of(first == 0 || (first..=last).contains(&asked))
}
