//! The filters of tc: one message of the kernel's list each, as `tc filter show` names it.
//!
//! Rule: only the attributes that are needed are read, and a strange one costs itself, not the filter. What matches a
//! filter is not read: whether it took this packet is not claimed.

use std::fmt;

use netlink_packet_core::NlasIterator;

use crate::host::netlink::Message;

const RTM_NEWTFILTER: u16 = 44;
/// `struct tcmsg`: family, padding, ifindex, handle, parent, info.
const HEADER: usize = 20;
/// `struct nlattr`: length and kind.
const ATTRIBUTE_HEADER: usize = 4;
/// `TCA_KIND`, `TCA_OPTIONS`, `TCA_CHAIN`.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const CHAIN: u16 = 11;
/// `TCA_BPF_NAME`, `TCA_BPF_FLAGS`, `TCA_BPF_ID`, and `TCA_BPF_FLAG_ACT_DIRECT`.
const BPF_NAME: u16 = 7;
const BPF_FLAGS: u16 = 8;
const BPF_ID: u16 = 11;
const DIRECT: u32 = 1;
/// `TCA_ACT_KIND`, `TCA_ACT_OPTIONS`, `TCA_ACT_STATS`, `TCA_STATS_QUEUE`.
const ACTION_KIND: u16 = 1;
const ACTION_OPTIONS: u16 = 2;
const ACTION_STATISTICS: u16 = 4;
const STATISTICS_QUEUE: u16 = 3;
/// `TCA_ACT_BPF_NAME`, `TCA_ACT_BPF_ID`.
const ACTION_BPF_NAME: u16 = 6;
const ACTION_BPF_ID: u16 = 9;
/// `TC_ACT_SHOT`, and the mark of `TC_ACT_GOTO_CHAIN` with its chain.
const SHOT: i32 = 2;
const GOTO: u32 = 2 << 28;
const GOTO_VALUE: u32 = 0x0fff_ffff;
/// Actions of one filter (`TCA_ACT_MAX_PRIO`).
const MOST_ACTIONS: usize = 32;

/// One filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// `bpf`, `u32`, `flower`, `matchall`, ….
    pub kind: String,
    /// EtherType that it looks at; 3 (`ETH_P_ALL`) for all.
    pub protocol: u16,
    /// Preference: lower ones are asked first.
    pub pref: u16,
    pub handle: u32,
    pub chain: u32,
    /// The program of a `bpf` filter.
    pub program: Option<u32>,
    /// What whoever attached it calls the program.
    pub name: Option<String>,
    /// The program's return value is the verdict.
    pub direct: bool,
    pub actions: Vec<Action>,
}

/// What a filter does with a packet that it matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Action {
    /// `gact`, `police`, `bpf`, `mirred`, ….
    pub kind: String,
    /// `TC_ACT_SHOT`: drop.
    pub drops: bool,
    /// The chain that it jumps to.
    pub jump: Option<u32>,
    /// Packets that it has dropped.
    pub dropped: Option<u32>,
    /// The program of a `bpf` action.
    pub program: Option<u32>,
    pub name: Option<String>,
}

impl Filter {
    /// Whether a packet can end at it.
    pub fn may_drop(&self) -> bool {
        self.direct || self.actions.iter().any(Action::may_drop)
    }

    /// The program that may have decided.
    pub fn decides_by(&self) -> Option<u32> {
        let of_action = || self.actions.iter().find_map(|action| action.program);
        self.program.filter(|_| self.direct).or_else(of_action)
    }

    /// What the program that may have decided is called here.
    pub(super) fn label(&self) -> Option<&str> {
        let of_action = || self.actions.iter().find_map(|action| action.name.as_deref());
        self.name.as_deref().filter(|_| self.direct).or_else(of_action)
    }

    /// The filter for `tc filter del`: `protocol ip pref 10 handle 800::800 u32`.
    pub fn selector(&self) -> String {
        let chain = if self.chain == 0 { String::new() } else { format!("chain {} ", self.chain) };
        let Self { pref, kind, .. } = self;
        format!("{chain}protocol {} pref {pref} handle {} {kind}", Protocol(self.protocol), self.shown_handle())
    }

    /// As tc writes it: a hash table, bucket and node for u32, a number otherwise.
    fn shown_handle(&self) -> String {
        let handle = self.handle;
        if self.kind != "u32" {
            return format!("{handle:#x}");
        }
        let (table, bucket, node) = (handle >> 20, handle >> 12 & 0xff, handle & 0xfff);
        let bucket = if bucket == 0 { String::new() } else { format!("{bucket:x}") };
        format!("{table:x}:{bucket}:{node:x}")
    }
}

impl Action {
    fn may_drop(&self) -> bool {
        self.drops || self.program.is_some() || self.kind == "police"
    }
}

/// As tc prints it: `filter protocol ip pref 10 u32 handle 800::800 action drop`.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter protocol {} pref {} {}", Protocol(self.protocol), self.pref, self.kind)?;
        if self.chain != 0 {
            write!(f, " chain {}", self.chain)?;
        }
        write!(f, " handle {}", self.shown_handle())?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if self.direct {
            f.write_str(" direct-action")?;
        }
        self.actions.iter().try_for_each(|action| write!(f, " action {action}"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), self.jump) {
            ("gact", Some(chain)) => write!(f, "goto chain {chain}"),
            ("gact", None) if self.drops => f.write_str("drop"),
            (kind, _) if self.drops => write!(f, "{kind} drop"),
            (kind, _) => f.write_str(kind),
        }
    }
}

