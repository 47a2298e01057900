//! A tracepoint to its arguments. Rule: an argument is known by its type, never by a position or a version, as the
//! kernel has added arguments over the years.

use super::error::malformed;
use super::record::Kind;
use super::{Btf, BtfError};

/// Most arguments that a tracepoint can have for BPF (`MAX_BPF_FUNC_ARGS`, include/linux/bpf.h, 6.12).
const MAX_ARGUMENTS: usize = 12;

/// Where the drop tracepoint's arguments stand, counted from 0 as in the context that a raw or BTF-typed tracepoint
/// program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropArguments {
    pub skb: u32,
    /// The address in the kernel that dropped the packet.
    pub location: u32,
    /// From Linux 5.17.
    pub reason: Option<u32>,
    /// The receiving socket, from Linux 6.11.
    pub rx_sk: Option<u32>,
}

impl Btf<'_> {
    /// Types of a tracepoint's arguments as C writes them, in order.
    ///
    /// They come from `typedef void (*btf_trace_NAME)(void *__data, …)`; the kernel's own `__data` is left out.
    pub fn tracepoint_arguments(&self, tracepoint: &str) -> Result<Vec<String>, BtfError> {
        let (id, _) = self.tracepoint_typedef(tracepoint)?;
        let pointer = self.resolve(id)?;
        let prototype = self.resolve(pointer.head.size_or_type)?;
        if pointer.kind != Kind::Pointer || prototype.kind != Kind::Prototype || prototype.head.count() == 0 {
            return Err(malformed("a tracepoint is not a function"));
        }
        if prototype.head.count() > MAX_ARGUMENTS + 1 {
            return Err(malformed("a tracepoint has too many arguments"));
        }
        prototype.elements().skip(1).map(|[_, type_id]| self.type_name(type_id)).collect()
    }

    /// Number and name of a tracepoint's typedef.
    pub(super) fn tracepoint_typedef(&self, tracepoint: &str) -> Result<(u32, String), BtfError> {
        let name = format!("btf_trace_{tracepoint}");
        match self.named(&name, &[Kind::Typedef]).first() {
            Some(&id) => Ok((id, name)),
            None => Err(BtfError::UnknownType { kind: "tracepoint", name: tracepoint.to_owned() }),
        }
    }

    /// Where to find what the drop program reads in the arguments of `skb:kfree_skb`.
    pub fn drop_arguments(&self) -> Result<DropArguments, BtfError> {
        let tracepoint = "kfree_skb";
        let found = self.tracepoint_arguments(tracepoint)?;
        let position = |wanted: &str| (0..).zip(&found).find_map(|(at, name)| (name == wanted).then_some(at));
        let required = |wanted| {
            position(wanted).ok_or_else(|| BtfError::UnknownArgument {
                tracepoint: tracepoint.to_owned(),
                wanted,
                found: found.join(", "),
            })
        };
        Ok(DropArguments {
            skb: required("struct sk_buff *")?,
            location: required("void *")?,
            reason: position("enum skb_drop_reason"),
            rx_sk: position("struct sock *"),
        })
    }
}
