//! What the explanations of the reverse path say in the same words.

use crate::event::{self, Explanation};
use crate::explain::node::command;
use crate::explain::{Observation, quoted};
use crate::node::reverse_path::{Again, Back, Checked, Combined, End, Mac, Setting};

/// Both names of a setting with their values, the one that decides first, and that as a fact.
pub(super) fn setting(explanation: &mut Explanation, setting: &Setting, interface: &str) {
    let (Some(all), Some(own), Some(effective)) = (setting.all, setting.own, setting.effective()) else { return };
    let (all_name, own_name) = (setting.name("all"), setting.name(interface));
    let how = match setting.combined {
        Combined::Higher => "the higher one counts",
        Combined::Either => "one that is on is enough",
        Combined::Both => "both must be on",
    };
    explanation.evidence.push(format!("{all_name} is {all} and {own_name} is {own}: {how}"));
    let of =
        |name: String, value: u32| event::Sysctl { name, value: value.to_string(), effective: effective.to_string() };
    let own_first = match setting.combined {
        Combined::Higher | Combined::Either => own >= all,
        Combined::Both => own <= all,
    };
    let (all, own) = (of(all_name, all), of(own_name, own));
    let both = if own_first { vec![own, all] } else { vec![all, own] };
    explanation.sysctl.get_or_insert_default().extend(both);
}

/// The route back as a fact, with the rule that led to its table, and as the event's `route`.
pub(in crate::explain) fn way_back(explanation: &mut Explanation, back: &Back, source: &str) {
    match &back.end {
        End::Route(route) => {
            let fact = format!("the route back to {source} is {} (table {})", route.text, route.table);
            explanation.evidence.push(fact);
            let (text, table) = (route.text.clone(), Some(route.table.clone()));
            explanation.route = Some(event::Route { text, table });
        }
        End::Nowhere => explanation.evidence.push(format!("no route leads back to {source}")),
        End::Refused(kind) => {
            explanation.evidence.push(format!("the route back to {source} ends in a route or rule that is {kind}"));
        }
        End::Unknown(why) => note(explanation, why),
    }
    if let Some(rule) = &back.rule {
        explanation.evidence.push(format!("the rule of the routing policy that led there is {rule}"));
    }
    if back.is_rough {
        let why = "whether a rule of the routing policy (ip rule) leads back elsewhere: some look at where a packet comes \
                   from, and the kernel can't be asked about that";
        note(explanation, why);
    }
}

/// Where the packet came from, and what is set at boot.
pub(super) fn surroundings(explanation: &mut Explanation, checked: &Checked) {
    if checked.again == Again::Refuses {
        explanation.evidence.push("the kernel still refuses such a packet when it is asked".to_owned());
    }
    if let Some(mac) = checked.sender {
        explanation.evidence.push(format!("its frame was sent by {}", sender(mac, checked)));
    }
}

/// `02:77:00:00:01:02 (10.99.1.2)`.
pub(super) fn sender(mac: Mac, checked: &Checked) -> String {
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    match (&checked.own_sender, checked.neighbour) {
        (Some(own), _) => format!("{mac}, which is {own} of this machine: the packet came back"),
        (None, Some(neighbour)) => format!("{mac} ({neighbour})"),
        (None, None) => mac,
    }
}

/// What files say about a setting that has this value now, and what to do so that a change outlives the next boot.
pub(super) fn boot(explanation: &mut Explanation, checked: &Checked, setting: &Setting) {
    let values = [setting.all, setting.own].map(|value| value.map(|value| value.to_string()));
    let ends = format!(".{}", setting.key);
    for line in checked.boot.iter().filter(|line| line.key.ends_with(&ends)) {
        let of_all = line.key == setting.name("all");
        let Some(now) = values[usize::from(!of_all)].as_deref() else { continue };
        if line.value == now {
            explanation.evidence.push(line.to_string());
            // Only a filter that is on refuses, and of the others only what is off.
            if (now == "0") == (setting.combined == Combined::Higher) {
                continue;
            }
            let keep = format!("to keep it after the next boot, change {} line {}", line.path.display(), line.line);
            explanation.remedy.push(keep);
        } else {
            explanation.evidence.push(format!("{line} at boot, and something has changed it since"));
        }
    }
}

/// `sysctl -w` of several names.
pub(super) fn set(drop: &Observation<'_>, assignments: &[(String, u32)]) -> String {
    // A name may hold what an interface is called.
    let words: Vec<String> = assignments.iter().map(|(name, value)| format!("{}={value}", quoted(name))).collect();
    command(drop, &format!("sysctl -w {}", words.join(" ")))
}

pub(super) fn note(explanation: &mut Explanation, why: &str) {
    let old = explanation.unknown.take();
    explanation.unknown = Some(old.map_or_else(|| why.to_owned(), |old| format!("{old}; {why}")));
}
