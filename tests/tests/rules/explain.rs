//! `whydrop explain --packet` against the kernel: what it says of a packet, and what becomes of that packet.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::topology::{self, CLIENT, Router, SERVER};
use tracer_tests::{Family, NetNs, tracer};

/// Source port of what is sent, so that it is the packet that was asked about.
const SOURCE: u16 = 4001;
/// Long enough for a datagram that gets through, short because most do not.
const WAIT: Duration = Duration::from_millis(200);

fn run(namespace: &NetNs, packet: &str, more: &[&str]) -> Result<Output> {
    let arguments = [&["explain", "--netns", namespace.name(), "--packet", packet], more].concat();
    Ok(tracer::command(arguments)?.output()?)
}

fn text(namespace: &NetNs, packet: &str, more: &[&str]) -> Result<String> {
    let output = run(namespace, packet, more)?;
    ensure!(output.status.success(), "{packet}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn json(namespace: &NetNs, packet: &str) -> Result<Value> {
    Ok(serde_json::from_str(&text(namespace, packet, &["-o", "json"])?)?)
}

/// Rules in one namespace of the router's lab, and what becomes of a datagram from the client to the server.
struct Case {
    at: &'static str,
    /// A shell command; `IPT` stands for the iptables of the family.
    rules: &'static str,
    port: u16,
    /// The hook at which it ends; none if it arrives.
    dropped_at: Option<&'static str>,
    /// A part of the text of the rule that ends it.
    by: &'static str,
}

const fn case(
    at: &'static str,
    rules: &'static str,
    port: u16,
    dropped_at: Option<&'static str>,
    by: &'static str,
) -> Case {
    Case { at, rules, port, dropped_at, by }
}

const NFT_INPUT: &str = "nft 'table inet t { set s { type inet_service; elements = { 5001, 5002 }; }; \
    chain deep { udp dport @s drop; }; \
    chain c { type filter hook input priority 0; policy drop; udp dport 5000 accept; jump deep; udp dport 5003 accept; \
    meta l4proto { icmp, ipv6-icmp } accept; }; }'";
const NFT_FORWARD: &str = "nft 'table inet t { chain m { type filter hook prerouting priority mangle; udp dport 5001 meta mark set 7; }; \
    chain c { type filter hook forward priority 0; iifname \"r1\" oifname \"r2\" meta mark 7 drop; }; \
    chain e { type filter hook ingress device \"r1\" priority 0; udp dport 5004 drop; }; }'";
const IPT_INPUT: &str = "IPT -N one; IPT -A INPUT -p udp --dport 5000 -j ACCEPT; IPT -A INPUT -j one; \
    IPT -A one -p udp -m multiport --dports 5001,5002 -j DROP; IPT -A one -p udp -m udp --dport 5003 -j RETURN; \
    IPT -A INPUT -p udp --dport 5003 -j REJECT; IPT -A INPUT -p udp --dport 5004 -m conntrack --ctstate NEW -j DROP";
const IPT_FORWARD: &str = "IPT -t mangle -A PREROUTING -p udp --dport 5001 -j MARK --set-mark 0x10; \
    IPT -A FORWARD -m mark --mark 0x10/0x10 -j DROP; IPT -A FORWARD -p icmp -j ACCEPT; IPT -A FORWARD -p icmpv6 -j ACCEPT; \
    IPT -A FORWARD -i r1 -o r2 -p udp --dport 5000 -j ACCEPT; IPT -P FORWARD DROP";
const IPT_SET: &str = "ipset create bl hash:net family inetN 2>/dev/null; ipset add bl NET; \
    IPT -A FORWARD -p udp --dport 5001 -m set --match-set bl src -j DROP; \
    IPT -A FORWARD -p udp --dport 5002 -m set --match-set bl dst -j DROP";
const IPT_OUTPUT: &str =
    "IPT -A OUTPUT -p udp --dport 5001 -j DROP; IPT -t mangle -A POSTROUTING -p udp --dport 5002 -j DROP";

const CASES: &[Case] = &[
    case("s", NFT_INPUT, 5000, None, ""),
    case("s", NFT_INPUT, 5001, Some("input"), "udp dport @s drop"),
    case("s", NFT_INPUT, 5003, None, ""),
    case("s", NFT_INPUT, 5004, Some("input"), "policy drop"),
    case("r", NFT_FORWARD, 5000, None, ""),
    case("r", NFT_FORWARD, 5001, Some("forward"), "drop"),
    case("r", NFT_FORWARD, 5004, Some("ingress"), "udp dport 5004 drop"),
    case("s", IPT_INPUT, 5000, None, ""),
    case("s", IPT_INPUT, 5002, Some("input"), "-A one -p udp -m multiport --dports 5001,5002 -j DROP"),
    case("s", IPT_INPUT, 5003, Some("input"), "-j REJECT"),
    case("s", IPT_INPUT, 5004, Some("input"), "--ctstate NEW -j DROP"),
    case("s", IPT_INPUT, 5005, None, ""),
    case("r", IPT_FORWARD, 5000, None, ""),
    case("r", IPT_FORWARD, 5001, Some("forward"), "--mark 0x10/0x10 -j DROP"),
    case("r", IPT_FORWARD, 5002, Some("forward"), "-P FORWARD DROP"),
    case("r", IPT_SET, 5001, Some("forward"), "--match-set bl src"),
    case("r", IPT_SET, 5002, None, ""),
    case("c", IPT_OUTPUT, 5001, Some("output"), "-A OUTPUT"),
    case("c", IPT_OUTPUT, 5002, Some("postrouting"), "-A POSTROUTING"),
    case("c", IPT_OUTPUT, 5003, None, ""),
];

fn place<'a>(lab: &'a Router, at: &str) -> (&'a NetNs, &'static str) {
    match at {
        "c" => (&lab.client, ""),
        "r" => (&lab.router, "in r1"),
        _ => (&lab.server, "in s0"),
    }
}

