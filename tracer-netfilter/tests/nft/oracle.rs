//! Expressions as libnftnl 1.2.4 prints them (`nft --debug=netlink list ruleset`), to compare with nft's own reading.
//!
//! Rule: only what libnftnl prints is compared; what it leaves out is asserted by tests of its own.

use tracer_netfilter::model::{
    BitwiseOperation, Counter, Direction, DynamicOperation, Expression, ExtensionHeader, FibResult, HashKind,
    LimitUnit, MapTarget, NatKind, Operator, PayloadBase, Register, RejectKind, RouteKey, SocketKey, Verdict,
};
use tracer_netfilter::xt;

use super::names::{ct, meta};

/// The number that the kernel gives a register (`nft_dump_register`).
fn number(Register(word): Register) -> u32 {
    let word = u32::from(word);
    if word % 4 == 0 { word / 4 + 1 } else { word + 8 }
}

/// Data in words of 4 bytes, each in the host's byte order.
fn words(data: &[u8]) -> String {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        format!("0x{:08x}", u32::from_ne_bytes(word))
    };
    data.chunks(4).map(word).collect::<Vec<_>>().join(" ")
}

pub(super) fn line(expression: &Expression) -> String {
    loads(expression)
        .or_else(|| other_loads(expression))
        .or_else(|| matches(expression))
        .or_else(|| effects(expression))
        .unwrap_or_else(|| ends(expression))
}

fn base(base: PayloadBase) -> &'static str {
    match base {
        PayloadBase::Link => "link header",
        PayloadBase::Network => "network header",
        PayloadBase::Transport => "transport header",
        PayloadBase::Inner => "inner header",
        PayloadBase::Tunnel => "tunnel",
    }
}

fn direction(direction: Option<Direction>) -> &'static str {
    match direction {
        None => "",
        Some(Direction::Original) => " , dir original",
        Some(Direction::Reply) => " , dir reply",
    }
}

fn loads(expression: &Expression) -> Option<String> {
    Some(match expression {
        Expression::Payload { base: from, offset, length, register } => {
            format!("payload load {length}b @ {} + {offset} => reg {}", base(*from), number(*register))
        }
        Expression::Meta { key, register } => format!("meta load {} => reg {}", meta(*key), number(*register)),
        Expression::Conntrack { key, direction: way, register } => {
            format!("ct load {} => reg {}{}", ct(*key), number(*register), direction(*way))
        }
        Expression::Fib { result, flags, register } => {
            let names = ["saddr", "daddr", "mark", "iif", "oif"];
            let set = names.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, name)| *name);
            let result = match result {
                FibResult::OutputIndex => "oif",
                FibResult::OutputName => "oifname",
                FibResult::AddressType => "type",
            };
            let present = if flags & 32 != 0 { " present" } else { "" };
            let from = set.collect::<Vec<_>>().join(" . ");
            format!("fib {from} {result}{present} => reg {}", number(*register))
        }
        Expression::Route { key, register } => {
            let key = match key {
                RouteKey::Class => "classid",
                RouteKey::NextHop4 => "nexthop4",
                RouteKey::NextHop6 => "nexthop6",
                RouteKey::TcpMss => "tcpmss",
                RouteKey::Xfrm => "ipsec",
                RouteKey::Other(_) => "unknown",
            };
            format!("rt load {key} => reg {}", number(*register))
        }
        Expression::ExtensionHeader { header, kind, offset, length, present, register } => {
            let present = if *present { " present" } else { "" };
            let register = number(*register);
            // libnftnl 1.2.4 has no name for SCTP chunks.
            let header = self::header(*header);
            format!("exthdr load{header} {length}b @ {kind} + {offset}{present} => reg {register}")
        }
        Expression::Immediate { data, register } => format!("immediate reg {} {}", number(*register), words(data)),
        _ => return None,
    })
}

fn other_loads(expression: &Expression) -> Option<String> {
    Some(match expression {
        Expression::Socket { key, register, .. } => {
            let key = match key {
                SocketKey::Transparent => "transparent",
                SocketKey::Mark => "mark",
                SocketKey::Wildcard => "wildcard",
                SocketKey::CgroupV2 => "cgroupv2",
            };
            format!("socket load {key} => reg {}", number(*register))
        }
        Expression::Xfrm { key, inbound, number: level, register } => {
            let key = ["unknown", "daddr4", "daddr6", "saddr4", "saddr6", "reqid", "spi"][*key as usize];
            let way = if *inbound { "in" } else { "out" };
            format!("xfrm load {way} {level} {key} => reg {}", number(*register))
        }
        Expression::OsFingerprint { register } => format!("osf dreg {}", number(*register)),
        Expression::NumberGenerator { modulus, random, offset, register } => {
            let kind = if *random { "random" } else { "inc" };
            format!("numgen reg {} = {kind} mod {modulus}{}", number(*register), with_offset(*offset))
        }
        Expression::Hash { kind, source, length, modulus, seed, offset, register } => {
            let hash = match kind {
                HashKind::Symmetric => "symhash()".to_owned(),
                HashKind::Jenkins => {
                    format!(
                        "jhash(reg {}, {length}, 0x{:x})",
                        number(source.expect("jhash has one")),
                        seed.unwrap_or(0)
                    )
                }
            };
            format!("hash reg {} = {hash} % mod {modulus}{}", number(*register), with_offset(*offset))
        }
        _ => return None,
    })
}

