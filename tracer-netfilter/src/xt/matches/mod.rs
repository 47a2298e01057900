//! Matches: what a rule asks of a packet.
//!
//! Rule: one file a match (or a family of alike ones), and one list of them all, below. What a match says of a packet is
//! what the kernel's function says (`net/netfilter/xt_*.c`, `net/ipv4/netfilter/ipt_*.c`, `net/ipv6/netfilter/ip6t_*.c` of
//! Linux 6.18), and "unknown" where it asks for something that is not known of the packet.

mod addrtype;
mod bpf;
mod cgroup;
mod cluster;
mod comment;
mod connbytes;
mod connlabel;
mod connlimit;
mod conntrack;
mod cpu;
mod dccp;
mod devgroup;
mod dscp;
mod ecn;
mod extension_headers;
mod frag;
mod hashlimit;
mod helper;
mod icmp;
mod iprange;
mod ipv6header;
mod ipvs;
mod length;
mod limit;
mod line;
mod mac;
mod mark;
mod mh;
mod multiport;
mod nfacct;
mod options;
mod osf;
mod owner;
mod physdev;
mod pkttype;
mod policy;
mod ports;
mod quota;
mod rateest;
mod realm;
mod recent;
mod rpfilter;
mod rt;
mod sctp;
mod seen;
mod set;
mod socket;
mod spi;
mod states;
mod statistic;
mod string;
mod tcp;
mod tcpmss;
#[cfg(test)]
mod tests;
mod time;
mod tracked;
mod ttl;
mod u32;
mod udp;

use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::truth::Truth;

use super::Header;
use super::blob::Blob;
use line::Line;

/// One kind of match.
trait Extension: Sized {
    /// Reads the kernel's structure; the blob says which name and revision it came with.
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError>;

    /// Whether it holds for the packet.
    fn matches(&self, view: &mut View<'_>) -> Truth;

    fn line(&self, family: Family) -> Line;
}

macro_rules! matches_by_name {
    ($($variant:ident($kind:ty): $($name:literal),+;)+) => {
        /// A match of a rule.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Match {
            /// The addresses, devices and protocol that a legacy entry starts with.
            Header(Header),
            $($variant($kind),)+
            /// One that this version does not know.
            Unknown { name: String, revision: u8, data: Vec<u8> },
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$($($name),+),+];

        impl Match {
            fn known(blob: &Blob<'_>) -> Result<Option<Self>, DecodeError> {
                Ok(Some(match blob.name {
                    $($($name)|+ => Self::$variant(<$kind as Extension>::decode(blob)?),)+
                    _ => return Ok(None),
                }))
            }

            /// Whether it holds for the packet.
            pub fn matches(&self, view: &mut View<'_>) -> Truth {
                match self {
                    Self::Header(header) => header.matches(view),
                    $(Self::$variant(kind) => kind.matches(view),)+
                    Self::Unknown { name, .. } => Truth::unknown(format!("the match {name}")),
                }
            }

            /// As `iptables -S` prints it: `-m tcp --dport 22`. A header that takes every packet prints nothing.
            pub fn text(&self, family: Family) -> String {
                match self {
                    Self::Header(header) => header.text(),
                    $(Self::$variant(kind) => kind.line(family).text(),)+
                    Self::Unknown { name, .. } => format!("-m {name}"),
                }
            }
        }
    };
}

