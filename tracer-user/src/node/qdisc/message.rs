//! Queueing disciplines and classes of one interface, out of the lists of the kernel.

use netlink_packet_core::Nla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcMessage, TcOption, TcQdiscFqCodelOption, TcStats2, TcStatsBasic, TcStatsQueue,
};

use super::options::{Options, place, words};
use super::print::handle;
use crate::host::error::NetlinkError;
use crate::host::rtnetlink;

/// A queueing discipline or a class, with its counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// `tbf`, `htb`, `fq_codel`, ….
    pub kind: String,
    /// Major number in the upper half, minor in the lower; 0 for the default of the kernel.
    pub handle: u32,
    /// `u32::MAX` for the root.
    pub parent: u32,
    /// Users of a queueing discipline; the discipline below a class.
    pub info: u32,
    pub options: Options,
    pub counters: Counters,
    /// What [`Counters::drops`] grew by since the reading before; `None` for the first.
    pub rose: Option<u32>,
}

/// `struct gnet_stats_basic` and `gnet_stats_queue`: since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that went through.
    pub packets: u32,
    /// Packets that wait.
    pub length: u32,
    /// Bytes that wait.
    pub backlog: u32,
    pub drops: u32,
    pub overlimits: u32,
}

impl Queue {
    /// As `tc qdisc show` prints it.
    pub fn text(&self) -> String {
        let count = (self.info > 1).then(|| format!("refcnt {}", self.info));
        let head = format!("qdisc {} {}", self.kind, handle(self.handle));
        words([Some(head), Some(place(self.parent)), count, Some(self.options.text.clone())])
    }

    /// As `tc class show` prints it.
    pub fn class_text(&self) -> String {
        let head = format!("class {} {}", self.kind, handle(self.handle));
        words([Some(head), Some(place(self.parent)), Some(self.options.text.clone())])
    }

    /// What tells two of one interface apart.
    pub const fn key(&self) -> (u32, u32) {
        (self.handle, self.parent)
    }
}

/// All queueing disciplines of an interface of this namespace. The kernel lists those of all interfaces.
pub(super) fn qdiscs(interface: u32) -> Result<Vec<Queue>, NetlinkError> {
    let answer = rtnetlink::dump(&RouteNetlinkMessage::GetQueueDiscipline(request(interface)))?;
    let of_it = answer.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewQueueDiscipline(message) if message.header.index.cast_unsigned() == interface => {
            Some(queue(&message, Options::of_qdisc))
        }
        _ => None,
    });
    Ok(of_it.collect())
}

/// All classes of an interface of this namespace.
pub(super) fn classes(interface: u32) -> Result<Vec<Queue>, NetlinkError> {
    let answer = rtnetlink::dump(&RouteNetlinkMessage::GetTrafficClass(request(interface)))?;
    let of_it = answer.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewTrafficClass(message) => Some(queue(&message, Options::of_class)),
        _ => None,
    });
    Ok(of_it.collect())
}

fn request(interface: u32) -> TcMessage {
    TcMessage::with_index(interface.cast_signed())
}

fn queue(message: &TcMessage, options: fn(&str, &[u8]) -> Options) -> Queue {
    let header = &message.header;
    let mut queue =
        Queue { handle: header.handle.into(), parent: header.parent.into(), info: header.info, ..Queue::default() };
    for attribute in &message.attributes {
        match attribute {
            TcAttribute::Kind(kind) => queue.kind.clone_from(kind),
            TcAttribute::Options(of_kind) => queue.options = read_options(&queue.kind, of_kind, options),
            TcAttribute::Stats2(statistics) => queue.counters = counters(statistics),
            _ => {}
        }
    }
    queue
}

fn read_options(kind: &str, typed: &[TcOption], raw: fn(&str, &[u8]) -> Options) -> Options {
    if let [TcOption::Other(bytes)] = typed {
        let mut value = vec![0; bytes.value_len()];
        bytes.emit_value(&mut value);
        return raw(kind, &value);
    }
    let (mut limit, mut flows, mut target) = (None, None, None);
    for option in typed {
        match option {
            TcOption::FqCodel(TcQdiscFqCodelOption::Limit(packets)) => limit = Some(*packets),
            TcOption::FqCodel(TcQdiscFqCodelOption::Flows(number)) => flows = Some(*number),
            TcOption::FqCodel(TcQdiscFqCodelOption::Target(microseconds)) => target = Some(*microseconds),
            _ => {}
        }
    }
    Options::of_fair_delay(limit, flows, target)
}

fn counters(statistics: &[TcStats2]) -> Counters {
    let mut counters = Counters::default();
    for part in statistics {
        match part {
            TcStats2::Basic(TcStatsBasic { packets, .. }) => counters.packets = *packets,
            TcStats2::Queue(TcStatsQueue { qlen, backlog, drops, overlimits, .. }) => {
                (counters.length, counters.backlog) = (*qlen, *backlog);
                (counters.drops, counters.overlimits) = (*drops, *overlimits);
            }
            _ => {}
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::DefaultNla;
    use netlink_packet_route::tc::TcHandle;

    use super::*;

    #[test]
    fn a_queueing_discipline_is_printed_as_tc_does() {
        let mut message = TcMessage::with_index(7);
        message.header.handle = TcHandle { major: 0x8001, minor: 0 };
        message.header.parent = TcHandle::ROOT;
        message.header.info = 2;
        let mut waiting = TcStatsQueue::default();
        (waiting.qlen, waiting.backlog, waiting.drops) = (2, 2084, 7);
        message.attributes = vec![
            TcAttribute::Kind("bfifo".into()),
            TcAttribute::Options(vec![TcOption::Other(DefaultNla::new(2, 3000u32.to_ne_bytes().to_vec()))]),
            TcAttribute::Stats2(vec![TcStats2::Queue(waiting)]),
        ];
        let queue = queue(&message, Options::of_qdisc);
        assert_eq!(queue.text(), "qdisc bfifo 8001: root refcnt 2 limit 3000b");
        assert_eq!((queue.counters.length, queue.counters.backlog, queue.counters.drops), (2, 2084, 7));
    }

    #[test]
    fn typed_options_are_taken_too() {
        let typed = [
            TcOption::FqCodel(TcQdiscFqCodelOption::Target(4999)),
            TcOption::FqCodel(TcQdiscFqCodelOption::Limit(10_240)),
            TcOption::FqCodel(TcQdiscFqCodelOption::Flows(1024)),
        ];
        let options = read_options("fq_codel", &typed, Options::of_qdisc);
        assert_eq!(options.text, "limit 10240p flows 1024 target 4.999ms");
        assert_eq!(read_options("noqueue", &[], Options::of_qdisc), Options::default());
    }
}