/// Whether a datagram from the client's port arrives.
fn arrives(lab: &Router, to: SocketAddr, at: SocketAddr) -> Result<bool> {
    let receiver = lab.server.run(|| Ok(UdpSocket::bind(at)?))?;
    receiver.set_read_timeout(Some(WAIT))?;
    lab.client.run(|| {
        let socket = UdpSocket::bind(CLIENT.port(Family::of(to.ip()), SOURCE))?;
        // A rule at the output hook refuses it.
        let _refused = socket.send_to(b"w", to);
        Ok(())
    })?;
    Ok(receiver.recv_from(&mut [0; 8]).is_ok())
}

fn packet(to: SocketAddr, by: &str) -> String {
    format!("udp {} > {to} {by}", CLIENT.port(Family::of(to.ip()), SOURCE))
}

/// Asks, then sends.
fn compare(lab: &Router, family: Family, case: &Case) -> Result<()> {
    let (namespace, by) = place(lab, case.at);
    let to = SERVER.port(family, case.port);
    let said = json(namespace, &packet(to, by))?;
    let arrived = arrives(lab, to, to)?;
    ensure!(arrived == case.dropped_at.is_none(), "the kernel itself did otherwise: {arrived}");
    let wanted = if arrived { "accepted" } else { "dropped" };
    ensure!(said["outcome"] == wanted, "{wanted}, but it says {said}");
    let last = said["hooks"].as_array().and_then(|hooks| hooks.last()).context("no hooks")?;
    if let Some(hook) = case.dropped_at {
        ensure!(last["hook"] == hook, "it ended at {hook}: {said}");
        let rule = last["rules"][0]["rule"]["text"].as_str().unwrap_or_default();
        ensure!(rule.contains(case.by), "{rule} instead of {}: {said}", case.by);
        let shown = text(namespace, &packet(to, by), &[])?;
        ensure!(shown.contains(rule) && shown.contains(&format!("The packet is dropped at {hook}.")), "{shown}");
    }
    Ok(())
}

