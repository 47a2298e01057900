//! What the kernel says of a traced packet: one event a rule that matched, and one for what became of it in each base
//! chain (`NFT_MSG_TRACE`, net/netfilter/nf_tables_trace.c, 4.6 and later).

use crate::model::{Backend, Family, Place, RawRule, Ruleset, Table, Verdict};

use crate::netlink::transaction::{Message, attributes};

/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_TRACE`.
const TRACE: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | libc::NFT_MSG_TRACE as u16;
/// Bytes of `struct nfgenmsg`: family, version, resource.
const HEADER: usize = 4;

const NFTA_TRACE_TABLE: u16 = 1;
const NFTA_TRACE_CHAIN: u16 = 2;
const NFTA_TRACE_RULE_HANDLE: u16 = 3;
const NFTA_TRACE_TYPE: u16 = 4;
const NFTA_TRACE_VERDICT: u16 = 5;
const NFTA_TRACE_ID: u16 = 6;
const NFTA_TRACE_LL_HEADER: u16 = 7;
const NFTA_TRACE_NETWORK_HEADER: u16 = 8;
const NFTA_TRACE_TRANSPORT_HEADER: u16 = 9;
const NFTA_TRACE_IIF: u16 = 10;
const NFTA_TRACE_OIF: u16 = 12;
const NFTA_TRACE_MARK: u16 = 14;
const NFTA_TRACE_NFPROTO: u16 = 15;
const NFTA_TRACE_POLICY: u16 = 16;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

/// What in a chain said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A rule that matched to its end, by its handle.
    Rule(u64),
    /// The end of a chain that was jumped to, or a `return` in the base chain.
    Return,
    /// The policy of the base chain.
    Policy,
}

/// The first bytes of a packet's headers: at most 20 of the link layer's and the transport's, 40 of the network's. The kernel
/// gives them once a base chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    pub link: Vec<u8>,
    pub network: Vec<u8>,
    pub transport: Vec<u8>,
}

/// One thing that happened to a traced packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// The same for all events of a packet, and sometimes for a later packet of the same flow.
    pub id: u32,
    /// Of the table: `inet` is not told apart from `ip` by the packet.
    pub family: Family,
    pub table: String,
    pub chain: String,
    pub origin: Origin,
    pub verdict: Verdict,
    pub mark: u32,
    /// `NFPROTO_` value of the hook that the packet is at: 2 IPv4, 10 IPv6, 7 bridge, 5 device.
    pub layer: Option<u32>,
    /// Device indices; like the headers, they are in the first event of a base chain.
    pub input: Option<u32>,
    pub output: Option<u32>,
    pub headers: Option<Headers>,
}

impl TraceEvent {
    /// Whether the packet ends here.
    pub const fn is_drop(&self) -> bool {
        matches!((&self.origin, &self.verdict), (Origin::Rule(_) | Origin::Policy, Verdict::Drop))
    }

    /// Where the rule (or for a policy the chain) stands in a ruleset; `None` if it is not there.
    pub fn place(&self, ruleset: &Ruleset) -> Option<Place> {
        let is_table =
            |table: &Table| (table.backend, table.family, &table.name) == (Backend::Nft, self.family, &self.table);
        let table = ruleset.tables.iter().position(is_table)?;
        let chains = ruleset.tables.get(table)?;
        let chain = chains.find(&self.chain)?;
        let number = match self.origin {
            Origin::Return | Origin::Policy => 0,
            Origin::Rule(wanted) => {
                let is_rule = |rule: &RawRule| matches!(rule, RawRule::Nft { handle, .. } if *handle == wanted);
                u32::try_from(chains.chains.get(chain)?.rules.iter().position(is_rule)?).ok()?.checked_add(1)?
            }
        };
        Some(Place { table, chain, number })
    }

    /// Reads a message of the trace group; `None` if it is of another kind or makes no sense.
    pub(super) fn decode(message: Message<'_>) -> Option<Self> {
        if message.kind != TRACE {
            return None;
        }
        let (header, list) = message.body.split_first_chunk::<HEADER>()?;
        let family = Family::from_number(header[0])?;
        let mut fields = Fields::default();
        for (kind, value) in attributes(list) {
            fields.put(kind, value);
        }
        let (origin, verdict) = fields.outcome()?;
        Some(Self {
            id: fields.id?,
            family,
            table: fields.table?,
            chain: fields.chain?,
            origin,
            verdict,
            mark: fields.mark.unwrap_or(0),
            layer: fields.layer,
            input: fields.input,
            output: fields.output,
            headers: fields.headers,
        })
    }
}

/// The attributes as they come.
#[derive(Default)]
struct Fields {
    id: Option<u32>,
    table: Option<String>,
    chain: Option<String>,
    handle: Option<u64>,
    kind: Option<u32>,
    verdict: Option<Verdict>,
    policy: Option<u32>,
    mark: Option<u32>,
    layer: Option<u32>,
    input: Option<u32>,
    output: Option<u32>,
    headers: Option<Headers>,
}

impl Fields {
    fn put(&mut self, kind: u16, value: &[u8]) {
        match kind {
            NFTA_TRACE_TABLE => self.table = text(value),
            NFTA_TRACE_CHAIN => self.chain = text(value),
            NFTA_TRACE_RULE_HANDLE => self.handle = value.try_into().ok().map(u64::from_be_bytes),
            NFTA_TRACE_TYPE => self.kind = number(value),
            NFTA_TRACE_VERDICT => self.verdict = verdict(value),
            NFTA_TRACE_ID => self.id = number(value),
            NFTA_TRACE_LL_HEADER => self.headers().link = value.to_vec(),
            NFTA_TRACE_NETWORK_HEADER => self.headers().network = value.to_vec(),
            NFTA_TRACE_TRANSPORT_HEADER => self.headers().transport = value.to_vec(),
            NFTA_TRACE_IIF => self.input = number(value),
            NFTA_TRACE_OIF => self.output = number(value),
            NFTA_TRACE_MARK => self.mark = number(value),
            NFTA_TRACE_NFPROTO => self.layer = number(value),
            NFTA_TRACE_POLICY => self.policy = number(value),
            _ => {}
        }
    }

    fn headers(&mut self) -> &mut Headers {
        self.headers.get_or_insert_default()
    }

    /// `enum nft_trace_types`: 1 policy, 2 return, 3 rule.
    fn outcome(&mut self) -> Option<(Origin, Verdict)> {
        Some(match self.kind? {
            1 => (Origin::Policy, simple(self.policy?.cast_signed())?),
            2 => (Origin::Return, self.verdict.take()?),
            3 => (Origin::Rule(self.handle?), self.verdict.take()?),
            _ => return None,
        })
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn text(value: &[u8]) -> Option<String> {
    let name = value.split(|byte| *byte == 0).next()?;
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

fn verdict(value: &[u8]) -> Option<Verdict> {
    let (mut code, mut chain) = (None, None);
    for (kind, value) in attributes(value) {
        match kind {
            NFTA_VERDICT_CODE => code = number(value).map(u32::cast_signed),
            NFTA_VERDICT_CHAIN => chain = text(value),
            _ => {}
        }
    }
    match code? {
        libc::NFT_JUMP => chain.map(Verdict::Jump),
        libc::NFT_GOTO => chain.map(Verdict::Goto),
        code => simple(code),
    }
}

/// A verdict without a chain. The lower 16 bits of what is not negative are the verdict, the upper ones an error or the
/// number of a queue (uapi/linux/netfilter.h).
fn simple(code: i32) -> Option<Verdict> {
    Some(match code {
        libc::NFT_CONTINUE | libc::NFT_BREAK => Verdict::Continue,
        libc::NFT_RETURN => Verdict::Return,
        _ => match code & 0xff {
            libc::NF_DROP if code >= 0 => Verdict::Drop,
            libc::NF_ACCEPT | libc::NF_REPEAT | libc::NF_STOP if code >= 0 => Verdict::Accept,
            libc::NF_STOLEN if code >= 0 => Verdict::Stolen,
            libc::NF_QUEUE if code >= 0 => Verdict::Queue((code.cast_unsigned() >> 16) as u16),
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Chain;
    use crate::netlink::transaction::{Body, Request, datagram, messages};

    fn message(kind: u32, extra: &Body) -> Vec<u8> {
        let body = Body::new(&[1, 0, 0, 0])
            .text(NFTA_TRACE_TABLE, "filter")
            .text(NFTA_TRACE_CHAIN, "input")
            .number(NFTA_TRACE_ID, 0xcafe)
            .number(NFTA_TRACE_TYPE, kind)
            .number(NFTA_TRACE_MARK, 9)
            .put(NFTA_TRACE_NETWORK_HEADER, &[0x45, 0])
            .and(extra);
        datagram(&[Request { kind: TRACE, flags: 0, body }]).0
    }

    fn decode(bytes: &[u8]) -> Option<TraceEvent> {
        messages(bytes).find_map(TraceEvent::decode)
    }

    fn rule(code: i32, chain: Option<&str>) -> Vec<u8> {
        let mut inside = Body::default().number(NFTA_VERDICT_CODE, code.cast_unsigned());
        if let Some(chain) = chain {
            inside = inside.text(NFTA_VERDICT_CHAIN, chain);
        }
        let handle = Body::default().put(NFTA_TRACE_RULE_HANDLE, &7_u64.to_be_bytes());
        message(3, &handle.nest(NFTA_TRACE_VERDICT, &inside))
    }

    #[test]
    fn a_rule_that_drops_is_named_by_its_handle() {
        let event = decode(&rule(libc::NF_DROP, None)).unwrap();
        assert!(event.is_drop());
        assert_eq!((event.family, event.table.as_str(), event.chain.as_str()), (Family::Inet, "filter", "input"));
        assert_eq!((event.origin, event.id, event.mark), (Origin::Rule(7), 0xcafe, 9));
        assert_eq!(event.headers.unwrap().network, [0x45, 0]);
        // An error number above the verdict (NF_DROP_ERR) changes nothing.
        assert!(decode(&rule(13 << 16, None)).unwrap().is_drop());
    }

    #[test]
    fn jumps_have_their_chain_and_queues_their_number() {
        let verdict = |code, chain| decode(&rule(code, chain)).map(|event| event.verdict);
        assert_eq!(verdict(libc::NFT_JUMP, Some("x")), Some(Verdict::Jump("x".to_owned())));
        assert_eq!(verdict(libc::NFT_GOTO, Some("x")), Some(Verdict::Goto("x".to_owned())));
        assert_eq!(verdict(libc::NFT_JUMP, None), None, "a jump to nowhere");
        assert_eq!(verdict(5 << 16 | libc::NF_QUEUE, None), Some(Verdict::Queue(5)));
        assert_eq!(verdict(-77, None), None);
    }

    #[test]
    fn a_policy_drops_and_the_end_of_a_chain_does_not() {
        let policy = decode(&message(1, &Body::default().number(NFTA_TRACE_POLICY, 0))).unwrap();
        assert!(policy.is_drop() && policy.origin == Origin::Policy);
        let inside = Body::default().number(NFTA_VERDICT_CODE, libc::NFT_CONTINUE.cast_unsigned());
        let end = decode(&message(2, &Body::default().nest(NFTA_TRACE_VERDICT, &inside))).unwrap();
        assert_eq!((end.origin, end.is_drop()), (Origin::Return, false));
    }

    #[test]
    fn an_event_finds_its_rule_in_a_ruleset() {
        let mut ruleset = Ruleset::default();
        ruleset.tables.push(Table::new(Backend::Legacy, Family::Inet, "filter"));
        let mut table = Table::new(Backend::Nft, Family::Inet, "filter");
        let rules = [3, 7].map(|handle| RawRule::Nft { handle, attributes: Box::default() }).to_vec();
        table.push(Chain { name: "input".to_owned(), handle: None, base: None, rules });
        ruleset.tables.push(table);
        let event = decode(&rule(libc::NF_DROP, None)).unwrap();
        assert_eq!(event.place(&ruleset), Some(Place { table: 1, chain: 0, number: 2 }));
        let gone = TraceEvent { origin: Origin::Rule(8), ..event };
        assert_eq!(gone.place(&ruleset), None);
    }

    #[test]
    fn broken_messages_are_no_events_and_nothing_panics() {
        let good = [rule(libc::NFT_JUMP, Some("chain")), rule(libc::NF_DROP, None)].concat();
        for cut in 0..good.len() {
            let _ = decode(&good[..cut]);
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..50_000 {
            let mut bytes = good.clone();
            for _ in 0..4 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state >> 16) as usize % bytes.len();
                bytes[at] = state as u8;
            }
            assert!(messages(&bytes).filter_map(TraceEvent::decode).count() <= bytes.len());
        }
    }
}
