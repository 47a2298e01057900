//! A live connection of a local program that cannot send any more.

use std::io::{Read as _, Write as _};

use anyhow::{Context, Result, ensure};
use tracer_tests::event::key;
use tracer_tests::topology::{self, ROUTER_1, SERVER};
use tracer_tests::traffic::tcp;
use tracer_tests::{Expect, Family, Tracer, patience};

/// A live connection loses its route, or its address: it is told, and goes on when it has it again.
fn lost(family: Family, lose: &str, find: &str, part: &str) -> Result<()> {
    let lab = topology::router()?;
    let mut connection = tcp::connect(&lab.client, &lab.server, SERVER.port(family, 8080))?;
    let mut tracer = Tracer::watch(&lab.client)?;
    lab.client.exec(lose)?;
    connection.client.write_all(b"lost")?;
    let wanted = Expect::any().with(key::KIND, "drop").cause("no_route").sure("derived").problem();
    let event = tracer.wait_for(&wanted.netns(&lab.client)?.flow(&connection.flow))?;
    event.says(key::SUMMARY, part)?;
    lab.client.exec(find)?;
    connection.server.set_read_timeout(Some(patience()))?;
    let mut got = [0; 4];
    connection.server.read_exact(&mut got).context("the connection did not go on")?;
    ensure!(&got == b"lost", "{got:?} arrived");
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_connection_loses_its_route() -> Result<()> {
    lost(
        Family::V4,
        "ip route del default",
        &format!("ip route add default via {}", ROUTER_1.v4),
        "no route leads to 10.99.2.2",
    )
}

#[test]
fn a_connection_of_ipv6_loses_its_route() -> Result<()> {
    let find = format!("ip -6 route add default via {}", ROUTER_1.v6);
    lost(Family::V6, "ip -6 route del default", &find, "no route leads to fd99:2::2")
}

#[test]
fn a_connection_loses_its_address() -> Result<()> {
    // Removing the last address takes the routes with it, so another one keeps them.
    let lose = "ip addr add 10.99.1.9/24 dev c0 && ip addr del 10.99.1.2/24 dev c0 && \
                ip addr add 10.99.1.9/24 dev c0 ; ip route replace default via 10.99.1.1";
    let find = "ip addr add 10.99.1.2/24 dev c0";
    lost(Family::V4, lose, find, "10.99.1.2 is no address of this namespace any more")
}
