//! A source that may not come in: the setting with its value and the route back are named, and what is to be tried lets
//! the same packet in.

mod address;
mod filter;
mod policy;
mod rule;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::topology::{C0_MAC, Pair, R1_MAC, Router, S0_MAC, SERVER};
use tracer_tests::traffic::frame::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ipv4, Ipv6, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, Mac};
use tracer_tests::{Expect, NetNs, Story, patience, remedy};

/// A neighbour of the server, and not on the client's side.
const SPOOFED: Ipv4Addr = Ipv4Addr::new(10, 99, 2, 77);
/// Of a network that no table of the topologies has.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);
const SPOOFED6: Ipv6Addr = Ipv6Addr::new(0xfd99, 2, 0, 0, 0, 0, 0, 0x77);
const R2_V6: &str = "fd99:2::/64 dev r2 proto kernel metric 256 pref medium";
const PORTS: (u16, u16) = (5000, 5001);

/// A datagram that the client puts on its link as a whole frame.
struct Datagram<'a> {
    client: &'a NetNs,
    to: Mac,
    source: IpAddr,
    destination: IpAddr,
    options: Vec<u8>,
}

impl<'a> Datagram<'a> {
    fn through(lab: &'a Router, source: Ipv4Addr) -> Self {
        Self::spoofed(lab, source.into(), SERVER.v4.into())
    }

    fn spoofed(lab: &'a Router, source: IpAddr, destination: IpAddr) -> Self {
        Self { client: &lab.client, to: R1_MAC, source, destination, options: Vec::new() }
    }

    fn to(lab: &'a Pair, source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        let (source, destination) = (source.into(), destination.into());
        Self { client: &lab.client, to: S0_MAC, source, destination, options: Vec::new() }
    }

    fn send(&self) -> Result<Flow> {
        let datagram = frame::udp(self.source, self.destination, PORTS, b"spoofed");
        let (ethertype, packet) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header = Ipv4 { options: self.options.clone(), ..Ipv4::new(source, destination, UDP) };
                (ETHERTYPE_IPV4, header.build(&datagram))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                (ETHERTYPE_IPV6, Ipv6::new(source, destination, UDP).build(&datagram))
            }
            _ => bail!("addresses of two families"),
        };
        let frame = frame::ethernet(self.to, C0_MAC, ethertype, &packet);
        self.client.run(|| Interface::sender("c0")?.send(&frame))?;
        let ends = (SocketAddr::from((self.source, PORTS.0)), SocketAddr::from((self.destination, PORTS.1)));
        Ok(Flow { protocol: "udp", source: ends.0, destination: ends.1 })
    }

    /// Sends it once more, and returns when it was received.
    fn arrives(&self, at: &NetNs) -> Result<()> {
        let to = SocketAddr::from((self.destination, PORTS.1));
        let receiver = at.run(|| UdpSocket::bind(to).with_context(|| format!("cannot bind {to}")))?;
        receiver.set_read_timeout(Some(patience()))?;
        let flow = self.send()?;
        let (_, source) = receiver.recv_from(&mut [0; 64]).with_context(|| format!("{flow:?} did not arrive"))?;
        ensure!(source == flow.source, "from {source} instead of {flow:?}");
        Ok(())
    }
}

/// How the story of one refused source goes.
struct Case<'a> {
    datagram: Datagram<'a>,
    /// Where the check is, and the interface.
    at: (&'a NetNs, &'a str),
    server: &'a NetNs,
    reasons: &'a [&'a str],
    summary: &'a str,
    /// The setting that decides, its value and what it comes to.
    setting: Option<(&'a str, &'a str, &'a str)>,
    /// The route back and its table.
    route: Option<(&'a str, &'a str)>,
    /// A part of the remedy that is done.
    remedy: Option<&'a str>,
}

impl<'a> Case<'a> {
    /// A source that the filter of the router refuses at `r1`, where only `r2` leads back.
    fn at_router(lab: &'a Router, source: Ipv4Addr) -> Self {
        Self {
            datagram: Datagram::through(lab, source),
            at: (&lab.router, "r1"),
            server: &lab.server,
            reasons: RPFILTER,
            summary: STRICT_R1,
            setting: None,
            route: Some((R2, "main")),
            remedy: None,
        }
    }

    fn tell(self) -> Result<Event> {
        let (namespace, interface) = self.at;
        let mut story = Story::of(namespace)?;
        let flow = self.datagram.send()?;
        let mut wanted = Expect::finest(self.reasons)?
            .cause("reverse_path")
            .sure("derived")
            .problem()
            .interface(interface)
            .netns(namespace)?
            .flow(&flow)
            .with(key::SUMMARY, self.summary);
        if let Some((name, value, effective)) = self.setting {
            wanted = wanted.with(key::SYSCTL_NAME, name);
            wanted = wanted.with(key::SYSCTL_VALUE, value).with(key::SYSCTL_EFFECTIVE, effective);
        }
        if let Some((text, table)) = self.route {
            wanted = wanted.with(key::ROUTE_TEXT, text).with(key::ROUTE_TABLE, table);
        }
        let event = story.names(wanted, 1)?;
        ensure!(event.at(key::UNDECIDED).is_none(), "something is left open: {event}");
        if let Some(part) = self.remedy {
            remedy::apply(&event, part, namespace)?;
            self.datagram.arrives(self.server)?;
        }
        story.end()?;
        Ok(event)
    }
}

const RPFILTER: &[&str] = &["IP_RPFILTER"];
const R2: &str = "10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1";
const STRICT_R1: &str = "rp_filter=1 (strict) on r1 refuses the source 10.99.2.77: the route back leaves by r2 \
                         (10.99.2.0/24 dev r2 proto kernel scope link src 10.99.2.1)";
