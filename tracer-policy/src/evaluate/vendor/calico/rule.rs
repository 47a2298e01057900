//! Whether a rule is about the connection.

use serde_json::Value;

use super::super::fields::{is_set, short};
use super::super::question::Question;
use super::super::truth::Truth;
use super::{entity, port, shape};

pub(super) fn matches(question: &Question<'_>, rule: &Value, scope: Option<&str>) -> Truth {
    if let Some(field) = shape::of_rule(rule) {
        return Truth::Unknown(format!("the field {} is not known", short(&field)));
    }
    let protocols = port::protocol(question, rule.get("protocol"), true)
        .and(|| port::protocol(question, rule.get("notProtocol"), false));
    let version = || match rule.get("ipVersion").and_then(Value::as_u64) {
        None => Truth::Yes,
        Some(version) => Truth::of((version == 4) == question.address.is_ipv4()),
    };
    let messages = || match ["icmp", "notICMP"].into_iter().find(|field| is_set(rule, field)) {
        Some(field) => Truth::Unknown(format!("{field} is set for a protocol with ports")),
        None => Truth::Yes,
    };
    let requests =
        || if is_set(rule, "http") { Truth::Unknown("which requests of HTTP come".into()) } else { Truth::Yes };
    protocols
        .and(version)
        .and(|| entity::matches(question, rule.get("source"), entity::Place::Source, scope))
        .and(|| entity::matches(question, rule.get("destination"), entity::Place::Destination, scope))
        .and(messages)
        .and(requests)
}
