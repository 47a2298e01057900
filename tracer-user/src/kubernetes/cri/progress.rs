//! How far the runtimes' places are, told as one: the first listing, what is missing, and whether anybody answers.
//!
//! Rule: a machine that is no Kubernetes node lacks nothing, unless a socket was asked for or has answered before.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use tokio::sync::watch;
use tracer_policy::model::Text;

use super::fault::Fault;
use super::socket::Place;
use crate::kubernetes::{Change, Feed, Origin, is_node};

/// All places together.
#[derive(Debug)]
pub(super) struct Progress {
    feed: Feed,
    answers: watch::Sender<Option<bool>>,
    places: RefCell<Vec<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    now: Now,
    /// It must be told what it lacks.
    is_wanted: bool,
    /// Uids of its pods, in the last listing.
    pods: HashSet<Text>,
}

#[derive(Clone, Debug, Default)]
enum Now {
    #[default]
    Starting,
    Absent,
    Failing(Fault),
    /// What it said that can't be used.
    Answering(Option<String>),
}

/// One place's part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    all: Rc<Progress>,
    number: usize,
}

impl Progress {
    pub(super) fn new(feed: &Feed, places: usize, answers: watch::Sender<Option<bool>>) -> Rc<Self> {
        Rc::new(Self { feed: feed.clone(), answers, places: RefCell::new(vec![State::default(); places]) })
    }

    pub(super) fn of(self: &Rc<Self>, number: usize) -> Part {
        Part { all: Rc::clone(self), number }
    }

    fn tell(&self) {
        let places = self.places.borrow();
        self.feed.gap(gap(&places, is_node()));
        if places.iter().any(|place| matches!(place.now, Now::Starting)) {
            return;
        }
        let answers = places.iter().any(|place| matches!(place.now, Now::Answering(_)));
        self.answers.send_if_modified(|known| known.replace(answers) != Some(answers));
        self.feed.started();
    }
}

fn gap(places: &[State], is_node: bool) -> Option<String> {
    let answers = places.iter().any(|place| matches!(place.now, Now::Answering(_)));
    let starting = places.iter().any(|place| matches!(place.now, Now::Starting));
    let must = is_node && !answers && !starting;
    let mut said: Vec<String> = places
        .iter()
        .filter_map(|place| match &place.now {
            Now::Failing(fault) if place.is_wanted || must => Some(fault.to_string()),
            Now::Answering(wrong) => wrong.clone(),
            Now::Starting | Now::Absent | Now::Failing(_) => None,
        })
        .collect();
    if must && said.is_empty() {
        said.push(Fault::Nowhere.to_string());
    }
    (!said.is_empty()).then(|| said.join("; "))
}

impl Part {
    /// What was seen, at once.
    pub(super) fn apply(&self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.all.feed.apply(changes);
        }
    }

    /// These are all pods of this place. Those of the other places are not gone by that.
    pub(super) fn listed(&self, pods: HashSet<Text>, at: u64) -> Option<Change> {
        let mut places = self.all.places.borrow_mut();
        let place = places.get_mut(self.number)?;
        if place.pods == pods && matches!(place.now, Now::Answering(_)) {
            return None;
        }
        place.pods = pods;
        let uids: HashSet<Text> = places.iter().flat_map(|place| &place.pods).cloned().collect();
        Some(Change::PodsAre { origin: Origin::Runtime, uids, at })
    }

    /// It answers, but for what is wrong.
    pub(super) fn answers(&self, wrong: Option<String>) {
        self.set(Now::Answering(wrong), true);
    }

    pub(super) fn fails(&self, fault: Fault, place: &Place) {
        self.set(Now::Failing(fault), place.is_given);
    }

    /// Nothing is there; that says nothing unless it was asked for, or was there before.
    pub(super) fn is_absent(&self, place: &Place) {
        let was_there = self.all.places.borrow().get(self.number).is_some_and(|state| state.is_wanted);
        if place.is_given || was_there {
            self.fails(Fault::Absent(place.name().to_owned()), place);
        } else {
            self.set(Now::Absent, false);
        }
    }

    fn set(&self, now: Now, is_wanted: bool) {
        if let Some(place) = self.all.places.borrow_mut().get_mut(self.number) {
            place.now = now;
            place.is_wanted |= is_wanted;
        }
        self.all.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(is_wanted: bool) -> State {
        State { now: Now::Failing(Fault::Absent("/run/x".into())), is_wanted, pods: HashSet::new() }
    }

    #[test]
    fn only_what_is_missed_is_told() {
        let absent = State { now: Now::Absent, ..State::default() };
        let working = State { now: Now::Answering(None), is_wanted: true, pods: HashSet::new() };
        assert_eq!(gap(&[absent.clone(), failing(false)], false), None, "no node: nothing lacks");
        assert!(gap(&[absent.clone(), failing(false)], true).unwrap().contains("/run/x"));
        assert!(gap(std::slice::from_ref(&absent), true).unwrap().contains("mount the node's /run"));
        assert!(gap(&[failing(true)], false).unwrap().contains("/run/x"), "it was asked for, or has answered before");
        assert_eq!(gap(&[failing(false), working.clone()], true), None, "Docker's containerd beside cri-dockerd");
        assert!(gap(&[failing(true), working], true).is_some());
        assert_eq!(gap(&[absent, State::default()], true), None, "not before all were looked at");
    }
}
