//! The rules that are looked at.
//!
//! Rule: one of nf_tables is decoded expression by expression, as far as it matches: most rules fail at their first
//! comparison. Others are decoded once and kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::model::{DecodeError, Expression, Place, RawRule, Rule, Ruleset};
use crate::nft;

/// Gives the rule at a place.
pub(super) type Provider<'a> = dyn Fn(Place) -> Option<Result<Rule, DecodeError>> + 'a;

/// A rule that is looked at.
pub(super) enum Looked<'a> {
    Decoded(Rc<Result<Rule, DecodeError>>),
    /// To be decoded on the way.
    Raw(Box<dyn Iterator<Item = Expression> + 'a>),
}

pub(super) struct Rules<'a> {
    provider: &'a Provider<'a>,
    /// Where rules may be taken from as they are.
    raw: Option<&'a Ruleset>,
    decoded: RefCell<HashMap<Place, Rc<Result<Rule, DecodeError>>>>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(provider: &'a Provider<'a>, raw: Option<&'a Ruleset>) -> Self {
        Self { provider, raw, decoded: RefCell::default() }
    }

    pub(super) fn get(&self, place: Place) -> Option<Looked<'a>> {
        if let Some(expressions) = self.raw.and_then(|ruleset| raw(ruleset, place)) {
            return Some(Looked::Raw(expressions));
        }
        if let Some(rule) = self.decoded.borrow().get(&place) {
            return Some(Looked::Decoded(Rc::clone(rule)));
        }
        let rule = Rc::new((self.provider)(place)?);
        self.decoded.borrow_mut().insert(place, Rc::clone(&rule));
        Some(Looked::Decoded(rule))
    }
}

/// The expressions of a rule of nf_tables that makes sense.
fn raw(ruleset: &Ruleset, place: Place) -> Option<Box<dyn Iterator<Item = Expression> + '_>> {
    let index = place.number.checked_sub(1)? as usize;
    match ruleset.chain(place)?.rules.get(index)? {
        RawRule::Nft { attributes, .. } => {
            let expressions = nft::expressions(ruleset.table(place)?.family, attributes)?;
            Some(Box::new(expressions))
        }
        RawRule::Legacy { .. } => None,
    }
}
