//! A target as `iptables -S` prints it.

use std::fmt::{Display, Write as _};

/// `-j NAME` and its options so far.
pub(super) struct Line(String);

impl Line {
    pub(super) fn new(name: &str) -> Self {
        Self(format!("-j {name}"))
    }

    /// ` --option value`
    #[must_use]
    pub(super) fn option(mut self, option: &str, value: impl Display) -> Self {
        let _ = write!(self.0, " {option} {value}");
        self
    }

    /// ` --option`
    #[must_use]
    pub(super) fn flag(mut self, option: &str) -> Self {
        let _ = write!(self.0, " {option}");
        self
    }

    /// ` --option value` if there is something to say.
    #[must_use]
    pub(super) fn option_if(self, says: bool, option: &str, value: impl Display) -> Self {
        if says { self.option(option, value) } else { self }
    }

    #[must_use]
    pub(super) fn flag_if(self, says: bool, option: &str) -> Self {
        if says { self.flag(option) } else { self }
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

/// A string, in quotes if a shell could take it for more than one word (`xtables_save_string`).
pub(super) fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !value.is_empty() && value.bytes().all(is_plain) {
        return value.to_owned();
    }
    let mut text = String::from('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\' | '\'') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}
