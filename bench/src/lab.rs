//! Where the packets are dropped: two namespaces, a veth pair between them, and a rule that counts what it drops.

use std::net::SocketAddrV4;

use anyhow::Result;
use tracer_tests::Family;
use tracer_tests::firewall::{Backend, Chain, Rule};
use tracer_tests::sysctl::{self, Sysctl};
use tracer_tests::topology::{NEIGHBOUR, Pair};

use crate::load::{Load, Sent};

/// The discard service.
const PORT: u16 = 9;
/// What the rule's drops are called.
pub(crate) const REASON: &str = "NETFILTER_DROP";

pub(crate) struct Lab<'a> {
    pair: &'a Pair,
    rule: Rule<'a>,
    /// Spoofed sources have to come as far as the rule.
    _lax: Vec<Sysctl<'a>>,
}

impl<'a> Lab<'a> {
    pub(crate) fn new(pair: &'a Pair) -> Result<Self> {
        let lax = ["all", "s0"].map(|name| sysctl::set(&pair.server, &format!("net/ipv4/conf/{name}/rp_filter"), "0"));
        let chain = Chain::filter(&pair.server, Backend::Nft, Family::V4, "INPUT");
        let rule = chain.append(&format!("-p udp --dport {PORT} -j DROP"))?;
        Ok(Self { pair, rule, _lax: lax.into_iter().collect::<Result<_>>()? })
    }

    /// Sends; what was sent, and how many packets the rule says it dropped of it.
    pub(crate) fn flood(&self, load: &Load) -> Result<(Sent, u64)> {
        let before = self.rule.counter()?.packets;
        let sent = load.send(&self.pair.client, SocketAddrV4::new(NEIGHBOUR.v4, PORT))?;
        Ok((sent, self.rule.counter()?.packets - before))
    }

    /// The namespace of the drops, as events name it.
    pub(crate) fn netns(&self) -> Result<u64> {
        self.pair.server.inode()
    }
}
