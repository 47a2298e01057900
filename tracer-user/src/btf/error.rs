//! What can be wrong with BTF, each in one sentence that says what to do about it.

use std::path::PathBuf;

/// Why a fact could not be read from the kernel's type information.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    #[error(
        "cannot read the kernel's type information {}: {error}; it needs a kernel with CONFIG_DEBUG_INFO_BTF=y (and \
         /sys mounted), or this kernel's BTF in a file named with --btf", path.display()
    )]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error(
        "the kernel's type information is not usable ({what}); name an intact copy of this kernel's BTF with --btf"
    )]
    Malformed { what: &'static str },
    #[error("this kernel's type information has no {kind} `{name}`")]
    UnknownType { kind: &'static str, name: String },
    #[error("this kernel's `{root}` has no member `{member}`")]
    UnknownMember { root: String, member: String },
    /// Two types share the name and disagree: taking either would be a guess.
    #[error("this kernel has more than one `{root}`, and `{member}` is not at the same place in all of them")]
    Ambiguous { root: String, member: String },
    #[error("this kernel keeps the bits of `{path}` where whydrop does not read them")]
    OddBitField { path: String },
    #[error("this kernel's tracepoint `{tracepoint}` has no argument of type `{wanted}`; it has ({found})")]
    UnknownArgument { tracepoint: String, wanted: &'static str, found: String },
}

impl BtfError {
    /// Whether the BTF as a whole is of no use, not just the one thing that was looked for.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Malformed { .. })
    }
}

pub(super) const fn malformed(what: &'static str) -> BtfError {
    BtfError::Malformed { what }
}
