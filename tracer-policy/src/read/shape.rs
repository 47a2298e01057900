//! Which fields an object may have.
//!
//! Rule: for kinds that change with their releases: what is not in the table is told, and never passed over.

use serde_json::Value;

/// Fields that are told at most.
const TOLD: usize = 16;

/// What is known of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Read, or without meaning for a connection.
    Any,
    Fields(&'static [(&'static str, Shape)]),
    List(&'static Shape),
}

impl Shape {
    /// Paths of the fields that are not known, as `ports[0].portNumber.kind`.
    pub(crate) fn unknown(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(value, "", &mut found);
        found
    }

    fn collect(&self, value: &Value, path: &str, found: &mut Vec<String>) {
        match (self, value) {
            (Self::Fields(known), Value::Object(fields)) => {
                for (name, value) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match known.iter().find(|(field, _)| field == name) {
                        Some((_, shape)) => shape.collect(value, &path, found),
                        None if found.len() < TOLD => found.push(super::error::short(&path, 200)),
                        None => return,
                    }
                }
            }
            (Self::List(entry), Value::Array(entries)) => {
                for (at, value) in entries.iter().enumerate() {
                    entry.collect(value, &format!("{path}[{at}]"), found);
                }
            }
            _ => {}
        }
    }
}
