//! `comment`: words for the reader, which match every packet.

use super::line::quoted;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment(String);

impl Comment {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Extension for Comment {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        // `XT_MAX_COMMENT_LEN`, of which iptables prints one less.
        blob.string(0, 256).map(|comment| Self(comment.chars().take(255).collect()))
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::Yes
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("comment");
        line.option(false, "--comment", quoted(&self.0));
        line
    }
}
