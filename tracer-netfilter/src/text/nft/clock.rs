//! Values that hang on where they are read: local time, names of devices.

use std::ffi::CStr;

use super::value::Style;

/// `"2024-01-31 10:00:00"` in local time; `value` is in nanoseconds since 1970.
pub(super) fn date(value: u128) -> String {
    let seconds = i64::try_from(value / 1_000_000_000).unwrap_or(i64::MAX);
    match local(seconds) {
        Some(time) => format!(
            "\"{}-{:02}-{:02} {:02}:{:02}:{:02}\"",
            i64::from(time.tm_year) + 1900,
            time.tm_mon.saturating_add(1),
            time.tm_mday,
            time.tm_hour,
            time.tm_min,
            time.tm_sec
        ),
        None => value.to_string(),
    }
}

/// `"10:00"` in local time; `value` is in seconds since midnight UTC.
pub(super) fn hour(value: u128) -> String {
    const DAY: i64 = 86_400;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    let offset = local(now).map_or(0, |time| time.tm_gmtoff);
    let seconds =
        i64::try_from(value % u128::from(DAY.unsigned_abs())).unwrap_or(0).saturating_add(offset).rem_euclid(DAY);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if seconds == 0 {
        format!("\"{hours:02}:{minutes:02}\"")
    } else {
        format!("\"{hours:02}:{minutes:02}:{seconds:02}\"")
    }
}

fn local(seconds: i64) -> Option<libc::tm> {
    // SAFETY: an all-zero `tm` is a valid one (its pointer to the zone's name may be null).
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right type, and the call keeps none.
    let result = unsafe { libc::localtime_r(&raw const seconds, &raw mut time) };
    (!result.is_null()).then_some(time)
}

/// The device's name in the namespace of the calling thread, or its index.
pub(super) fn interface(value: u128) -> String {
    let mut name = [0_u8; libc::IF_NAMESIZE];
    let Ok(index) = u32::try_from(value) else { return value.to_string() };
    // SAFETY: the buffer has the size that the call asks for (`IF_NAMESIZE`).
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    match CStr::from_bytes_until_nul(&name) {
        Ok(name) if !found.is_null() => format!("\"{}\"", name.to_string_lossy()),
        _ => super::value::numeric(super::kind::Kind::Integer, value, Style::Numeric),
    }
}
