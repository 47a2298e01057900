//! Everything the kernel programs need from BTF, in one step: [`FIELDS`] to offsets and the drop tracepoint to argument
//! positions. Rule: what is required and missing ends the start with a sentence; what is optional and missing switches
//! its code off and is reported.

use std::fmt;
use std::path::Path;

use tracer_common::{ABSENT, FIELDS, Field, Need};

use super::record::Kind;
use super::{Btf, BtfError, DropArguments, Member};

/// The programs read a bit field as the low bits of one byte; `sk_buff.pkt_type`, the only one, has three in every
/// kernel from 5.10 to 7.2.
const BIT_FIELD_BITS: u8 = 3;

/// The struct of a connection, and the module whose BTF has it and what it is made of where the kernel's own has not.
const CONNECTION: &str = "nf_conn";
const CONNECTION_MODULE: &str = "nf_conntrack";

/// What the loader passes to the programs.
#[derive(Debug)]
pub struct Resolved {
    /// Globals of the object and their values, in the order of [`FIELDS`]: byte offsets, or [`ABSENT`].
    pub offsets: Vec<(&'static str, u32)>,
    pub arguments: DropArguments,
    /// What this kernel lacks, for the user to see.
    pub missing: Vec<Missing>,
}

/// A member or argument that this kernel lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    why: String,
    lost: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.why, self.lost)
    }
}

/// Why the programs cannot work on this kernel.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error(transparent)]
    Btf(#[from] BtfError),
    #[error(
        "{error}, without which whydrop cannot work; it knows kernels from 5.10 on: if this is one, check that --btf \
         names the BTF of this very kernel"
    )]
    Required { error: BtfError },
}

/// Finds everything at once. `modules` is where loaded modules show their BTF (`/sys/kernel/btf`).
pub fn resolve(btf: &Btf<'_>, modules: &Path) -> Result<Resolved, ResolveError> {
    let mut missing = Vec::new();
    let mut offsets = Vec::with_capacity(FIELDS.len());
    let types = Types::of(btf, modules);
    for field in FIELDS {
        offsets.push((field.global, offset(&types, field, &mut missing)?));
    }
    let arguments = btf.drop_arguments().map_err(required)?;
    let optional = [
        (arguments.reason, "reasons", "the cause is told from the place of the drop and the stack"),
        (arguments.rx_sk, "receiving sockets", "only a packet's own socket is shown"),
    ];
    for (_, what, lost) in optional.into_iter().filter(|(position, ..)| position.is_none()) {
        missing.push(Missing { why: format!("this kernel's drop tracepoint has no {what}"), lost });
    }
    Ok(Resolved { offsets, arguments, missing })
}

/// The kernel's types, and those of the module of connections if they are needed and there.
struct Types<'a> {
    kernel: &'a Btf<'a>,
    module: Option<Btf<'a>>,
}

impl<'a> Types<'a> {
    fn of(kernel: &'a Btf<'a>, modules: &Path) -> Self {
        let file = kernel.named(CONNECTION, &[Kind::Struct]).is_empty().then(|| modules.join(CONNECTION_MODULE));
        // One that is not loaded or not usable is told by what it would have had.
        Self { kernel, module: file.and_then(|file| Btf::from_module(kernel, &file).ok()) }
    }

    fn member(&self, path: &str) -> Result<Member, BtfError> {
        match (self.kernel.member(path), &self.module) {
            (Err(error @ BtfError::UnknownType { .. }), Some(module)) => module.member(path).map_err(|_| error),
            (found, _) => found,
        }
    }
}

fn offset(types: &Types<'_>, field: &Field, missing: &mut Vec<Missing>) -> Result<u32, ResolveError> {
    match (byte_offset(types, field.path), field.need) {
        (Ok(offset), _) => Ok(offset),
        (Err(error), Need::Optional(lost)) if !error.is_fatal() => {
            // Once for what is lost, whatever else it would take.
            if missing.iter().all(|missing| missing.lost != lost) {
                missing.push(Missing { why: error.to_string(), lost });
            }
            Ok(ABSENT)
        }
        (Err(error), Need::IfThere) if !error.is_fatal() => Ok(ABSENT),
        (Err(error), _) => Err(required(error)),
    }
}

fn byte_offset(types: &Types<'_>, path: &str) -> Result<u32, BtfError> {
    let member = types.member(path)?;
    let is_readable = member.bit_size.is_none_or(|bits| bits == BIT_FIELD_BITS && member.bit_shift == 0);
    if is_readable { Ok(member.byte_offset) } else { Err(BtfError::OddBitField { path: path.to_owned() }) }
}

fn required(source: BtfError) -> ResolveError {
    if source.is_fatal() { source.into() } else { ResolveError::Required { error: source } }
}
