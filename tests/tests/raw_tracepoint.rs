//! Where the kernel cannot be asked for its types the raw tracepoint does the same work, with the types from a file, and the
//! header says why.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tracer_tests::topology::{self, NEIGHBOUR};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Tracer, tracer};

/// An empty folder hides the types, in a mount namespace of this command's own.
const HIDDEN: &str = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" watch -o json --all --btf \"$@\"";

#[test]
fn the_same_is_seen_and_the_header_says_why() -> Result<()> {
    let types = std::env::temp_dir().join(format!("wd-{}.btf", std::process::id()));
    fs::copy("/sys/kernel/btf/vmlinux", &types)?;
    // What is not used is removed at load, so each of these is another program for the verifier.
    let seen = [&[][..], &["--every"], &["--stack"], &["--proto", "udp", "--port", "81"]]
        .iter()
        .try_for_each(|more| drops_are_seen(&types, more).with_context(|| format!("with {more:?}")));
    fs::remove_file(&types)?;
    seen
}

fn drops_are_seen(types: &Path, more: &[&str]) -> Result<()> {
    let lab = topology::pair()?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", HIDDEN]).arg(tracer::binary()?).arg(types).args(more);
    // Whatever else this machine drops is not waited for.
    command.args(["--netns", &lab.server.inode()?.to_string()]);
    let mut tracer = Tracer::spawn(&mut command)?;
    let source = tracer.header().at("/sources/0").context("no source in the header")?.to_string();
    ensure!(source.contains("raw_tp/kfree_skb") && !source.contains("preferred"), "{source}");
    for family in Family::BOTH {
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("NO_SOCKET").flow(&sent.flow).hook("socket").interface("s0").netns(&lab.server)?;
        tracer.wait_for(&wanted)?;
    }
    tracer.stop()?.ensure_clean()
}
