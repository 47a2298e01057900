//! Kernel settings: their values in the calling thread's network namespace, and the file that sets them at boot.
//!
//! Rule: names are written as sysctl(8) takes them with slashes (`net/ipv4/conf/eth0.1/rp_filter`), because an
//! interface's name may hold dots; [`dotted`] is how they are shown.

mod assignment;
mod boot;

use std::fs;

use crate::host::error::Errno;

pub use assignment::SetBy;
pub use boot::set_by;

/// The value of a setting, without the line's end. `/proc/sys/net` shows the namespace of the thread that reads it.
///
/// # Errors
/// Why it can't be read: `ENOENT` where this kernel or namespace does not have it.
pub fn read(name: &str) -> Result<String, Errno> {
    fs::read_to_string(format!("/proc/sys/{name}"))
        .map(|text| text.trim_end().to_owned())
        .map_err(|error| Errno::of(&error))
}

/// The name as sysctl(8) shows it: dots between parts, a slash where a part has a dot.
pub fn dotted(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c == '/' {
                '.'
            } else if c == '.' {
                '/'
            } else {
                c
            }
        })
        .collect()
}
