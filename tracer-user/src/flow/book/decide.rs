//! What became of an attempt, by its sightings and the time.
//!
//! Rules: devices are read one after the other, so an attempt is decided only when all that counts is older than the last
//! reading by [`TORN`]; what has an answer at the device nearest to the client went well, whatever else was seen; an answer that
//! this device did not see is lost only if the client goes on asking: some networks hand packets over past a device's hooks.

use std::collections::HashSet;

use crate::decode::protocol;
use crate::event::Outcome;
use crate::flow::{DropSeen, Lost, Rejection, Sighting};

use super::place::{self, Placed, Step};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// How far apart the readings of two devices may be.
pub(super) const TORN: u64 = 200 * MILLISECOND;
/// An error message is no end: the client may try again, and be answered.
const AFTER_ERROR: u64 = 500 * MILLISECOND;
/// A client sends its SYN again after a second (RFC 6298, section 2.1), and so does the server its SYN-ACK.
const RESENT_AFTER: u64 = 1500 * MILLISECOND;
/// Silence after the last opener of one that was tried once; and from the first on, if it was tried again.
const SILENCE: u64 = 3 * SECOND;
pub(super) const SILENCE_OF_MORE: u64 = 2 * SECOND;
/// A second opener needs its time to be answered too.
const LAST_OPENER: u64 = 500 * MILLISECOND;
/// The same over UDP, where programs try again when they like.
const SILENCE_OF_UDP: u64 = 2 * SECOND;
/// At the end of the run this is enough.
const SILENCE_AT_END: u64 = SECOND;
/// How late a segment may be sent again, after some times of waiting.
const LATE: u64 = 100 * MILLISECOND;
/// SYN-ACKs that nobody confirmed.
const UNCONFIRMED: u32 = 3;

/// When it is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Begin of the last reading, `CLOCK_MONOTONIC` ns: what happened later was not seen.
    pub(super) read: u64,
    pub(super) is_end: bool,
}

impl Moment {
    fn is_past(self, time: u64, patience: u64) -> bool {
        time.saturating_add(patience) <= self.read
    }
}

/// Devices that have shown an answer on its way to a client, by namespace and index.
pub(super) type Answering = HashSet<(u32, u32)>;

/// What is known of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// In the order of the first packet.
    pub(super) placed: &'a [Placed],
    pub(super) steps: &'a [Step<'a>],
    pub(super) drops: &'a [DropSeen],
    pub(super) answering: &'a Answering,
    /// `CLOCK_MONOTONIC` ns of the last packet, also at devices that are not known.
    pub(super) last: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    /// Nobody was seen to begin it.
    NoAttempt,
    Is {
        outcome: Outcome,
        rejection: Option<Rejection>,
        lost: Option<Lost>,
    },
}

impl Verdict {
    fn is(outcome: Outcome, lost: Option<Lost>) -> Self {
        Self::Is { outcome, rejection: None, lost }
    }
}

/// Decides, if there is nothing more to wait for.
pub(super) fn decide(known: &Known<'_>, moment: Moment) -> Verdict {
    let sightings = || known.placed.iter().map(|(_, sighting)| sighting);
    let last = known.last;
    let Some((_, nearest)) = known.placed.iter().find(|(_, sighting)| sighting.opened.any()) else {
        return if moment.is_past(last, SILENCE) || moment.is_end { Verdict::NoAttempt } else { Verdict::Wait };
    };
    if nearest.answers.any() {
        return answered(known, nearest, moment);
    }
    let refused = refused(known, moment, last);
    if refused != Verdict::Wait {
        return refused;
    }
    if sightings().any(|sighting| sighting.answers.any()) {
        return answer_missing(known, nearest, moment);
    }
    if is_silent(known.placed, moment) {
        let outcome = if known.drops.is_empty() { Outcome::NoAnswer } else { Outcome::Dropped };
        return Verdict::is(outcome, place::lost(known.steps));
    }
    Verdict::Wait
}

/// The device nearest to the client saw an answer.
fn answered(known: &Known<'_>, nearest: &Sighting, moment: Moment) -> Verdict {
    // Another device, nearer to the client, may just not have been read yet.
    let since = nearest.answered.unwrap_or(nearest.last);
    if !moment.is_end && !moment.is_past(since, TORN) {
        return Verdict::Wait;
    }
    let is_unconfirmed = nearest.id.tuple.protocol == protocol::TCP && nearest.answers.most() >= UNCONFIRMED;
    if is_unconfirmed && !nearest.client_resets.any() && is_sent_again(nearest) {
        let at = known.steps.first().map(|step| step.point.clone());
        return Verdict::is(Outcome::NoAnswer, at.map(|at| Lost::Unconfirmed { at }));
    }
    Verdict::is(Outcome::Established, None)
}

