//! Looking a packet up in a set.

use super::member::{Key, Member, Net, host_prefix};
use super::question::Question;
use super::{IpSet, Listed, Part};
use crate::packet::Packet;
use crate::truth::Truth;

/// A `list:set` can't hold another one (`IPSET_ERR_LOOP`), so two levels are all there are.
const LEVELS: u8 = 2;

/// What a match says beside the directions: bits of `flags` in `struct xt_set_info_match_v3` and `_v4`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--return-nomatch`: members with `nomatch` match, and no others.
    pub returns_nomatch: bool,
    /// Ports of a bridge are compared instead of devices; no iptables sets it, so `physdev:` members match nothing.
    pub is_physical: bool,
}

impl Options {
    /// `IPSET_FLAG_RETURN_NOMATCH` and `IPSET_FLAG_PHYSDEV` (`uapi/linux/netfilter/ipset/ip_set.h`).
    pub const fn from_flags(flags: u32) -> Self {
        Self { returns_nomatch: flags & (1 << 7) != 0, is_physical: flags & (1 << 1) != 0 }
    }
}

/// What looking a packet up gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub truth: Truth,
    /// The set that was looked in; of a `list:set` the member that decided.
    pub set: &'a IpSet,
    /// The member that decided; of a no, one with `nomatch`.
    pub member: Option<&'a Member>,
}

impl IpSet {
    /// Looks a packet up; `is_source` as in [`IpSet::test`].
    pub fn find<'a>(&'a self, packet: &Packet, is_source: &[bool], options: Options) -> Found<'a> {
        self.find_in(packet, is_source, options, LEVELS)
    }

    fn find_in<'a>(&'a self, packet: &Packet, is_source: &[bool], options: Options, levels: u8) -> Found<'a> {
        let found = |truth, member| Found { truth, set: self, member };
        let is_family = match self.family {
            None => true,
            Some(crate::model::Family::Ip) => packet.is_ipv4(),
            Some(_) => packet.is_ipv6(),
        };
        // `ip_set_test` of ip_set_core.c, before it asks the type.
        if is_source.len() < self.parts.len() || !is_family {
            return found(Truth::No, None);
        }
        if self.parts.first() == Some(&Part::Set) {
            let Some(levels) = levels.checked_sub(1) else {
                return found(Truth::unknown(format!("the sets of the set {}", self.name)), None);
            };
            return self.find_in_sets(packet, is_source, options, levels);
        }
        let Some(question) = Question::new(self, packet, is_source, options) else { return found(Truth::No, None) };
        if let Some(what) = question.unknown {
            let could_match = |member: &Member| self.returned(member, options) && question.allows(member, options);
            let is_open = self.members.iter().any(could_match);
            return found(if is_open { Truth::unknown(what) } else { Truth::No }, None);
        }
        let member = self.lookup(&question, options);
        found(member.is_some_and(|member| self.returned(member, options)).into(), member)
    }

    /// Whether the member makes the match hold.
    fn returned(&self, member: &Member, options: Options) -> bool {
        let has_nomatch = self.parts.contains(&Part::Net);
        member.is_nomatch == (options.returns_nomatch && has_nomatch)
    }

    /// The first set that holds the packet decides (`list_set_ktest`).
    fn find_in_sets<'a>(&'a self, packet: &Packet, is_source: &[bool], options: Options, levels: u8) -> Found<'a> {
        let mut open = Truth::No;
        for Listed { name, set, .. } in &self.sets {
            match set {
                Ok(set) => {
                    let found = set.find_in(packet, is_source, options, levels);
                    if found.truth == Truth::Yes {
                        return found;
                    }
                    open = open.or(found.truth);
                }
                Err(error) => open = open.or(Truth::unknown(format!("the members of the set {name}: {error}"))),
            }
        }
        Found { truth: open, set: self, member: None }
    }

    /// The member that decides, which may be one with `nomatch` (`mtype_test_cidrs` of ip_set_hash_gen.h).
    fn lookup(&self, question: &Question<'_>, options: Options) -> Option<&Member> {
        let is_bitmap_with_mac = self.type_name == "bitmap:ip,mac";
        for first in nets(question.first, &self.prefixes) {
            for second in nets(question.second, &self.second_prefixes) {
                let key = (first, second, question.port, question.mac, question.mark);
                let members = self.with_key(&key);
                let mut found = members.iter().find(|member| question.allows_interface(member, options));
                if is_bitmap_with_mac {
                    // One without a MAC takes that of the packet.
                    found = found.or_else(|| self.with_key(&(first, second, None, None, None)).first());
                }
                // The first net that is there for any device ends the search ("multi"); those of bridge ports are
                // hashed apart.
                let is_last = members.iter().any(|member| {
                    member.interface.as_ref().is_some_and(|interface| interface.is_physical == options.is_physical)
                });
                if found.is_some() || is_last {
                    return found;
                }
            }
        }
        None
    }

    fn with_key(&self, key: &Key) -> &[Member] {
        let start = self.members.partition_point(|member| member.key() < *key);
        let behind = self.members.get(start..).unwrap_or_default();
        let length = behind.iter().take_while(|member| member.key() == *key).count();
        behind.get(..length).unwrap_or_default()
    }
}

/// The nets around an address to look for, the most specific first; one `None` if there is no address to look for.
fn nets(address: Option<std::net::IpAddr>, prefixes: &[u8]) -> impl Iterator<Item = Option<Net>> {
    let longest = address.map_or(0, host_prefix);
    let nets = prefixes.iter().filter(move |prefix| **prefix <= longest);
    let nets = nets.filter_map(move |prefix| address.map(|address| Some(Net::of(address, *prefix))));
    nets.chain(address.is_none().then_some(None))
}
