//! Names of devices in rules: `eth0`, or `eth+` for all that start so.

use crate::model::DecodeError;
use crate::packet::{Device, Known};
use crate::truth::Truth;

use super::blob::Blob;

/// `IFNAMSIZ`.
const SIZE: usize = 16;

/// A name with the mask that it is compared under, byte by byte (`ifname_compare_aligned` of the kernel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    name: [u8; SIZE],
    mask: [u8; SIZE],
}

impl Interface {
    pub(super) fn read(blob: &Blob<'_>, name: usize, mask: usize) -> Result<Self, DecodeError> {
        Ok(Self { name: blob.bytes(name)?, mask: blob.bytes(mask)? })
    }

    /// The rule names no device.
    pub(super) fn is_any(&self) -> bool {
        self.mask == [0; SIZE]
    }

    pub(super) fn covers(&self, device: &str) -> bool {
        let names = device.bytes().chain(std::iter::repeat(0));
        self.name.iter().zip(&self.mask).zip(names).all(|((ours, mask), theirs)| (ours ^ theirs) & mask == 0)
    }

    /// No device is like one with an empty name, as in the kernel.
    pub(super) fn matches(&self, device: &Known<Device>, what: &'static str) -> Truth {
        match device {
            _ if self.is_any() => Truth::Yes,
            Known::Is(device) => self.covers(&device.name).into(),
            Known::Absent => self.covers("").into(),
            Known::Unknown => Truth::unknown(what),
        }
    }

    /// What is under the mask, with `+` if more may follow.
    pub(super) fn pattern(&self) -> String {
        let masked = self.mask.iter().take_while(|mask| **mask != 0).count();
        let under: Vec<u8> = self.name.iter().take(masked).copied().filter(|byte| *byte != 0).collect();
        let more = masked < SIZE && masked > 0 && under.len() == masked;
        format!("{}{}", String::from_utf8_lossy(&under), if more { "+" } else { "" })
    }

    /// The name as it was written, whatever the mask.
    pub(super) fn name(&self) -> String {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(SIZE);
        String::from_utf8_lossy(self.name.get(..end).unwrap_or_default()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, mask: usize) -> Interface {
        let mut interface = Interface { name: [0; SIZE], mask: [0; SIZE] };
        interface.name[..name.len()].copy_from_slice(name.as_bytes());
        interface.mask[..mask].fill(0xff);
        interface
    }

    #[test]
    fn a_plus_stands_for_any_rest() {
        let exact = interface("eth0", 5);
        assert!(exact.covers("eth0") && !exact.covers("eth01") && !exact.covers("eth"));
        assert_eq!(exact.pattern(), "eth0");
        let wildcard = interface("eth+", 3);
        assert!(wildcard.covers("eth0") && wildcard.covers("eth") && !wildcard.covers("lo"));
        assert_eq!((wildcard.pattern().as_str(), wildcard.name().as_str()), ("eth+", "eth+"));
        assert!(interface("", 0).is_any());
    }

    #[test]
    fn no_device_is_not_an_unknown_one() {
        assert_eq!(interface("eth0", 5).matches(&Known::Absent, "the device"), Truth::No);
        assert_eq!(interface("eth0", 5).matches(&Known::Unknown, "the device"), Truth::unknown("the device"));
        assert_eq!(interface("", 0).matches(&Known::Unknown, "the device"), Truth::Yes);
    }
}