matches_by_name! {
    Tcp(tcp::Tcp): "tcp";
    Udp(udp::Udp): "udp", "udplite";
    Sctp(sctp::Sctp): "sctp";
    Dccp(dccp::Dccp): "dccp";
    Icmp(icmp::Icmp): "icmp", "icmp6";
    Spi(spi::Spi): "esp", "ah", "ipcomp";
    Multiport(multiport::Multiport): "multiport";
    Comment(comment::Comment): "comment";
    Conntrack(conntrack::Conntrack): "conntrack";
    State(states::State): "state";
    Mark(mark::Mark): "mark";
    ConnectionMark(mark::ConnectionMark): "connmark";
    Set(set::Set): "set";
    AddressType(addrtype::AddressType): "addrtype";
    IpRange(iprange::IpRange): "iprange";
    Mac(mac::Mac): "mac";
    Eui64(mac::Eui64): "eui64";
    PacketType(pkttype::PacketType): "pkttype";
    PhysicalDevice(physdev::PhysicalDevice): "physdev";
    Length(length::Length): "length";
    HopLimit(ttl::HopLimit): "ttl", "hl";
    Dscp(dscp::Dscp): "dscp";
    Tos(dscp::Tos): "tos";
    Ecn(ecn::Ecn): "ecn";
    TcpMss(tcpmss::TcpMss): "tcpmss";
    Limit(limit::Limit): "limit";
    HashLimit(hashlimit::HashLimit): "hashlimit";
    Statistic(statistic::Statistic): "statistic";
    Recent(recent::Recent): "recent";
    Quota(quota::Quota): "quota";
    ConnectionLimit(connlimit::ConnectionLimit): "connlimit";
    Time(time::Time): "time";
    Owner(owner::Owner): "owner";
    Cgroup(cgroup::Cgroup): "cgroup";
    RpFilter(rpfilter::RpFilter): "rpfilter";
    Socket(socket::SocketMatch): "socket";
    U32(u32::U32): "u32";
    Bpf(bpf::Bpf): "bpf";
    Text(string::Text): "string";
    Policy(policy::Policy): "policy";
    Accounting(nfacct::Accounting): "nfacct";
    ConnectionBytes(connbytes::ConnectionBytes): "connbytes";
    Cpu(cpu::Cpu): "cpu";
    DeviceGroup(devgroup::DeviceGroup): "devgroup";
    Realm(realm::Realm): "realm";
    Routing(rt::Routing): "rt";
    Fragment(frag::Fragment): "frag";
    Options(options::Options): "hbh", "dst";
    Ipv6Header(ipv6header::Ipv6Header): "ipv6header";
    Mobility(mh::Mobility): "mh";
    Helper(helper::Helper): "helper";
    ConnectionLabel(connlabel::ConnectionLabel): "connlabel";
    Cluster(cluster::Cluster): "cluster";
    Ipvs(ipvs::Ipvs): "ipvs";
    OsFingerprint(osf::OsFingerprint): "osf";
    RateEstimate(rateest::RateEstimate): "rateest";
}

impl Match {
    /// Reads the kernel's structure of a match; `family` is that of the rule (`Ip` or `Ip6`, also in inet tables).
    pub fn decode(name: &str, revision: u8, family: Family, data: &[u8]) -> Result<Self, DecodeError> {
        let known = Self::known(&Blob { name, revision, family, data })?;
        Ok(known.unwrap_or_else(|| Self::Unknown { name: name.to_owned(), revision, data: data.to_vec() }))
    }

    /// As [`Match::text`], with the names of sets, of which a rule only has the kernel's numbers.
    pub fn text_naming(&self, family: Family, name_of: &dyn Fn(u16) -> Option<String>) -> String {
        match self {
            Self::Set(set) => {
                name_of(set.index()).map_or_else(|| self.text(family), |name| set.line_naming(&name).text())
            }
            _ => self.text(family),
        }
    }

    /// The set of ipset that it looks into, by the kernel's number.
    pub const fn set(&self) -> Option<u16> {
        match self {
            Self::Set(set) => Some(set.index()),
            _ => None,
        }
    }

    /// What decided that it holds, where that is worth a sentence: the member of a set.
    pub fn evidence(&self, view: &View<'_>) -> Option<String> {
        match self {
            Self::Set(set) => set.evidence(view),
            _ => None,
        }
    }

    /// What a comment says.
    pub fn comment(&self) -> Option<&str> {
        match self {
            Self::Comment(comment) => Some(comment.as_str()),
            _ => None,
        }
    }
}