/// Whether the same handshake is begun again and again, and not the ports used again by new connections: there are more answers
/// than openers, or the openers came when a client sends one again: after whole seconds (RFC 6298, section 2; Linux waits for
/// `TCP_TIMEOUT_INIT`, and twice as long or as long as before, plus some ms).
fn is_sent_again(nearest: &Sighting) -> bool {
    let (opened, lasted) = (nearest.opened.most(), nearest.last.saturating_sub(nearest.id.first));
    let is_in_step = lasted >= SECOND * u64::from(opened.saturating_sub(1)) && lasted % SECOND <= LATE;
    nearest.answers.most() > opened || is_in_step
}

/// Somebody said no.
fn refused(known: &Known<'_>, moment: Moment, last: u64) -> Verdict {
    let is_answered = known.placed.iter().any(|(_, sighting)| sighting.answers.any());
    // It goes from the server to the client: the device furthest from the client saw it first.
    let reset = known.placed.iter().rev().find(|(_, sighting)| sighting.server_resets.any());
    if let (Some((at, _)), false) = (reset, is_answered) {
        if !moment.is_end && !moment.is_past(last, TORN) {
            return Verdict::Wait;
        }
        let rejection = Some(Rejection::Reset { at: at.clone() });
        return Verdict::Is { outcome: Outcome::Rejected, rejection, lost: None };
    }
    let refusals = known.placed.iter().rev().filter_map(|(_, sighting)| sighting.icmp);
    let refusal = refusals.into_iter().find(|icmp| icmp.is_refusal() && (icmp.quotes_server || !is_answered));
    match refusal {
        Some(icmp) if moment.is_end || moment.is_past(last, AFTER_ERROR) => {
            let rejection = Some(Rejection::Icmp { from: icmp.from, kind: icmp.kind, code: icmp.code });
            Verdict::Is { outcome: Outcome::Rejected, rejection, lost: None }
        }
        _ => Verdict::Wait,
    }
}

/// A device saw an answer, and the one nearest to the client did not.
fn answer_missing(known: &Known<'_>, nearest: &Sighting, moment: Moment) -> Verdict {
    let answers = || known.placed.iter().map(|(_, sighting)| sighting).filter(|sighting| sighting.answers.any());
    let answered = answers().filter_map(|sighting| sighting.answered).max().unwrap_or(nearest.last);
    let is_tcp = nearest.id.tuple.protocol == protocol::TCP;
    let has_waited = moment.is_past(answered, if is_tcp { RESENT_AFTER } else { SILENCE_OF_UDP });
    if !has_waited && !moment.is_end {
        return Verdict::Wait;
    }
    let is_asked_again = nearest.last > answered + TORN / 2 && !nearest.client_resets.any();
    let is_answered_again = answers().any(|sighting| sighting.answers.most() > 1);
    let is_lost = if is_tcp {
        is_asked_again || is_answered_again
    } else {
        known.answering.contains(&(nearest.netns, nearest.ifindex))
    };
    if !is_lost && known.drops.iter().all(|drop| !drop.is_answer) {
        // At the end it may be that only the reading was torn.
        return Verdict::is(Outcome::Established, None);
    }
    if !has_waited && known.drops.is_empty() {
        return Verdict::Wait;
    }
    let outcome = if known.drops.is_empty() { Outcome::NoAnswer } else { Outcome::Dropped };
    Verdict::is(outcome, place::answer_lost(known.placed))
}

/// When the silence has been long enough, `CLOCK_MONOTONIC` ns, if nothing more is seen until then; `None` if anything else than
/// openers was seen.
pub(super) fn silent_at(placed: &[Placed]) -> Option<u64> {
    let is_other =
        |sighting: &Sighting| sighting.answers.any() || sighting.server_resets.any() || sighting.icmp.is_some();
    (!placed.iter().any(|(_, sighting)| is_other(sighting))).then(|| silence(placed))?
}

fn silence(placed: &[Placed]) -> Option<u64> {
    let openers = || placed.iter().map(|(_, sighting)| sighting).filter(|sighting| sighting.opened.any());
    let first = openers().map(|sighting| sighting.id.first).min()?;
    let last = openers().map(|sighting| sighting.last).max()?;
    let opened = openers().map(|sighting| sighting.opened.most()).max()?;
    if openers().any(|sighting| sighting.id.tuple.protocol != protocol::TCP) {
        return Some(last.saturating_add(SILENCE_OF_UDP));
    }
    let of_one = last.saturating_add(SILENCE);
    let of_more = first.saturating_add(SILENCE_OF_MORE).max(last.saturating_add(LAST_OPENER));
    Some(if opened > 1 { of_more.min(of_one) } else { of_one })
}

fn is_silent(placed: &[Placed], moment: Moment) -> bool {
    let Some(silence) = silence(placed) else { return false };
    let last = placed.iter().map(|(_, sighting)| sighting.last).max().unwrap_or(0);
    let is_tcp = placed.iter().all(|(_, sighting)| sighting.id.tuple.protocol == protocol::TCP);
    silence <= moment.read || (moment.is_end && is_tcp && moment.is_past(last, SILENCE_AT_END))
}
