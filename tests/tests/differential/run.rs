//! One run: rulesets loaded, packets sent, the kernel's word on each compared with ours.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tracer_tests::Family;

use crate::iptables;
use crate::judge::{self, Case};
use crate::lab::Lab;
use crate::probe::Probe;
use crate::random::Random;
use crate::score::Score;
use crate::style::Style;
use crate::truth::{self, Counters, Name};
use crate::watch::{SWALLOW, Seen};
use crate::watcher::Watcher;

/// Packets to one ruleset.
const PACKETS: u64 = 20;
/// Packets of a run, if nothing else is asked for.
const CASES: u64 = 300;
/// The same where the binary is asked: it is waited for after each.
const CASES_OF_BINARY: u64 = 60;
const SEED: u64 = 1;
/// Tries for a packet whose fate the counters do not tell, because something else moved them.
const ATTEMPTS: u32 = 3;
/// The packet is through the stack long before: it runs in the interrupt of the sender.
const PATIENCE: Duration = Duration::from_millis(200);

/// What makes the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Legacy,
    IptablesNft,
    Nft,
}

impl Maker {
    fn load(self, lab: &Lab, random: &mut Random, style: Style) -> Result<String> {
        let (program, text) = match self {
            Self::Legacy => (
                style.family.pick("iptables-legacy-restore -c", "ip6tables-legacy-restore -c"),
                iptables::ruleset(random, style),
            ),
            Self::IptablesNft => (
                style.family.pick("iptables-nft-restore -c", "ip6tables-nft-restore -c"),
                iptables::ruleset(random, style),
            ),
            Self::Nft => return crate::nftables::load(lab, &crate::nftables::ruleset(random, style)),
        };
        lab.load(program, &text)?;
        Ok(text)
    }

    fn counters(self, lab: &Lab, family: Family) -> Result<Counters> {
        if self == Self::Nft {
            return truth::nft(lab.router(), "ruleset");
        }
        let mut counters = truth::iptables(lab.router(), family, self == Self::Legacy)?;
        counters.extend(truth::nft(lab.router(), &format!("table inet {SWALLOW}"))?);
        Ok(counters)
    }
}

fn asked(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is {text}, not a number")),
        Err(_) => Ok(default),
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Library,
    Binary,
}

/// Rulesets of one maker in one family against the kernel.
pub(crate) fn run(maker: Maker, family: Family, of: Asked) -> Result<()> {
    let seed = asked("WHYDROP_DIFFERENTIAL_SEED", SEED)?;
    let usual = if of == Asked::Binary { CASES_OF_BINARY } else { CASES };
    let cases = asked("WHYDROP_DIFFERENTIAL_CASES", usual)?;
    let mut lab = Lab::new()?;
    let mut score = Score::new(format!(
        "{maker:?} {family:?} {of:?} WHYDROP_DIFFERENTIAL_SEED={seed} WHYDROP_DIFFERENTIAL_CASES={cases}"
    ));
    let started = Instant::now();
    let mut watcher = if of == Asked::Binary { Some(Watcher::start(&lab)?) } else { None };
    if maker != Maker::Nft {
        lab.load("ipset restore", &iptables::sets(&mut Random::of(seed, u64::MAX), family))?;
    }
    for case in 0..cases.div_ceil(PACKETS) {
        let mut random = Random::of(seed, case);
        let style = Style { family, is_tracked: random.percent(70), is_unsure: random.percent(20) };
        lab.clear(style.is_tracked)?;
        let text = maker.load(&lab, &mut random, style)?;
        let ruleset = judge::read(&lab)?;
        for number in 0..PACKETS.min(cases - case * PACKETS) {
            let probe = Probe::new(&mut random, family, !style.is_tracked);
            let fate = fate(maker, &mut lab, &probe).with_context(|| text.clone())?;
            if let Some(watcher) = &mut watcher {
                watcher.sent(&probe, fate.as_ref().map_or(ATTEMPTS, |fate| fate.attempt));
            }
            let Some(fate) = fate else {
                score.unclear();
                continue;
            };
            let on_the_way = Seen::new(&fate.before, &fate.after);
            let case_of = Case { ruleset: &ruleset, probe: &probe, style, truth: &fate.name, seen: on_the_way };
            let answer = match &mut watcher {
                Some(watcher) => watcher.judge(&probe, style, &fate.name)?,
                None => lab.router().run(|| case_of.judge())?,
            };
            score.add(answer, &fate.name, || format!("ruleset {case} packet {number}: {probe:?}\n{text}"));
        }
    }
    score.end(started.elapsed())
}

/// What the kernel said of a packet.
struct Fate {
    name: Name,
    /// How many packets it took.
    attempt: u32,
    before: Counters,
    after: Counters,
}

/// Sends a packet and asks the kernel which rule dropped it; `None` if that can't be told.
fn fate(maker: Maker, lab: &mut Lab, probe: &Probe) -> Result<Option<Fate>> {
    for attempt in 1..=ATTEMPTS {
        let before = maker.counters(lab, probe.family)?;
        probe.send(lab)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let after = maker.counters(lab, probe.family)?;
            if let Some(name) = truth::dropper(&before, &after) {
                return Ok(Some(Fate { name, attempt, before, after }));
            }
            if truth::drops(&before, &after) > 0 {
                break;
            }
        }
    }
    Ok(None)
}
