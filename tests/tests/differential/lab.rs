//! The router that all rules are loaded into. Whatever its rules let pass ends in a table of its own, so that every packet
//! is dropped by some rule, none is answered, and no connection is ever confirmed.

use anyhow::{Context, Result};
use tracer_tests::NetNs;
use tracer_tests::firewall::nft;
use tracer_tests::topology::{self, Router};
use tracer_tests::traffic::raw::Interface;

use crate::watch;

pub(crate) struct Lab {
    topology: Router,
    pub(crate) client: Interface,
}

impl Lab {
    pub(crate) fn new() -> Result<Self> {
        let topology = topology::router()?;
        // The rules of the lab see no other packets than the lab's.
        topology.client.exec("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")?;
        topology.server.exec("ip link set s0 arp off; sysctl -qw net.ipv6.conf.all.disable_ipv6=1")?;
        topology.router.exec(
            "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.r1.rp_filter=0 net.ipv4.conf.all.log_martians=0; \
             ip link set r1 multicast off; ip link set r2 multicast off",
        )?;
        let client = topology.client.run(|| Interface::sender("c0"))?;
        Ok(Self { topology, client })
    }

    pub(crate) fn router(&self) -> &NetNs {
        &self.topology.router
    }

    /// An empty firewall, but for the end of all packets and what watches them on their way. `is_tracked`: with connection
    /// tracking.
    pub(crate) fn clear(&self, is_tracked: bool) -> Result<()> {
        nft(self.router(), &format!("flush ruleset; {}", watch::table(is_tracked)))
    }

    /// Gives a text to a program that reads its standard input.
    pub(crate) fn load(&self, program: &str, text: &str) -> Result<()> {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        self.router().run(|| {
            let mut words = program.split(' ');
            let mut command = Command::new(words.next().context("no program")?);
            let mut child =
                command.args(words).stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
            child.stdin.take().context("no pipe")?.write_all(text.as_bytes())?;
            let output = child.wait_with_output()?;
            let errors = String::from_utf8_lossy(&output.stderr);
            anyhow::ensure!(output.status.success(), "{program} refused: {}\n{text}", errors.trim());
            Ok(())
        })
    }
}
