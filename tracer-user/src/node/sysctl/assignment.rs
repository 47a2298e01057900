//! The lines of sysctl.d(5) files, and which of them has the last word about a setting.
//!
//! Rule: as systemd-sysctl does it (`src/sysctl/sysctl.c`, since 246): the last line with the very name wins, then a line
//! `-NAME` keeps patterns away from it, then the last pattern that fits. A line that is no assignment is passed over.

use std::path::PathBuf;

use glob::{MatchOptions, Pattern};

/// The line of a file that sets a kernel setting at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetBy {
    /// As the host has it, whatever root it was read through.
    pub path: PathBuf,
    /// From 1.
    pub line: u32,
    /// As sysctl(8) shows it; a pattern (`net.ipv4.conf.*.rp_filter`) stands for many.
    pub key: String,
    pub value: String,
}

impl std::fmt::Display for SetBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} line {} sets {} = {}", self.path.display(), self.line, self.key, self.value)
    }
}

/// All lines of all files, in the order of their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assignments(Vec<Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    path: PathBuf,
    number: u32,
    /// With slashes.
    key: String,
    /// `None`: patterns do not apply to it.
    value: Option<String>,
}

impl Assignments {
    /// Adds the lines of the next file.
    pub(super) fn add(&mut self, path: PathBuf, text: &str) {
        for (number, line) in (1..).zip(text.lines()) {
            let Some((key, value)) = parse(line) else { continue };
            self.0.push(Line { path: path.clone(), number, key, value });
        }
    }

    /// The line that sets a name, given with slashes.
    pub(super) fn winner(&self, name: &str) -> Option<SetBy> {
        let own = self.0.iter().rev().find(|line| line.key == name);
        match own {
            Some(line) => line.set_by(),
            None => self.0.iter().rev().find(|line| line.fits(name)).and_then(Line::set_by),
        }
    }
}

impl Line {
    fn fits(&self, name: &str) -> bool {
        // As glob(7) does with paths.
        let options =
            MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        let is_pattern = self.value.is_some() && self.key.contains(['*', '?', '[']);
        is_pattern && Pattern::new(&self.key).is_ok_and(|pattern| pattern.matches_with(name, options))
    }

    fn set_by(&self) -> Option<SetBy> {
        let value = self.value.clone()?;
        Some(SetBy { path: self.path.clone(), line: self.number, key: super::dotted(&self.key), value })
    }
}

/// Key with slashes, and value; the value is `None` for `-KEY`.
fn parse(line: &str) -> Option<(String, Option<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => (key, Some(value.trim().to_owned())),
        None => (line.strip_prefix('-')?, None),
    };
    // Before an assignment: a failure to write it does not matter.
    let key = slashed(key.strip_prefix('-').unwrap_or(key).trim());
    (!key.is_empty()).then_some((key, value))
}

/// The first separator tells what separates; the other one is part of a name then.
fn slashed(key: &str) -> String {
    let first = key.chars().find(|c| matches!(c, '/' | '.'));
    // The swap is the same both ways.
    let key = if first == Some('.') { super::dotted(key) } else { key.to_owned() };
    key.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> Assignments {
        let mut all = Assignments::default();
        for (number, text) in files.iter().enumerate() {
            all.add(PathBuf::from(format!("/etc/sysctl.d/{number}.conf")), text);
        }
        all
    }

    fn winner(files: &[&str], name: &str) -> Option<String> {
        of(files).winner(name).map(|set| set.to_string())
    }

    #[test]
    fn the_last_line_with_the_name_wins() {
        let files =
            ["# net.ipv4.conf.all.rp_filter = 9\nnet.ipv4.conf.all.rp_filter=0", "\n-net/ipv4/conf/all/rp_filter = 1 "];
        let expected = "/etc/sysctl.d/1.conf line 2 sets net.ipv4.conf.all.rp_filter = 1";
        assert_eq!(winner(&files, "net/ipv4/conf/all/rp_filter").as_deref(), Some(expected));
        assert_eq!(winner(&files, "net/ipv4/conf/default/rp_filter"), None);
    }

    #[test]
    fn a_pattern_is_for_names_without_a_line_of_their_own() {
        let files = [
            "net.ipv4.conf.eth1.rp_filter = 0\nnet.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter",
            "net.ipv4.conf.eth[0-9]*.rp_filter = 1",
        ];
        let value = |name: &str| of(&files).winner(&format!("net/ipv4/conf/{name}/rp_filter")).map(|set| set.value);
        assert_eq!(value("all"), None, "kept away");
        assert_eq!(value("eth1").as_deref(), Some("0"), "its own line, whatever comes later");
        assert_eq!(value("eth0").as_deref(), Some("1"), "the later pattern");
        assert_eq!(value("lxc12").as_deref(), Some("2"));
        assert_eq!(of(&files).winner("net/ipv4/conf/a/b/rp_filter"), None, "a star is for one part");
    }

    #[test]
    fn the_first_separator_decides() {
        assert_eq!(slashed("net.ipv4.conf.eth0/100.rp_filter"), "net/ipv4/conf/eth0.100/rp_filter");
        assert_eq!(slashed("net/ipv4/conf/eth0.100/rp_filter"), "net/ipv4/conf/eth0.100/rp_filter");
        assert_eq!(slashed("/net//ipv4/ip_forward"), "net/ipv4/ip_forward");
    }

    #[test]
    fn what_is_no_assignment_is_passed_over() {
        for line in ["", "  ; x = 1", "#", "net.ipv4.ip_forward", "=", "-", "- = 1", "\u{0}"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
        let value = |line: &str| parse(line).and_then(|(_, value)| value);
        assert_eq!(value("net.ipv4.tcp_rmem = 4096 87380\t6291456").as_deref(), Some("4096 87380\t6291456"));
        assert_eq!(value("kernel.core_pattern=|/x=y").as_deref(), Some("|/x=y"));
        assert_eq!(winner(&["net.[.rp_filter = 1"], "net/[/rp_filter").map(|_| ()), Some(()), "no pattern, but a name");
    }
}
