//! `docs/watch.md` has a row for each flag of `whydrop watch --help`, with its default, and no other; so has
//! `docs/diagnose.md` and `docs/verdicts.md`.

use std::collections::BTreeMap;
use std::process::Command;

use crate::page;

/// The flags in the help, each with its default.
fn flags(help: &str) -> BTreeMap<String, Option<String>> {
    let mut flags = BTreeMap::new();
    let mut current = String::new();
    for line in help.lines().map(str::trim) {
        // Not the list of a flag's values, `- text: …`.
        if line.starts_with('-') && !line.starts_with("- ") {
            let word = line.split([' ', ',']).find(|word| word.starts_with("--"));
            word.unwrap_or_else(|| panic!("no long flag in {line:?}")).clone_into(&mut current);
            flags.insert(current.clone(), None);
        } else if let Some(default) = line.strip_prefix("[default: ") {
            flags.insert(current.clone(), Some(default.trim_end_matches(']').to_owned()));
        }
    }
    flags
}

fn help(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_whydrop")).args([command, "--help"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_flag_has_its_row_and_every_row_its_flag() {
    for command in ["watch", "diagnose", "verdicts"] {
        compare(command);
    }
}

fn compare(command: &str) {
    let page = page::read(&format!("docs/{command}.md"));
    let mut flags = flags(&help(command));
    for (names, text) in page::rows(page::section(&page, "Flags")) {
        let name = names.iter().find_map(|name| name.split(' ').find(|word| word.starts_with("--")));
        let name = name.unwrap_or_else(|| panic!("a row without a flag: {names:?}"));
        let Some(default) = flags.remove(name) else { panic!("the page has {name}, and the help has not") };
        if let Some(default) = default {
            assert!(text.contains(&format!("`{default}`")), "the default of {name} is {default}: {text}");
        }
    }
    assert!(flags.is_empty(), "the page has no row for {:?}", flags.keys());
}

#[test]
fn flags_are_found_in_help() {
    let help = "  -o, --output <FORMAT>\n          How --to print\n          - text: a\n          [default: text]\n\n      --all\n";
    let found: Vec<_> = flags(help).into_iter().collect();
    assert_eq!(found, [("--all".to_owned(), None), ("--output".to_owned(), Some("text".to_owned()))]);
}
