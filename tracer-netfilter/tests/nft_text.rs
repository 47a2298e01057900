//! The text of nf_tables rules, compared with what `nft list ruleset` prints.
//!
//! Needs root and `nft`; works in network namespaces of its own. `NFT_TEXT_CORPUS=<folder of *.nft>` compares those as well
//! and prints each difference.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tracer_netfilter::model::{Place, Ruleset};
use tracer_netfilter::text::nft::{chain_header, stateless_rule};

/// Runs in a network namespace that is gone afterwards.
fn in_namespace<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        // SAFETY: `unshare` takes no pointers; only this thread gets the new namespace.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "this test needs root: {}", std::io::Error::last_os_error());
        work()
    });
    thread.join().unwrap()
}

fn nft(arguments: &[&str]) -> String {
    let output = Command::new("nft").args(arguments).stderr(Stdio::inherit()).output().expect("nft is installed");
    assert!(output.status.success(), "nft {arguments:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Rules by table, chain and handle, and heads of chains by table and chain (handle 0).
fn listing() -> HashMap<(String, String, u64), String> {
    let (mut table, mut chain, mut found) = (String::new(), String::new(), HashMap::new());
    for line in nft(&["-s", "-a", "list", "ruleset"]).lines() {
        let (text, handle) = match line.rsplit_once(" # handle ") {
            Some((text, handle)) => (text.trim(), handle.parse().ok()),
            None => (line.trim(), None),
        };
        if let Some(rest) = text.strip_prefix("table ") {
            rest.trim_end_matches(" {").clone_into(&mut table);
        } else if let Some(rest) = text.strip_prefix("chain ") {
            rest.trim_end_matches(" {").clone_into(&mut chain);
        } else if text == "}" {
            chain.clear();
        } else if !chain.is_empty() {
            found.insert((table.clone(), chain.clone(), handle.unwrap_or(0)), text.to_owned());
        }
    }
    found
}

fn ours(ruleset: &Ruleset, at: Place) -> Vec<(u64, String)> {
    let (table, chain) = (ruleset.table(at).unwrap(), ruleset.chain(at).unwrap());
    let sets = |name: &str| tracer_netfilter::nft::elements(table, name).ok().map(Arc::new);
    let rules = (1..=u32::try_from(chain.rules.len()).unwrap()).map(|number| {
        let rule = ruleset.rule(Place { number, ..at }).unwrap().expect("a rule that nft made is understood");
        (rule.handle.unwrap_or(0), stateless_rule(table, chain, &rule, &sets))
    });
    let head = chain.base.as_ref().map(|_| (0, chain_header(table, chain)));
    rules.chain(head).collect()
}

/// How many lines there are, and pairs (ours, theirs) of those that differ.
fn compare(script: &Path) -> (usize, Vec<(String, String)>) {
    let script = script.to_owned();
    in_namespace(move || {
        nft(&["-f", script.to_str().unwrap()]);
        let mut theirs = listing();
        let (mut count, mut different) = (0, Vec::new());
        let tables = tracer_netfilter::nft::read().unwrap().tables;
        let ruleset = Ruleset { tables, ..Ruleset::default() };
        for (table_index, table) in ruleset.tables.iter().enumerate() {
            for (chain_index, chain) in table.chains.iter().enumerate() {
                let at = Place { table: table_index, chain: chain_index, number: 0 };
                for (handle, text) in ours(&ruleset, at) {
                    let key = (format!("{} {}", table.family.as_str(), table.name), chain.name.clone(), handle);
                    let expected = theirs.remove(&key).unwrap_or_default();
                    count += 1;
                    if text != expected {
                        different.push((text, expected));
                    }
                }
            }
        }
        assert_eq!(theirs.len(), 0, "rules that were not read: {theirs:?}");
        (count, different)
    })
}

fn scripts(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "nft")).collect();
    files.sort();
    files
}

#[test]
fn rules_read_as_nft_lists_them() {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nft_text"));
    let other = std::env::var_os("NFT_TEXT_CORPUS").map(PathBuf::from);
    for folder in std::iter::once(own).chain(other.clone()) {
        let (mut count, mut different) = (0, 0);
        for script in scripts(&folder) {
            let (lines, differences) = compare(&script);
            count += lines;
            different += differences.len();
            for (ours, theirs) in &differences {
                println!("{}\n  ours  {ours}\n  nft   {theirs}", script.display());
            }
        }
        println!("{}: {} of {count} lines are the same", folder.display(), count - different);
        assert!(different == 0 || Some(&folder) == other.as_ref(), "{different} of {count} lines differ");
    }
}
