//! `docs/schema/` is what the event types say. `UPDATE_DOCS=1 cargo test -p tracer-user --test docs` writes it anew.

use std::fs;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};
use whydrop::event::{Counter, Dns, Drop, Finding, Flow, Header, Stats, Verdict};

use crate::page;

/// The kinds of lines, each with its schema.
pub(crate) fn kinds() -> [(&'static str, Value); 8] {
    [
        of::<Header>("header"),
        of::<Drop>("drop"),
        of::<Counter>("counter"),
        of::<Flow>("flow"),
        of::<Dns>("dns"),
        of::<Verdict>("verdict"),
        of::<Finding>("finding"),
        of::<Stats>("stats"),
    ]
}

/// The schema of what is written, not of what could be read.
fn of<T: JsonSchema>(kind: &'static str) -> (&'static str, Value) {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(never_null));
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    // The generator does not know serde's tag of a struct.
    schema["title"] = format!("A {kind} line of whydrop, schema version {}", whydrop::event::SCHEMA).into();
    schema["properties"]["kind"] = json!({"type": "string", "const": kind});
    schema["required"].as_array_mut().expect("some keys are always there").insert(0, "kind".into());
    (kind, schema)
}

/// An unknown value is left out, never `null`; the generator takes `Option` for both.
fn never_null(schema: &mut schemars::Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
    choices.retain(|choice| *choice != json!({"type": "null"}));
    if let [Value::Object(only)] = choices.as_mut_slice() {
        let only = std::mem::take(only);
        schema.remove("anyOf");
        only.into_iter().for_each(|(key, value)| drop(schema.insert(key, value)));
    }
}

#[test]
fn the_files_are_those_of_the_types() {
    for (kind, schema) in kinds() {
        let name = format!("docs/schema/{kind}.json");
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(page::path(&name), &text).unwrap();
        }
        assert!(page::read(&name) == text, "{name} is stale: run UPDATE_DOCS=1 cargo test -p tracer-user --test docs");
    }
}

#[test]
fn no_value_may_be_null() {
    for (kind, schema) in kinds() {
        assert!(!schema.to_string().contains("null"), "{kind}: {schema}");
    }
}
