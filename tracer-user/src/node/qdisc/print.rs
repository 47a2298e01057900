//! Rates, sizes, times and handles as tc(8) prints them.

/// Nanoseconds of a tick, the kernel's unit for queueing times (`PSCHED_SHIFT`, `include/net/pkt_sched.h`, 2.6.31 to 7.2).
const TICK: u64 = 64;

/// Handle of a class or, with a zero behind the colon, of a queueing discipline.
pub fn handle(handle: u32) -> String {
    match (handle >> 16, handle & 0xffff) {
        (major, 0) => format!("{major:x}:"),
        (0, minor) => format!(":{minor:x}"),
        (major, minor) => format!("{major:x}:{minor:x}"),
    }
}

/// Bytes a second, in bits: `8Kbit`.
pub(super) fn rate(bytes: u64) -> String {
    let (number, unit) = scaled(bytes);
    format!("{number}{unit}bit")
}

/// The same for a sentence: `8 kbit/s`.
pub fn rate_in_words(bytes: u64) -> String {
    let (number, unit) = scaled(bytes);
    let unit = if unit == "K" { "k" } else { unit };
    format!("{number} {unit}bit/s")
}

fn scaled(bytes: u64) -> (u64, &'static str) {
    let mut bits = bytes.saturating_mul(8);
    let mut units = ["", "K", "M", "G"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units.chain(["T"]) {
        if bits < 1000 || (!bits.is_multiple_of(1000) && bits < 1_000_000) {
            break;
        }
        bits /= 1000;
        unit = larger;
    }
    (bits, unit)
}

/// `3000b`, `32Mb`.
pub(super) fn size(bytes: u64) -> String {
    for (unit, name, near) in [(1 << 20, "Mb", 1024), (1 << 10, "Kb", 16)] {
        let whole = (bytes.saturating_add(unit / 2)) / unit;
        if bytes >= unit && whole.saturating_mul(unit).abs_diff(bytes) < near {
            return format!("{whole}{name}");
        }
    }
    format!("{bytes}b")
}

/// `5ms`, `100ms`, `1.5s`.
pub(super) fn time(microseconds: u64) -> String {
    let (unit, name) = match microseconds {
        1_000_000.. => (1_000_000, "s"),
        1000.. => (1000, "ms"),
        _ => return format!("{microseconds}us"),
    };
    let thousandth = microseconds % unit * 1000 / unit;
    let text = format!("{}.{thousandth:03}", microseconds / unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Parts of `u32::MAX`: `100%`, `2.5%`.
pub fn share(part: u32) -> String {
    // One half is added to round to hundredths of a percent.
    let hundredths = (u64::from(part) * 10_000 + u64::from(u32::MAX / 2)) / u64::from(u32::MAX);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Microseconds of ticks.
pub(super) fn ticks(ticks: u32) -> u64 {
    u64::from(ticks) * TICK / 1000
}

/// The bytes that a rate sends in so many ticks: how the kernel keeps a burst.
pub(super) fn burst(rate: u64, buffer: u32) -> u64 {
    u64::try_from(u128::from(rate) * u128::from(ticks(buffer)) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_tc_prints() {
        let rates = [1000, 187_500, 12_500_000, 1_250_000_000, 1, 200, 154_250].map(rate);
        assert_eq!(rates, ["8Kbit", "1500Kbit", "100Mbit", "10Gbit", "8bit", "1600bit", "1234Kbit"]);
        assert_eq!([1000, 1_250_000_000].map(rate_in_words), ["8 kbit/s", "10 Gbit/s"]);
        assert_eq!([3000, 1540, 32 << 20, 1024, 8192, 0].map(size), ["3000b", "1540b", "32Mb", "1Kb", "8Kb", "0b"]);
        assert_eq!([5000, 99, 1_500_000, 4999].map(time), ["5ms", "99us", "1.5s", "4.999ms"]);
        assert_eq!([u32::MAX, u32::MAX / 2, u32::MAX / 40, 0].map(share), ["100%", "50%", "2.5%", "0%"]);
        assert_eq!([0x8001_0000, 0x0001_0001, 0x0001_000a, 2, 0].map(handle), ["8001:", "1:1", "1:a", ":2", "0:"]);
    }

    #[test]
    fn a_burst_is_kept_as_a_time() {
        assert_eq!(burst(1000, 24_062_500), 1540);
        assert_eq!(burst(u64::MAX, u32::MAX), u64::MAX);
    }
}
