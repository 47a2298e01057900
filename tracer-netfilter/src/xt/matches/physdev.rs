//! `physdev`: ports of a bridge, of packets that br_netfilter shows to the rules of IP (`net/netfilter/xt_physdev.c`).

use crate::packet::{Device, Known};

use super::super::interface::Interface;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalDevice {
    input: Interface,
    output: Interface,
    inverted: u8,
    asked: u8,
}

const INPUT: u8 = 0x01;
const OUTPUT: u8 = 0x02;
const IS_BRIDGED: u8 = 0x04;
const IS_INPUT: u8 = 0x08;
const IS_OUTPUT: u8 = 0x10;

impl Extension for PhysicalDevice {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            input: Interface::read(blob, 0, 16)?,
            output: Interface::read(blob, 32, 48)?,
            inverted: blob.u8(64)?,
            asked: blob.u8(65)?,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let (input, output) = (&view.packet.bridge_input, &view.packet.bridge_output);
        if matches!((input, output), (Known::Absent, Known::Absent)) {
            // Not a bridged packet: it holds if all that is asked for is inverted.
            return Truth::from(self.asked & !self.inverted == 0);
        }
        let is_there = |device: &Known<Device>| match device {
            Known::Is(_) => Truth::Yes,
            Known::Absent => Truth::No,
            Known::Unknown => Truth::unknown("the ports of the bridge"),
        };
        let mut truth = self.says(IS_BRIDGED, is_there(output));
        truth = truth.and(self.says(IS_INPUT, is_there(input))).and(self.says(IS_OUTPUT, is_there(output)));
        if !matches!(input, Known::Absent) {
            truth = truth.and(self.says(INPUT, self.input.matches(input, "the input port of the bridge")));
        }
        if self.asked & OUTPUT != 0 {
            let output_matches = self.output.matches(output, "the output port of the bridge");
            truth = truth.and(is_there(output)).and(self.says(OUTPUT, output_matches));
        }
        truth
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("physdev");
        let options = [
            (IS_INPUT, "--physdev-is-in", None),
            (INPUT, "--physdev-in", Some(&self.input)),
            (IS_OUTPUT, "--physdev-is-out", None),
            (OUTPUT, "--physdev-out", Some(&self.output)),
            (IS_BRIDGED, "--physdev-is-bridged", None),
        ];
        for (bit, option, interface) in options.into_iter().filter(|(bit, ..)| self.asked & bit != 0) {
            let is_inverted = self.inverted & bit != 0;
            match interface {
                Some(interface) => line.option(is_inverted, option, interface.name()),
                None => line.flag(is_inverted, option),
            }
        }
        line
    }
}

impl PhysicalDevice {
    fn says(&self, bit: u8, truth: Truth) -> Truth {
        if self.asked & bit == 0 { Truth::Yes } else { truth.invert_if(self.inverted & bit != 0) }
    }
}
