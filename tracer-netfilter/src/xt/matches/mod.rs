//! Matches: what a rule asks of a packet.
//!
//! Rule: one file a match (or a family of alike ones), and one list of them all, below. What a match says of a packet is
//! what the kernel's function says (`net/netfilter/xt_*.c`, `net/ipv4/netfilter/ipt_*.c`, `net/ipv6/netfilter/ip6t_*.c` of
//! Linux 6.18), and "unknown" where it asks for something that is not known of the packet.

mod line;
mod ports;
mod seen;
mod tcp;

use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::truth::Truth;

use super::Header;
use super::blob::Blob;
use line::Line;

/// One kind of match.
trait Extension: Sized {
    /// Reads the kernel's structure; the blob says which name and revision it came with.
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError>;

    /// Whether it holds for the packet.
    fn matches(&self, view: &mut View<'_>) -> Truth;

    fn line(&self, family: Family) -> Line;
}

macro_rules! matches_by_name {
    ($($variant:ident($kind:ty): $($name:literal),+;)+) => {
        /// A match of a rule.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Match {
            /// The addresses, devices and protocol that a legacy entry starts with.
            Header(Header),
            $($variant($kind),)+
            /// One that this version does not know.
            Unknown { name: String, revision: u8, data: Vec<u8> },
        }

        /// The names in the kernel of all matches that are known.
        pub const KNOWN: &[&str] = &[$($($name),+),+];

        impl Match {
            fn known(blob: &Blob<'_>) -> Result<Option<Self>, DecodeError> {
                Ok(Some(match blob.name {
                    $($($name)|+ => Self::$variant(<$kind as Extension>::decode(blob)?),)+
                    _ => return Ok(None),
                }))
            }

            /// Whether it holds for the packet.
            pub fn matches(&self, view: &mut View<'_>) -> Truth {
                match self {
                    Self::Header(header) => header.matches(view),
                    $(Self::$variant(kind) => kind.matches(view),)+
                    Self::Unknown { name, .. } => Truth::unknown(format!("the match {name}")),
                }
            }

            /// As `iptables -S` prints it: `-m tcp --dport 22`. A header that takes every packet prints nothing.
            pub fn text(&self, family: Family) -> String {
                match self {
                    Self::Header(header) => header.text(),
                    $(Self::$variant(kind) => kind.line(family).text(),)+
                    Self::Unknown { name, .. } => format!("-m {name}"),
                }
            }
        }
    };
}

matches_by_name! {
    Tcp(tcp::Tcp): "tcp";
}

impl Match {
    /// Reads the kernel's structure of a match; `family` is that of the rule (`Ip` or `Ip6`, also in inet tables).
    pub fn decode(name: &str, revision: u8, family: Family, data: &[u8]) -> Result<Self, DecodeError> {
        let known = Self::known(&Blob { name, revision, family, data })?;
        Ok(known.unwrap_or_else(|| Self::Unknown { name: name.to_owned(), revision, data: data.to_vec() }))
    }
}
