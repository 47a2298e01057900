//! JSON Schema, as much of it as `docs/schema/` uses: a keyword that is not known here is an error, so nothing in the
//! schema goes unchecked. Keys that the schema does not have are errors as well.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

/// The schema of one kind of line.
#[derive(Debug)]
pub struct Schema {
    root: Value,
}

impl Schema {
    /// `docs/schema/KIND.json`.
    pub fn of(kind: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema").join(kind).with_extension("json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("no schema {}", path.display()))?;
        Ok(Self { root: serde_json::from_str(&text)? })
    }

    /// Fails with the place of the first thing that is not as it should be.
    pub fn check(&self, value: &Value) -> Result<()> {
        self.follow(&self.root, value, "")
    }

    fn follow(&self, schema: &Value, value: &Value, at: &str) -> Result<()> {
        let schema = schema.as_object().with_context(|| format!("the schema of {at} is no object"))?;
        for (keyword, says) in schema {
            self.keyword(keyword, says, schema, value, at)?;
        }
        if let (Value::Object(object), Some(known)) = (value, schema.get("properties")) {
            let unknown = object.keys().find(|key| known.get(key.as_str()).is_none());
            ensure!(unknown.is_none(), "{at}/{}: the schema has no such key", unknown.map_or("", String::as_str));
        }
        Ok(())
    }

    fn keyword(&self, word: &str, says: &Value, schema: &Map<String, Value>, value: &Value, at: &str) -> Result<()> {
        match word {
            "$schema" | "$defs" | "title" | "description" => Ok(()),
            "$ref" => {
                let definition = says.as_str().and_then(|name| self.root.pointer(name.trim_start_matches('#')));
                self.follow(definition.with_context(|| format!("{says} leads nowhere"))?, value, at)
            }
            "type" => same(says, &kind(value, says).into(), at),
            "const" => same(says, value, at),
            "enum" => one_of(says, value, at),
            "oneOf" => {
                let choices = says.as_array().into_iter().flatten();
                let fitting = choices.filter(|choice| self.follow(choice, value, at).is_ok()).count();
                ensure!(fitting == 1, "{at} is {value}, which fits {fitting} of its choices instead of one");
                Ok(())
            }
            "required" => {
                let keys = says.as_array().into_iter().flatten().filter_map(Value::as_str);
                let absent: Vec<_> = keys.filter(|key| value.get(key).is_none()).collect();
                ensure!(absent.is_empty(), "{at} has no {}", absent.join(", "));
                Ok(())
            }
            "properties" => {
                let known = says.as_object().into_iter().flatten();
                let mut present = known.filter_map(|(key, schema)| Some((key, schema, value.get(key)?)));
                present.try_for_each(|(key, schema, value)| self.follow(schema, value, &format!("{at}/{key}")))
            }
            "items" => {
                let mut items = value.as_array().into_iter().flatten().enumerate();
                items.try_for_each(|(number, item)| self.follow(says, item, &format!("{at}/{number}")))
            }
            "minimum" | "maximum" => range(word, says, value, at),
            "format" => format(says, schema, value, at),
            _ => bail!("{word} in the schema of {at}: this keyword is not known here"),
        }
    }
}

/// The type of a value; a whole number is an `integer` only where one is asked for.
fn kind(value: &Value, wanted: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if wanted == "integer" && (number.is_u64() || number.is_i64()) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn same(wanted: &Value, found: &Value, at: &str) -> Result<()> {
    ensure!(wanted == found, "{at} is {found} instead of {wanted}");
    Ok(())
}

fn one_of(wanted: &Value, found: &Value, at: &str) -> Result<()> {
    ensure!(wanted.as_array().is_some_and(|words| words.contains(found)), "{at} is {found}, which is not in {wanted}");
    Ok(())
}

fn range(word: &str, bound: &Value, value: &Value, at: &str) -> Result<()> {
    let (Some(bound), Some(number)) = (bound.as_f64(), value.as_f64()) else { bail!("{at}: {value} has no {word}") };
    ensure!(
        if word == "minimum" { number >= bound } else { number <= bound },
        "{at} is {value}, its {word} is {bound}"
    );
    Ok(())
}

fn format(name: &Value, schema: &Map<String, Value>, value: &Value, at: &str) -> Result<()> {
    let text = value.as_str().unwrap_or_default();
    let right = match name.as_str().unwrap_or_default() {
        "ip" => text.parse::<IpAddr>().is_ok(),
        "date-time" => is_utc_time(text),
        "uint64" => value.is_u64(),
        "uint32" => value.as_u64().is_some_and(|number| u32::try_from(number).is_ok()),
        "uint8" | "uint16" => schema.contains_key("maximum"),
        "double" => value.is_number(),
        other => bail!("{at}: the format {other} is not known here"),
    };
    ensure!(right, "{at} is {value}, which is no {name}");
    Ok(())
}

/// RFC 3339 in UTC with nanoseconds.
fn is_utc_time(text: &str) -> bool {
    const LIKE: &[u8] = b"0000-00-00T00:00:00.000000000Z";
    let digit = |byte: &u8| if byte.is_ascii_digit() { b'0' } else { *byte };
    text.as_bytes().iter().map(digit).eq(LIKE.iter().copied())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(schema: Value, value: &Value) -> String {
        Schema { root: schema }.check(value).unwrap_err().to_string()
    }

    #[test]
    fn each_keyword_refuses_what_it_should() {
        let byte = json!({"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255});
        for (schema, value) in [
            (json!({"type": "string"}), json!(null)),
            (json!({"type": "integer"}), json!(1.5)),
            (byte.clone(), json!(256)),
            (byte.clone(), json!(-1)),
            (json!({"type": "integer", "format": "uint32"}), json!(1_u64 << 32)),
            (json!({"const": 1}), json!(2)),
            (json!({"enum": ["a", "b"]}), json!("c")),
            (json!({"oneOf": [{"const": "a"}, {"enum": ["b"]}]}), json!("c")),
            (json!({"oneOf": [{"const": "a"}, {"enum": ["a"]}]}), json!("a")),
            (json!({"required": ["a"]}), json!({"b": 1})),
            (json!({"properties": {"a": {"type": "string"}}}), json!({"a": 1})),
            (json!({"properties": {"a": {"type": "string"}}}), json!({"b": 1})),
            (json!({"items": {"type": "string"}}), json!(["a", 1])),
            (json!({"format": "ip"}), json!("10.0.0")),
            (json!({"format": "date-time"}), json!("2026-11-21 09:47:45")),
            (json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}), json!(1)),
            (json!({"$ref": "#/$defs/B", "$defs": {"A": {"type": "string"}}}), json!("a")),
            (json!({"pattern": "a"}), json!("a")),
        ] {
            assert!(!refusal(schema, &value).is_empty());
        }
    }

    #[test]
    fn what_is_right_is_accepted() {
        let schema = json!({
            "type": "object", "required": ["a"], "$defs": {"T": {"type": "string", "format": "date-time"}},
            "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/T"}}, "b": {"oneOf": [{"const": 1}]}}
        });
        Schema { root: schema }.check(&json!({"a": ["2026-11-21T09:47:45.248019004Z"], "b": 1})).unwrap();
    }

    #[test]
    fn the_place_is_named() {
        let schema = json!({"properties": {"a": {"items": {"type": "string"}}}});
        assert_eq!(refusal(schema, &json!({"a": ["x", 1]})), r#"/a/1 is "number" instead of "string""#);
    }
}
