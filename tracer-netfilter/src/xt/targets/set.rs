//! SET: puts the packet's addresses into sets of ipset, takes them out, or takes its mark from one.

use super::{Blob, Effect, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};

/// A set and the parts of the packet that are looked up in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SetUse {
    /// The kernel's number of the set.
    index: u16,
    /// `src,dst`
    directions: String,
}

/// `struct xt_set_info_target_v3`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    add: Option<SetUse>,
    delete: Option<SetUse>,
    map: Option<SetUse>,
    flags: u32,
    /// Seconds; `u32::MAX` for that of the set.
    timeout: u32,
}

/// `IPSET_INVALID_ID`
const NO_SET: u16 = 0xffff;
const EXIST: u32 = 0x01;
const MAP_MARK: u32 = 0x0100;
const MAP_PRIORITY: u32 = 0x0200;
const MAP_QUEUE: u32 = 0x0400;

impl Extension for Set {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1, 2, 3])?;
        let (at, map, flags) = match blob.revision {
            0 => ([0, 32], None, None),
            1 => ([0, 4], None, None),
            2 => ([0, 4], None, Some(8)),
            _ => ([0, 4], Some(8), Some(12)),
        };
        let [add, delete] = at.map(|offset| set_use(blob, offset));
        Ok(Self {
            add: add?,
            delete: delete?,
            map: map.map(|offset| set_use(blob, offset)).transpose()?.flatten(),
            flags: flags.map_or(Ok(0), |offset| blob.u32(offset))?,
            timeout: flags.map_or(Ok(u32::MAX), |offset| blob.u32(offset + 4))?,
        })
    }

    /// What the set holds for the packet's mark is not looked up.
    fn apply(&self, view: &mut View<'_>, _sure: bool) -> Effect {
        if self.map.is_some() && self.flags & MAP_MARK != 0 {
            view.mark.forget(u32::MAX);
        }
        Effect::Continue
    }

    fn line(&self, _family: Family) -> Line {
        self.line_naming(&|_| None)
    }
}

impl Set {
    pub(super) fn indexes(&self) -> Vec<u16> {
        [&self.add, &self.delete, &self.map].into_iter().flatten().map(|set| set.index).collect()
    }

    /// A set without a name is shown as its number: `#3`.
    pub(super) fn line_naming(&self, name_of: &dyn Fn(u16) -> Option<String>) -> Line {
        let mut line = Line::new("SET");
        for (option, set) in [("--add-set", &self.add), ("--del-set", &self.delete), ("--map-set", &self.map)] {
            if let Some(SetUse { index, directions }) = set {
                let name = name_of(*index).unwrap_or_else(|| format!("#{index}"));
                line = line.option(option, format_args!("{name} {directions}"));
            }
        }
        line.flag_if(self.flags & EXIST != 0, "--exist")
            .option_if(self.timeout != u32::MAX, "--timeout", self.timeout)
            .flag_if(self.flags & MAP_MARK != 0, "--map-mark")
            .flag_if(self.flags & MAP_PRIORITY != 0, "--map-prio")
            .flag_if(self.flags & MAP_QUEUE != 0, "--map-queue")
    }
}

/// `struct xt_set_info`, or `struct xt_set_info_v0` as the kernel keeps it.
fn set_use(blob: &Blob<'_>, offset: usize) -> Result<Option<SetUse>, DecodeError> {
    let index = blob.u16(offset)?;
    let rest = if blob.revision == 0 { offset + 28 } else { offset + 2 };
    let (dimension, flags) = (blob.u8(rest)?, blob.u8(rest + 1)?);
    if index == NO_SET {
        return Ok(None);
    }
    let source = |part: u8| u32::from(flags).checked_shr(part.into()).unwrap_or(0) & 1 == 1;
    let directions: Vec<_> = (1..=dimension.min(6)).map(|part| if source(part) { "src" } else { "dst" }).collect();
    Ok(Some(SetUse { index, directions: directions.join(",") }))
}
