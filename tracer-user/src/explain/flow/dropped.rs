//! One of its packets was dropped on this node: the drop's own explanation says why.

use super::words;
use crate::event::{Cause, Confidence, Explanation};
use crate::flow::{DropSeen, Story};

/// The drop that explains most: the surest, of equals the one that is most often. Who finds no socket is told so by a RST or an
/// ICMP error: if the client heard nothing, it is due to what else was dropped.
pub(super) fn decisive(story: &Story) -> Option<&DropSeen> {
    let rank = |drop: &&DropSeen| {
        let said = &drop.explanation;
        (said.cause != Cause::NoSocket, std::cmp::Reverse(said.confidence), drop.count)
    };
    story.drops.iter().max_by_key(rank)
}

pub(super) fn explain(story: &Story, drop: &DropSeen) -> Explanation {
    let mut explanation = drop.explanation.clone();
    let netns = match drop.netns.name.as_deref() {
        Some("host") => "the host".to_owned(),
        Some(name) => format!("namespace {name}"),
        None => format!("namespace {}", drop.netns.inode),
    };
    let (what, whose) = if drop.is_answer { ("answers", "to") } else { ("packets", "of") };
    explanation.evidence.push(format!(
        "{} of the {what} {whose} {} to {} dropped in {netns}, the last {} after the attempt began",
        drop.count,
        story.tuple.client,
        if drop.count == 1 { format!("{} was", words::goal(story)) } else { format!("{} were", words::goal(story)) },
        words::seconds(drop.time.saturating_sub(story.first))
    ));
    let others = story.drops.iter().filter(|other| *other != drop && other.explanation.summary != explanation.summary);
    let others: Vec<String> = others.take(3).map(|other| other.explanation.summary.clone()).collect();
    explanation.evidence.extend(others.into_iter().map(|other| format!("another of its packets was dropped: {other}")));
    if explanation.confidence == Confidence::Unknown {
        words::doubt(&mut explanation, "why it was dropped: the drop's own line says no more");
    }
    explanation
}
