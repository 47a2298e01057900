//! What connection tracking had made of a dropped packet: both directions, translated addresses, marks and status.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;
use serde_json::{Value, json};
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, ROUTER_2, SERVER, ip};
use tracer_tests::traffic::{Flow, echo, tcp, udp};
use tracer_tests::{Dual, Expect, Family, Story, Tracer};

const SERVICE: Dual = Dual { v4: Ipv4Addr::new(10, 96, 0, 1), v6: Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1) };

/// A direction as `conntrack.original` and `conntrack.reply` have it.
fn direction(protocol: &str, source: SocketAddr, destination: SocketAddr) -> Value {
    let end = |end: SocketAddr| json!({"address": end.ip().to_string(), "port": end.port()});
    json!({"protocol": protocol, "source": end(source), "destination": end(destination)})
}

#[test]
fn a_service_is_translated_and_its_backend_is_forbidden() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        ip(&lab.router, "address add 10.96.0.1/32 dev lo\naddress add fd96::1/128 dev lo nodad")?;
        let mut story = Story::of(&lab.router)?;
        for family in Family::BOTH {
            let chain = |table, chain| Chain { namespace: &lab.router, backend, family, table, chain };
            let (service, endpoint) = (SERVICE.port(family, 443), SERVER.port(family, 6443));
            let to = format!("-d {} -p tcp --dport 443 -j DNAT --to-destination {endpoint}", service.ip());
            let _service = chain("nat", "PREROUTING").append(&to)?;
            let _forbidden = chain("filter", "FORWARD").append("-p tcp --dport 6443 -j DROP")?;
            let attempt = lab.client.run(|| tcp::attempt(service))?;
            let wanted = Expect::drop("NETFILTER_DROP").hook("forward").interface("r1").netns(&lab.router)?;
            let wanted = wanted
                .flow(&Flow { destination: endpoint, ..attempt })
                .with(key::OUT_INTERFACE, "r2")
                .with(key::STATE, "new")
                .with(key::CT_MARK, 0)
                // Not confirmed: that comes behind the last hook.
                .with(key::STATUS, json!(["dnat"]))
                .with(key::ORIGINAL, direction("tcp", attempt.source, service))
                .with(key::REPLY, direction("tcp", endpoint, attempt.source));
            story.names(wanted, 1)?;
            story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_translated_source_is_in_the_reply() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.router,
        "table inet t {
            chain n { type nat hook postrouting priority 100; udp dport 9999 oifname r2 masquerade; };
            chain p { type filter hook postrouting priority 200; udp dport 9999 drop; };
        }",
    )?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let server = SERVER.port(family, 9999);
        let sent = lab.client.run(|| udp::send(server, 1, 20))?.flow;
        let translated = ROUTER_2.port(family, sent.source.port());
        let wanted = Expect::drop("NETFILTER_DROP").hook("postrouting").interface("r2").netns(&lab.router)?;
        let wanted = wanted
            .flow(&Flow { source: translated, ..sent })
            .with(key::STATUS, json!(["snat"]))
            .with(key::ORIGINAL, direction("udp", sent.source, server))
            .with(key::REPLY, direction("udp", server, translated));
        story.names(wanted, 1)?;
    }
    story.end().map(drop)
}

#[test]
fn a_marked_connection_is_cut() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.router,
        "table inet t {
            chain p { type filter hook prerouting priority 0; ct state new tcp dport 6443 ct mark set 0x2a; };
            chain f { type filter hook forward priority 0; };
        }",
    )?;
    let mut connections = Vec::new();
    for family in Family::BOTH {
        connections.push(tcp::connect(&lab.client, &lab.server, SERVER.port(family, 6443))?);
    }
    nft(&lab.router, "add rule inet t f ct mark 0x2a counter drop")?;
    let mut tracer = Tracer::watch(&lab.router)?;
    for connection in &mut connections {
        connection.client.write_all(b"lost")?;
        let Flow { source, destination, .. } = connection.flow;
        let wanted = Expect::drop("NETFILTER_DROP").hook("forward").netns(&lab.router)?.flow(&connection.flow);
        let wanted = wanted
            .with(key::STATE, "established")
            .with(key::CT_MARK, 42)
            .with(key::STATUS, json!(["seen_reply", "assured", "confirmed"]))
            .with(key::ORIGINAL, direction("tcp", source, destination))
            .with(key::REPLY, direction("tcp", destination, source));
        tracer.wait_for(&wanted)?;
    }
    tracer.stop()?.ensure_clean()
}

#[test]
fn an_echo_request_has_addresses_and_no_ports() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.server,
        "table inet t { chain i { type filter hook input priority 0; ct state new icmp type echo-request drop;
            ct state new icmpv6 type echo-request drop; }; }",
    )?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let request = lab.client.run(|| echo::request(SERVER.ip(family), echo::Options::default()))?.flow;
        let end = |end: SocketAddr| json!({"address": end.ip().to_string()});
        let direction = |source, destination| json!({"protocol": family.icmp(), "source": end(source), "destination": end(destination)});
        let wanted = Expect::drop("NETFILTER_DROP").hook("input").netns(&lab.server)?.flow(&request);
        let wanted = wanted
            .with(key::STATUS, json!([]))
            .with(key::ORIGINAL, direction(request.source, request.destination))
            .with(key::REPLY, direction(request.destination, request.source));
        story.names(wanted, 1)?;
    }
    story.end().map(drop)
}

#[test]
fn without_connection_tracking_nothing_is_said() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.server,
        "table inet t {
            chain r { type filter hook prerouting priority -300; udp dport 82 notrack; };
            chain i { type filter hook input priority 0; ct state untracked udp dport 82 drop; };
        }
        table netdev t { chain c { type filter hook ingress device s0 priority 0; udp dport 81 drop; }; }",
    )?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let before = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?.flow;
        let wanted = Expect::drop("NETFILTER_DROP").hook("ingress").netns(&lab.server)?.flow(&before);
        story.names(wanted.with("/conntrack", Value::Null), 1)?;
        let untracked = lab.client.run(|| udp::send(SERVER.port(family, 82), 1, 20))?.flow;
        let wanted = Expect::drop("NETFILTER_DROP").hook("input").netns(&lab.server)?.flow(&untracked);
        story.names(wanted.with("/conntrack", json!({"state": "untracked"})), 1)?;
    }
    story.end().map(drop)
}
