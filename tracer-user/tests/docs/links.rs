//! Each link from a page of the project to another, or to a heading, leads somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::page;

fn pages() -> Vec<PathBuf> {
    let files = ["", "docs"].map(|folder| fs::read_dir(page::path(folder)).unwrap());
    let files = files.into_iter().flatten().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// What stands between the brackets of `[text](target)`, outside of code.
fn links(page: &str) -> Vec<&str> {
    // Every second part of a text split at its fences is code.
    let prose = page.split("```").step_by(2);
    let targets = prose.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.starts_with("http")).collect()
}

/// The headings of a page as link targets, as Markdown renderers make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|title| title.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

fn broken(from: &Path, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let to = if file.is_empty() { from.to_owned() } else { from.with_file_name(file) };
    let leads = to.exists() && (anchor.is_empty() || anchors(&fs::read_to_string(&to).unwrap()).contains(anchor));
    (!leads).then(|| format!("{}: {target}", from.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 5, "{pages:?}");
    let texts = pages.iter().map(|path| (path, fs::read_to_string(path).unwrap()));
    let broken: Vec<_> = texts
        .flat_map(|(path, text)| links(&text).into_iter().filter_map(|to| broken(path, to)).collect::<Vec<_>>())
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn links_and_headings_are_found() {
    let page = "# A b_c: d\n\n[x](y.md#z) and [w](https://w)\n\n```sh\n[q](r)\n```\n";
    assert_eq!(links(page), ["y.md#z"]);
    assert_eq!(anchors(page), ["a-b_c-d".to_owned()].into());
}
