//! Whether packets that came in by an interface are forwarded.
//!
//! IPv4 asks the interface (`IN_DEV_FORWARD`); `ip_forward` is a switch for all of them. IPv6 asks `conf.all` and, since
//! Linux 6.17, `force_forwarding` of the interface (`ip6_forward`).

use crate::host::error::Errno;
use crate::node::sysctl::{self, SetBy};

/// A setting as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// With slashes.
    pub name: String,
    pub value: String,
}

/// The settings for one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// `ip_forward` or `conf/all/forwarding`.
    pub all: Setting,
    /// The interface's own: `forwarding` of IPv4, `force_forwarding` of IPv6 where this kernel has it.
    pub own: Option<Setting>,
    /// Lines of files that switch it off at boot; only known of the host's own namespace.
    pub set_by: Vec<SetBy>,
}

impl Forwarding {
    /// Reads them in the calling thread's namespace.
    ///
    /// # Errors
    /// Why the one that decides can't be read.
    pub(super) fn read(interface: &str, is_ipv6: bool) -> Result<Self, Errno> {
        let own = if is_ipv6 { "force_forwarding" } else { "forwarding" };
        let family = if is_ipv6 { "ipv6" } else { "ipv4" };
        let own = Setting::read(format!("net/{family}/conf/{interface}/{own}"));
        let all = if is_ipv6 { "net/ipv6/conf/all/forwarding" } else { "net/ipv4/ip_forward" };
        let own = if is_ipv6 { own.ok() } else { Some(own?) };
        Ok(Self { all: Setting::read(all.to_owned())?, own, set_by: Vec::new() })
    }

    /// Looks for the lines of files that switch it off.
    pub(super) fn find_files(&mut self, mut find: impl FnMut(&str) -> Option<SetBy>) {
        let off = [Some(&self.all), self.own.as_ref()].into_iter().flatten().filter(|setting| !setting.is_on());
        let lines = off.filter_map(|setting| find(&setting.name).filter(|line| line.value == setting.value));
        self.set_by = lines.collect();
    }

    /// Whether packets are forwarded.
    pub fn is_on(&self, is_ipv6: bool) -> bool {
        let own = self.own.as_ref().is_some_and(Setting::is_on);
        if is_ipv6 { own || self.all.is_on() } else { own }
    }
}

impl Setting {
    /// Reads it in the calling thread's namespace.
    pub(super) fn read(name: String) -> Result<Self, Errno> {
        let value = sysctl::read(&name)?;
        Ok(Self { name, value })
    }

    /// `ignore_routes_with_linkdown` of a device; IPv4 heeds that of `all` as well (`IN_DEV_ORCONF`).
    pub(super) fn linkdown(device: &str, is_ipv6: bool) -> Option<Self> {
        let family = if is_ipv6 { "ipv6" } else { "ipv4" };
        let read = |who: &str| Self::read(format!("net/{family}/conf/{who}/ignore_routes_with_linkdown")).ok();
        let own = read(device);
        let all = if is_ipv6 || own.as_ref().is_some_and(Self::is_on) { None } else { read("all") };
        all.filter(Self::is_on).or(own)
    }

    pub fn is_on(&self) -> bool {
        self.value.parse::<i64>().is_ok_and(|value| value != 0)
    }
}
