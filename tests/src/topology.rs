//! The lab's three small networks; [`crate::cloud`] is the large one. MAC addresses are fixed, IPv6 has no duplicate address detection, and a network is
//! handed out when both ends reach each other in both families.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::family::{Dual, Family};
use crate::netns::NetNs;
use crate::patience;
use crate::sysctl;
use crate::traffic::{Mac, echo};

/// The client's address behind a router, and the left one of a pair.
pub const CLIENT: Dual = dual([10, 99, 1, 2], [0xfd99, 1, 0, 0, 0, 0, 0, 2]);
/// The router's address on the client's side.
pub const ROUTER_1: Dual = dual([10, 99, 1, 1], [0xfd99, 1, 0, 0, 0, 0, 0, 1]);
/// The router's address on the server's side.
pub const ROUTER_2: Dual = dual([10, 99, 2, 1], [0xfd99, 2, 0, 0, 0, 0, 0, 1]);
/// The server's address behind a router.
pub const SERVER: Dual = dual([10, 99, 2, 2], [0xfd99, 2, 0, 0, 0, 0, 0, 2]);
/// The server's address in the client's own network: the right one of a pair, and behind a bridge.
pub const NEIGHBOUR: Dual = dual([10, 99, 1, 3], [0xfd99, 1, 0, 0, 0, 0, 0, 3]);

pub const C0_MAC: Mac = [2, 0x77, 0, 0, 1, 2];
pub const R1_MAC: Mac = [2, 0x77, 0, 0, 1, 1];
pub const R2_MAC: Mac = [2, 0x77, 0, 0, 2, 1];
pub const S0_MAC: Mac = [2, 0x77, 0, 0, 2, 2];

pub(crate) const fn dual(v4: [u8; 4], v6: [u16; 8]) -> Dual {
    let [a, b, c, d] = v4;
    let [h0, h1, h2, h3, h4, h5, h6, h7] = v6;
    Dual { v4: std::net::Ipv4Addr::new(a, b, c, d), v6: std::net::Ipv6Addr::new(h0, h1, h2, h3, h4, h5, h6, h7) }
}

/// ```text
/// client  c0 10.99.1.2 fd99:1::2  ---  s0 10.99.1.3 fd99:1::3  server
/// ```
#[derive(Debug)]
pub struct Pair {
    pub client: NetNs,
    pub server: NetNs,
}

/// ```text
/// client  c0 10.99.1.2 fd99:1::2  ---  r1 10.99.1.1 fd99:1::1  router  r2 10.99.2.1 fd99:2::1  ---  s0 10.99.2.2 fd99:2::2  server
/// ```
#[derive(Debug)]
pub struct Router {
    pub client: NetNs,
    pub router: NetNs,
    pub server: NetNs,
}

/// ```text
/// client  c0 10.99.1.2 fd99:1::2  ---  r1  br0 of bridge  r2  ---  s0 10.99.1.3 fd99:1::3  server
/// ```
#[derive(Debug)]
pub struct Bridge {
    pub client: NetNs,
    pub bridge: NetNs,
    pub server: NetNs,
}

pub fn pair() -> Result<Pair> {
    let (client, server) = (host("c")?, host("s")?);
    wire((&client, "c0", C0_MAC), (&server, "s0", S0_MAC))?;
    ip(&client, &addressed("c0", CLIENT))?;
    ip(&server, &addressed("s0", NEIGHBOUR))?;
    reach(&client, NEIGHBOUR)?;
    Ok(Pair { client, server })
}

pub fn router() -> Result<Router> {
    let (client, router, server) = (host("c")?, host("r")?, host("s")?);
    wire((&client, "c0", C0_MAC), (&router, "r1", R1_MAC))?;
    wire((&router, "r2", R2_MAC), (&server, "s0", S0_MAC))?;
    ip(&router, &(addressed("r1", ROUTER_1) + &addressed("r2", ROUTER_2)))?;
    sysctl::set_all(&router, &[("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")])?;
    ip(&client, &(addressed("c0", CLIENT) + &default_route(ROUTER_1)))?;
    ip(&server, &(addressed("s0", SERVER) + &default_route(ROUTER_2)))?;
    reach(&client, SERVER)?;
    Ok(Router { client, router, server })
}

