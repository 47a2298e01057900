//! What names, keys and values may look like (`IsQualifiedName`, `IsValidLabelValue`, `IsDNS1123Subdomain` of k8s.io/apimachinery
//! pkg/util/validation).

use crate::settings::shortened;

/// Bytes of a key's name and of a value; of a key's prefix and of an object's name.
const MOST: usize = 63;
const MOST_NAME: usize = 253;

/// `[PREFIX/]NAME`.
pub(super) fn key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !name.is_empty() && is_label_text(name) && prefix.is_none_or(is_object_name) {
        return Ok(());
    }
    let key = shortened(key);
    Err(format!(
        "`{key}` is no label's key: those have 1 to 63 letters, digits, -, _ and ., after a domain and / if need be"
    ))
}

pub(super) fn value(key: &str, value: &str) -> Result<(), String> {
    if is_label_text(value) {
        return Ok(());
    }
    let value = shortened(value);
    Err(format!("label {key} can't have the value `{value}`: those have up to 63 letters, digits, -, _ and ."))
}

/// The name of a pod or a namespace.
pub(super) fn is_object_name(name: &str) -> bool {
    let is_part = |part: &str| {
        is_between(part, |c| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    name.len() <= MOST_NAME && name.split('.').all(is_part)
}

fn is_label_text(text: &str) -> bool {
    let is_inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    text.is_empty()
        || text.len() <= MOST && is_between(text, |c| c.is_ascii_alphanumeric()) && text.bytes().all(is_inside)
}

/// Whether it begins and ends so.
fn is_between(text: &str, is_end: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().zip(bytes.last()).is_some_and(|(first, last)| is_end(*first) && is_end(*last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_ends_are_those_of_the_api() {
        let (most, more) = ("x".repeat(63), "x".repeat(64));
        assert!(key(&most).is_ok() && key(&more).is_err() && value("k", &most).is_ok() && value("k", &more).is_err());
        assert!(key("a.b/Name_1").is_ok() && key("a..b/n").is_err() && key("a/").is_err() && key("").is_err());
        assert!(value("k", "").is_ok() && value("k", "_a").is_err());
        assert!(is_object_name("web-0.v1") && !is_object_name("Web") && !is_object_name("") && !is_object_name("a_b"));
        assert!(is_object_name(&"a".repeat(253)) && !is_object_name(&"a".repeat(254)));
    }
}
