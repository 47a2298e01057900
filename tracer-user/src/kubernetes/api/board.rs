//! How each resource stands, and what of it is said.
//!
//! Rule: one cause is one sentence, also when it is why thirteen lists are not there.

use std::time::{Duration, Instant, SystemTime};

use tracer_policy::model::PolicyKind;

use super::fault::Fault;
use super::resource::{RESOURCES, Resource};
use crate::kubernetes::index::Kind;

/// Objects that can't be read and are named, of one resource.
const NAMED: usize = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// All of it is in the index.
    pub(super) is_listed: bool,
    /// The server does not have the kind.
    pub(super) is_absent: bool,
    /// Only this node's may be seen, with the server's words on the rest.
    pub(super) narrowed: Option<String>,
    pub(super) fault: Option<Fault>,
    /// Objects that can't be read: the first few, and how many there are.
    pub(super) unreadable: Vec<String>,
    pub(super) unreadable_count: usize,
}

impl Standing {
    pub(super) fn set_unreadable<'a>(&mut self, sentences: impl ExactSizeIterator<Item = &'a String>) {
        self.unreadable_count = sentences.len();
        self.unreadable = sentences.take(NAMED).cloned().collect();
    }

    fn is_settled(&self) -> bool {
        self.is_listed || self.is_absent || self.fault.is_some()
    }

    fn is_whole(&self) -> bool {
        (self.is_listed || self.is_absent) && self.unreadable_count == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Board {
    standings: [Standing; RESOURCES.len()],
}

impl Board {
    pub(super) fn set(&mut self, number: usize, standing: Standing) {
        if let Some(place) = self.standings.get_mut(number) {
            *place = standing;
        }
    }

    /// Everything was listed, or can't be by now.
    pub(super) fn is_settled(&self) -> bool {
        self.standings.iter().all(Standing::is_settled)
    }

    /// Whether every policy of every kind that the server has is known.
    pub(super) fn knows_policies(&self) -> bool {
        self.each().filter(|(resource, _)| resource.is_policy()).all(|(_, standing)| standing.is_whole())
    }

    fn each(&self) -> impl Iterator<Item = (&'static Resource, &Standing)> {
        RESOURCES.iter().zip(&self.standings)
    }

    /// `access` names the credentials; `heard` is when the server last answered anything.
    pub(super) fn sentences(&self, access: &str, heard: Option<Instant>) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        let mut tell = |sentence: String| {
            if !told.contains(&sentence) {
                told.push(sentence);
            }
        };
        let mut silent = None;
        for (resource, standing) in self.each() {
            match &standing.fault {
                Some(Fault::Silent(why)) => silent = silent.or(Some(why)),
                Some(Fault::Access(sentence)) => tell(sentence.clone()),
                Some(Fault::Credentials(said)) => tell(format!(
                    "the Kubernetes API does not accept the credentials of {access} (401: {said}): give others with \
                     --kubeconfig"
                )),
                Some(Fault::Forbidden(said)) => tell(forbidden(resource, said)),
                Some(Fault::Busy(why)) => tell(format!(
                    "the Kubernetes API can't give {} now ({why}): what was known of them is kept",
                    resource.full_name()
                )),
                Some(Fault::Nonsense(why)) => tell(format!(
                    "the Kubernetes API answers nonsense for {} ({why}): what was known of them is kept",
                    resource.full_name()
                )),
                Some(Fault::Absent | Fault::Gone) | None => {}
            }
            // Who may not even see those of this node was told so above, with the same rule.
            let is_forbidden = matches!(standing.fault, Some(Fault::Forbidden(_)));
            if let Some(said) = standing.narrowed.as_ref().filter(|_| !is_forbidden) {
                tell(format!(
                    "the Kubernetes API lets {} see {} of this node only; for all, add to its ClusterRole: {}",
                    user(said),
                    resource.full_name(),
                    resource.rule()
                ));
            }
            standing.unreadable.iter().for_each(|sentence| tell(format!("the Kubernetes API has {sentence}")));
            let more = standing.unreadable_count.saturating_sub(standing.unreadable.len());
            if more > 0 {
                tell(format!("{more} more objects of {} can't be read", resource.full_name()));
            }
        }
        told.splice(0..0, silent.map(|why| outage(why, heard, SystemTime::now())));
        told
    }
}

fn outage(why: &str, heard: Option<Instant>, now: SystemTime) -> String {
    let Some(heard) = heard else {
        return format!(
            "the Kubernetes API does not answer ({why}): names come from this node alone, and no policy is known"
        );
    };
    let age = Duration::from_secs(heard.elapsed().as_secs());
    let since = now.checked_sub(age).unwrap_or(now);
    let time = humantime::format_rfc3339_seconds(since).to_string();
    let time = time.get(11..19).unwrap_or(&time);
    let age = humantime::format_duration(age);
    let age = age.to_string();
    let age = spaced(&age);
    format!("the Kubernetes API has not answered for {age} ({why}): names and policies are as of {time} UTC")
}

