//! The settings of an interface that decide which source it takes, each combined with `all`
//! (`IN_DEV_MAXCONF`, `IN_DEV_ORCONF`, `IN_DEV_ANDCONF` of `include/linux/inetdevice.h`, 5.10 to 7.2).

use crate::node::sysctl;

/// How the kernel combines the value of `all` with that of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combined {
    Higher,
    Either,
    Both,
}

/// One setting of `net/ipv4/conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: &'static str,
    pub combined: Combined,
    pub all: Option<u32>,
    /// The interface's own.
    pub own: Option<u32>,
}

impl Setting {
    pub const fn new(key: &'static str, combined: Combined, all: Option<u32>, own: Option<u32>) -> Self {
        Self { key, combined, all, own }
    }

    /// What the kernel uses.
    pub fn effective(&self) -> Option<u32> {
        let (all, own) = (self.all?, self.own?);
        Some(match self.combined {
            Combined::Higher => all.max(own),
            Combined::Either => u32::from(all != 0 || own != 0),
            Combined::Both => u32::from(all != 0 && own != 0),
        })
    }

    pub fn is_on(&self) -> bool {
        self.effective().is_some_and(|value| value != 0)
    }

    pub fn is_off(&self) -> bool {
        self.effective() == Some(0)
    }

    /// Its name for `all` or an interface, as sysctl(8) takes it.
    pub fn name(&self, of: &str) -> String {
        sysctl::dotted(&self.path(of))
    }

    /// The same with slashes.
    pub fn path(&self, of: &str) -> String {
        format!("net/ipv4/conf/{of}/{}", self.key)
    }
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub rp_filter: Setting,
    pub src_valid_mark: Setting,
    pub accept_local: Setting,
    pub route_localnet: Setting,
    pub log_martians: Setting,
    pub accept_source_route: Setting,
}

impl Settings {
    /// As `value` gives them: of `all` and of an interface.
    pub fn from(mut value: impl FnMut(&'static str, bool) -> Option<u32>) -> Self {
        let mut of = |key, combined| Setting::new(key, combined, value(key, true), value(key, false));
        Self {
            rp_filter: of("rp_filter", Combined::Higher),
            src_valid_mark: of("src_valid_mark", Combined::Either),
            accept_local: of("accept_local", Combined::Either),
            route_localnet: of("route_localnet", Combined::Either),
            log_martians: of("log_martians", Combined::Either),
            accept_source_route: of("accept_source_route", Combined::Both),
        }
    }

    /// In the calling thread's network namespace; what can't be read is told to `failed`.
    pub(super) fn read(interface: &str, mut failed: impl FnMut(String)) -> Self {
        Self::from(|key, is_all| {
            let name = format!("net/ipv4/conf/{}/{key}", if is_all { "all" } else { interface });
            let value = sysctl::read(&name).map_err(|error| error.to_string());
            let number = value.and_then(|text| text.parse().map_err(|_| format!("its value is {text:?}")));
            number.map_err(|why| failed(format!("{}: {why}", sysctl::dotted(&name)))).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_combined_in_its_way() {
        let of = |combined, all, own| Setting::new("x", combined, Some(all), Some(own)).effective();
        assert_eq!(of(Combined::Higher, 1, 2), Some(2), "loose beats strict");
        assert_eq!((of(Combined::Either, 0, 1), of(Combined::Either, 0, 0)), (Some(1), Some(0)));
        assert_eq!((of(Combined::Both, 0, 1), of(Combined::Both, 1, 1)), (Some(0), Some(1)));
        let half = Setting::new("x", Combined::Higher, Some(1), None);
        assert_eq!((half.effective(), half.is_on(), half.is_off()), (None, false, false));
    }

    #[test]
    fn a_setting_that_cannot_be_read_is_told_once() {
        let mut why = Vec::new();
        let settings = Settings::read("no.such/dev", |sentence| why.push(sentence));
        assert_eq!(settings.rp_filter.own, None);
        assert_eq!(why.len(), 6, "{why:?}");
        assert!(why[0].starts_with("net.ipv4.conf.no/such.dev.rp_filter: "), "{why:?}");
    }
}
