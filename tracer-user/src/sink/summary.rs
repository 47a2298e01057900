//! The last lines of text output: what was dropped where, and what the tool itself did not see.

use std::fmt::Write;

use crate::event::{PlaceTotal, Stats};

use super::style::{Style, printable, thousands};

/// Places listed; the rest is one line.
const MOST_PLACES: usize = 10;

/// The summary, each line ended; `counted` packets are known by counters only.
pub(super) fn summary(stats: &Stats, counted: u64, style: Style) -> String {
    let mut out = format!("{}\n", style.bold(&headline(stats, counted)));
    for total in stats.totals.iter().take(MOST_PLACES) {
        out.push_str(&place(total));
    }
    if let Some(rest) = stats.totals.get(MOST_PLACES..).filter(|rest| !rest.is_empty()) {
        let packets = rest.iter().map(|total| total.packets).sum();
        let _ = writeln!(out, "{:>12}  at {} other places", thousands(packets), rest.len());
    }
    for gap in gaps(stats, counted) {
        let _ = writeln!(out, "{gap}");
    }
    out
}

fn headline(stats: &Stats, counted: u64) -> String {
    let mut text = match stats.packets {
        0 if counted > 0 => "No drop event was seen".to_owned(),
        0 => "No packet was dropped".to_owned(),
        1 => "1 packet was dropped".to_owned(),
        packets => format!("{} packets were dropped", thousands(packets)),
    };
    if stats.hidden > 0 {
        let _ = write!(text, "; {} expected or mere noise (--all shows these)", thousands(stats.hidden));
    }
    text
}

fn place(total: &PlaceTotal) -> String {
    let netns = total
        .netns
        .name
        .as_deref()
        .map_or_else(|| format!("netns {}", total.netns.inode), |name| printable(name).into_owned());
    let interface = match (&total.interface.name, total.interface.index) {
        (Some(name), _) => printable(name).into_owned(),
        (None, 0) => "local".into(),
        (None, index) => format!("if{index}"),
    };
    format!(
        "{:>12}  {:<20} {:<26} {interface} in {netns}\n",
        thousands(total.packets),
        printable(&total.reason.name),
        printable(&total.location.symbol),
    )
}

/// What is not in the lines above, and why.
fn gaps(stats: &Stats, counted: u64) -> Vec<String> {
    let gaps = [
        (counted, "drops are known by counters only; they are in no other number here"),
        (stats.other_flows, "packets are counted by place only: too many flows at once"),
        (stats.not_shown, "packets had no line of their own: too many lines in one interval"),
        (stats.missed, "drops were not seen: they happened while the CPU was counting another one"),
        (stats.suppressed, "single events were not sent, to spare the CPU; their packets are counted"),
        (stats.lost, "single events were lost, as the ring buffer was full; their packets are counted"),
        (stats.unreadable, "packets had headers that could not be read"),
        (stats.undecodable, "events made no sense (please report this)"),
        (stats.filtered, "packets were dropped outside the filter"),
    ];
    gaps.into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{:>12}  {what}", thousands(count)))
        .collect()
}
