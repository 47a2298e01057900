//! Labels of an object.

use std::fmt;
use std::sync::Arc;

use super::Text;

/// Sorted by key; a key occurs once. Pods of one workload can share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[(Text, Text)]>);

impl Labels {
    pub fn new(pairs: impl IntoIterator<Item = (Text, Text)>) -> Self {
        let mut pairs: Vec<(Text, Text)> = pairs.into_iter().collect();
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        Self(pairs.into())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another object has the very same labels, in the same allocation.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self::new(pairs.into_iter().map(|(key, value)| (key.into(), value.into())))
    }
}

/// `app=web,tier=front`, as `kubectl get --show-labels` prints them.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (key, value)) in self.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_by_key_and_shown_as_kubectl_does() {
        let labels: Labels = [("tier", "front"), ("app", "web")].into_iter().collect();
        assert_eq!(
            (labels.get("app"), labels.get("ap"), labels.to_string().as_str()),
            (Some("web"), None, "app=web,tier=front")
        );
        assert!(Labels::default().is_empty() && !labels.is_empty());
    }
}
