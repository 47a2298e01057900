//! The options of queueing disciplines and classes (`TCA_OPTIONS`), for the kinds that drop packets by them.
//!
//! Rule: the layouts are those of `include/uapi/linux/pkt_sched.h`, which only grow; what is missing or too short is not
//! known, and an unknown kind has no options.

use netlink_packet_core::NlasIterator;

use super::print::{burst, handle, rate, share, size, ticks, time};

/// What a queue takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Bytes(u64),
    Packets(u32),
}

/// Options of one queueing discipline or class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// As tc(8) prints them; the limit of tbf always, where tc may show a latency.
    pub text: String,
    pub limit: Option<Limit>,
    /// Bytes a second.
    pub rate: Option<u64>,
    /// Bytes that may be sent at once.
    pub burst: Option<u64>,
    /// netem: packets that are dropped at random, as parts of `u32::MAX`.
    pub loss: Option<u32>,
    /// htb and hfsc: minor number of the class for packets that nothing sends to another one.
    pub default_class: Option<u32>,
    /// htb: packets that may wait without a class.
    pub direct_limit: Option<u32>,
    /// htb: packets that were sent without a class.
    pub direct_packets: Option<u32>,
    /// fq: packets of one flow that may wait.
    pub flow_limit: Option<u32>,
}

