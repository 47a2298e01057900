//! Fields of a policy that is kept as it is.

use ipnet::IpNet;
use serde_json::Value;

use super::truth::Truth;

/// The entries of a list; none if it is left out.
pub(super) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Text that is not empty.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether a field is there and is more than nothing.
pub(super) fn is_set(value: &Value, field: &str) -> bool {
    match value.get(field) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(entries)) => !entries.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    }
}

/// Whether an address lies in a block, or is the address that stands in its place.
pub(super) fn contains(block: &Value, address: std::net::IpAddr) -> Truth {
    let text = block.as_str().unwrap_or_default();
    let block = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    match block {
        Ok(block) => Truth::of(block.contains(&address)),
        Err(_) => Truth::Unknown(format!("{} is no block of addresses", short(block_text(text)))),
    }
}

fn block_text(text: &str) -> &str {
    if text.is_empty() { "an entry" } else { text }
}

/// What is quoted of a policy.
pub(super) fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
