//! What a line says.

use tracer_tests::Event;

/// The text, or one of the texts, at `key` contains `part`.
pub fn says(event: &Event, key: &str, part: &str) {
    let texts = event.texts(key);
    let found = event.text(key).contains(part) || texts.iter().any(|text| text.contains(part));
    assert!(found, "{key} of {event:#?} does not say {part}");
}