impl Options {
    /// Reads the options of a queueing discipline of this kind.
    pub(super) fn of_qdisc(kind: &str, bytes: &[u8]) -> Self {
        match kind {
            "pfifo" | "pfifo_head_drop" => packets(word(bytes, 0)),
            "bfifo" => word(bytes, 0).map_or_else(Self::default, |limit| Self {
                text: format!("limit {}", size(limit.into())),
                limit: Some(Limit::Bytes(limit.into())),
                ..Self::default()
            }),
            "pfifo_fast" | "prio" => Self {
                text: word(bytes, 0).map_or_else(String::new, |bands| format!("bands {bands}")),
                ..Self::default()
            },
            "tbf" => token_bucket(bytes).unwrap_or_default(),
            "htb" => hierarchy(bytes).unwrap_or_default(),
            "fq" => fair(bytes),
            "codel" => delay(bytes, [2, 1]),
            "netem" => netem(bytes).unwrap_or_default(),
            "sfq" => word(bytes, 8).map_or_else(Self::default, |limit| packets(Some(limit))),
            "red" => red(bytes).unwrap_or_default(),
            "cake" => cake(bytes),
            "hfsc" => {
                let class = bytes.first_chunk().map(|bytes| u32::from(u16::from_ne_bytes(*bytes)));
                let text = class.map_or_else(String::new, |class| format!("default {class:#x}"));
                Self { text, default_class: class, ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// fq_codel, whose options come typed.
    pub(super) fn of_fair_delay(limit: Option<u32>, flows: Option<u32>, target: Option<u32>) -> Self {
        let mut options = packets(limit);
        let flows = flows.map(|flows| format!("flows {flows}"));
        let target = target.map(|target| format!("target {}", time(target.into())));
        options.text = words([Some(std::mem::take(&mut options.text)), flows, target]);
        options
    }

    /// Reads the options of a class of this kind.
    pub(super) fn of_class(kind: &str, bytes: &[u8]) -> Self {
        match kind {
            "htb" => class(bytes).unwrap_or_default(),
            _ => Self::default(),
        }
    }
}

fn packets(limit: Option<u32>) -> Options {
    Options {
        text: limit.map_or_else(String::new, |limit| format!("limit {limit}p")),
        limit: limit.map(Limit::Packets),
        ..Options::default()
    }
}

/// `struct tc_tbf_qopt`: two rates of 12 bytes, then limit, buffer, mtu.
fn token_bucket(bytes: &[u8]) -> Option<Options> {
    const PARMS: u16 = 1;
    const RATE64: u16 = 4;
    let parms = attribute(bytes, PARMS)?;
    let per_second = attribute(bytes, RATE64).and_then(|bytes| long(&bytes, 0)).or(word(&parms, 8).map(u64::from))?;
    let limit = word(&parms, 24)?;
    let burst = burst(per_second, word(&parms, 28)?);
    Some(Options {
        text: format!("rate {} burst {} limit {}", rate(per_second), size(burst), size(limit.into())),
        limit: Some(Limit::Bytes(limit.into())),
        rate: Some(per_second),
        burst: Some(burst),
        ..Options::default()
    })
}

/// `struct tc_htb_glob`: version, rate2quantum, defcls, debug, direct_pkts.
fn hierarchy(bytes: &[u8]) -> Option<Options> {
    const INIT: u16 = 2;
    const DIRECT_LIMIT: u16 = 5;
    let init = attribute(bytes, INIT)?;
    let (class, direct) = (word(&init, 8)?, word(&init, 16)?);
    let limit = attribute(bytes, DIRECT_LIMIT).and_then(|bytes| word(&bytes, 0));
    let of_direct = limit.map(|limit| format!("direct_qlen {limit}"));
    Some(Options {
        text: words([Some(format!("default {class:#x} direct_packets_stat {direct}")), of_direct]),
        default_class: Some(class),
        direct_limit: limit,
        direct_packets: Some(direct),
        ..Options::default()
    })
}

/// `struct tc_htb_opt`: rate and ceil of 12 bytes each, then buffer, cbuffer, quantum, level, prio.
fn class(bytes: &[u8]) -> Option<Options> {
    const PARMS: u16 = 1;
    const RATE64: u16 = 6;
    const CEIL64: u16 = 7;
    let parms = attribute(bytes, PARMS)?;
    let wide = |kind| attribute(bytes, kind).and_then(|bytes| long(&bytes, 0));
    let per_second = wide(RATE64).or(word(&parms, 8).map(u64::from))?;
    let ceil = wide(CEIL64).or(word(&parms, 20).map(u64::from))?;
    Some(Options {
        text: format!("rate {} ceil {}", rate(per_second), rate(ceil)),
        rate: Some(ceil),
        burst: word(&parms, 24).map(|buffer| burst(per_second, buffer)),
        ..Options::default()
    })
}

fn fair(bytes: &[u8]) -> Options {
    const LIMIT: u16 = 1;
    const FLOW_LIMIT: u16 = 2;
    let of = |kind| attribute(bytes, kind).and_then(|bytes| word(&bytes, 0));
    let mut options = packets(of(LIMIT));
    options.flow_limit = of(FLOW_LIMIT);
    let flow = options.flow_limit.map(|limit| format!("flow_limit {limit}p"));
    options.text = words([Some(std::mem::take(&mut options.text)), flow]);
    options
}

/// codel: limit in packets and target in microseconds, by attribute.
fn delay(bytes: &[u8], [limit, target]: [u16; 2]) -> Options {
    let of = |kind| attribute(bytes, kind).and_then(|bytes| word(&bytes, 0));
    let mut options = packets(of(limit));
    let target = of(target).map(|target| format!("target {}", time(target.into())));
    options.text = words([Some(std::mem::take(&mut options.text)), target]);
    options
}

/// `struct tc_netem_qopt` (latency, limit, loss, gap, duplicate, jitter), then attributes.
fn netem(bytes: &[u8]) -> Option<Options> {
    const HEADER: usize = 24;
    const LOSS_MODEL: u16 = 5;
    const LATENCY: u16 = 10;
    let limit = word(bytes, 4)?;
    let loss = word(bytes, 8)?;
    let rest = bytes.get(HEADER..).unwrap_or_default();
    let delay = attribute(rest, LATENCY)
        .and_then(|bytes| long(&bytes, 0))
        .map(|nanoseconds| nanoseconds / 1000)
        .or(word(bytes, 0).map(ticks))
        .filter(|delay| *delay > 0);
    let model = attribute(rest, LOSS_MODEL).map(|_| "loss model".to_owned());
    let loss_text = (loss > 0).then(|| format!("loss {}", share(loss)));
    let text = words([
        Some(format!("limit {limit}")),
        delay.map(|delay| format!("delay {}", time(delay))),
        loss_text.or(model),
    ]);
    Some(Options { text, limit: Some(Limit::Packets(limit)), loss: (loss > 0).then_some(loss), ..Options::default() })
}

/// `struct tc_red_qopt`: limit, least and greatest average, in bytes.
fn red(bytes: &[u8]) -> Option<Options> {
    const PARMS: u16 = 1;
    let parms = attribute(bytes, PARMS)?;
    let [limit, least, most] = [word(&parms, 0)?, word(&parms, 4)?, word(&parms, 8)?].map(u64::from);
    Some(Options {
        text: format!("limit {} min {} max {}", size(limit), size(least), size(most)),
        limit: Some(Limit::Bytes(limit)),
        ..Options::default()
    })
}

fn cake(bytes: &[u8]) -> Options {
    const RATE: u16 = 2;
    let per_second = attribute(bytes, RATE).and_then(|bytes| long(&bytes, 0)).filter(|rate| *rate > 0);
    let text =
        per_second.map_or_else(|| "bandwidth unlimited".to_owned(), |bytes| format!("bandwidth {}", rate(bytes)));
    Options { text, rate: per_second, ..Options::default() }
}

/// Where a queueing discipline hangs: `root`, or its parent class.
pub(super) fn place(parent: u32) -> String {
    match parent {
        u32::MAX => "root".to_owned(),
        0 => String::new(),
        parent => format!("parent {}", handle(parent)),
    }
}

/// The value of one attribute of a list.
fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    NlasIterator::new(bytes)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == kind)
        .map(|attribute| attribute.value().to_vec())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

pub(super) fn words<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::netlink::{attribute as attr, noise};

    fn words_of(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    fn text(kind: &str, bytes: &[u8]) -> String {
        Options::of_qdisc(kind, bytes).text
    }

    #[test]
    fn a_token_bucket() {
        // Rate and peak rate: two words each before the bytes a second.
        let parms = words_of(&[0, 0, 1000, 0, 0, 0, 3000, 24_062_500, 0]);
        let options = Options::of_qdisc("tbf", &attr(1, &parms));
        assert_eq!(options.text, "rate 8Kbit burst 1540b limit 3000b");
        assert_eq!((options.limit, options.rate, options.burst), (Some(Limit::Bytes(3000)), Some(1000), Some(1540)));
        let fast =
            [attr(1, &words_of(&[0, 0, u32::MAX, 0, 0, 0, 1 << 20, 64, 0])), attr(4, &12_500_000_000u64.to_ne_bytes())];
        assert_eq!(text("tbf", &fast.concat()), "rate 100Gbit burst 50000b limit 1Mb");
    }

    #[test]
    fn a_hierarchy_and_its_classes() {
        let bytes = [attr(2, &words_of(&[3, 10, 0x30, 0, 7])), attr(5, &words_of(&[2]))].concat();
        let options = Options::of_qdisc("htb", &bytes);
        assert_eq!(options.text, "default 0x30 direct_packets_stat 7 direct_qlen 2");
        assert_eq!(
            (options.default_class, options.direct_limit, options.direct_packets),
            (Some(0x30), Some(2), Some(7))
        );
        let class = Options::of_class("htb", &attr(1, &words_of(&[0, 0, 1000, 0, 0, 125_000, 0, 0, 0, 0, 0])));
        assert_eq!((class.text.as_str(), class.rate), ("rate 8Kbit ceil 1Mbit", Some(125_000)));
    }

    #[test]
    fn queues_with_a_limit() {
        assert_eq!(text("pfifo", &words_of(&[1])), "limit 1p");
        assert_eq!(text("bfifo", &words_of(&[3000])), "limit 3000b");
        assert_eq!(text("sfq", &words_of(&[1514, 10, 127, 1024, 127])), "limit 127p");
        assert_eq!(text("red", &attr(1, &words_of(&[60_000, 5000, 15_000, 0]))), "limit 60000b min 5000b max 15000b");
        let fq = [attr(1, &words_of(&[10_000])), attr(2, &words_of(&[100]))].concat();
        let options = Options::of_qdisc("fq", &fq);
        assert_eq!((options.text.as_str(), options.flow_limit), ("limit 10000p flow_limit 100p", Some(100)));
        let codel = [attr(1, &words_of(&[4999])), attr(2, &words_of(&[1000]))].concat();
        assert_eq!(text("codel", &codel), "limit 1000p target 4.999ms");
        assert_eq!(
            Options::of_fair_delay(Some(10_240), Some(1024), Some(5000)).text,
            "limit 10240p flows 1024 target 5ms"
        );
    }

    #[test]
    fn deliberate_loss() {
        let bytes = [words_of(&[0, 1000, u32::MAX, 0, 0, 0]), attr(10, &100_000_000u64.to_ne_bytes())].concat();
        let options = Options::of_qdisc("netem", &bytes);
        assert_eq!(options.text, "limit 1000 delay 100ms loss 100%");
        assert_eq!((options.loss, options.limit), (Some(u32::MAX), Some(Limit::Packets(1000))));
        let model = [words_of(&[0, 1000, 0, 0, 0, 0]), attr(5, &[0; 4])].concat();
        assert_eq!(text("netem", &model), "limit 1000 loss model");
    }

    #[test]
    fn others() {
        assert_eq!(text("cake", &attr(2, &1_250_000u64.to_ne_bytes())), "bandwidth 10Mbit");
        assert_eq!(text("cake", &[]), "bandwidth unlimited");
        assert_eq!(text("hfsc", &[0x10, 0]), "default 0x10");
        assert_eq!(text("prio", &words_of(&[3, 0, 0, 0, 0])), "bands 3");
        for kind in ["mq", "noqueue", "ingress", "clsact", "unheard-of"] {
            assert_eq!(Options::of_qdisc(kind, &[1; 64]), Options::default());
        }
        assert_eq!([u32::MAX, 0, 0x0001_0001].map(place), ["root", "", "parent 1:1"]);
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let kinds = ["pfifo", "bfifo", "prio", "tbf", "htb", "fq", "codel", "netem", "sfq", "red", "cake", "hfsc"];
        let good = [attr(1, &[0xff; 44]), attr(2, &[3; 20]), attr(5, &[7; 4])].concat();
        let mut kinds = kinds.iter().cycle();
        noise(&good, |bytes| {
            let kind = kinds.next().copied().unwrap_or_default();
            let _ = (Options::of_qdisc(kind, bytes), Options::of_class("htb", bytes));
        });
    }
}