fn with_offset(offset: u32) -> String {
    if offset == 0 { String::new() } else { format!(" offset {offset}") }
}

fn header(header: ExtensionHeader) -> &'static str {
    match header {
        ExtensionHeader::Ipv6 => " ipv6",
        ExtensionHeader::TcpOption => " tcpopt",
        ExtensionHeader::Ipv4Option => " ipv4",
        ExtensionHeader::SctpChunk | ExtensionHeader::DccpOption => "",
    }
}

fn matches(expression: &Expression) -> Option<String> {
    Some(match expression {
        Expression::Bitwise { source, destination, operation, .. } => {
            let (to, from) = (number(*destination), number(*source));
            match operation {
                BitwiseOperation::Boolean { mask, xor } => {
                    format!("bitwise reg {to} = ( reg {from} & {} ) ^ {}", words(mask), words(xor))
                }
                BitwiseOperation::ShiftLeft(bits) => format!("bitwise reg {to} = ( reg {from} << 0x{bits:08x} )"),
                BitwiseOperation::ShiftRight(bits) => format!("bitwise reg {to} = ( reg {from} >> 0x{bits:08x} )"),
                _ => return None,
            }
        }
        Expression::ByteOrder { source, destination, length, size, to_host } => {
            let operation = if *to_host { "ntoh" } else { "hton" };
            let (to, from) = (number(*destination), number(*source));
            format!("byteorder reg {to} = {operation}(reg {from}, {size}, {length})")
        }
        Expression::Compare { register, operator, data } => {
            let operator = match operator {
                Operator::Equal => "eq",
                Operator::NotEqual => "neq",
                Operator::Less => "lt",
                Operator::LessOrEqual => "lte",
                Operator::Greater => "gt",
                Operator::GreaterOrEqual => "gte",
            };
            format!("cmp {operator} reg {} {}", number(*register), words(data))
        }
        Expression::Range { register, negated, from, to } => {
            let operator = if *negated { "neq" } else { "eq" };
            format!("range {operator} reg {} {} {}", number(*register), words(from), words(to))
        }
        Expression::Lookup { set, register, map, negated } => {
            let map = match map {
                None => String::new(),
                Some(MapTarget::Verdict) => " dreg 0".to_owned(),
                Some(MapTarget::Register(register)) => format!(" dreg {}", number(*register)),
            };
            format!("lookup reg {} set {set}{map} 0x{}", number(*register), u8::from(*negated))
        }
        Expression::Limit { rate, seconds, burst, unit, over } => {
            let per = match seconds {
                1 => "second",
                60 => "minute",
                3600 => "hour",
                86400 => "day",
                _ => "week",
            };
            let unit = if *unit == LimitUnit::Bytes { "bytes" } else { "packets" };
            format!("limit rate {rate}/{per} burst {burst} type {unit} flags 0x{}", u8::from(*over))
        }
        Expression::Quota { bytes, consumed, over } => {
            format!("quota bytes {bytes} consumed {consumed} flags {}", u8::from(*over))
        }
        Expression::ConnectionLimit { count, over } => format!("connlimit count {count} flags {}", u8::from(*over)),
        Expression::Match(extension) => match_line(extension),
        _ => return None,
    })
}

/// Name and revision, where it was not decoded: a decoded one does not keep them.
#[allow(irrefutable_let_patterns, reason = "more are known with time")]
fn match_line(extension: &xt::Match) -> String {
    if let xt::Match::Unknown { name, revision, .. } = extension {
        return format!("match name {name} rev {revision}");
    }
    "match".to_owned()
}

#[allow(irrefutable_let_patterns, reason = "more are known with time")]
fn target_line(extension: &xt::Target) -> String {
    if let xt::Target::Unknown { name, revision, .. } = extension {
        return format!("target name {name} rev {revision}");
    }
    "target".to_owned()
}

