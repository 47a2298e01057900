//! A kernel setting alone refused it.

use super::{command, doubt};
use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::Observation;
use crate::explain::fill::quoted;
use crate::node::setting::{Setting, Settings};
use crate::node::sysctl::dotted;

/// Names the settings, and how to turn them.
pub(super) fn refine(explanation: &mut Explanation, settings: &Settings, drop: &Observation<'_>) {
    let Some(first) = settings.refusing.first() else {
        if explanation.unknown.is_none() {
            doubt(explanation, "which setting it was: they let such packets pass by now".to_owned());
        }
        return;
    };
    let says = std::mem::take(&mut explanation.summary);
    explanation.summary = format!("{}={}: {says}", dotted(&first.name), first.value);
    explanation.confidence = Confidence::Derived;
    for Setting { name, value, set_by, .. } in &settings.refusing {
        explanation.evidence.push(format!("{} is {value}", dotted(name)));
        explanation.evidence.extend(set_by.as_ref().map(ToString::to_string));
    }
    let turned = |Setting { name, passing, .. }: &Setting| format!("{}={passing}", quoted(&dotted(name)));
    let all = settings.refusing.iter().map(turned).collect::<Vec<_>>().join(" ");
    explanation.remedy = vec![command(drop, &format!("sysctl -w {all}"))];
    let sysctl = |Setting { name, value, .. }: &Setting| Sysctl {
        name: dotted(name),
        value: value.clone(),
        effective: value.clone(),
    };
    explanation.sysctl = Some(settings.refusing.iter().map(sysctl).collect());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cause;

    #[test]
    fn all_that_refuse_are_named_and_turned_together() {
        let setting = |name: &str| Setting { name: name.into(), value: "1".into(), passing: "0", set_by: None };
        let refusing = vec![setting("net/ipv4/conf/all/x"), setting("net/ipv4/conf/eth0.1/x")];
        let drop = Observation { netns_entry: Some("nsenter --net=/run/netns/a"), ..Observation::default() };
        let mut explanation = Explanation::new(Cause::Device, Confidence::Derived, "it is refused");
        refine(&mut explanation, &Settings { refusing }, &drop);
        assert_eq!(explanation.summary, "net.ipv4.conf.all.x=1: it is refused");
        let turned = "nsenter --net=/run/netns/a sysctl -w net.ipv4.conf.all.x=0 net.ipv4.conf.eth0/1.x=0";
        assert_eq!(explanation.remedy, [turned]);
        assert_eq!(explanation.sysctl.unwrap().len(), 2);

        let mut explanation = Explanation::new(Cause::Device, Confidence::Derived, "it is refused");
        refine(&mut explanation, &Settings::default(), &drop);
        assert_eq!(explanation.summary, "it is refused");
        assert!(explanation.unknown.unwrap().contains("by now"));
    }
}
