//! What matches on connections say of the first packet of one, against what the kernel counts.

use std::net::IpAddr;

use tracer_netfilter::model::Backend;
use tracer_netfilter::packet::{Connection, ConnectionState, Device, Known, Tuple};
use tracer_netfilter::{Family, Table, Truth};

use super::frames::datagram;
use super::meaning::{Node, Wire, ask, counters_behind, link, set_up_wire};
use super::namespace::{inside, shell};
use super::{CHAIN, TABLE, sockopt, tool};

/// Before connection tracking looks at a packet, and behind it.
const RULES: &[&str] = &[
    "-m conntrack --ctstate NEW",
    "-m conntrack --ctstate INVALID",
    "-m conntrack ! --ctstate NEW,UNTRACKED",
    "-m conntrack ! --ctstate ESTABLISHED",
    "-m conntrack --ctstate SNAT,DNAT",
    "-m conntrack --ctstate NEW,DNAT",
    "-m state --state NEW",
    "-m state ! --state NEW",
    "-m state --state UNTRACKED",
    "-m conntrack --ctdir ORIGINAL",
    "-m conntrack --ctdir REPLY",
    "-m conntrack --ctproto udp",
    "-m conntrack ! --ctproto 17",
    "-m conntrack --ctstate INVALID --ctproto 6",
    "-m conntrack --ctstate NEW --ctproto 17 --ctdir ORIGINAL",
    "-m conntrack --ctstatus NONE",
    "-m conntrack ! --ctstatus NONE",
    "-m conntrack --ctstatus CONFIRMED",
    "-m conntrack ! --ctstatus SEEN_REPLY,ASSURED",
    "-m conntrack --ctorigsrc 10.9.0.0/24",
    "-m conntrack ! --ctorigsrc 10.9.0.1",
    "-m conntrack --ctorigdst 10.9.0.2 --ctreplsrc 10.9.0.2",
    "-m conntrack --ctrepldst 10.9.0.9",
    "-m conntrack --ctproto 17 --ctorigsrcport 1:4000",
    "-m conntrack --ctproto 17 ! --ctorigdstport 53",
    "-m conntrack --ctproto 17 --ctreplsrcport 53",
    "-m conntrack --ctproto 17 --ctrepldstport 4001:",
    "-m connmark --mark 0",
    "-m connmark ! --mark 0x1/0x1",
    "-m connmark --mark 0x1/0x1",
    "-m helper --helper ftp",
    "-m helper ! --helper ftp",
    "-m connlabel ! --label 1",
    "-m connbytes --connbytes 0 --connbytes-mode packets --connbytes-dir both",
];

/// What is known of the connection at that place, in that table.
fn check(table: &str, rule_before: Option<&str>, connection: Connection) {
    inside(|| {
        set_up_wire();
        let (index, address) = link("v0");
        let tool = tool(Family::Ip, "legacy").replace(TABLE, table);
        shell(&format!("{tool} -N {CHAIN} && {tool} -A PREROUTING -i v0 -j {CHAIN} && {tool} -A {CHAIN}")).unwrap();
        if let Some(rule) = rule_before {
            shell(&format!("iptables-legacy -t raw -A PREROUTING {rule}")).unwrap();
        }
        for rule in RULES {
            shell(&format!("{tool} -A {CHAIN} {rule}")).unwrap();
        }
        let device = Device { index, name: "v0".to_owned(), hardware: Some(1), ..Device::default() };
        let mut packet = datagram(&device, address);
        packet.connection = Known::Is(connection);
        Wire::open(link("v1").0).send(&packet.bytes);
        let counters = counters_behind(Family::Ip, table, 0).unwrap();
        let (model, node) = (Table::new(Backend::Legacy, Family::Ip, table), Node { device: index });
        let read = sockopt::rules(Family::Ip, table, CHAIN);
        let mut decided = 0;
        for ((rule, counted), text) in read.iter().zip(counters).skip(1).zip(RULES) {
            match ask(rule, &packet, &node, &model) {
                Truth::Unknown(_) => continue,
                said => assert_eq!(said, Truth::from(counted == 1), "{table}: {text}"),
            }
            decided += 1;
        }
        assert!(decided > RULES.len() - 4, "only {decided} were decided");
    });
}

fn connection(state: ConnectionState) -> Connection {
    let (there, here): (IpAddr, IpAddr) = ([10, 9, 0, 1].into(), [10, 9, 0, 2].into());
    let tuple = |source, destination, source_port, destination_port| {
        Some(Tuple { source, destination, source_port, destination_port, protocol: 17 })
    };
    Connection {
        state,
        is_reply: false,
        mark: Some(0),
        status: Some(0),
        original: tuple(there, here, 4000, 53),
        reply: tuple(here, there, 53, 4000),
    }
}

#[test]
fn of_a_new_connection() {
    check("mangle", None, connection(ConnectionState::New));
}

#[test]
fn of_a_packet_that_is_not_tracked() {
    check("mangle", Some("-j CT --notrack"), connection(ConnectionState::Untracked));
}

/// Whatever the connection is in the end, the table raw sees none.
#[test]
fn of_a_packet_before_it_is_tracked() {
    check("raw", None, connection(ConnectionState::New));
}
