//! Routes and rules are written as ip(8) writes them: several hundred made by chance, of both families.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tracer_tests::netns::NetNs;
use whydrop::host::interface;
use whydrop::node::route::{Tables, table, tables};

const TABLE: u32 = 77;
const MADE: u32 = 500;

/// Numbers that are the same in each run.
struct Chance(Cell<u64>);

impl Chance {
    fn below(&self, limit: u64) -> u64 {
        self.0.set(self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        (self.0.get() >> 33) % limit
    }

    fn one<'a>(&self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

fn place() -> Result<NetNs> {
    let namespace = NetNs::new("t")?;
    namespace.exec(
        "ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && \
         ip addr add 10.5.0.1/16 dev d0 && ip -6 addr add fd05::1/64 dev d0 nodad && \
         ip nexthop add id 5 via 10.5.0.2 dev d0",
    )?;
    Ok(namespace)
}

/// What ip(8) takes of the lines is set; the others are passed over.
fn make(namespace: &NetNs, is_ipv6: bool, lines: &str) -> Result<()> {
    namespace.run(|| {
        let mut ip = Command::new("ip");
        ip.args([if is_ipv6 { "-6" } else { "-4" }, "-force", "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = ip.spawn()?;
        child.stdin.take().context("no pipe to ip")?.write_all(lines.as_bytes())?;
        child.wait()?;
        Ok(())
    })
}

fn route(chance: &Chance, number: u32, is_ipv6: bool) -> String {
    let (net, gateway) = if is_ipv6 {
        (
            format!("fd{:02x}:{number:x}::/{}", chance.below(200), [48, 64, 96, 127, 128][chance.below(5) as usize]),
            "fd05::",
        )
    } else {
        (format!("{}.{}.{}.0/24", 20 + number % 180, number / 180, chance.below(250)), "10.5.0.")
    };
    let option =
        |chance: &Chance, often: u64, text: String| if chance.below(often) == 0 { text } else { String::new() };
    let mut line = String::from("route add ");
    let kind = chance.one(&["", "", "", "unicast ", "blackhole ", "unreachable ", "prohibit ", "throw "]);
    let _ = write!(line, "{kind}{net} table {TABLE} ");
    let metric = 1 + chance.below(4000);
    line += &option(chance, 3, format!("metric {metric} "));
    line +=
        &option(chance, 3, format!("proto {} ", chance.one_number(&[2, 3, 4, 9, 11, 12, 16, 18, 42, 77, 186, 189])));
    if !is_ipv6 {
        line += &option(chance, 6, format!("tos {:#x} ", 4 * (1 + chance.one_number(&[1, 2, 3, 5, 6]))));
        line += &option(chance, 8, format!("realm {} ", chance.one(&["4", "7/9"])));
    }
    if !kind.is_empty() && kind != "unicast " {
        return line;
    }
    line += &option(chance, 5, format!("mtu {}{} ", chance.one(&["", "lock "]), 1300 + chance.below(200)));
    line += &option(chance, 8, format!("rtt {}ms ", 8 * chance.below(300)));
    line += &option(chance, 8, format!("hoplimit {} ", 1 + chance.below(200)));
    line += &option(chance, 8, format!("initcwnd {} quickack 1 ", 1 + chance.below(90)));
    line += &option(chance, 9, "features ecn congctl reno rto_min 1500ms ".to_owned());
    line += &option(chance, 9, "advmss 1200 window 9000 ssthresh lock 20 ".to_owned());
    if is_ipv6 {
        line += &option(chance, 4, format!("pref {} ", chance.one(&["low", "high", "medium"])));
        line += &option(chance, 6, "from fd01::/64 ".to_owned());
    } else {
        line += &option(chance, 4, "src 10.5.0.1 ".to_owned());
    }
    let hop = |chance: &Chance| format!("via {gateway}{} dev d0", 2 + chance.below(200));
    match chance.below(8) {
        0 => line + "dev d0",
        1 if !is_ipv6 => line + "via inet6 fe80::1 dev d0",
        2 if !is_ipv6 => line + "via 10.99.0.1 dev d0 onlink",
        3 if !is_ipv6 => line + "nhid 5",
        4 | 5 => {
            let (first, second) = (hop(chance), hop(chance));
            line + &format!(
                "nexthop {first} weight {} nexthop {second} weight {}",
                1 + chance.below(9),
                1 + chance.below(9)
            )
        }
        6 if !is_ipv6 => line + "dev d1 scope link",
        _ => line + &hop(chance),
    }
}

impl Chance {
    fn one_number(&self, of: &[u64]) -> u64 {
        of[self.below(of.len() as u64) as usize]
    }
}

fn rule(chance: &Chance, number: u32, is_ipv6: bool) -> String {
    let net = |chance: &Chance| {
        let length = chance.below(if is_ipv6 { 129 } else { 33 });
        if is_ipv6 {
            format!("fd00:{:x}::/{length}", chance.below(65000))
        } else {
            format!("10.{}.0.0/{length}", chance.below(250))
        }
    };
    let mut line = format!("rule add pref {} ", 100 + number);
    let parts: [&dyn Fn(&Chance) -> String; 10] = [
        &|_| "not ".to_owned(),
        &|chance| format!("from {} ", net(chance)),
        &|chance| format!("to {} ", net(chance)),
        &|chance| format!("fwmark {:#x}{} ", chance.below(9999), chance.one(&["", "/0xff", "/0xffff0000"])),
        &|chance| format!("iif {} ", chance.one(&["lo", "d0", "gone0"])),
        &|chance| format!("oif {} ", chance.one(&["d1", "gone1"])),
        &|chance| format!("ipproto {} ", chance.one(&["tcp", "udp", "icmp", "sctp"])),
        &|chance| format!("sport {} dport {}-{} ", 1 + chance.below(99), 100 + chance.below(9), 200 + chance.below(9)),
        &|chance| format!("uidrange {}-{} ", chance.below(9), 10 + chance.below(9)),
        &|_| "tos 0x10 ".to_owned(),
    ];
    for part in parts {
        if chance.below(4) == 0 {
            line += &part(chance);
        }
    }
    let action = match chance.below(9) {
        0 => "prohibit".to_owned(),
        1 => "blackhole".to_owned(),
        2 => "unreachable".to_owned(),
        3 => format!("goto {}", chance.one(&["32766", "9999"])),
        4 => "nop".to_owned(),
        5 => "lookup main suppress_prefixlength 0".to_owned(),
        6 => "lookup 77 suppress_ifgroup 3".to_owned(),
        _ => format!(
            "lookup {} {}",
            chance.one(&["local", "default", "77", "70000"]),
            chance.one(&["", "realms 3/4", "protocol 12"])
        ),
    };
    line + &action
}

/// One line of ip(8) as words: `-o` writes a backslash where a line would end.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().map(|word| word.trim_end_matches('\\')).filter(|word| !word.is_empty()).collect()
}

fn same(ours: &[String], theirs: &str, least: usize) -> Result<()> {
    let theirs: Vec<_> = theirs.lines().map(words).collect();
    ensure!(theirs.len() >= least, "only {} were made", theirs.len());
    ensure!(ours.len() == theirs.len(), "{} of {} are read", ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        ensure!(words(ours) == theirs, "it is\n  {}\nand not\n  {ours}", theirs.join(" "));
    }
    Ok(())
}

fn read(namespace: &NetNs, is_ipv6: bool) -> Result<(Tables, interface::InterfaceTable)> {
    namespace.run(|| Ok((tables(is_ipv6)?, interface::read()?)))
}

#[test]
fn routes_are_written_as_ip_does() -> Result<()> {
    for (is_ipv6, ip) in [(false, "ip"), (true, "ip -6")] {
        let namespace = place()?;
        let chance = Chance(Cell::new(11));
        let lines: Vec<_> = (0..MADE).map(|number| route(&chance, number, is_ipv6)).collect();
        make(&namespace, is_ipv6, &lines.join("\n"))?;
        let (tables, interfaces) = read(&namespace, is_ipv6)?;
        let name = |index| interfaces.get(index).map(|interface| interface.name.clone());
        for (number, least) in [(TABLE, 300), (254, 1), (255, 1)] {
            let routes = tables.routes.iter().filter(|route| route.table == number);
            let ours: Vec<_> = routes.map(|route| route.text(&name)).collect();
            let theirs = namespace.exec(&format!("{ip} -o route show table {}", table(number)))?;
            same(&ours, &theirs, least).with_context(|| format!("{ip}, table {number}"))?;
        }
    }
    Ok(())
}

#[test]
fn rules_are_written_as_ip_does() -> Result<()> {
    for (is_ipv6, ip) in [(false, "ip"), (true, "ip -6")] {
        let namespace = place()?;
        let chance = Chance(Cell::new(12));
        let lines: Vec<_> = (0..MADE).map(|number| rule(&chance, number, is_ipv6)).collect();
        make(&namespace, is_ipv6, &lines.join("\n"))?;
        let ours: Vec<_> = read(&namespace, is_ipv6)?.0.rules.iter().map(whydrop::node::route::Rule::line).collect();
        same(&ours, &namespace.exec(&format!("{ip} -o rule show"))?, 300).context(ip)?;
    }
    Ok(())
}
