//! `nfacct`: counts what passes (`net/netfilter/xt_nfacct.c`).
//!
//! Rule: taken to match always. It does, unless someone gave the counter a quota.

use super::line::quoted;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounting {
    name: String,
}

impl Extension for Accounting {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        Ok(Self { name: blob.string(0, 32)? })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::Yes
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("nfacct");
        // With two spaces, as iptables prints it.
        line.option(false, "--nfacct-name", format_args!(" {}", quoted(&self.name)));
        line
    }
}
