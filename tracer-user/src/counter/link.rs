//! The statistics of the network cards of the calling thread's namespace, by one rtnetlink dump.
//!
//! Rule: only devices that no software made are of interest (no kind, not the loopback): what a veth, a bridge or a tunnel
//! does not deliver it drops as a packet, which the tracepoint shows.

use netlink_packet_core::NlasIterator;

use crate::host::error::NetlinkError;
use crate::host::interface::{self, Interface};
use crate::host::netlink::{self, Message};

/// `struct ifinfomsg`.
const HEADER: usize = 16;
/// `IFLA_STATS64`: `struct rtnl_link_stats64` (uapi/linux/if_link.h), of which old kernels have fewer fields.
const STATS64: u16 = 23;
/// Names of the fields, as `/sys/class/net/DEV/statistics/` has them. Fields that are counted beside drop events too have none:
/// `rx_dropped` and `tx_dropped` also count what the kernel itself drops of the device (`netdev_core_stats`).
const FIELDS: [Option<&str>; 21] = [
    None,
    None,
    None,
    None,
    Some("rx_errors"),
    Some("tx_errors"),
    None,
    None,
    None,
    None,
    Some("rx_length_errors"),
    Some("rx_over_errors"),
    Some("rx_crc_errors"),
    Some("rx_frame_errors"),
    Some("rx_fifo_errors"),
    Some("rx_missed_errors"),
    Some("tx_aborted_errors"),
    Some("tx_carrier_errors"),
    Some("tx_fifo_errors"),
    None,
    None,
];

/// A card with its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) counters: Vec<(&'static str, u64)>,
}

/// Whether an interface is a network card, real or given by a hypervisor.
pub(super) fn is_card(interface: &Interface) -> bool {
    interface.kind.is_none() && interface.flags & libc::IFF_LOOPBACK as u32 == 0
}

/// The cards of the calling thread's namespace.
pub(super) fn cards() -> Result<Vec<Statistics>, NetlinkError> {
    let request = Message { kind: libc::RTM_GETLINK, payload: vec![0; HEADER] };
    let answer = netlink::dump(libc::NETLINK_ROUTE as isize, &request)?;
    Ok(answer.messages.iter().filter_map(card).collect())
}

fn card(message: &Message) -> Option<Statistics> {
    let interface = interface::parse(message).filter(is_card)?;
    let attributes = NlasIterator::new(message.payload.get(HEADER..)?).map_while(Result::ok);
    let mut statistics = attributes.filter(|attribute| attribute.kind() == STATS64);
    let counters = counters(statistics.next()?.value());
    Some(Statistics { index: interface.index, name: interface.name, counters })
}

fn counters(statistics: &[u8]) -> Vec<(&'static str, u64)> {
    let values = statistics.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes));
    FIELDS.iter().zip(values).filter_map(|(name, value)| Some(((*name)?, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::netlink::attribute;

    fn message(more: &[u8]) -> Message {
        let mut payload = vec![0; HEADER];
        payload[4] = 2;
        payload.extend(attribute(libc::IFLA_IFNAME, b"eth0\0"));
        payload.extend(more);
        Message { kind: libc::RTM_NEWLINK, payload }
    }

    fn statistics() -> Vec<u8> {
        attribute(STATS64, &(0..25u64).flat_map(u64::to_ne_bytes).collect::<Vec<u8>>())
    }

    #[test]
    fn each_counter_has_its_place() {
        let card = card(&message(&statistics())).unwrap();
        assert_eq!((card.index, card.name.as_str(), card.counters.len()), (2, "eth0", 11));
        let value = |name| card.counters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert_eq!(
            (value("rx_errors"), value("rx_crc_errors"), value("rx_missed_errors")),
            (Some(4), Some(12), Some(15))
        );
        assert_eq!((value("tx_fifo_errors"), value("rx_dropped")), (Some(18), None));
    }

    #[test]
    fn what_software_made_is_left_out() {
        let veth = attribute(libc::IFLA_LINKINFO, &attribute(libc::IFLA_INFO_KIND, b"veth\0"));
        assert_eq!(card(&message(&[veth, statistics()].concat())), None);
        let mut loopback = message(&statistics());
        loopback.payload[8] = libc::IFF_LOOPBACK as u8;
        assert_eq!(card(&loopback), None);
    }

    #[test]
    fn short_and_hostile_answers_give_what_is_there() {
        assert_eq!(counters(&[1; 39]), []);
        assert_eq!(counters(&[0; 40]), [("rx_errors", 0)]);
        let good = message(&statistics());
        for cut in 0..good.payload.len() {
            let _ = card(&Message { kind: good.kind, payload: good.payload[..cut].to_vec() });
        }
        assert!(cards().is_ok());
    }
}