struct Protocol(u16);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x0003 => f.write_str("all"),
            0x0800 => f.write_str("ip"),
            0x0806 => f.write_str("arp"),
            0x86dd => f.write_str("ipv6"),
            0x8100 => f.write_str("802.1Q"),
            other => write!(f, "{other:#06x}"),
        }
    }
}

/// One filter of the list; none for what is not one, such as the head of a u32 hash table.
pub(super) fn parse(message: &Message) -> Option<Filter> {
    if message.kind != RTM_NEWTFILTER {
        return None;
    }
    let (header, attributes) = message.payload.split_at_checked(HEADER)?;
    let info = word(header.get(16..20)?)?;
    let protocol = u16::from_be(info as u16);
    let mut filter =
        Filter { handle: word(header.get(8..12)?)?, pref: (info >> 16) as u16, protocol, ..Filter::default() };
    let mut options: &[u8] = &[];
    let attributes = attributes_of(attributes).collect::<Vec<_>>();
    for (kind, value) in &attributes {
        match *kind {
            KIND => filter.kind = text(value),
            OPTIONS => options = value,
            CHAIN => filter.chain = word(value).unwrap_or_default(),
            _ => {}
        }
    }
    take_options(&mut filter, options);
    (filter.handle != 0 && !filter.kind.is_empty()).then_some(filter)
}

fn take_options(filter: &mut Filter, options: &[u8]) {
    let (actions, police) = action_attributes(&filter.kind);
    for (kind, value) in attributes_of(options) {
        match kind {
            BPF_NAME if filter.kind == "bpf" => filter.name = Some(text(value)),
            BPF_FLAGS if filter.kind == "bpf" => filter.direct = word(value).is_some_and(|flags| flags & DIRECT != 0),
            BPF_ID if filter.kind == "bpf" => filter.program = word(value),
            kind if Some(kind) == actions => {
                filter.actions.extend(attributes_of(value).take(MOST_ACTIONS).filter_map(|(_, value)| action(value)));
            }
            kind if Some(kind) == police => {
                filter.actions.push(Action { kind: "police".to_owned(), ..Action::default() });
            }
            _ => {}
        }
    }
}

/// The attributes of a classifier's actions, and of its own policer (`uapi/linux/pkt_cls.h`, 6.18).
fn action_attributes(classifier: &str) -> (Option<u16>, Option<u16>) {
    match classifier {
        "bpf" | "cgroup" => (Some(1), Some(2)),
        "u32" => (Some(7), Some(6)),
        "flower" => (Some(3), None),
        "matchall" => (Some(2), None),
        "basic" => (Some(3), Some(4)),
        "fw" => (Some(4), Some(2)),
        "flow" => (Some(9), Some(10)),
        "route" => (Some(6), Some(5)),
        _ => (None, None),
    }
}

fn action(value: &[u8]) -> Option<Action> {
    let kind = attributes_of(value).find(|(kind, _)| *kind == ACTION_KIND).map(|(_, value)| text(value))?;
    let mut action = Action { kind, ..Action::default() };
    // `TCA_POLICE_TBF`; `TCA_NAT_PARMS`, `TCA_CT_PARMS` and the like are 1 too, all others 2.
    let parameters = if ["police", "nat", "ct", "csum", "connmark"].contains(&action.kind.as_str()) { 1 } else { 2 };
    // `struct tc_police` has the verdict after its index, `tc_gen` after index and capabilities.
    let verdict_at = if action.kind == "police" { 4 } else { 8 };
    for (kind, value) in attributes_of(value) {
        match kind {
            ACTION_OPTIONS => {
                for (kind, value) in attributes_of(value) {
                    match kind {
                        kind if kind == parameters => verdict(&mut action, value.get(verdict_at..)),
                        ACTION_BPF_NAME if action.kind == "bpf" => action.name = Some(text(value)),
                        ACTION_BPF_ID if action.kind == "bpf" => action.program = word(value),
                        _ => {}
                    }
                }
            }
            ACTION_STATISTICS => {
                // `struct gnet_stats_queue`: qlen, backlog, drops.
                let queue = attributes_of(value).find(|(kind, _)| *kind == STATISTICS_QUEUE);
                action.dropped = queue.and_then(|(_, value)| word(value.get(8..12)?));
            }
            _ => {}
        }
    }
    Some(action)
}

fn verdict(action: &mut Action, at: Option<&[u8]>) {
    let Some(verdict) = at.and_then(word) else { return };
    action.drops = verdict.cast_signed() == SHOT;
    action.jump = (verdict & !GOTO_VALUE == GOTO).then_some(verdict & GOTO_VALUE);
}

fn attributes_of(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attribute| {
        let (kind, end) = (attribute.kind(), usize::from(attribute.length()));
        (kind, attribute.into_inner().get(ATTRIBUTE_HEADER..end).unwrap_or_default())
    })
}

/// Up to the first NUL.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn word(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}
