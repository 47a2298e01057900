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
        if self.knows(value) {
            return found;
        }
        self.collect(value, "", &mut found);
        found
    }

    /// Asked for every rule of every connection: without a path.
    pub(crate) fn knows(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _) | (_, Value::Null) => true,
            (Self::Fields(known), Value::Object(fields)) => fields.iter().all(|(name, value)| {
                known.iter().find(|(field, _)| field == name).is_some_and(|(_, shape)| shape.knows(value))
            }),
            (Self::List(entry), Value::Array(entries)) => entries.iter().all(|value| entry.knows(value)),
            _ => false,
        }
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
            (Self::Any, _) | (_, Value::Null) => {}
            // Not what it should be; a list must not pass for the fields of an object, in their order.
            _ => found.push(super::error::short(path, 200)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_told_by_its_path() {
        const PORT: Shape = Shape::Fields(&[("port", Shape::Any)]);
        const SHAPE: Shape = Shape::Fields(&[("name", Shape::Any), ("ports", Shape::List(&PORT))]);
        let of = |value| {
            let unknown = SHAPE.unknown(&value);
            assert_eq!(SHAPE.knows(&value), unknown.is_empty(), "{value}");
            unknown
        };
        assert_eq!(of(json!({"name": {"any": 1}, "ports": [{"port": 1}, null]})), Vec::<String>::new());
        assert_eq!(of(json!({"nam": 1, "ports": [{"port": 1}, {"prt": 1}]})), ["nam", "ports[1].prt"]);
        assert_eq!(of(json!({"ports": {"port": 1}})), ["ports"]);
        assert_eq!(of(json!({"ports": [[1]]})), ["ports[0]"]);
        let many: Value =
            (0..1000).map(|number| (number.to_string(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(of(many).len(), TOLD);
    }
}