#[test]
fn what_it_says_is_what_the_kernel_does() -> Result<()> {
    for family in Family::BOTH {
        for tools in [["iptables-legacy", "ip6tables-legacy"], ["iptables-nft", "ip6tables-nft"]] {
            let tool = family.pick(tools[0], tools[1]);
            let mut lab: Option<(&str, Router)> = None;
            for case in CASES {
                if !case.rules.contains("IPT") && tool.contains("legacy") {
                    continue;
                }
                let is_same = lab.as_ref().is_some_and(|(rules, _)| *rules == case.rules);
                if !is_same {
                    let router = topology::router()?;
                    let net = family.pick("10.99.1.0/24", "fd99:1::/64");
                    let rules = case.rules.replace("IPT", &format!("{tool} -w")).replace("NET", net);
                    place(&router, case.at).0.exec(&rules.replace("inetN", family.pick("inet", "inet6")))?;
                    lab = Some((case.rules, router));
                }
                let (_, router) = lab.as_ref().context("no lab")?;
                compare(router, family, case)
                    .with_context(|| format!("{tool}: port {} of {}", case.port, case.rules))?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_translated_destination_is_followed_or_said_to_be_open() -> Result<()> {
    let lab = topology::router()?;
    let target = SERVER.port(Family::V4, 5001);
    lab.router.exec(&format!(
        "nft 'table ip nat {{ chain pre {{ type nat hook prerouting priority dstnat; udp dport 80 dnat to {target}; \
         udp dport 81 dnat to 10.99.2.2-10.99.2.3; }}; }}; \
         table inet t {{ chain c {{ type filter hook forward priority 0; udp dport 5001 drop; }}; }}'"
    ))?;
    let service = |port| SocketAddr::new(topology::ROUTER_1.ip(Family::V4), port);
    let said = json(&lab.router, &packet(service(80), "in r1"))?;
    ensure!(said["outcome"] == "dropped" && said["hooks"][1]["hook"] == "forward", "{said}");
    ensure!(said["hooks"][0]["destination"] == target.to_string(), "{said}");
    ensure!(!arrives(&lab, service(80), target)?, "the kernel let it through");
    let open = json(&lab.router, &packet(service(81), "in r1"))?;
    ensure!(open["outcome"] == "open", "{open}");
    let shown = text(&lab.router, &packet(service(81), "in r1"), &[])?;
    ensure!(shown.contains("--hook"), "it is not said how to go on: {shown}");
    Ok(())
}

#[test]
fn what_hangs_on_a_rate_is_open() -> Result<()> {
    let lab = topology::router()?;
    lab.server.exec(
        "nft 'table inet t { chain c { type filter hook input priority 0; udp dport 5001 limit rate over 1/minute drop; \
         udp dport 5002 limit rate over 1/minute drop; udp dport 5002 drop; }; }'",
    )?;
    let ask = |port| text(&lab.server, &packet(SERVER.port(Family::V4, port), "in s0"), &[]);
    let open = ask(5001)?;
    ensure!(open.contains("perhaps nftables") && open.contains("Open: ") && open.contains("rate"), "{open}");
    let either = ask(5002)?;
    ensure!(either.contains("dropped at input, if not by a rule above"), "{either}");
    Ok(())
}

#[test]
fn the_walk_shows_chains_policies_and_hooks_without_rules() -> Result<()> {
    let lab = topology::router()?;
    lab.server.exec(NFT_INPUT)?;
    let shown = text(&lab.server, &packet(SERVER.port(Family::V6, 5001), "in s0"), &["-v"])?;
    for line in [
        "prerouting  no rules",
        "  chain inet t/c: type filter hook input priority filter; policy drop;",
        "    rule 1: udp dport 5000 accept  # does not match",
        "    rule 2: jump deep  # matches: jump deep",
        "      deep rule 1: udp dport @s drop  # matches: drop",
    ] {
        ensure!(shown.lines().any(|shown| shown.starts_with(line)), "no {line:?} in {shown}");
    }
    let brief = text(&lab.server, &packet(SERVER.port(Family::V6, 5001), "in s0"), &[])?;
    ensure!(!brief.contains("chain inet t/c"), "{brief}");
    let one = text(&lab.server, &packet(SERVER.port(Family::V6, 5001), "in s0"), &["--hook", "forward"])?;
    ensure!(one.starts_with("forward     no rules\n"), "{one}");
    Ok(())
}

#[test]
fn what_makes_no_sense_is_one_sentence_and_status_2() -> Result<()> {
    let lab = topology::pair()?;
    let long = format!("tcp 1.2.3.4:1 > 1.2.3.5:2 {}", "x".repeat(100_000));
    for (packet, says) in [
        ("tcp 1.2.3.4", "PROTOCOL SOURCE"),
        ("tcp 1.2.3.4:1 > 1.2.3.5:2 in nope", "no device nope"),
        ("tcp 1.2.3.4:1 > [fd00::1]:2", "different families"),
        ("icmp fd00::1 > fd00::2", "icmpv6"),
        ("tcp 1.2.3.4:1 > 1.2.3.5:2", "say by which device"),
        ("tcp 1.2.3.4:1 > 1.2.3.5:2 mark 1 mark 2", "twice"),
        ("tcp 1.2.3.4:1 > 1.2.3.5:2 \u{1b}[31m red", "\\u{1b}[31m"),
        (&long, "xxx…"),
    ] {
        let output = run(&lab.client, packet, &[])?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(2) && output.stdout.is_empty(), "{}: {said}", output.status);
        ensure!(said.contains(says) && said.lines().count() == 1 && said.len() < 400, "{said}");
        ensure!(!said.trim_end().contains(char::is_control), "{said:?}");
    }
    for (flag, value) in [("--netns", "no-such\u{1b}[31m"), ("--hook", "\u{1b}[31m")] {
        let output = tracer::command(["explain", "--packet", "icmp 1.2.3.4 > 1.2.3.5", flag, value])?.output()?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(2) && !said.replace('\n', "").contains(char::is_control), "{said:?}");
    }
    Ok(())
}

#[test]
fn without_permission_it_is_one_sentence_and_status_1() -> Result<()> {
    let as_nobody: &[&str] = &["--reuid", "65534", "--clear-groups"];
    let without: &[&str] = &["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
    for drop in [as_nobody, without] {
        let output = Command::new("setpriv")
            .args(drop)
            .arg(tracer::binary()?)
            .args(["explain", "--packet", "tcp 127.0.0.1:1 > 127.0.0.1:80"])
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{}: {said}", output.status);
        ensure!(said.contains("CAP_NET_ADMIN") && said.lines().count() == 1, "{said}");
    }
    Ok(())
}
