//! Statements that keep a state or write a log, and need no register.

use std::fmt::Write as _;

use super::value::duration;
use crate::model::{Expression, LimitUnit};

/// `None`: it is none of these.
pub(super) fn text(expression: &Expression, has_numbers: bool) -> Option<String> {
    Some(match expression {
        Expression::Counter(counter) => super::counter(counter, has_numbers),
        Expression::Limit { rate, seconds, burst, unit, over } => limit(*rate, *seconds, *burst, *unit, *over),
        Expression::Quota { bytes, consumed, over } => {
            let used =
                if has_numbers && *consumed > 0 { format!(" used {}", amount(*consumed)) } else { String::new() };
            format!("quota {}{}{used}", over_text(*over), amount(*bytes))
        }
        Expression::ConnectionLimit { count, over } => format!("ct count {}{count}", over_text(*over)),
        Expression::Last { used, msecs } => match (has_numbers, used) {
            (false, _) => "last".to_owned(),
            (true, false) => "last used never".to_owned(),
            (true, true) => format!("last used {}", duration(*msecs)),
        },
        Expression::SynProxy { mss, wscale, flags } => synproxy(*mss, *wscale, *flags),
        Expression::Log { .. } => log(expression),
        _ => return None,
    })
}

const fn over_text(over: bool) -> &'static str {
    if over { "over " } else { "" }
}

/// `10 mbytes`: the biggest unit that leaves no rest.
fn amount(bytes: u64) -> String {
    match bytes {
        0 => "0 bytes".to_owned(),
        _ if bytes.is_multiple_of(1024 * 1024) => format!("{} mbytes", bytes / (1024 * 1024)),
        _ if bytes.is_multiple_of(1024) => format!("{} kbytes", bytes / 1024),
        _ => format!("{bytes} bytes"),
    }
}

fn limit(rate: u64, seconds: u64, burst: u32, unit: LimitUnit, over: bool) -> String {
    const DEFAULT_BURST: u32 = 5;
    let time = match seconds {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        604_800 => "week".to_owned(),
        other => format!("{other}s"),
    };
    let over = over_text(over);
    match unit {
        LimitUnit::Packets if burst == 0 || burst == DEFAULT_BURST => format!("limit rate {over}{rate}/{time}"),
        LimitUnit::Packets => format!("limit rate {over}{rate}/{time} burst {burst} packets"),
        LimitUnit::Bytes if burst == 0 => format!("limit rate {over}{}/{time}", amount(rate)),
        LimitUnit::Bytes => format!("limit rate {over}{}/{time} burst {}", amount(rate), amount(burst.into())),
    }
}

/// `flags` are `NF_SYNPROXY_OPT_` bits.
fn synproxy(mss: u16, wscale: u8, flags: u32) -> String {
    let mut text = "synproxy".to_owned();
    if flags & 0x3 != 0 {
        let _ = write!(text, " mss {mss} wscale {wscale}");
    }
    text.push_str(if flags & 0x8 != 0 { " timestamp" } else { "" });
    text.push_str(if flags & 0x4 != 0 { " sack-perm" } else { "" });
    text
}

fn log(expression: &Expression) -> String {
    const WARNING: u32 = 4;
    let Expression::Log { prefix, group, level, flags, snaplen, queue_threshold } = expression else {
        return String::new();
    };
    let mut text = "log".to_owned();
    if let Some(prefix) = prefix {
        let _ = write!(text, " prefix \"{prefix}\"");
    }
    if let Some(group) = group {
        let _ = write!(text, " group {group}");
    }
    if let Some(snaplen) = snaplen {
        let _ = write!(text, " snaplen {snaplen}");
    }
    if let Some(threshold) = queue_threshold {
        let _ = write!(text, " queue-threshold {threshold}");
    }
    if let Some(level) = level.filter(|level| *level != WARNING) {
        const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"];
        let _ = write!(text, " level {}", LEVELS.get(level as usize).unwrap_or(&"unknown"));
    }
    text.push_str(&log_flags(*flags));
    text
}

/// `NF_LOG_` bits.
fn log_flags(flags: u32) -> String {
    const ALL: u32 = 0x2f;
    if flags & ALL == ALL {
        return " flags all".to_owned();
    }
    let mut text = String::new();
    match flags & 0x3 {
        0x1 => text.push_str(" flags tcp sequence"),
        0x2 => text.push_str(" flags tcp options"),
        0x3 => text.push_str(" flags tcp sequence,options"),
        _ => {}
    }
    for (bit, name) in [(0x4, " flags ip options"), (0x8, " flags skuid"), (0x20, " flags ether")] {
        text.push_str(if flags & bit == 0 { "" } else { name });
    }
    text
}
