//! Three-valued logic: a match is so, is not so, or can't be told, with what it hangs on.
//!
//! Rule: "unknown" is never turned into a yes or a no; it says in a few words what is not known.

use std::borrow::Cow;

/// Whether something holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    /// What it hangs on, as a noun phrase: `the rate so far (limit)`.
    Unknown(Cow<'static, str>),
}

impl Truth {
    pub fn unknown(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Unknown(what.into())
    }

    /// Both hold. A no decides whatever else is unknown.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown(what), _) | (_, Self::Unknown(what)) => Self::Unknown(what),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// At least one holds. A yes decides whatever else is unknown.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        (self.negate()).and(other.negate()).negate()
    }

    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            unknown @ Self::Unknown(_) => unknown,
        }
    }

    /// The opposite if `inverted` (`!` in front of a match).
    #[must_use]
    pub fn invert_if(self, inverted: bool) -> Self {
        if inverted { self.negate() } else { self }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{No, Yes};
    use super::*;

    #[test]
    fn what_is_decided_does_not_hang_on_what_is_unknown() {
        let unknown = || Truth::unknown("the rate so far");
        assert_eq!(No.and(unknown()), No);
        assert_eq!(unknown().and(No), No);
        assert_eq!(Yes.and(unknown()), unknown());
        assert_eq!(Yes.or(unknown()), Yes);
        assert_eq!(unknown().or(Yes), Yes);
        assert_eq!(unknown().or(No), unknown());
        assert_eq!(unknown().invert_if(true), unknown());
        assert_eq!(Yes.invert_if(true), No);
    }
}
