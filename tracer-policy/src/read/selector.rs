//! Label selectors (`LabelSelector`, k8s.io/apimachinery meta/v1).
//!
//! Rule: a selector that the API would refuse is refused: it would select other objects than was meant.

use serde::Deserialize;

use super::error::{Fault, each, quoted};
use super::interner::Interner;
use super::meta::{Pairs, label};
use super::shape::Shape;
use crate::model::{Operator, Requirement, Selector};

pub(super) const SHAPE: Shape = Shape::Fields(&[("matchLabels", Shape::Any), ("matchExpressions", EXPRESSIONS)]);
const EXPRESSIONS: Shape =
    Shape::List(&Shape::Fields(&[("key", Shape::Any), ("operator", Shape::Any), ("values", Shape::Any)]));

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LabelSelector<'a> {
    #[serde(borrow)]
    match_labels: Option<Pairs<'a>>,
    #[serde(borrow)]
    match_expressions: Option<Vec<Expression<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression<'a> {
    key: &'a str,
    operator: &'a str,
    #[serde(borrow)]
    values: Option<Vec<&'a str>>,
}

impl LabelSelector<'_> {
    pub(super) fn read(self, interner: &mut Interner) -> Result<Selector, Fault> {
        let labels = of_labels(&self.match_labels.unwrap_or_default(), interner);
        let labels = labels.map_err(|fault| fault.under("matchLabels"))?;
        let expressions = each("matchExpressions", self.match_expressions, |expression| expression.read(interner))?;
        Ok(Selector { requirements: labels.requirements.into_iter().chain(expressions).collect() })
    }
}

/// Reads one that may be left out; a fault is under its field.
pub(super) fn optional(
    field: &str,
    selector: Option<LabelSelector<'_>>,
    interner: &mut Interner,
) -> Result<Option<Selector>, Fault> {
    selector.map(|selector| selector.read(interner)).transpose().map_err(|fault| fault.under(field))
}

/// What `matchLabels`, or the selector of a Service, demands.
pub(super) fn of_labels(labels: &Pairs<'_>, interner: &mut Interner) -> Result<Selector, Fault> {
    let requirement = |(key, value): (&&str, &&str)| {
        label(key, value)?;
        let values = [interner.text(value)].into();
        Ok(Requirement { key: interner.text(key), operator: Operator::In, values })
    };
    Ok(Selector { requirements: labels.iter().map(requirement).collect::<Result<_, Fault>>()? })
}

impl Expression<'_> {
    fn read(self, interner: &mut Interner) -> Result<Requirement, Fault> {
        label(self.key, "").map_err(|fault| fault.under("key"))?;
        let values = each("values", self.values, |value| {
            label("value", value)?;
            Ok(interner.text(value))
        })?;
        let operator = match self.operator {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                let problem = format!("{} is none of In, NotIn, Exists, DoesNotExist", quoted(other));
                return Err(Fault::new("operator", problem));
            }
        };
        let needs_values = matches!(operator, Operator::In | Operator::NotIn);
        match (needs_values, values.is_empty()) {
            (true, true) => Err(Fault::new("values", format!("must not be empty for {}", self.operator))),
            (false, false) => Err(Fault::new("values", format!("must be empty for {}", self.operator))),
            _ => Ok(Requirement { key: interner.text(self.key), operator, values }),
        }
    }
}
