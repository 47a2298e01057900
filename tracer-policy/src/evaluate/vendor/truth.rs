//! Yes, no, or what it hangs on (Kleene's three-valued logic).

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown(String),
}

impl Truth {
    pub(super) const fn of(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }

    /// Both; the second is only asked if the first may hold.
    pub(super) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unknown(why) => match other() {
                Self::No => Self::No,
                _ => Self::Unknown(why),
            },
        }
    }

    pub(super) fn or(self, other: impl FnOnce() -> Self) -> Self {
        self.not().and(|| other().not()).not()
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown(why) => Self::Unknown(why),
        }
    }

    pub(super) fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        let mut found = Self::Yes;
        for truth in truths {
            found = found.and(|| truth);
            if found == Self::No {
                break;
            }
        }
        found
    }

    pub(super) fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        Self::all(truths.into_iter().map(Self::not)).not()
    }
}

/// The value of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Value(&'a str),
    Absent,
    Unknown(String),
}

impl<'a> From<Option<&'a str>> for Found<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

impl Found<'_> {
    /// Whether `holds` is true of the value; `absent` is the answer where there is none.
    pub(super) fn is(&self, absent: bool, holds: impl FnOnce(&str) -> bool) -> Truth {
        match self {
            Self::Value(value) => Truth::of(holds(value)),
            Self::Absent => Truth::of(absent),
            Self::Unknown(why) => Truth::Unknown(why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_matters_only_where_the_rest_does_not_decide() {
        let unknown = || Truth::Unknown("the weather".into());
        for (truth, expected) in [
            (unknown().and(|| Truth::No), Truth::No),
            (unknown().and(|| Truth::Yes), unknown()),
            (Truth::No.and(unknown), Truth::No),
            (unknown().or(|| Truth::Yes), Truth::Yes),
            (unknown().or(|| Truth::No), unknown()),
            (Truth::Yes.or(unknown), Truth::Yes),
            (unknown().not(), unknown()),
            (Truth::any([Truth::No, unknown(), Truth::Yes]), Truth::Yes),
            (Truth::any([]), Truth::No),
            (Truth::all([Truth::Yes, unknown(), Truth::No]), Truth::No),
            (Truth::all([]), Truth::Yes),
        ] {
            assert_eq!(truth, expected);
        }
    }
}
