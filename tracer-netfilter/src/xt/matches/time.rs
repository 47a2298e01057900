//! `time`: dates, days and hours (`net/netfilter/xt_time.c`).
//!
//! Rule: not evaluated. A rule is asked about a packet of some moments ago, and `--kerneltz` goes by an offset that the kernel
//! tells nobody.

use super::line::list;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    dates: (u32, u32),
    /// Seconds of the day.
    hours: (u32, u32),
    /// Bits 1 to 31.
    days_of_month: u32,
    /// Bits 1 (Monday) to 7.
    days_of_week: u8,
    flags: u8,
}

const ALL_DAY: (u32, u32) = (0, 24 * 60 * 60 - 1);
const EVERY_DAY_OF_MONTH: u32 = 0xffff_fffe;
const EVERY_DAY_OF_WEEK: u8 = 0xfe;
const LOCAL: u8 = 1 << 0;
const CONTIGUOUS: u8 = 1 << 1;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Extension for Time {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            dates: blob.u32_pair(0)?,
            hours: blob.u32_pair(8)?,
            days_of_month: blob.u32(16)?,
            days_of_week: blob.u8(20)?,
            flags: blob.u8(21)?,
        })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("the time of day (time)")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("time");
        if self.hours != ALL_DAY {
            line.option(false, "--timestart", clock(self.hours.0));
            line.option(false, "--timestop", clock(self.hours.1));
        }
        if self.days_of_month != EVERY_DAY_OF_MONTH {
            let days = (1..32).filter(|day| self.days_of_month & 1 << day != 0);
            line.option(false, "--monthdays", list(days));
        }
        if self.days_of_week != EVERY_DAY_OF_WEEK {
            let days = DAYS.iter().zip(1..8).filter(|(_, day)| self.days_of_week & 1 << day != 0);
            line.option(false, "--weekdays", list(days.map(|(name, _)| name)));
        }
        line.option_if(self.dates.0 != 0, "--datestart", date(self.dates.0));
        line.option_if(self.dates.1 != 0, "--datestop", date(self.dates.1));
        line.flag_if(self.flags & LOCAL != 0, "--kerneltz");
        line.flag_if(self.flags & CONTIGUOUS != 0, "--contiguous");
        line
    }
}

fn clock(seconds: u32) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The date of a day counted from 1970, by counting whole years and months.
fn date(time: u32) -> String {
    let (mut day, mut year) = (time / 86_400, 1970);
    let is_leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_of = |year| if is_leap(year) { 366 } else { 365 };
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let mut month = 1;
    for days in [31, days_of(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}T{}", day + 1, clock(time % 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01T00:00:00");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(date(i32::MAX as u32), "2038-01-19T03:14:07");
        assert_eq!(date(u32::MAX), "2106-02-07T06:28:15");
    }
}
