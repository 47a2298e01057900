//! `cgroup`: the control group of the socket that sent it (`net/netfilter/xt_cgroup.c`).

use crate::packet::Known;

use super::line::quoted;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    path: Option<String>,
    is_path_inverted: bool,
    class: Option<u32>,
    is_class_inverted: bool,
}

/// `PATH_MAX`, the size of the path in revision 1.
const LONG_PATH: usize = 4096;
/// `XT_CGROUP_PATH_MAX`, that in revision 2.
const SHORT_PATH: usize = 512;

impl Extension for Cgroup {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1, 2])?;
        if blob.revision == 0 {
            let class = Some(blob.u32(0)?);
            return Ok(Self { path: None, is_path_inverted: false, class, is_class_inverted: blob.u32(4)? != 0 });
        }
        let (size, class) = if blob.revision == 1 { (LONG_PATH, 4 + LONG_PATH) } else { (SHORT_PATH, 4) };
        Ok(Self {
            path: (blob.u8(0)? != 0).then(|| blob.string(4, size)).transpose()?,
            is_path_inverted: blob.u8(2)? != 0,
            class: (blob.u8(1)? != 0).then(|| blob.u32(class)).transpose()?,
            is_class_inverted: blob.u8(3)? != 0,
        })
    }

    /// A packet without a socket is never meant, inverted or not.
    fn matches(&self, view: &mut View<'_>) -> Truth {
        match &view.packet.socket {
            Known::Absent => Truth::No,
            Known::Is(_) | Known::Unknown => Truth::unknown("the cgroup of its socket"),
        }
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("cgroup");
        if let Some(path) = &self.path {
            line.option(self.is_path_inverted, "--path", quoted(path));
        }
        if let Some(class) = self.class {
            line.option(self.is_class_inverted, "--cgroup", class);
        }
        line
    }
}
