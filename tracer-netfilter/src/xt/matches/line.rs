//! A match as `iptables -S` prints it.

use std::fmt::{Display, Write as _};

/// `-m name` and its options so far.
pub(super) struct Line(String);

impl Line {
    pub(super) fn new(name: &str) -> Self {
        Self(format!("-m {name}"))
    }

    /// ` --option value`, with `!` in front if it is inverted.
    pub(super) fn option(&mut self, is_inverted: bool, option: &str, value: impl Display) {
        self.flag(is_inverted, option);
        let _ = write!(self.0, " {value}");
    }

    /// ` --option`, with `!` in front if it is inverted.
    pub(super) fn flag(&mut self, is_inverted: bool, option: &str) {
        let inversion = if is_inverted { " !" } else { "" };
        let _ = write!(self.0, "{inversion} {option}");
    }

    /// ` --option value` if there is something to say.
    pub(super) fn option_if(&mut self, says: bool, option: &str, value: impl Display) {
        if says {
            self.option(false, option, value);
        }
    }

    pub(super) fn flag_if(&mut self, says: bool, option: &str) {
        if says {
            self.flag(false, option);
        }
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

/// A single value, or `lowest:highest`.
pub(super) fn range<T: Display + PartialEq + Copy>(lowest: T, highest: T) -> String {
    if lowest == highest { lowest.to_string() } else { format!("{lowest}:{highest}") }
}

/// A number with its mask, which is left out if it covers all bits (`xtables_print_val_mask`).
pub(super) fn masked(value: u32, mask: u32) -> String {
    if mask == u32::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

/// The names of what is set, with commas between.
pub(super) fn list(names: impl IntoIterator<Item = impl Display>) -> String {
    names.into_iter().fold(String::new(), |mut list, name| {
        let comma = if list.is_empty() { "" } else { "," };
        let _ = write!(list, "{comma}{name}");
        list
    })
}

/// A string, in quotes if a shell could take it for more than one word (`xtables_save_string`).
pub(super) fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_as_iptables_prints_them() {
        let mut line = Line::new("tcp");
        line.option(true, "--dport", range(22, 22));
        line.option_if(false, "--sport", 1);
        line.flag(false, "--syn");
        assert_eq!(line.text(), "-m tcp ! --dport 22 --syn");
        assert_eq!((range(1, 2).as_str(), list(["NEW", "RELATED"]).as_str()), ("1:2", "NEW,RELATED"));
        assert_eq!((masked(1, u32::MAX).as_str(), masked(16, 255).as_str()), ("0x1", "0x10/0xff"));
    }

    #[test]
    fn a_string_is_quoted_only_where_it_must_be() {
        assert_eq!(quoted("a-b_1"), "a-b_1");
        assert_eq!(quoted("cali:x"), "\"cali:x\"");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted(r#"it's "so""#), r#""it\'s \"so\"""#);
    }
}
