//! One rule of the routing policy (`ip rule`): its text, and whether it holds for a packet
//! (`fib_rule_match`, `net/core/fib_rules.c`, Linux 6.18).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{DefaultNla, Nla as _};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::Flow;
use super::entry::Prefix;
use super::text::{kind, protocol, realm, table};

/// `RTPROT_KERNEL` and none are not printed.
const SILENT: [u8; 2] = [0, 2];
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The first attribute that [`RuleAttribute`] has no name for: `FRA_DSCP`, since 6.13.
const FIRST_UNKNOWN: u16 = 25;
/// `FRA_SPORT_MASK` and `FRA_DPORT_MASK`, since 6.16.
const PORT_MASKS: [u16; 2] = [28, 29];

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The list is gone through from the lowest.
    pub priority: u32,
    pub action: Action,
    pub is_inverted: bool,
    pub from: Option<Prefix>,
    pub to: Option<Prefix>,
    pub tos: u8,
    /// Value and mask.
    pub mark: Option<(u32, Option<u32>)>,
    pub input: Option<String>,
    pub output: Option<String>,
    /// Its device is not there (any more).
    pub detached: (bool, bool),
    pub l3mdev: bool,
    pub users: Option<(u32, u32)>,
    pub ip_protocol: Option<u8>,
    pub source_ports: Option<(u16, u16)>,
    pub destination_ports: Option<(u16, u16)>,
    pub tunnel: Option<u64>,
    /// Routes of this prefix length or shorter do not count.
    pub suppressed_length: Option<u32>,
    /// Routes by a device of this group do not count.
    pub suppressed_group: Option<u32>,
    pub realm: Option<(u16, u16)>,
    pub protocol: u8,
    /// It asks what this version has no word for.
    pub is_strange: bool,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Table(u32),
    /// Goes on with the rule of this priority; `true` if there is none.
    Goto(u32, bool),
    Nothing,
    /// An `RTN_` value.
    Refuse(u8),
}

impl Rule {
    /// `None` for what is no rule of IPv4 or IPv6.
    pub fn new(message: &RuleMessage) -> Option<Self> {
        let header = &message.header;
        let (unspecified, most): (IpAddr, u8) = match header.family {
            AddressFamily::Inet => (Ipv4Addr::UNSPECIFIED.into(), 32),
            AddressFamily::Inet6 => (Ipv6Addr::UNSPECIFIED.into(), 128),
            _ => return None,
        };
        let prefix = |length: u8| (length != 0).then_some(Prefix { address: unspecified, length: length.min(most) });
        let action = match header.action {
            RuleAction::ToTable => Action::Table(header.table.into()),
            RuleAction::Goto => Action::Goto(0, header.flags.contains(RuleFlags::Unresolved)),
            RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => {
                Action::Refuse(header.action.into())
            }
            _ => Action::Nothing,
        };
        let mut rule = Self {
            priority: 0,
            action,
            is_inverted: header.flags.contains(RuleFlags::Invert),
            from: prefix(header.src_len),
            to: prefix(header.dst_len),
            tos: header.tos,
            mark: None,
            input: None,
            output: None,
            detached: (header.flags.contains(RuleFlags::IifDetached), header.flags.contains(RuleFlags::OifDetached)),
            l3mdev: false,
            users: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            tunnel: None,
            suppressed_length: None,
            suppressed_group: None,
            realm: None,
            protocol: 0,
            is_strange: false,
        };
        message.attributes.iter().for_each(|attribute| rule.take(attribute));
        Some(rule)
    }