/// `1m 5s` becomes `1 m 5 s`.
fn spaced(age: &str) -> String {
    let mut spaced = String::new();
    for (at, letter) in age.char_indices() {
        let after_digit = at > 0 && age.as_bytes().get(at - 1).is_some_and(u8::is_ascii_digit);
        if after_digit && letter.is_alphabetic() {
            spaced.push(' ');
        }
        spaced.push(letter);
    }
    spaced
}

fn forbidden(resource: &Resource, said: &str) -> String {
    let lost = match resource.listed_as {
        None => "pods have the names that this node knows",
        Some(Kind::Namespace) => "policies that select namespaces can't be decided",
        Some(Kind::Service) => "Services have no names",
        Some(Kind::Node) => "nodes have no names",
        Some(Kind::Slice) => "the pods behind a Service are told by its selector",
        Some(Kind::Policy(PolicyKind::NetworkPolicy)) => "no policy can be named",
        Some(Kind::Policy(_)) => "what a policy says is uncertain",
    };
    let (user, name, rule) = (user(said), resource.full_name(), resource.rule());
    format!("the Kubernetes API does not let {user} list and watch {name}: {lost}; add to its ClusterRole: {rule}")
}

/// Of `pods is forbidden: User "system:node:n1" cannot list resource …`
fn user(said: &str) -> &str {
    said.split_once("User \"").and_then(|(_, rest)| rest.split_once('"')).map_or("us", |(user, _)| user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(fault: &Fault) -> Board {
        let mut board = Board::default();
        (0..RESOURCES.len()).for_each(|number| {
            board.set(number, Standing { fault: Some(fault.clone()), ..Standing::default() });
        });
        board
    }

    #[test]
    fn one_outage_is_one_sentence_with_its_age() {
        let board = board(&Fault::Silent("connection refused".to_owned()));
        assert!(board.is_settled() && !board.knows_policies());
        let never = board.sentences("x", None);
        assert_eq!(never.len(), 1);
        assert!(never[0].starts_with("the Kubernetes API does not answer (connection refused)"), "{never:?}");
        let heard = Instant::now().checked_sub(Duration::from_secs(65)).unwrap();
        let now = std::time::UNIX_EPOCH + Duration::from_secs(22 * 3600 + 15 * 60 + 8);
        assert_eq!(
            outage("connection refused", Some(heard), now),
            "the Kubernetes API has not answered for 1 m 5 s (connection refused): names and policies are as of 22:14:03 UTC"
        );
    }

    #[test]
    fn what_is_forbidden_is_told_with_the_rule_that_would_allow_it() {
        let said = r#"pods is forbidden: User "system:node:n1" cannot list resource "pods" in API group """#;
        let told = board(&Fault::Forbidden(said.to_owned())).sentences("x", None);
        assert_eq!(told.len(), RESOURCES.len());
        let policies = told.iter().find(|sentence| sentence.contains(" networkpolicies.networking")).unwrap();
        assert!(policies.contains("let system:node:n1 list"), "{policies}");
        let rule = "{apiGroups: [\"networking.k8s.io\"], resources: [networkpolicies], verbs: [list, watch]}";
        assert!(policies.ends_with(rule), "{policies}");
    }

    #[test]
    fn a_rule_that_is_missing_is_told_once() {
        let said = r#"pods is forbidden: User "reader" cannot list resource "pods" in API group """#.to_owned();
        let mut board = Board::default();
        let narrowed = Some(said.clone());
        board.set(
            0,
            Standing { narrowed: narrowed.clone(), fault: Some(Fault::Forbidden(said)), ..Standing::default() },
        );
        let told = board.sentences("x", None);
        assert!(told.len() == 1 && told[0].contains("does not let reader list"), "{told:?}");
        board.set(0, Standing { narrowed, is_listed: true, ..Standing::default() });
        let told = board.sentences("x", None);
        assert!(told.len() == 1 && told[0].contains("of this node only"), "{told:?}");
    }

    #[test]
    fn policies_are_known_when_every_kind_is_whole() {
        let mut board = Board::default();
        for number in 0..RESOURCES.len() {
            assert!(!board.knows_policies() && !board.is_settled());
            board.set(number, Standing { is_listed: true, ..Standing::default() });
        }
        assert!(board.knows_policies() && board.is_settled() && board.sentences("x", None).is_empty());
        let mut spoiled = Standing { is_listed: true, ..Standing::default() };
        let sentences: Vec<String> = (0..5).map(|number| format!("NetworkPolicy a/{number}: spec: is 5")).collect();
        spoiled.set_unreadable(sentences.iter());
        board.set(5, spoiled);
        assert!(!board.knows_policies());
        assert_eq!(board.sentences("x", None).len(), NAMED + 1);
        board.set(5, Standing { fault: Some(Fault::Forbidden(String::new())), ..Standing::default() });
        assert!(!board.knows_policies());
    }
}
