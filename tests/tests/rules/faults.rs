//! Names and comments that somebody chose to do harm with.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use tracer_tests::event::key;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::tcp;
use tracer_tests::{Expect, Family, NetNs, Story, tracer};

const PORT: u16 = 10250;
/// Each ends a quoted word, starts a command, moves the cursor or breaks a line.
const COMMENTS: [&str; 5] = [
    r#"it's "quoted""#,
    "$(touch /tmp/wd-pwned)`touch /tmp/wd-pwned`; touch /tmp/wd-pwned #",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "two\nlines\r\tand more",
    "\u{202e}backwards \\ \\\\ %s {0} $PATH",
];

/// A rule with a comment that no shell sees.
fn append(namespace: &NetNs, program: &str, comment: &str) -> Result<()> {
    namespace.run(|| {
        let port = PORT.to_string();
        let rule =
            ["-w", "-A", "INPUT", "-p", "tcp", "--dport", &port, "-m", "comment", "--comment", comment, "-j", "DROP"];
        let output = Command::new(program).args(rule).output()?;
        ensure!(output.status.success(), "{comment:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    })
}

/// What a terminal would take for a command.
fn ensure_harmless(text: &str) -> Result<()> {
    let harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    ensure!(!text.contains(harmful), "control characters reach the terminal: {text:?}");
    Ok(())
}

fn explain(namespace: &NetNs, more: &[&str]) -> Result<String> {
    let packet = format!("tcp 10.99.1.2:4000 > 10.99.2.2:{PORT} in s0");
    let arguments = [&["explain", "--netns", namespace.name(), "--packet", &packet], more].concat();
    let output = tracer::command(arguments)?.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn comments_are_shown_harmless_and_the_removal_works() -> Result<()> {
    for program in ["iptables-legacy", "iptables-nft"] {
        let lab = topology::router()?;
        for comment in COMMENTS {
            append(&lab.server, program, comment)?;
            ensure_harmless(&explain(&lab.server, &["-v"])?)?;
            let json: serde_json::Value = serde_json::from_str(&explain(&lab.server, &["-o", "json"])?)?;
            let rule = &json["hooks"].as_array().and_then(|hooks| hooks.last()).context("no hook")?["rules"][0]["rule"];
            assert_eq!(rule["comment"].as_str(), Some(comment), "{json}");
            let mut story = Story::of(&lab.server)?;
            let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
            let event = story.names(Expect::drop("NETFILTER_DROP").flow(&flow).with(key::RULE_NUMBER, 1), 1)?;
            story.end()?;
            let remedy = event.texts(key::REMEDY);
            let removal = remedy.iter().find(|step| step.contains(" -D ")).context("no removal")?;
            let done = Command::new("sh").args(["-c", removal]).output()?;
            let listed = lab.server.exec(&format!("{program} -S INPUT"))?;
            ensure!(!listed.contains("DROP"), "{comment:?} `{removal}`: {done:?}, left: {listed}");
            ensure!(!std::path::Path::new("/tmp/wd-pwned").exists(), "`{removal}` ran what the comment says");
        }
    }
    Ok(())
}

#[test]
fn the_lines_of_watch_are_harmless_too() -> Result<()> {
    let lab = topology::router()?;
    for comment in COMMENTS {
        append(&lab.server, "iptables-nft", comment)?;
        let inode = lab.server.inode()?.to_string();
        // Without --all: the namespace has multicast of its own that nobody asked for.
        let mut child = tracer::command(["watch", "--count", "1", "--duration", "10s", "--netns", &inode])?
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        // Text has no line that says that it is ready: it is tried until one is dropped.
        while child.try_wait()?.is_none() {
            lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let shown = String::from_utf8(child.wait_with_output()?.stdout)?;
        ensure!(shown.contains("iptables-nft filter/INPUT rule 1"), "{comment:?}: {shown}");
        ensure_harmless(&shown)?;
        lab.server.exec("iptables-nft -F INPUT")?;
    }
    Ok(())
}

#[test]
fn names_of_nft_with_everything_that_it_takes() -> Result<()> {
    // nft itself takes no quotes in names; the kernel takes any byte, so they are sent as iptables does: as chain names.
    let names = ["a.b/c", "dollar$HOME", "semi;colon", "quote'd", "-dash", "sp ace", "esc\u{1b}[31m"];
    let lab = topology::router()?;
    let mut made = 0;
    for name in names {
        let done = lab.server.run(|| {
            let chain = Command::new("iptables-nft").args(["-w", "-N", name]).output()?.status.success();
            let jump = chain
                && Command::new("iptables-nft").args(["-w", "-A", "INPUT", "-j", name]).output()?.status.success();
            let rule = ["-w", "-A", name, "-p", "tcp", "--dport", "10250", "-j", "DROP"];
            Ok(jump && Command::new("iptables-nft").args(rule).output()?.status.success())
        })?;
        if !done {
            continue;
        }
        made += 1;
        ensure_harmless(&explain(&lab.server, &["-v"])?)?;
        let mut story = Story::of(&lab.server)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
        let event = story.names(Expect::drop("NETFILTER_DROP").flow(&flow).with(key::RULE_CHAIN, name), 1)?;
        story.end()?;
        let remedy = event.texts(key::REMEDY);
        let removal = remedy.iter().find(|step| step.contains(" -D ")).context("no removal")?;
        let ran = Command::new("sh").args(["-c", removal]).output()?;
        let listed = lab.server.exec("iptables-nft -S")?;
        ensure!(!listed.contains("-j DROP"), "{name:?} `{removal}`: {ran:?}, left: {listed}");
        lab.server.exec("iptables-nft -F; iptables-nft -X")?;
    }
    ensure!(made >= 3, "only {made} of the names were taken");
    Ok(())
}
