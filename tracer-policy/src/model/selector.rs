//! Label selectors (`LabelSelector`, k8s.io/apimachinery meta/v1).

use std::fmt;

use super::{Labels, Text};

/// What all must hold; an empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// `matchLabels` become [`Operator::In`] with one value.
    pub requirements: Box<[Requirement]>,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    pub key: Text,
    pub operator: Operator,
    /// Empty for `Exists` and `DoesNotExist`.
    pub values: Box<[Text]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    In,
    /// Also holds where the label is absent.
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(labels))
    }

    /// The conditions that do not hold.
    pub fn failing<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = &'a Requirement> {
        self.requirements.iter().filter(|requirement| !requirement.holds(labels))
    }

    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Requirement {
    pub fn holds(&self, labels: &Labels) -> bool {
        self.holds_for(labels.get(&self.key))
    }

    /// For the value that the label has; `None` if it is absent.
    pub fn holds_for(&self, value: Option<&str>) -> bool {
        let is_listed = || value.is_some_and(|value| self.values.iter().any(|wanted| **wanted == *value));
        match self.operator {
            Operator::In => is_listed(),
            Operator::NotIn => !is_listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// `app=web`, `app in (web,db)`, `app!=web`, `app notin (web,db)`, `app`, `!app`: as `kubectl get --selector` takes them.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match (self.operator, &*self.values) {
            (Operator::In, [value]) => write!(f, "{key}={value}"),
            (Operator::NotIn, [value]) => write!(f, "{key}!={value}"),
            (Operator::In, values) => write!(f, "{key} in ({})", values.join(",")),
            (Operator::NotIn, values) => write!(f, "{key} notin ({})", values.join(",")),
            (Operator::Exists, _) => write!(f, "{key}"),
            (Operator::DoesNotExist, _) => write!(f, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_is_that_of_the_api() {
        let labels: Labels = [("app", "web")].into_iter().collect();
        let holds = |key: &str, operator, values: &[&str]| {
            let values = values.iter().map(|value| (*value).into()).collect();
            Requirement { key: key.into(), operator, values }.holds(&labels)
        };
        assert!(holds("app", Operator::In, &["db", "web"]) && !holds("app", Operator::In, &["db"]));
        assert!(!holds("app", Operator::NotIn, &["web"]) && holds("app", Operator::NotIn, &["db"]));
        assert!(holds("tier", Operator::NotIn, &["front"]), "a label that is absent has none of the values");
        assert!(holds("app", Operator::Exists, &[]) && !holds("app", Operator::DoesNotExist, &[]));
        assert!(!holds("tier", Operator::Exists, &[]) && holds("tier", Operator::DoesNotExist, &[]));
        assert!(Selector::default().matches(&labels) && Selector::default().matches(&Labels::default()));
    }

    #[test]
    fn a_condition_is_shown_as_kubectl_takes_it() {
        let shown = |operator, values: &[&str]| {
            let values = values.iter().map(|value| (*value).into()).collect();
            Requirement { key: "app".into(), operator, values }.to_string()
        };
        assert_eq!([shown(Operator::In, &["web"]), shown(Operator::NotIn, &["web"])], ["app=web", "app!=web"]);
        assert_eq!(shown(Operator::In, &["web", "db"]), "app in (web,db)");
        assert_eq!(shown(Operator::NotIn, &["web", "db"]), "app notin (web,db)");
        assert_eq!([shown(Operator::Exists, &[]), shown(Operator::DoesNotExist, &[])], ["app", "!app"]);
    }
}
