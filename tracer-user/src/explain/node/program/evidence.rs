//! What was read about each program at the place.

use super::{attach, cilium, named};
use crate::node::program::{Attached, Hold, Program, Programs};

/// Programs that are told in full; the others by name.
const IN_FULL: usize = 2;

/// One fact a sentence; the likeliest first.
pub(super) fn of(ranked: &[&Attached], facts: &Programs) -> Vec<String> {
    let mut sentences = Vec::new();
    for at in ranked.iter().take(IN_FULL) {
        sentences.push(attached(at, facts));
        sentences.extend(at.program.iter().flat_map(details));
        if let Hold::Filter(filter) = &at.hold {
            let counted = filter.actions.iter().find(|action| action.dropped.is_some_and(|dropped| dropped > 0));
            sentences.extend(counted.map(|action| {
                format!("the action {action} of this filter has dropped {} packets", action.dropped.unwrap_or_default())
            }));
        }
    }
    let others = ranked.iter().skip(IN_FULL).map(|at| match &at.program {
        Some(program) => named(program),
        None => "a filter with actions".to_owned(),
    });
    let others = others.collect::<Vec<_>>();
    if !others.is_empty() {
        let more = if facts.cut { " and more" } else { "" };
        sentences.push(format!("also attached: {}{more}", others.join(", ")));
    }
    sentences.extend(facts.cilium.as_ref().and_then(cilium::evidence));
    sentences
}

fn attached(at: &Attached, facts: &Programs) -> String {
    let place = attach(at, facts);
    let held = match (&at.hold, at.link) {
        (Hold::Filter(filter), _) => format!(" by the tc {filter}"),
        (Hold::Tcx, Some(link)) => format!(" by tcx link {link}"),
        (Hold::Tcx, None) => " by tcx".to_owned(),
        (_, Some(link)) => format!(" by link {link}"),
        (_, None) => String::new(),
    };
    let order = match facts.attached.iter().position(|other| std::ptr::eq(other, at)) {
        Some(position) if facts.attached.len() > 1 => format!(", number {} of {}", position + 1, facts.attached.len()),
        _ => String::new(),
    };
    match &at.program {
        Some(program) => {
            let kind = if program.kind.is_empty() { "BPF" } else { &program.kind };
            format!("the {kind} program {} is attached at {place}{held}{order}", named(program))
        }
        None => match &at.hold {
            Hold::Filter(filter) => format!("{place} has the tc {filter}{order}"),
            _ => format!("{place} has a program{order}"),
        },
    }
}

fn details(program: &Program) -> Vec<String> {
    let name = named(program);
    let mut sentences = Vec::new();
    if !program.tag.is_empty() {
        let loaded = program.loaded.map(|at| format!(", was loaded at {}", humantime::format_rfc3339_seconds(at)));
        let loaded = loaded.unwrap_or_default();
        sentences.push(format!("{name} has tag {}{loaded} by uid {}", program.tag, program.uid));
    }
    if let Some(owner) = program.owner {
        let watches = if owner.enforces { "" } else { ", which only watches" };
        sentences.push(format!("by its names it belongs to {}{watches}", owner.name));
    }
    if program.runs > 0 {
        sentences.push(format!("{name} ran {} times while the kernel counted", program.runs));
    }
    if !program.maps.is_empty() {
        sentences.push(format!("{name} uses the maps {}", program.maps.join(", ")));
    }
    if !program.pins.is_empty() {
        sentences.push(format!("{name} is pinned at {}", program.pins.join(", ")));
    }
    sentences
}
