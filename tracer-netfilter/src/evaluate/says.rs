//! A rule's outcome in words, for the walk printed rule by rule.

use super::action::{Action, Ran};
use crate::model::{NatKind, Table};
use crate::walk::End;

pub(super) fn says(ran: &Ran, table: &Table) -> String {
    match ran {
        Ran::No(what) if what.is_empty() => "does not match".to_owned(),
        Ran::No(what) => format!("does not match ({what})"),
        Ran::Matches { doubt, actions, .. } => {
            let actions = actions.iter().map(|action| words(action, table)).collect::<Vec<_>>().join(" or ");
            match doubt {
                None => format!("matches: {actions}"),
                Some(reason) => format!("hangs on {reason}: {actions}"),
            }
        }
    }
}

fn words(action: &Action, table: &Table) -> String {
    let chain = |index: usize| table.chains.get(index).map_or("?", |chain| &chain.name);
    match action {
        Action::Continue => "on to the next rule".to_owned(),
        Action::Accept => "accept".to_owned(),
        Action::Return => "return".to_owned(),
        Action::Jump(index) => format!("jump {}", chain(*index)),
        Action::Goto(index) => format!("goto {}", chain(*index)),
        Action::Drop(end) | Action::MayDrop { end, .. } => ending(end),
        Action::Stolen => "taken out of the stack".to_owned(),
        Action::Unclear(reason) => format!("can't be told: {reason}"),
        Action::Translate(translation) => match translation.kind {
            NatKind::Source => "another source (NAT)".to_owned(),
            NatKind::Destination => "another destination (NAT)".to_owned(),
        },
    }
}

fn ending(end: &End) -> String {
    match end {
        End::Drop | End::Policy => "drop".to_owned(),
        End::Reject(with) => format!("reject with {with}"),
        End::Queue { number, .. } => format!("queue {number}"),
        End::TransparentProxy => "to the proxy".to_owned(),
        End::SynProxy => "synproxy".to_owned(),
    }
}
