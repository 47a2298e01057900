//! The lab: three namespaces, two links, a firewall rule and a few routes.
//!
//! ```text
//! client  eth0 192.0.2.10 2001:db8::10  ---  eth0 192.0.2.1 2001:db8::1  node  veth-pod 10.244.1.1 fd00:10:244:1::1  ---
//!                                                                   eth0 10.244.1.2 fd00:10:244:1::2  pod
//! ```
//!
//! Rule: what this kernel cannot do without spoiling the rest is remembered with its reason, and costs the stories that
//! need it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tracer_netfilter::netlink::transaction::Request;

use super::error::DemoError;
use super::namespace::Namespace;
use super::nftables;
use super::rtnetlink::{self, End};
use crate::host::Netns;
use crate::host::error::Errno;
use crate::settings::FilterArgs;

pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 2);
/// A second address of the client that belongs to the pod's network.
pub(super) const STRAY: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 9);
/// In a network with a blackhole route on the node.
pub(super) const GONE: Ipv4Addr = Ipv4Addr::new(10, 244, 7, 5);
/// Where no route of the node leads.
pub(super) const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0x244, 2, 0, 0, 0, 5);
/// The kubelet's, which the firewall rule drops.
pub(super) const KUBELET: u16 = 10250;

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);
const BLACKHOLE: Ipv4Addr = Ipv4Addr::new(10, 244, 7, 0);
const CLIENT_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const NODE_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0x244, 1, 0, 0, 0, 1);
const POD_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0x244, 1, 0, 0, 0, 2);

const LOOPBACK: u32 = 1;
const CLIENT_END: End = End { name: "eth0", index: 101 };
const NODE_END: End = End { name: "eth0", index: 102 };
const NODE_POD_END: End = End { name: "veth-pod", index: 103 };
const POD_END: End = End { name: "eth0", index: 104 };

/// Tries of one datagram from the client to the pod, and how long each may take: five seconds in all.
const TRIES: u32 = 100;
const TRY: Duration = Duration::from_millis(50);

/// What a story may need beyond IPv4 and UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    Firewall,
    Ipv6,
}

/// All of it, until it is dropped.
#[derive(Debug)]
pub struct Lab {
    pub(super) client: Namespace,
    pub(super) node: Namespace,
    pub(super) pod: Namespace,
    no_firewall: Option<String>,
    no_ipv6: Option<String>,
}

impl Lab {
    /// Takes less than a tenth of a second, or up to [`TRIES`] of [`TRY`] where packets do not get through.
    ///
    /// # Errors
    /// [`DemoError`] says what this machine refuses; nothing is left behind.
    pub fn build() -> Result<Self, DemoError> {
        let (client, node, pod) = (Namespace::new("client")?, Namespace::new("node")?, Namespace::new("pod")?);
        let mut lab = Self { client, node, pod, no_firewall: None, no_ipv6: None };
        lab.no_ipv6 = lab.prepare_ipv6().err().map(|error| error.to_string());
        lab.wire()?;
        lab.address()?;
        lab.reach(NODE.into(), &lab.node)?;
        lab.reach(POD.into(), &lab.pod)?;
        if lab.no_ipv6.is_none() {
            let wired = lab.address_ipv6().and_then(|()| lab.reach(POD_6.into(), &lab.pod));
            lab.no_ipv6 = wired.err().map(|error| error.to_string());
        }
        lab.no_firewall = lab.guard().err().map(|error| error.to_string());
        Ok(lab)
    }

    /// What `whydrop watch` would be asked to show this and nothing else.
    pub fn filter(&self) -> FilterArgs {
        let netns = self.namespaces().map(|namespace| namespace.inode.to_string());
        FilterArgs { netns: netns.to_vec(), ..FilterArgs::default() }
    }

    /// What host readers cannot find by themselves.
    pub fn netns(&self) -> Vec<Netns> {
        self.namespaces().map(Namespace::netns).to_vec()
    }

    /// Why a story cannot be told here.
    pub(super) fn lacks(&self, need: Need) -> Option<&str> {
        match need {
            Need::Nothing => None,
            Need::Firewall => self.no_firewall.as_deref(),
            Need::Ipv6 => self.no_ipv6.as_deref(),
        }
    }

    fn namespaces(&self) -> [&Namespace; 3] {
        [&self.client, &self.node, &self.pod]
    }

    /// Before there are links: their addresses are good at once, and nobody asks for a router.
    fn prepare_ipv6(&self) -> Result<(), DemoError> {
        for namespace in self.namespaces() {
            namespace.sysctl(&[
                ("ipv6/conf/all/disable_ipv6", "0"),
                ("ipv6/conf/default/disable_ipv6", "0"),
                ("ipv6/conf/all/accept_dad", "0"),
                ("ipv6/conf/default/accept_dad", "0"),
                ("ipv6/conf/default/router_solicitations", "0"),
            ])?;
        }
        self.node.sysctl(&[("ipv6/conf/all/forwarding", "1")])
    }