    fn take(&mut self, attribute: &RuleAttribute) {
        let counts = |value: &u32| Some(*value).filter(|value| *value != u32::MAX);
        match attribute {
            RuleAttribute::Source(address) => set(&mut self.from, *address),
            RuleAttribute::Destination(address) => set(&mut self.to, *address),
            RuleAttribute::Iifname(name) => self.input = Some(name.clone()),
            RuleAttribute::Oifname(name) => self.output = Some(name.clone()),
            RuleAttribute::Priority(priority) => self.priority = *priority,
            RuleAttribute::FwMark(value) => self.mark = Some((*value, self.mark.and_then(|(_, mask)| mask))),
            RuleAttribute::FwMask(mask) => {
                self.mark = Some((self.mark.map_or(0, |(value, _)| value), counts(mask)));
            }
            RuleAttribute::Goto(priority) => {
                if let Action::Goto(to, _) = &mut self.action {
                    *to = *priority;
                }
            }
            RuleAttribute::Table(number) => {
                if let Action::Table(table) = &mut self.action {
                    *table = *number;
                }
            }
            RuleAttribute::Realm(realm) => self.realm = Some((realm.source, realm.destination)),
            RuleAttribute::TunId(number) => self.tunnel = Some(*number).filter(|number| *number != 0),
            RuleAttribute::SuppressIfGroup(group) => self.suppressed_group = counts(group),
            RuleAttribute::SuppressPrefixLen(length) => self.suppressed_length = counts(length),
            RuleAttribute::L3MDev(is_set) => self.l3mdev = *is_set,
            RuleAttribute::UidRange(users) => {
                self.users = Some((users.start, users.end)).filter(|users| *users != (0, u32::MAX));
            }
            RuleAttribute::Protocol(number) => self.protocol = (*number).into(),
            RuleAttribute::IpProtocol(number) => self.ip_protocol = u8::try_from(i32::from(*number)).ok(),
            RuleAttribute::SourcePortRange(ports) => self.source_ports = Some((ports.start, ports.end)),
            RuleAttribute::DestinationPortRange(ports) => self.destination_ports = Some((ports.start, ports.end)),
            RuleAttribute::Other(other) => self.is_strange |= is_strange(other),
            _ => {}
        }
    }

    /// Whether it holds for a packet; `None` if that hangs on something that is not known of it.
    pub(in crate::node) fn holds(&self, flow: &Flow) -> Option<bool> {
        let device = |rule: &Option<String>, of: &Option<String>| match rule {
            None => Some(true),
            Some(name) => Some(Some(name) == of.as_ref()),
        };
        let within = |range: Option<(u16, u16)>, port: Option<u16>| {
            let Some((first, last)) = range else { return Some(true) };
            // Of a protocol that is not known the ports are not known either.
            flow.protocol.map(|_| port.is_some_and(|port| (first..=last).contains(&port)))
        };
        let (value, mask) = self.mark.unwrap_or((0, Some(0)));
        let conditions = [
            self.from.map_or(Some(true), |net| flow.source.map(|source| net.contains(source))),
            Some(self.to.is_none_or(|net| net.contains(flow.destination))),
            Some((flow.mark ^ value) & mask.unwrap_or(u32::MAX) == 0),
            device(&self.input, &flow.input),
            device(&self.output, &flow.output),
            self.ip_protocol.map_or(Some(true), |number| flow.protocol.map(|protocol| protocol == number)),
            within(self.source_ports, flow.source_port),
            within(self.destination_ports, flow.destination_port),
            match (self.users, flow.user) {
                (None, _) => Some(true),
                (Some((first, last)), Some(user)) => Some((first..=last).contains(&user)),
                (Some(_), None) => None,
            },
            (self.tos == 0).then_some(true).or_else(|| flow.tos.map(|tos| tos & 0xfc == self.tos)),
            // A VRF's own rule: the tables of VRFs are not followed here.
            if self.l3mdev { (!flow.in_vrf).then_some(false) } else { Some(true) },
            self.tunnel.is_none().then_some(true),
            (!self.is_strange).then_some(true),
        ];
        if conditions.contains(&Some(false)) {
            return Some(self.is_inverted);
        }
        (!conditions.contains(&None)).then_some(!self.is_inverted)
    }

