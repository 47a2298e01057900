//! Reading a page: its sections, and the rows of its tables.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the project, by its path from the root.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("cannot read {name}: {error}"))
}

/// The text under the heading `## title`, up to the next heading of that level.
pub(crate) fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let heading = format!("\n## {title}\n");
    let (_, rest) = page.split_once(&heading).unwrap_or_else(|| panic!("no section {title:?}"));
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// The rows of all tables in `text`: what the first cell has in backticks, and the text of the others.
pub(crate) fn rows(text: &str) -> Vec<(Vec<&str>, &str)> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.map(|row| row.split_once(" | ").unwrap_or_else(|| panic!("a row of one cell: {row}")));
    rows.map(|(first, rest)| (first.split('`').step_by(2).filter(|word| !word.is_empty()).collect(), rest)).collect()
}

#[test]
fn rows_and_sections_are_read() {
    let page = "# p\n\n## a\n\n| key | value |\n| --- | --- |\n| `x`, `y` | text | more |\n\n## b\n\n| `z` | 1 |\n";
    assert_eq!(rows(section(page, "a")), [(vec!["x", "y"], "text | more |")]);
    assert_eq!(rows(section(page, "b")).len(), 1);
}
