//! `devgroup`: groups of devices (`net/netfilter/xt_devgroup.c`).
//!
//! Rule: printed as numbers; iptables prints the names of the node's `/etc/iproute2/group` where there are any.

use crate::packet::{Device, Known};

use super::line::masked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceGroup {
    flags: u32,
    /// Value and mask.
    input: (u32, u32),
    output: (u32, u32),
}

const INPUT: u32 = 0x1;
const INVERTED_INPUT: u32 = 0x2;
const OUTPUT: u32 = 0x4;
const INVERTED_OUTPUT: u32 = 0x8;

impl Extension for DeviceGroup {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { flags: blob.u32(0)?, input: blob.u32_pair(4)?, output: blob.u32_pair(12)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let is_in = |asked, inverted, (value, mask): (u32, u32), device: &Known<Device>| {
            let group = match device {
                _ if !self.has(asked) => return Truth::Yes,
                Known::Is(device) => device.group,
                Known::Absent | Known::Unknown => None,
            };
            let truth = group.map(|group| Truth::from((value ^ group) & mask == 0));
            truth.unwrap_or_else(|| Truth::unknown("the group of its device")).invert_if(self.has(inverted))
        };
        is_in(INPUT, INVERTED_INPUT, self.input, &view.packet.input).and(is_in(
            OUTPUT,
            INVERTED_OUTPUT,
            self.output,
            &view.packet.output,
        ))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("devgroup");
        if self.has(INPUT) {
            line.option(self.has(INVERTED_INPUT), "--src-group", masked(self.input.0, self.input.1));
        }
        if self.has(OUTPUT) {
            line.option(self.has(INVERTED_OUTPUT), "--dst-group", masked(self.output.0, self.output.1));
        }
        line
    }
}

impl DeviceGroup {
    const fn has(&self, bit: u32) -> bool {
        self.flags & bit != 0
    }
}
