//! What conntrack says, what is sent again, and how much the verifier has to look at.

use anyhow::{Context, Result};
use aya::programs::loaded_programs;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, ROUTER_2, SERVER};
use tracer_tests::traffic::tcp;
use tracer_tests::{Dual, Family, eventually};

use crate::lab::{Lab, Watched, has_cookies, words};

const SERVICE: Dual =
    Dual { v4: std::net::Ipv4Addr::new(10, 96, 0, 1), v6: std::net::Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1) };

#[test]
fn the_device_behind_translation_knows_what_the_client_asked_for() -> Result<()> {
    let lab = topology::router()?;
    let mut watched = Watched::new(&[])?;
    for device in ["r1", "r2"] {
        watched.attach(&lab.router, device)?;
    }
    for family in Family::BOTH {
        let to = SERVER.port(family, 6443);
        let nat = |chain| Chain { namespace: &lab.router, backend: Backend::Nft, family, table: "nat", chain };
        let rule = format!("-d {} -p tcp --dport 443 -j DNAT --to-destination {to}", SERVICE.ip(family));
        let _there = nat("PREROUTING").append(&rule)?;
        let _back = nat("POSTROUTING").append("-o r2 -j MASQUERADE")?;
        let sent = lab.client.run(|| tcp::attempt(SERVICE.port(family, 443)))?;
        let (client, service) = (words(CLIENT.ip(family)), words(SERVICE.ip(family)));
        eventually("the SYN", || Ok(watched.attempts()?.iter().any(|(key, _)| key.server == words(to.ip()))))?;
        let all = watched.attempts()?;
        let (key, far) = all.iter().find(|(key, _)| key.server == words(to.ip())).context("it was there")?;
        assert_eq!((key.client, key.server_port), (words(ROUTER_2.ip(family)), 6443));
        let original = far.original;
        let address = |words: [u32; 4]| if original.family == 2 { [0, 0, 0xffff_0000, words[0]] } else { words };
        assert_eq!((address(original.source), address(original.destination)), (client, service));
        assert_eq!((original.source_port, original.destination_port), (sent.source.port(), 443));
        assert_eq!((original.protocol, original.family), (6, family.pick(2, 10)));
        let (_, near) = all.iter().find(|(key, _)| key.server == service).context("nothing on the client's side")?;
        assert_eq!((near.opened[0], near.netns), (1, u32::try_from(lab.router.inode()?)?));
        assert!(near.netns_cookie == far.netns_cookie);
    }
    Ok(())
}

#[test]
fn what_a_socket_sends_again_is_told_by_its_size() -> Result<()> {
    use std::io::Write;
    let mut lab = Lab::new(&[])?;
    lab.watched.attach_retransmit()?;
    for family in Family::BOTH {
        let port = family.pick(8304, 8306);
        let mut connection = tcp::connect(&lab.pair.client, &lab.pair.server, NEIGHBOUR.port(family, port))?;
        let silent = "table inet t { chain c { type filter hook input priority 0; meta l4proto tcp drop; }; }";
        nft(&lab.pair.server, silent)?;
        connection.client.write_all(&vec![7; 20_000])?;
        let own = || -> Result<_> {
            let all = lab.watched.retransmits()?;
            Ok(all.into_iter().find(|(key, _)| key.remote_port == port))
        };
        eventually("a retransmission", || Ok(own()?.is_some()))?;
        let (key, entry) = own()?.context("just seen")?;
        assert_eq!((key.local, key.remote), (words(CLIENT.ip(family)), words(NEIGHBOUR.ip(family))));
        assert_eq!((key.local_port, u64::from(key.netns)), (connection.flow.source.port(), lab.pair.client.inode()?));
        assert!(entry.mss > 500 && entry.mss < 1500 && entry.longest == entry.mss, "{entry:?}");
        assert!(entry.segments > 0 && entry.large == entry.segments && entry.handshakes == 0, "{entry:?}");
        assert_eq!((entry.state, entry.netns_cookie != 0), (1, has_cookies()?));
        nft(&lab.pair.server, "delete table inet t")?;
    }
    Ok(())
}

#[test]
fn a_syn_that_is_sent_again_is_a_handshake() -> Result<()> {
    let mut lab = Lab::new(&[])?;
    lab.watched.attach_retransmit()?;
    nft(&lab.pair.server, "table inet t { chain c { type filter hook input priority 0; tcp dport 8400 drop; }; }")?;
    let to = NEIGHBOUR.port(Family::V4, 8400);
    let waiting = lab.pair.client.run(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        drop(socket.connect(&to.into()));
        Ok(socket)
    })?;
    eventually("the second SYN", || Ok(lab.watched.attempt(8400).is_ok_and(|(_, entry)| entry.opened == [0, 2])))?;
    let all = lab.watched.retransmits()?;
    let (_, entry) = all.iter().find(|(key, _)| key.remote_port == 8400).context("nothing was sent again")?;
    assert_eq!((entry.handshakes, entry.segments, entry.state), (1, 0, 2));
    drop(waiting);
    Ok(())
}

/// A limit with room: what makes the verifier follow many more paths makes the start slow, and is refused by old kernels.
#[test]
fn the_programs_are_small_and_load_alone() -> Result<()> {
    let mut watched = Watched::new(&[])?;
    for name in ["flow_ingress", "flow_egress", "flow_ingress_ip", "flow_egress_ip"] {
        let id = watched.program(name)?.info()?.id();
        let info = loaded_programs().filter_map(Result::ok).find(|info| info.id() == id).context("it is gone")?;
        let (translated, verified) = (info.size_translated().unwrap_or(0) / 8, info.verified_instruction_count());
        println!(
            "{name}: {translated} instructions, {verified:?} verified, bytes of machine code: {:?}",
            info.size_jitted()
        );
        assert!(verified.is_none_or(|verified| verified < 40_000), "{name}: {verified:?}");
    }
    watched.attach_retransmit()
}