pub fn bridge() -> Result<Bridge> {
    let (client, bridge, server) = (host("c")?, host("b")?, host("s")?);
    wire((&client, "c0", C0_MAC), (&bridge, "r1", R1_MAC))?;
    wire((&bridge, "r2", R2_MAC), (&server, "s0", S0_MAC))?;
    ip(&bridge, "link add br0 type bridge\nlink set r1 master br0 up\nlink set r2 master br0 up\nlink set br0 up\n")?;
    ip(&client, &addressed("c0", CLIENT))?;
    ip(&server, &addressed("s0", NEIGHBOUR))?;
    reach(&client, NEIGHBOUR)?;
    Ok(Bridge { client, bridge, server })
}

/// A namespace that is silent until spoken to: no duplicate address detection, no router solicitations.
pub(crate) fn host(role: &str) -> Result<NetNs> {
    let namespace = NetNs::new(role)?;
    sysctl::set_all(
        &namespace,
        &[
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/default/dad_transmits", "0"),
            ("net/ipv6/conf/default/router_solicitations", "0"),
        ],
    )?;
    Ok(namespace)
}

/// A veth pair between two namespaces, both ends down. Their indices differ: with equal ones the kernel may take a
/// second to notice the carrier (`linkwatch_urgent_event`, net/core/link_watch.c, 6.18). A neighbour is asked for every 50 ms
/// instead of every second, and a hundred times instead of three: the first question often comes before the other end is
/// ready, and on a loaded machine so do some more.
pub(crate) fn wire(left: (&NetNs, &str, Mac), right: (&NetNs, &str, Mac)) -> Result<()> {
    let end = |(namespace, name, mac): (&NetNs, &str, Mac)| {
        let index = u32::from(mac[4]) * 10 + u32::from(mac[5]);
        let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        format!("name {name} index {index} address {mac} netns {}", namespace.name())
    };
    left.0.exec(&format!("ip link add {} type veth peer {}", end(left), end(right)))?;
    for (namespace, name, _) in [left, right] {
        for (setting, value) in [("retrans_time_ms", "50"), ("mcast_solicit", "100")] {
            let both = ["ipv4", "ipv6"].map(|family| format!("net/{family}/neigh/{name}/{setting}"));
            sysctl::set_all(namespace, &both.each_ref().map(|sysctl| (sysctl.as_str(), value)))?;
        }
    }
    Ok(())
}

pub(crate) fn addressed(interface: &str, address: Dual) -> String {
    let Dual { v4, v6 } = address;
    format!("address add {v4}/24 dev {interface}\naddress add {v6}/64 dev {interface} nodad\nlink set {interface} up\n")
}

pub(crate) fn default_route(via: Dual) -> String {
    format!("route add default via {}\nroute add default via {}\n", via.v4, via.v6)
}

/// Runs lines of `ip` commands inside a namespace, in one process.
pub fn ip(namespace: &NetNs, lines: &str) -> Result<()> {
    namespace.run(|| {
        let mut batch = String::new();
        for line in lines.lines() {
            writeln!(batch, "{}", line.trim())?;
        }
        let mut child =
            Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("no pipe to ip")?.write_all(batch.as_bytes())?;
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ip in {} refused:\n{batch}{}", namespace.name(), errors.trim());
        Ok(())
    })
}

/// Waits until `to` answers in both families; the neighbour tables are warm afterwards.
pub(crate) fn reach(from: &NetNs, to: Dual) -> Result<()> {
    let deadline = Instant::now() + patience();
    for family in Family::BOTH {
        while !from.run(|| echo::answered(to.ip(family), Duration::from_millis(50)))? {
            if Instant::now() > deadline {
                bail!("{} is still not reached from {}", to.ip(family), from.name());
            }
        }
    }
    Ok(())
}
