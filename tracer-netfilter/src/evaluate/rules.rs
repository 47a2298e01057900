//! The rules that were looked at, decoded once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::model::{DecodeError, Place, Rule};

/// Gives the rule at a place.
pub(super) type Provider<'a> = dyn Fn(Place) -> Option<Result<Rule, DecodeError>> + 'a;

pub(super) struct Rules<'a> {
    provider: &'a Provider<'a>,
    decoded: RefCell<HashMap<Place, Rc<Result<Rule, DecodeError>>>>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(provider: &'a Provider<'a>) -> Self {
        Self { provider, decoded: RefCell::default() }
    }

    pub(super) fn get(&self, place: Place) -> Option<Rc<Result<Rule, DecodeError>>> {
        if let Some(rule) = self.decoded.borrow().get(&place) {
            return Some(Rc::clone(rule));
        }
        let rule = Rc::new((self.provider)(place)?);
        self.decoded.borrow_mut().insert(place, Rc::clone(&rule));
        Some(rule)
    }
}
