//! Files: YAML with any number of documents, or JSON.
//!
//! Rule: bounded, whatever a file holds: its size, its depth, how often an alias is repeated. A file that is broken at one
//! place is read up to there and beyond, so that all its errors are told at once.

use serde_json::Value;

use super::error::{ReadError, short};
use super::interner::Interner;
use super::meta::title;
use super::{Object, Source, read, template};

/// Bytes of a file: the pods of a cluster with some thousand nodes.
const LARGEST: usize = 128 << 20;
/// Values in a file.
const VALUES: usize = 8_000_000;
/// Objects in objects: deeper than any kind that is served.
const DEEPEST: usize = 64;
const DOCUMENTS: usize = 100_000;
/// Values that aliases repeat, all together: manifests have few.
const REPEATED: usize = 20_000;

/// Reads a file: YAML with any number of documents, or JSON; `List` objects are taken apart. For a workload (a Deployment, a
/// Job, …) that has no pod in the file, its template stands in as a pod without an address. The first thing that is wrong is
/// the error; [`objects`] has them all.
pub fn file(name: &str, text: &str) -> Result<Vec<Object>, ReadError> {
    let (objects, errors) = objects(name, text, &mut Interner::default());
    errors.into_iter().next().map_or(Ok(objects), Err)
}

/// What could be read of a file, and what is wrong with the rest.
pub fn objects(name: &str, text: &str, interner: &mut Interner) -> (Vec<Object>, Vec<ReadError>) {
    let (mut objects, mut errors) = (Vec::new(), Vec::new());
    let documents = documents(name, text.trim_start_matches('\u{feff}')).unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    });
    for (number, document) in documents.into_iter().enumerate() {
        for (place, value) in apart(format!("document {}", number + 1), document) {
            match manifest(&place, &value, interner) {
                Ok(object) => objects.extend(object),
                Err(error) => errors.push(error),
            }
        }
    }
    template::without_doubles(&mut objects);
    for error in &mut errors {
        error.file = format!("{name}: ");
    }
    (objects, errors)
}

fn manifest(place: &str, value: &Value, interner: &mut Interner) -> Result<Option<Object>, ReadError> {
    let wrong = |field: &str, problem: &str| ReadError {
        file: String::new(),
        object: place.to_owned(),
        field: field.to_owned(),
        problem: problem.to_owned(),
    };
    if !value.is_object() {
        return Err(wrong("object", "is no object of Kubernetes"));
    }
    for field in ["apiVersion", "kind"] {
        match value.get(field) {
            Some(Value::String(_)) => {}
            Some(_) => return Err(wrong(field, "is no text")),
            None => return Err(wrong(field, "is missing: this is no object of Kubernetes")),
        }
    }
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    let is_named = value.pointer("/metadata/name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let stand_in = template::stand_in(kind, value, interner).map(|pod| pod.map(Object::Pod));
    let object = stand_in.and_then(|pod| if pod.is_some() { Ok(pod) } else { read(value, Source::File, interner) });
    object.map_err(|error| {
        if is_named { error } else { ReadError { object: format!("{} ({place})", title(kind, value)), ..error } }
    })
}

/// The objects in a document, each with its place: those in a list are told to be what the list is of.
fn apart(place: String, document: Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut waiting = vec![(place, document)];
    while let Some((place, mut value)) = waiting.pop() {
        let kind = value.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List"));
        let kind = kind.map(str::to_owned);
        let (Some(kind), Some(Value::Array(items))) = (kind, value.get_mut("items").map(Value::take)) else {
            found.push((place, value));
            continue;
        };
        let version = value.get("apiVersion").cloned();
        for (at, mut item) in items.into_iter().enumerate().rev() {
            if let Some(fields) = item.as_object_mut().filter(|fields| !kind.is_empty() && !fields.contains_key("kind"))
            {
                fields.insert("kind".to_owned(), Value::String(kind.clone()));
                fields.extend(version.clone().map(|version| ("apiVersion".to_owned(), version)));
            }
            waiting.push((format!("{place}, items[{at}]"), item));
        }
    }
    found
}

fn documents(name: &str, text: &str) -> Result<Vec<Value>, ReadError> {
    if text.len() > LARGEST {
        let problem = format!("has {} bytes, and at most {LARGEST} are read", text.len());
        return Err(broken("size", problem));
    }
    let is_json = std::path::Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    if is_json || text.trim_start().starts_with(['{', '[']) {
        match json(text) {
            // Braces begin YAML as well.
            Err(_) if !is_json => {}
            read => return read,
        }
    }
    yaml(text)
}

fn json(text: &str) -> Result<Vec<Value>, ReadError> {
    let read: Result<_, _> = serde_json::Deserializer::from_str(text).into_iter::<Value>().collect();
    read.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let message = error.to_string();
        let problem = message.split(" at line ").next().unwrap_or_default();
        broken(&place, format!("no JSON: {}", short(problem, 200)))
    })
}

fn yaml(text: &str) -> Result<Vec<Value>, ReadError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: VALUES,
            max_events: 4 * VALUES,
            max_depth: DEEPEST,
            max_documents: DOCUMENTS,
            max_total_scalar_bytes: LARGEST,
            max_recorded_anchor_events: REPEATED,
            max_recorded_anchor_bytes: 64 * REPEATED,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location().filter(|location| location.line() > 0);
        let field = place.map_or_else(
            || "text".to_owned(),
            |location| format!("line {}, column {}", location.line(), location.column()),
        );
        let message = error.without_snippet().to_string();
        let message = message.split(" at line ").next().and_then(|message| message.lines().next()).unwrap_or_default();
        let problem = if message.starts_with("budget breached") { "more than is read" } else { "no YAML" };
        let is_template = text.contains("{{");
        let template = if is_template { " (a template has to be rendered first, as by helm template)" } else { "" };
        broken(&field, format!("{problem}: {}{template}", short(message, 200)))
    })
}

fn broken(field: &str, problem: String) -> ReadError {
    ReadError { file: String::new(), object: "file".to_owned(), field: field.to_owned(), problem }
}
