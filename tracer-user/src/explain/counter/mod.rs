//! What a counter that rose means: drops that have no event of their own.
//!
//! Rule: that the counter rose is certain; who was refused, and why, is as sure as what was read with it.

mod device;
mod listen;
mod reference;

pub use reference::markdown;

use super::fill;
use super::observation::Observation;
use crate::counter::{Protocol, Rise, What};
use crate::event::{Confidence, Explanation};

/// What is known of the drops beside the counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside<'a> {
    /// How to enter the namespace; none for the host's.
    pub netns_entry: Option<&'a str>,
    /// Further packets that raised the counter and have drop lines.
    pub shown: u64,
    /// This kernel gives no reason by which these can be told.
    pub shown_is_unknown: bool,
}

/// Explains a counter that rose.
pub fn explain(rise: &Rise, beside: &Beside<'_>) -> Explanation {
    let mut explanation = match &rise.what {
        What::Listen(protocol, listening) => listen::explanation(rise, protocol, listening, beside),
        What::Protocol(protocol) => of_protocol(rise, protocol, beside),
        What::Device(device) => device::explanation(rise, device, beside),
    };
    if beside.shown > 0 {
        explanation
            .evidence
            .push(format!("{} more have drop lines of their own and are not counted here", beside.shown));
    }
    if beside.shown_is_unknown {
        let open = "how many of them have drop lines as well: this kernel gives no reason that tells them";
        explanation.unknown = Some(match explanation.unknown {
            Some(unknown) => format!("{unknown}; {open}"),
            None => open.to_owned(),
        });
    }
    explanation
}

fn of_protocol(rise: &Rise, protocol: &Protocol, beside: &Beside<'_>) -> Explanation {
    let mut explanation = Explanation::new(protocol.cause, Confidence::Certain, protocol.says);
    explanation.evidence.push(rose(rise, beside));
    explanation.evidence.push(format!("it counts that {}", protocol.meaning));
    explanation.remedy = remedies(protocol.remedy, None, beside);
    explanation
}

/// By how much the counter rose, as it was read.
fn rose(rise: &Rise, beside: &Beside<'_>) -> String {
    let delta = rise.delta.saturating_add(beside.shown);
    format!("{} rose from {} to {}", rise.name, rise.before, rise.before.saturating_add(delta))
}

/// Templates with names filled in.
fn remedies(templates: &[&str], interface: Option<&str>, beside: &Beside<'_>) -> Vec<String> {
    let scene = Observation { interface, netns_entry: beside.netns_entry, ..Observation::default() };
    templates.iter().filter_map(|template| fill::remedy(template, &scene)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::counter::table::{CARDS, PROTOCOLS};
    use crate::event::Cause;
    use crate::host::{Netns, NetnsName};

    pub(in super::super) fn rise(name: &str, what: What) -> Rise {
        let netns = Netns { inode: 7, name: NetnsName::Named("pod".into()), doors: Vec::new() };
        Rise { read: SystemTime::UNIX_EPOCH, netns, name: name.into(), before: 3, delta: 2, what }
    }

    pub(in super::super) const POD: Beside<'static> =
        Beside { netns_entry: Some("nsenter --net=/run/netns/pod"), shown: 0, shown_is_unknown: false };

    #[test]
    fn a_counter_of_the_protocol_says_what_it_counts() {
        let row = PROTOCOLS.iter().find(|row| row.full_name() == "IpOutNoRoutes").unwrap();
        let said = explain(&rise("IpOutNoRoutes", What::Protocol(row)), &Beside { shown: 4, ..POD });
        assert_eq!((said.cause, said.confidence), (Cause::NoRoute, Confidence::Certain));
        assert_eq!(said.evidence[0], "IpOutNoRoutes rose from 3 to 9", "what is shown elsewhere raised it as well");
        assert_eq!(said.evidence.last().unwrap(), "4 more have drop lines of their own and are not counted here");
        assert_eq!(said.remedy[0], "nsenter --net=/run/netns/pod ip route show table all");
        let old = explain(&rise("IpOutNoRoutes", What::Protocol(row)), &Beside { shown_is_unknown: true, ..POD });
        assert!(old.unknown.unwrap().starts_with("how many of them"));
    }

    #[test]
    fn each_remedy_of_the_table_can_be_filled() {
        for card in CARDS {
            assert_eq!(remedies(card.remedy, Some("eth0"), &POD).len(), card.remedy.len(), "{card:?}");
        }
        for protocol in PROTOCOLS {
            assert_eq!(remedies(protocol.remedy, None, &POD).len(), protocol.remedy.len(), "{protocol:?}");
        }
    }
}
