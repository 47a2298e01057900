//! The reason catalogue as a page: `docs/reasons.md` is what this writes, and a test compares them.

use std::fmt::Write;

use super::catalogue::{GROUPS, Group, Layout, ReasonEntry};
use super::fill::{generic, is_command};
use super::location::{Place, places};

const HEAD: &str = "\
# Drop reasons

What each reason of `reason.name` means, where it usually comes from, which class it has and what to try.
This page is written from the catalogue in `tracer-user/src/explain/`; a test keeps them the same.

Reasons are known by name, never by number: numbers differ in every kernel line. The catalogue holds every
`skb_drop_reason` of Linux 6.1, 6.12, 6.18 and 7.2, and those of Open vSwitch, Wi-Fi and queueing disciplines.
A name that is not here is shown as it is, with \"no description yet\".

The class below is that of an ordinary unicast packet. The packet refines it: a broadcast or multicast that nobody
asked for, the end of a connection that is already gone, or a message between local sockets is no problem.
Classes: `problem` something does not work for somebody; `expected` the network doing what it was told, or what it
does under stray traffic; `noise` bookkeeping of a healthy machine. Each drop carries the why in `severity_why`.

In commands, words in capitals stand for values of the packet; whydrop prints them filled in, with the network
namespace entered. Causes are described in [causes.md](causes.md).

## Contents

";

const PLACES_HEAD: &str = "\
## Reasons that need their place

Some reasons are shared by different failures, or say nothing. The function that freed the packet (`location.symbol`)
tells them apart; the first row that fits is taken. `UNKNOWN` is the reason on kernels that give none (before 5.17);
a `*` stands for any ending.

| reason | place | packets | what it means | cause |
| --- | --- | --- | --- | --- |
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    for group in GROUPS {
        line(&mut page, format_args!("- [{}](#{})", group.title, anchor(group.title)));
    }
    page.push_str("- [Reasons that need their place](#reasons-that-need-their-place)\n");
    for group in GROUPS {
        line(&mut page, format_args!("\n## {}", group.title));
        match group.layout {
            Layout::Sections => group.entries.iter().for_each(|entry| reason(&mut page, entry)),
            Layout::Table => table(&mut page, group),
        }
    }
    page.push('\n');
    page.push_str(PLACES_HEAD);
    places().for_each(|row| place(&mut page, row));
    page
}

fn table(page: &mut String, group: &Group) {
    page.push_str("\n| reason | what it means | class | why |\n| --- | --- | --- | --- |\n");
    for entry in group.entries {
        let ReasonEntry { name, meaning, severity, severity_why, .. } = entry;
        line(page, format_args!("| `{name}` | {meaning} | `{severity}` | {severity_why} |"));
    }
}

fn reason(page: &mut String, entry: &ReasonEntry) {
    let cause = entry.cause;
    line(page, format_args!("\n### {}\n", entry.name));
    line(page, format_args!("{}.\n", capital(entry.meaning)));
    line(page, format_args!("- Usually: {}.", entry.usual_cause));
    line(page, format_args!("- Class: `{}`, {}.", entry.severity, entry.severity_why));
    line(page, format_args!("- Cause: [`{cause}`](causes.md#{cause})."));
    if entry.remedy.is_empty() {
        return;
    }
    page.push_str("- Try:\n");
    for remedy in entry.remedy {
        let text = generic(remedy);
        if is_command(remedy) {
            line(page, format_args!("  - `{text}`"));
        } else {
            line(page, format_args!("  - {text}"));
        }
    }
}

fn place(page: &mut String, row: &Place) {
    let reasons = quoted(row.reasons.iter().copied());
    let locations = quoted(row.locations.split_ascii_whitespace());
    let packets = if row.only.is_empty() { "all" } else { row.only };
    let says = generic(row.says);
    let cause = row.cause.or_else(|| row.like.and_then(super::catalogue::reason).map(|entry| entry.cause));
    let cause = cause.map(|cause| format!("[`{cause}`](causes.md#{cause})")).unwrap_or_default();
    line(page, format_args!("| {reasons} | {locations} | {packets} | {says} | {cause} |"));
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A heading as a link target, as Markdown renderers make it.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Writing into a string cannot fail.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::event::Cause;

    fn docs(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
    }

    /// `UPDATE_DOCS=1 cargo test -p tracer-user reference` writes the page anew.
    #[test]
    fn the_page_is_that_of_the_catalogue() {
        let page = markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(docs("reasons.md"), &page).unwrap();
        }
        let written = std::fs::read_to_string(docs("reasons.md")).unwrap();
        assert!(written == page, "docs/reasons.md is stale: run UPDATE_DOCS=1 cargo test -p tracer-user reference");
    }

    #[test]
    fn every_cause_has_its_section() {
        let page = std::fs::read_to_string(docs("causes.md")).unwrap();
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let words: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert_eq!(sections, words, "one section a cause, in the order of the contract");
    }

    #[test]
    fn no_placeholder_is_left_in_the_page() {
        let page = markdown();
        assert!(!page.contains('{') && !page.contains('}'));
        assert!(page.contains("  - `ip route get SOURCE`") && page.contains("](causes.md#reverse_path)"));
        assert_eq!(anchor("Firewall, policy and BPF programs"), "firewall-policy-and-bpf-programs");
    }
}
