//! The rules of iptables-nft, by netlink: of their expressions only those that hold a match of x_tables.

use netlink_sys::{Socket, SocketAddr};
use tracer_netfilter::Family;
use tracer_netfilter::xt::Match;

const NETLINK_NETFILTER: isize = 12;
/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_GETRULE`.
const GET_RULES: u16 = 10 << 8 | 7;
/// `NFNL_SUBSYS_ACCT` and `NFNL_MSG_ACCT_NEW`.
const NEW_COUNTER: u16 = 7 << 8;
const NEW_RULE: u16 = 10 << 8 | 6;
const DONE: u16 = 3;
/// Bytes of `struct nlmsghdr` and `struct nfgenmsg`.
const HEADERS: usize = 20;

fn number<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().unwrap()
}

/// Kind and content of each attribute.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes(number(bytes, 0)));
        found.push((u16::from_ne_bytes(number(bytes, 2)) & 0x3fff, &bytes[4..length]));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn attribute(bytes: &[u8], kind: u16) -> &[u8] {
    attributes(bytes).into_iter().find(|(found, _)| *found == kind).map(|(_, content)| content).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}

/// Makes a counter for `nfacct`: its name, and that it starts at nothing.
pub(crate) fn add_counter(name: &str) {
    let attribute = |kind: u16, content: &[u8]| {
        let mut bytes = (4 + content.len() as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let named = attribute(1, format!("{name}\0").as_bytes());
    let content = [named, attribute(2, &[0; 8]), attribute(3, &[0; 8])].concat();
    let socket = send(NEW_COUNTER, 0x405, 0, &content);
    let (answer, _) = socket.recv_from_full().unwrap();
    assert_eq!(i32::from_ne_bytes(number(&answer, 16)), 0, "the kernel refuses the counter {name}");
}

fn send(kind: u16, flags: u16, family: u8, content: &[u8]) -> Socket {
    let mut socket = Socket::new(NETLINK_NETFILTER).unwrap();
    socket.bind_auto().unwrap();
    let mut request = ((HEADERS + content.len()) as u32).to_ne_bytes().to_vec();
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&flags.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(&[family, 0, 0, 0]);
    request.extend_from_slice(content);
    socket.send_to(&request, &SocketAddr::new(0, 0), 0).unwrap();
    socket
}

/// The matches of each rule of a chain.
pub(crate) fn rules(family: Family, table: &str, chain: &str) -> Vec<Vec<Match>> {
    let socket = send(GET_RULES, 0x301, family.number(), &[]);
    let mut found = Vec::new();
    loop {
        let (answer, _) = socket.recv_from_full().unwrap();
        let mut messages = &answer[..];
        while !messages.is_empty() {
            let length = u32::from_ne_bytes(number(messages, 0)) as usize;
            match u16::from_ne_bytes(number(messages, 4)) {
                DONE => return found,
                NEW_RULE => {
                    let rule = &messages[HEADERS..length];
                    if text(attribute(rule, 1)) == table && text(attribute(rule, 2)) == chain {
                        found.push(matches(family, attribute(rule, 4)));
                    }
                }
                other => panic!("an answer of kind {other}"),
            }
            messages = &messages[length.next_multiple_of(4).min(messages.len())..];
        }
    }
}

fn matches(family: Family, expressions: &[u8]) -> Vec<Match> {
    let expressions = attributes(expressions).into_iter().map(|(_, expression)| expression);
    let ours = expressions.filter(|expression| text(attribute(expression, 1)) == "match");
    ours.map(|expression| {
        let data = attribute(expression, 2);
        let revision = u32::from_be_bytes(number(attribute(data, 2), 0));
        Match::decode(&text(attribute(data, 1)), revision as u8, family, attribute(data, 3)).unwrap()
    })
    .collect()
}
