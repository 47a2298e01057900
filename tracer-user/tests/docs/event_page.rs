//! `docs/events.md` has a row for each key of the schema, in the section of its kind, and no other.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::page;
use crate::schema::kinds;

/// What the schema says of a key.
struct Key {
    optional: bool,
    /// The values of a closed list.
    words: Vec<String>,
}

/// All keys below a schema, as the page writes them: `sources[].name`.
fn keys(root: &Value, schema: &Value, at: &str, found: &mut BTreeMap<String, Key>) {
    let schema = resolve(root, schema);
    if let Some(items) = schema.get("items") {
        return keys(root, items, &format!("{at}[]"), found);
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let words = words(resolve(root, schema));
        found.insert(path.clone(), Key { optional: !required.contains(&name.as_str().into()), words });
        keys(root, schema, &path, found);
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.trim_start_matches('#')).expect("a definition"),
        None => schema,
    }
}

fn words(schema: &Value) -> Vec<String> {
    let listed = |schema: &Value| schema["enum"].as_array().cloned().unwrap_or_default();
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let choices = choices.flat_map(|choice| listed(choice).into_iter().chain(choice.get("const").cloned()));
    listed(schema).into_iter().chain(choices).filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

#[test]
fn every_key_has_its_row_and_every_row_its_key() {
    let page = page::read("docs/events.md");
    for (kind, schema) in kinds() {
        let mut found = BTreeMap::new();
        keys(&schema, &schema, "", &mut found);
        let mut rows: BTreeMap<&str, &str> = BTreeMap::new();
        for (names, text) in page::rows(page::section(&page, kind)) {
            for name in names.into_iter().filter(|name| *name != ", ") {
                assert!(rows.insert(name, text).is_none(), "{kind}: two rows for {name}");
                assert!(found.contains_key(name), "{kind}: the page has {name}, and there is no such key");
            }
        }
        for (name, key) in &found {
            // What another row describes as a whole.
            if rows.iter().any(|(row, text)| is_below(name, row) && text.contains("as in [drop](#drop)")) {
                continue;
            }
            let Some(text) = rows.get(name.as_str()) else { panic!("{kind}: the page has no {name}") };
            assert_eq!(text.contains("*optional*"), key.optional, "{kind}: is {name} optional? {text}");
            // The causes have a page of their own, with a test of its own.
            let unsaid = key.words.iter().find(|word| !text.contains(&format!("`{word}`")));
            assert!(unsaid.is_none() || text.contains("](causes.md)"), "{kind}: {name} may also be {unsaid:?}");
        }
    }
}

fn is_below(name: &str, row: &str) -> bool {
    name.strip_prefix(row).is_some_and(|rest| rest.starts_with(['.', '[']))
}

#[test]
fn keys_are_found_at_any_depth() {
    let schema = serde_json::json!({
        "required": ["a"], "$defs": {"W": {"oneOf": [{"const": "x"}, {"enum": ["y"]}]}},
        "properties": {"a": {"items": {"properties": {"b": {"$ref": "#/$defs/W"}}}}}
    });
    let mut found = BTreeMap::new();
    keys(&schema, &schema, "", &mut found);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "a[].b"]);
    assert_eq!((found["a"].optional, found["a[].b"].optional), (false, true));
    assert_eq!(found["a[].b"].words, ["x", "y"]);
}
