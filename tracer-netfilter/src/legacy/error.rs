//! What can go wrong when x_tables is read.

use std::io;

use thiserror::Error;

use crate::model::Family;

/// Why legacy rules are not known.
#[derive(Debug, Error)]
pub enum LegacyError {
    #[error(
        "the legacy rules of {} are not known, the kernel refuses them: give whydrop CAP_NET_ADMIN in this network namespace, or run it as root",
        tool(*.family)
    )]
    Refused { family: Family },
    #[error("the legacy rules of {} are not known, {path} can't be read ({source}): run whydrop as root with /proc mounted", tool(*.family))]
    Names { family: Family, path: &'static str, source: io::Error },
    #[error("the legacy rules of {} are not known, no socket could be opened: {source}", tool(*.family))]
    Socket { family: Family, source: io::Error },
    #[error("the {} table {table} of legacy rules is not known, it changed each of {attempts} times it was read: try again when it is at rest", tool(*.family))]
    Changing { family: Family, table: String, attempts: u32 },
    #[error("the {} table {table} of legacy rules is not known, the kernel's answer is: {source}", tool(*.family))]
    Kernel { family: Family, table: String, source: io::Error },
    #[error("the {} table {table} of legacy rules is not known, the kernel's answer makes no sense in {what}", tool(*.family))]
    Malformed { family: Family, table: String, what: &'static str },
    #[error("the {} table {table} of legacy rules is not known, this version of whydrop knows no table of that name", tool(*.family))]
    Name { family: Family, table: String },
}

impl LegacyError {
    /// Whether a missing capability is the reason.
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// The program whose rules they are.
pub(super) const fn tool(family: Family) -> &'static str {
    match family {
        Family::Ip6 => "ip6tables",
        Family::Arp => "arptables",
        Family::Bridge => "ebtables",
        _ => "iptables",
    }
}