    fn wire(&self) -> Result<(), DemoError> {
        let pair = |from: &Namespace, near, to: &Namespace, far| {
            let made = apply(from, "make a link", &[rtnetlink::veth(near, far, to.descriptor())]);
            made.map_err(|error| match error {
                DemoError::SetUp { errno: Errno(libc::EOPNOTSUPP), .. } => DemoError::NoVeth,
                other => other,
            })
        };
        pair(&self.client, CLIENT_END, &self.node, NODE_END)?;
        pair(&self.node, NODE_POD_END, &self.pod, POD_END)?;
        // The stricter of the two counts: what the host has for all is not to decide here.
        self.node.sysctl(&[
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/eth0/rp_filter", "1"),
            ("ipv4/conf/veth-pod/rp_filter", "0"),
            // The refused packet is nothing for the kernel's log.
            ("ipv4/conf/all/log_martians", "0"),
            ("ipv4/conf/eth0/log_martians", "0"),
        ])
    }

    fn address(&self) -> Result<(), DemoError> {
        use rtnetlink::{address, blackhole, default_route, up};
        let (client, pod) = (CLIENT_END.index, POD_END.index);
        apply(
            &self.node,
            "set up IPv4",
            &[
                up(LOOPBACK),
                address(NODE_END.index, NODE.into(), 24),
                up(NODE_END.index),
                address(NODE_POD_END.index, GATEWAY.into(), 24),
                up(NODE_POD_END.index),
                blackhole(BLACKHOLE.into(), 24),
            ],
        )?;
        apply(
            &self.client,
            "set up IPv4",
            &[
                up(LOOPBACK),
                address(LOOPBACK, STRAY.into(), 32),
                address(client, CLIENT.into(), 24),
                up(client),
                default_route(NODE.into(), client),
            ],
        )?;
        apply(
            &self.pod,
            "set up IPv4",
            &[up(LOOPBACK), address(pod, POD.into(), 24), up(pod), default_route(GATEWAY.into(), pod)],
        )
    }

    fn address_ipv6(&self) -> Result<(), DemoError> {
        use rtnetlink::{address, default_route};
        let (client, pod) = (CLIENT_END.index, POD_END.index);
        let node = &[address(NODE_END.index, NODE_6.into(), 64), address(NODE_POD_END.index, GATEWAY_6.into(), 64)];
        apply(&self.node, "set up IPv6", node)?;
        let client = &[address(client, CLIENT_6.into(), 64), default_route(NODE_6.into(), client)];
        apply(&self.client, "set up IPv6", client)?;
        let pod = &[address(pod, POD_6.into(), 64), default_route(GATEWAY_6.into(), pod)];
        apply(&self.pod, "set up IPv6", pod)
    }

    fn guard(&self) -> Result<(), DemoError> {
        let rule = nftables::drop_tcp(KUBELET);
        let refused = |error: std::io::Error| DemoError::SetUp {
            what: "make a firewall rule",
            namespace: self.node.name,
            errno: Errno::of(&error),
        };
        self.node.connect(libc::NETLINK_NETFILTER)?.transact(&rule).map_err(refused)
    }

    /// Waits until a datagram of the client gets through; everybody knows the next hop's hardware address afterwards.
    fn reach(&self, address: IpAddr, namespace: &Namespace) -> Result<(), DemoError> {
        let failed = |error: std::io::Error| namespace.traffic(&error);
        let listener = namespace.udp((address, 0).into())?;
        let to = listener.local_addr().map_err(failed)?;
        listener.set_read_timeout(Some(TRY)).map_err(failed)?;
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let sender = self.client.udp((any, 0).into())?;
        for _ in 0..TRIES {
            // The link may still be coming up: then sending fails, or the datagram goes nowhere.
            let sent = sender.send_to(b"ready?", to);
            if sent.is_ok() && listener.recv(&mut [0; 16]).is_ok() {
                return Ok(());
            }
            if sent.is_err() {
                std::thread::sleep(TRY);
            }
        }
        Err(DemoError::Unreachable)
    }
}

/// Asks the kernel for each of `requests` in turn.
fn apply(namespace: &Namespace, what: &'static str, requests: &[Request]) -> Result<(), DemoError> {
    let mut connection = namespace.connect(libc::NETLINK_ROUTE)?;
    requests.iter().try_for_each(|request| {
        let refused = |error: std::io::Error| match Errno::of(&error) {
            Errno(libc::EPERM) => DemoError::NotPermitted,
            errno => DemoError::SetUp { what, namespace: namespace.name, errno },
        };
        connection.transact(std::slice::from_ref(request)).map_err(refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_and_nothing_of_it_is_outside() {
        let links = || std::fs::read_dir("/sys/class/net").unwrap().flatten().map(|entry| entry.file_name());
        let forwards = || std::fs::read("/proc/sys/net/ipv4/ip_forward").unwrap();
        let before: (Vec<_>, _) = (links().collect(), forwards());
        let lab = match Lab::build() {
            Err(DemoError::NotPermitted) => return eprintln!("skipped: network namespaces need root"),
            lab => lab.unwrap(),
        };
        let added: Vec<_> = links().filter(|name| !before.0.contains(name)).collect();
        assert!(!added.iter().any(|name| name == "veth-pod"), "{added:?}");
        assert_eq!(forwards(), before.1);
        assert_eq!([Need::Nothing, Need::Firewall, Need::Ipv6].map(|need| lab.lacks(need)), [None; 3]);
        assert_eq!(lab.filter().netns, lab.netns().iter().map(|netns| netns.inode.to_string()).collect::<Vec<_>>());
    }
}
