//! The cloud of the lab does what each scenario says that it does; whydrop has no part in this.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::cloud::{self, NODE, PODS, SERVERS, VIP, nft_family};
use tracer_tests::firewall::{nft, nft_counter};
use tracer_tests::traffic::server::{Tcp, Udp};
use tracer_tests::traffic::talk::{self, Fate, OPENVPN_HELLO, Talk};
use tracer_tests::{Family, netstat, patience, sysctl};

use crate::scene::{Scene, in_both};

/// How long silence is listened to.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn everybody_reaches_everybody() -> Result<()> {
    Scene::new()?.others_talk()
}

#[test]
fn a_service_leads_to_its_pod_from_outside_and_from_the_node() -> Result<()> {
    let lab = cloud::cloud()?;
    lab.service(80, 0, 8080)?;
    for family in Family::BOTH {
        let server = Tcp::listen(&lab.pods[0], PODS[0].port(family, 8080))?;
        for from in [&lab.internet, &lab.node, &lab.pods[1]] {
            assert_eq!(talk::connect(from, VIP.port(family, 80), patience())?, Fate::Answered);
        }
        tracer_tests::eventually("three connections are accepted", || Ok(server.accepted() == 3))?;
    }
    Ok(())
}

#[test]
fn what_is_swallowed_gets_no_answer_and_the_rest_does() -> Result<()> {
    let lab = cloud::cloud()?;
    let fault = lab.swallow("tcp dport 443")?;
    for family in Family::BOTH {
        let _servers = [443, 444].map(|port| Tcp::listen(&lab.internet, SERVERS[0].port(family, port)));
        assert_eq!(talk::connect(&lab.pods[0], SERVERS[0].port(family, 443), SHORT)?, Fate::Silence);
        assert_eq!(talk::connect(&lab.pods[0], SERVERS[0].port(family, 444), patience())?, Fate::Answered);
    }
    assert_eq!(fault.packets()?, 2);
    drop(fault);
    let server = SERVERS[1].port(Family::V4, 443);
    let _server = Tcp::listen(&lab.internet, server)?;
    assert_eq!(talk::connect(&lab.pods[0], server, patience())?, Fate::Answered);
    Ok(())
}

#[test]
fn a_datagram_is_swallowed_too() -> Result<()> {
    let lab = cloud::cloud()?;
    for family in Family::BOTH {
        let server = SERVERS[0].port(family, 1194);
        let _server = Udp::echo(&lab.internet, server)?;
        assert_eq!(talk::ask(&lab.pods[0], server, &OPENVPN_HELLO, patience())?, Fate::Answered);
        let fault = lab.swallow(&format!("{} daddr {} udp dport 1194", nft_family(family), server.ip()))?;
        assert_eq!(talk::ask(&lab.pods[0], server, &OPENVPN_HELLO, SHORT)?, Fate::Silence);
        ensure!(fault.packets()? > 0);
    }
    Ok(())
}

#[test]
fn a_dead_host_answers_nothing() -> Result<()> {
    let lab = cloud::cloud()?;
    let faults = lab.dead(SERVERS[2])?;
    for (family, fault) in Family::BOTH.into_iter().zip(&faults) {
        for port in [22, 443] {
            assert_eq!(talk::connect(&lab.pods[0], SERVERS[2].port(family, port), SHORT)?, Fate::Silence);
        }
        assert_eq!(fault.packets()?, 2);
    }
    Ok(())
}

#[test]
fn what_is_prohibited_is_said_to_be() -> Result<()> {
    let lab = cloud::cloud()?;
    let _fault = lab.prohibit(9000)?;
    for family in Family::BOTH {
        let fate = talk::connect(&lab.pods[0], SERVERS[0].port(family, 9000), patience())?;
        assert_eq!(fate, Fate::Refused(ErrorKind::HostUnreachable));
    }
    Ok(())
}

#[test]
fn a_translation_with_eight_ports_has_eight_connections() -> Result<()> {
    in_both(|family| {
        let lab = cloud::cloud()?;
        let faults = lab.translate("tcp dport 443", &(40_000..=40_007))?;
        let server = SERVERS[0].port(family, 443);
        let accepts = Tcp::listen(&lab.internet, server)?;
        let mut live = (0..8).map(|_| Talk::open(&lab.pods[0], server)).collect::<Result<Vec<_>>>()?;
        assert_eq!(talk::connect(&lab.pods[0], server, SHORT)?, Fate::Silence);
        live.iter_mut().try_for_each(|talk| talk.exchange(100, 100))?;
        assert_eq!((accepts.accepted(), faults[0].packets()?, faults[1].packets()?), (8, 8, 1));
        Ok(())
    })
}

#[test]
fn a_black_hole_lets_the_handshake_through() -> Result<()> {
    let lab = cloud::cloud()?;
    let fault = lab.swallow_larger_than(1300)?;
    for family in Family::BOTH {
        let server = SERVERS[0].port(family, 443);
        let _server = Tcp::listen(&lab.internet, server)?;
        let mut talk = Talk::open(&lab.pods[0], server)?;
        talk.exchange(500, 500)?;
        ensure!(!talk.exchanged(100_000, 1, SHORT)?, "the bulk came through");
        let resent = || netstat::read(&lab.pods[0], "Tcp", "RetransSegs");
        tracer_tests::eventually("segments are sent again", || Ok(resent()? > 0))?;
        ensure!(fault.packets()? > 1);
    }
    Ok(())
}

#[test]
fn answers_come_by_the_second_uplink_and_a_strict_check_drops_them() -> Result<()> {
    let lab = cloud::cloud()?;
    lab.second_uplink()?;
    lab.answers_by_second_uplink()?;
    nft(&lab.node, "table inet seen { chain c { type filter hook prerouting priority -300; iifname n1 counter; }; }")?;
    let received = || Ok::<_, anyhow::Error>(nft_counter(&lab.node, "inet seen c")?.packets);
    for family in Family::BOTH {
        let server = SERVERS[0].port(family, 443);
        let _server = Tcp::listen(&lab.internet, server)?;
        let before = received()?;
        Talk::open(&lab.pods[0], server)?.exchange(10, 10)?;
        ensure!(received()? > before, "nothing came by n1");
    }
    let _strict = sysctl::set(&lab.node, "net/ipv4/conf/n1/rp_filter", "1")?;
    let fate = talk::connect(&lab.pods[0], SERVERS[0].port(Family::V4, 443), SHORT)?;
    assert_eq!(fate, Fate::Silence);
    Ok(())
}

#[test]
fn a_pod_may_come_later() -> Result<()> {
    let lab = cloud::cloud()?;
    let pod = lab.third_pod()?;
    for family in Family::BOTH {
        let _server = Tcp::listen(&pod, PODS[2].port(family, 80))?;
        assert_eq!(talk::connect(&lab.internet, PODS[2].port(family, 80), patience())?, Fate::Answered);
        let _server = Tcp::listen(&lab.internet, SERVERS[0].port(family, 443))?;
        let talk = Talk::open(&pod, SERVERS[0].port(family, 443))?;
        ensure!(talk.flow.source.ip() == PODS[2].ip(family) && talk.flow.source.ip() != NODE.ip(family));
    }
    Ok(())
}
