//! What is wrong with an object.
//!
//! Rule: the field is named as the API writes it, and what is quoted from a manifest is short, however long it is there.

use std::fmt::Display;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Characters of a manifest's text that an error quotes.
const QUOTED: usize = 80;

/// Why an object can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}{object}: {field}: {problem}")]
pub struct ReadError {
    /// `policies.yaml: `, or empty where it came from no file.
    pub file: String,
    /// `NetworkPolicy shop/web`, or `document 3`.
    pub object: String,
    /// `spec.ingress[0].ports[1].port`; for text that can't be parsed, `line 12, column 3`.
    pub field: String,
    pub problem: String,
}

/// A field and what is wrong with it, before its object is named.
#[derive(Debug)]
pub(super) struct Fault {
    field: String,
    problem: String,
}

impl Fault {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same, one field further up.
    pub(super) fn under(mut self, parent: impl Display) -> Self {
        let point = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{parent}{point}{}", self.field);
        self
    }

    pub(super) fn of(self, object: String) -> ReadError {
        ReadError { file: String::new(), object, field: self.field, problem: self.problem }
    }
}

/// Reads every entry of a list; a fault names its position.
pub(super) fn each<T, U>(
    field: &str,
    entries: Option<Vec<T>>,
    mut read: impl FnMut(T) -> Result<U, Fault>,
) -> Result<Box<[U]>, Fault> {
    let read_at = |(at, entry)| read(entry).map_err(|fault: Fault| fault.under(format_args!("{field}[{at}]")));
    entries.unwrap_or_default().into_iter().enumerate().map(read_at).collect()
}

/// A value as the type that reads it.
pub(super) fn typed<'a, T: Deserialize<'a>>(value: &'a Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "object" } else { &path };
        let problem = error.into_inner().to_string().replace("a borrowed string", "a text");
        Fault::new(short(field, 3 * QUOTED), short(&problem, 3 * QUOTED))
    })
}

/// Text of a manifest, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text, QUOTED))
}

pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
