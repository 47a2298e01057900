//! Why something of nf_tables could not be read.

use thiserror::Error;

use crate::netlink::NetlinkError;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NftError {
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    #[error("set {set} of table {table} is gone: the ruleset was changed since it was read; ask again")]
    NoSet { table: String, set: String },
    #[error("set {set} of table {table} kept changing while its elements were read; ask again when it is quiet")]
    Changing { table: String, set: String },
}