    /// The line of `ip rule show` (`print_rule` of iproute2 6.1), without the priority.
    pub fn text(&self) -> String {
        let mut words = self.selector(str::to_owned, true);
        if let Action::Table(number) = self.action
            && number != 0
        {
            words.push(format!("lookup {}", table(number)));
            words.extend(self.suppressed_length.map(|length| format!("suppress_prefixlength {length}")));
            words.extend(self.suppressed_group.map(|group| format!("suppress_ifgroup {}", self::group(group))));
        }
        words.extend(self.realm.map(realm));
        match self.action {
            Action::Table(_) => {}
            Action::Goto(priority, is_missing) => {
                words.push(format!("goto {priority}{}", if is_missing { " [unresolved]" } else { "" }));
            }
            Action::Nothing => words.push("nop".to_owned()),
            Action::Refuse(how) => words.push(kind(how)),
        }
        words.extend((!SILENT.contains(&self.protocol)).then(|| format!("proto {}", protocol(self.protocol))));
        words.join(" ")
    }

    /// What it asks of a packet; with the marks of `ip rule show` for what is not there.
    fn selector(&self, name: impl Fn(&str) -> String, is_shown: bool) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.is_inverted.then(|| "not".to_owned()));
        words.push(format!("from {}", self.from.map_or_else(|| "all".to_owned(), |net| net.text("all"))));
        words.extend(self.to.map(|net| format!("to {}", net.text("all"))));
        words.extend((self.tos != 0).then(|| format!("tos {:#04x}", self.tos)));
        words.extend(self.mark.map(|(value, mask)| match mask {
            Some(mask) => format!("fwmark {value:#x}/{mask:#x}"),
            None => format!("fwmark {value:#x}"),
        }));
        let device = |word: &str, of: &Option<String>, detached: bool| {
            let mark = if detached && is_shown { " [detached]" } else { "" };
            of.as_ref().map(|of| format!("{word} {}{mark}", name(of)))
        };
        words.extend(device("iif", &self.input, self.detached.0));
        words.extend(device("oif", &self.output, self.detached.1));
        words.extend((self.l3mdev && is_shown).then(|| "lookup [l3mdev-table]".to_owned()));
        words.extend(self.users.map(|(first, last)| format!("uidrange {first}-{last}")));
        words.extend(self.ip_protocol.map(|number| format!("ipproto {}", ip_protocol(number))));
        words.extend(self.source_ports.map(|ports| format!("sport {}", range(ports))));
        words.extend(self.destination_ports.map(|ports| format!("dport {}", range(ports))));
        words.extend(self.tunnel.map(|number| format!("tun_id {number}")));
        words
    }

    /// What `ip rule del` needs to find a rule that refuses, and no other.
    pub(super) fn key(&self, quoted: impl Fn(&str) -> String) -> String {
        let mut words = vec![format!("pref {}", self.priority)];
        words.extend(self.selector(quoted, false));
        if let Action::Refuse(how) = self.action {
            words.push(kind(how));
        }
        words.join(" ")
    }

    /// The line of `ip rule show`, with the priority.
    pub fn line(&self) -> String {
        format!("{}: {}", self.priority, self.text())
    }
}

/// Asks what this version has no word for; a mask of all bits asks nothing.
fn is_strange(attribute: &DefaultNla) -> bool {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    let kind = attribute.kind();
    kind >= FIRST_UNKNOWN && !(PORT_MASKS.contains(&kind) && value == [0xff; 2])
}

fn set(prefix: &mut Option<Prefix>, address: IpAddr) {
    if let Some(prefix) = prefix.as_mut().filter(|prefix| prefix.address.is_ipv4() == address.is_ipv4()) {
        prefix.address = address;
    }
}

fn range((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// The group of all devices that were given none.
fn group(number: u32) -> String {
    if number == 0 { "default".to_owned() } else { number.to_string() }
}

fn ip_protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        132 => "sctp".to_owned(),
        number => format!("ipproto-{number}"),
    }
}
