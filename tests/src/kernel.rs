//! What the running kernel is and knows, read without help of the binary under test.

use std::fs;
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::netns::run;

/// `(6, 18)` for 6.18.44.
pub fn release() -> Result<(u32, u32)> {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    parse_release(&text).with_context(|| format!("no version in {text}"))
}

fn parse_release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether `enum skb_drop_reason` (or a subsystem's) has a reason of this name, such as `NO_SOCKET`.
pub fn knows_reason(name: &str) -> Result<bool> {
    static BTF: OnceLock<Vec<u8>> = OnceLock::new();
    let btf = match BTF.get() {
        Some(btf) => btf,
        None => BTF.get_or_init(|| fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default()),
    };
    anyhow::ensure!(!btf.is_empty(), "/sys/kernel/btf/vmlinux cannot be read");
    let wanted = format!("\0SKB_DROP_REASON_{name}\0");
    Ok(btf.windows(wanted.len()).any(|window| window == wanted.as_bytes()))
}

/// Whether its tracepoint tells reasons, as it does since 5.17; if not, the test says once that it knows them by the place.
pub fn tells_reasons() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let tells = knows_reason("NOT_SPECIFIED").unwrap_or(true);
        if !tells {
            // Past the capture of the test harness, as a skip.
            eprintln!("degraded test: this kernel gives no drop reasons, they are derived from the place");
        }
        tells
    })
}

/// The first of the names that this kernel knows: newer kernels give finer reasons for the same drop.
pub fn finest_reason<'a>(names: &[&'a str]) -> Result<&'a str> {
    for name in names {
        if knows_reason(name)? {
            return Ok(name);
        }
    }
    anyhow::bail!("this kernel knows none of {names:?}")
}

/// A build option: `Some(true)` for built in or module, `None` when the configuration cannot be read.
pub(crate) fn configured(option: &str) -> Option<bool> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let text = fs::read_to_string(format!("/boot/config-{}", release.trim()))
        .or_else(|_| run("zcat", &["/proc/config.gz"]))
        .ok()?;
    Some(text.lines().any(|line| line == format!("{option}=y") || line == format!("{option}=m")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        assert_eq!(parse_release("6.18.44-fc-v657\n"), Some((6, 18)));
        assert_eq!(parse_release("5.10.0-46-cloud-amd64"), Some((5, 10)));
        assert_eq!(parse_release("linux"), None);
    }
}