fn effects(expression: &Expression) -> Option<String> {
    Some(match expression {
        Expression::Counter(Counter { packets, bytes }) => format!("counter pkts {packets} bytes {bytes}"),
        Expression::Log { prefix, group, level, flags, snaplen, queue_threshold } => {
            let mut line = "log".to_owned();
            line += &prefix.as_ref().map(|prefix| format!(" prefix {prefix}")).unwrap_or_default();
            if let Some(group) = group {
                return Some(format!(
                    "{line} group {group} snaplen {} qthreshold {}",
                    snaplen.unwrap_or(0),
                    queue_threshold.unwrap_or(0)
                ));
            }
            line += &level.map(|level| format!(" level {level}")).unwrap_or_default();
            let names = ["tcpseq", "tcpopt", "ipopt", "uid", "nflog", "macdecode"];
            for (bit, name) in names.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0) {
                line += if bit == 4 { "" } else { " " };
                line += if bit == 4 { "" } else { name };
            }
            line
        }
        Expression::MetaSet { key, register } => format!("meta set {} with reg {}", meta(*key), number(*register)),
        Expression::ConntrackSet { key, direction: way, register } => {
            format!("ct set {} with reg {}{}", ct(*key), number(*register), direction(*way))
        }
        Expression::PayloadSet { base: to, offset, length, register } => {
            format!("payload write reg {} => {length}b @ {} + {offset}", number(*register), base(*to))
        }
        Expression::ExtensionHeaderSet { header, kind, offset, length, register } => {
            let header = self::header(*header);
            format!("exthdr write{header} reg {} => {length}b @ {kind} + {offset}", number(*register))
        }
        Expression::ExtensionHeaderReset { header, kind } => format!("exthdr reset{} {kind}", self::header(*header)),
        Expression::NoTrack => "notrack".to_owned(),
        Expression::Object { kind, name } => format!("objref type {kind} name {name}"),
        Expression::ObjectMap { set, register } => format!("objref sreg {} set {set}", number(*register)),
        Expression::DynamicSet { set, operation, key, data, timeout_ms, expressions, .. } => {
            let operation = match operation {
                DynamicOperation::Add => "add",
                DynamicOperation::Update => "update",
                DynamicOperation::Delete => "delete",
            };
            let data = data.map(|data| format!(" sreg_data {}", number(data))).unwrap_or_default();
            let inner: Vec<String> = expressions.iter().map(|inner| format!(" expr [ {} ]", line(inner))).collect();
            let inner = inner.concat();
            let timeout = timeout_ms.unwrap_or(0);
            format!("dynset {operation} reg_key {} set {set}{data} timeout {timeout}ms{inner}", number(*key))
        }
        Expression::Duplicate { address, device } => {
            let part = |name: &str, register: Option<Register>| {
                register.map(|register| format!(" {name} {}", number(register))).unwrap_or_default()
            };
            format!("dup{}{}", part("sreg_addr", *address), part("sreg_dev", *device))
        }
        _ => return None,
    })
}

fn ends(expression: &Expression) -> String {
    match expression {
        Expression::Verdict(verdict) => format!(
            "immediate reg 0 {}",
            match verdict {
                Verdict::Accept => "accept".to_owned(),
                Verdict::Drop => "drop".to_owned(),
                Verdict::Continue => "continue".to_owned(),
                Verdict::Return => "return".to_owned(),
                Verdict::Jump(chain) => format!("jump -> {chain}"),
                Verdict::Goto(chain) => format!("goto -> {chain}"),
                Verdict::Queue(_) => "queue".to_owned(),
                Verdict::Stolen => "stolen".to_owned(),
            }
        ),
        Expression::Reject { kind, code } => {
            let kind = match kind {
                RejectKind::Icmp => 0,
                RejectKind::TcpReset => 1,
                RejectKind::IcmpAny => 2,
            };
            format!("reject type {kind} code {code}")
        }
        Expression::Nat { kind, family, address, port, flags } => {
            let kind = if *kind == NatKind::Source { "snat" } else { "dnat" };
            let family = if *family == 10 { "ip6" } else { "ip" };
            let (address, port) = (pair("addr", *address), pair("proto", *port));
            format!("nat {kind} {family}{address}{port}{}", hexadecimal(*flags))
        }
        Expression::Masquerade { port, flags } => format!("masq{}{}", pair("proto", *port), hexadecimal(*flags)),
        Expression::Redirect { port, flags } => format!("redir{}{}", pair("proto", *port), hexadecimal(*flags)),
        Expression::TransparentProxy { family, address, port } => {
            let family = if *family == 10 { "ip6" } else { "ip" };
            let part = |name: &str, register: Option<Register>| {
                register.map(|register| format!(" {name} reg {}", number(register))).unwrap_or_default()
            };
            format!("tproxy {family}{}{}", part("addr", *address), part("port", *port))
        }
        Expression::SynProxy { mss, wscale, .. } => format!("synproxy mss {mss} wscale {wscale}"),
        Expression::Forward { device, address, family } => match address {
            None => format!("fwd sreg_dev {}", number(*device)),
            Some(address) => {
                format!("fwd sreg_dev {} sreg_addr {} nfproto {family}", number(*device), number(*address))
            }
        },
        Expression::Target(extension) => target_line(extension),
        other => format!("? {other:?}"),
    }
}

fn pair(name: &str, registers: Option<(Register, Register)>) -> String {
    registers
        .map(|(from, to)| format!(" {name}_min reg {} {name}_max reg {}", number(from), number(to)))
        .unwrap_or_default()
}

fn hexadecimal(flags: u32) -> String {
    if flags == 0 { String::new() } else { format!(" flags 0x{flags:x}") }
}
