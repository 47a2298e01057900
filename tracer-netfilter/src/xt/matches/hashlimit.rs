//! `hashlimit`: so many packets or bytes a time for each address or port (`net/netfilter/xt_hashlimit.c`).

use super::limit::Rate;
use super::line::list;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashLimit {
    revision: u8,
    name: String,
    mode: u32,
    /// Time for one packet, or what stands for bytes a second.
    average: u64,
    burst: u64,
    size: u32,
    most: u32,
    /// Milliseconds.
    collect_every: u32,
    /// Milliseconds.
    expire: u32,
    /// Seconds.
    interval: u32,
    source_mask: u8,
    destination_mask: u8,
}

/// `XT_HASHLIMIT_HASH_` bits in the order in which they are printed.
const BY: [(u32, &str); 4] = [(1 << 2, "srcip"), (1 << 3, "srcport"), (1 << 0, "dstip"), (1 << 1, "dstport")];
const INVERTED: u32 = 1 << 4;
const BYTES: u32 = 1 << 5;
const RATE_MATCH: u32 = 1 << 6;
/// Milliseconds between collections if not said otherwise.
const USUAL_COLLECTION: u32 = 1000;

impl Extension for HashLimit {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1, 2, 3])?;
        let (name, average, burst, rest) = if blob.revision == 1 {
            (blob.string(0, 16)?, blob.u32(20)?.into(), blob.u32(24)?.into(), 28)
        } else {
            // `NAME_MAX` bytes, and one to align what follows.
            (blob.string(0, 255)?, blob.u64(256)?, blob.u64(264)?, 276)
        };
        let (interval, masks) = if blob.revision == 3 { (blob.u32(rest + 16)?, rest + 20) } else { (1, rest + 16) };
        Ok(Self {
            revision: blob.revision,
            name,
            mode: blob.u32(if blob.revision == 1 { 16 } else { 272 })?,
            average,
            burst,
            size: blob.u32(rest)?,
            most: blob.u32(rest + 4)?,
            collect_every: blob.u32(rest + 8)?,
            expire: blob.u32(rest + 12)?,
            interval,
            source_mask: blob.u8(masks)?,
            destination_mask: blob.u8(masks + 1)?,
        })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown(format!("the rate so far (hashlimit {})", self.name))
    }

    fn line(&self, family: Family) -> Line {
        let mut line = Line::new("hashlimit");
        let option = if self.has(INVERTED) { "--hashlimit-above" } else { "--hashlimit-upto" };
        let usual_expiry = if self.has(BYTES) {
            self.bytes(&mut line, option)
        } else {
            let scale = if self.revision == 1 { 10_000 } else { 1_000_000 };
            let rate = Rate::of(self.average, scale);
            line.option(false, option, &rate);
            line.option(false, "--hashlimit-burst", self.burst);
            rate.packets.map_or(0, |_| rate.seconds as u32 * 1000)
        };
        let by = list(BY.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| name));
        line.option_if(!by.is_empty(), "--hashlimit-mode", by);
        line.option(false, "--hashlimit-name", &self.name);
        line.option_if(self.size != 0, "--hashlimit-htable-size", self.size);
        line.option_if(self.most != 0, "--hashlimit-htable-max", self.most);
        let collects_oddly = self.collect_every != USUAL_COLLECTION;
        line.option_if(collects_oddly, "--hashlimit-htable-gcinterval", self.collect_every);
        line.option_if(self.expire != usual_expiry, "--hashlimit-htable-expire", self.expire);
        let whole = if family == Family::Ip6 { 128 } else { 32 };
        line.option_if(self.source_mask != whole, "--hashlimit-srcmask", self.source_mask);
        line.option_if(self.destination_mask != whole, "--hashlimit-dstmask", self.destination_mask);
        if self.revision == 3 && self.has(RATE_MATCH) {
            line.flag(false, "--hashlimit-rate-match");
            line.option_if(self.interval != 1, "--hashlimit-rate-interval", self.interval);
        }
        line
    }
}

impl HashLimit {
    const fn has(&self, bit: u32) -> bool {
        self.mode & bit != 0
    }

    /// Prints a rate of bytes, and gives the milliseconds of expiry that go without saying with it.
    fn bytes(&self, line: &mut Line, option: &str) -> u32 {
        const UNITS: [(&str, u32); 3] = [("mb", 1 << 20), ("kb", 1 << 10), ("b", 1)];
        let rate = bytes_of(self.average);
        let is_whole = |unit: u32| cost_of(rate & u64::from(!(unit - 1))) == Some(self.average);
        let fits = |(_, unit): &&(&str, u32)| rate >= u64::from(*unit) && is_whole(*unit);
        let (name, unit) = UNITS[..2].iter().find(fits).unwrap_or(&UNITS[2]);
        line.option(false, option, format_args!("{}{name}/s", rate / u64::from(*unit)));
        if self.burst == 0 {
            return 15_000;
        }
        let burst = rate.wrapping_mul(self.burst);
        let (name, unit) = UNITS[..2].iter().find(|(_, unit)| burst >= u64::from(*unit)).unwrap_or(&UNITS[2]);
        line.option(false, "--hashlimit-burst", format_args!("{}{name}", burst / u64::from(*unit)));
        60_000
    }
}

/// Bytes a second that a cost stands for: the fewer, the dearer (`XT_HASHLIMIT_BYTE_SHIFT`).
fn bytes_of(cost: u64) -> u64 {
    let most = u64::from(u32::MAX);
    most.checked_div(cost).unwrap_or(most).wrapping_sub(1) << 4
}

fn cost_of(bytes: u64) -> Option<u64> {
    let sixteens = ((bytes >> 4) as u32).wrapping_add(1);
    u32::MAX.checked_div(sixteens).map(u64::from)
}
