//! Which MTU a packet had to fit through.

use crate::node::mtu::Mtu;

/// Where a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The `mtu` of the route.
    Route,
    /// A path MTU that ICMP told; forgotten after so many seconds.
    Learned(u32),
    /// `net.ipv6.conf.DEVICE.mtu`.
    Ipv6Setting,
    Device,
}

/// What the kernel compared the packet with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub mtu: u32,
    pub device: String,
    pub by: By,
}

impl Limit {
    /// As the kernel finds it when it forwards, from the most to the least particular.
    pub(super) fn of(state: &Mtu, is_ipv6: bool) -> Option<Self> {
        let hop = state.hop.as_ref();
        let device = state.device.as_ref();
        let name = device.map(|device| device.name.clone()).or_else(|| hop.map(|hop| hop.device_name.clone()))?;
        let limit = |mtu, by| Some(Self { mtu, device: name, by });
        // The route may lead elsewhere by now: then its MTU is not that of the packet.
        let hop = hop.filter(|hop| device.is_none_or(|device| device.index == hop.device));
        if let Some(mtu) = hop.and_then(|hop| hop.route.as_ref()).and_then(|route| route.mtu) {
            return limit(mtu, By::Route);
        }
        let is_local = state.came_in_by.is_none();
        if let Some(learned) = hop.and_then(|hop| hop.learned).filter(|_| is_ipv6 || is_local || state.obeys_learned) {
            return limit(learned.mtu, By::Learned(learned.expires));
        }
        let own = device?.mtu;
        match state.ipv6_mtu.filter(|mtu| is_ipv6 && *mtu < own) {
            Some(mtu) => limit(mtu, By::Ipv6Setting),
            None => limit(own, By::Device),
        }
    }

    /// The setting that IPv6 has of its own; sysctl(8) writes a dot in a name as a slash.
    pub(super) fn setting(&self) -> String {
        format!("net.ipv6.conf.{}.mtu", self.device.replace('.', "/"))
    }

    /// In brackets, in a summary.
    pub(super) fn says(&self) -> String {
        match self.by {
            By::Device => format!("MTU {}", self.mtu),
            By::Route => format!("its route has mtu {}", self.mtu),
            By::Learned(_) => format!("learned path MTU {}", self.mtu),
            By::Ipv6Setting => format!("{} is {}", self.setting(), self.mtu),
        }
    }

    pub(super) fn fact(&self, state: &Mtu) -> String {
        let route = state.hop.as_ref().and_then(|hop| hop.route.as_ref()).map_or("", |route| route.text.as_str());
        match self.by {
            By::Device => format!("the MTU of {}, the way out, is {}", self.device, self.mtu),
            By::Route => format!("the route {route} has mtu {}", self.mtu),
            By::Learned(0) => format!("ICMP told a path MTU of {} for this destination", self.mtu),
            By::Learned(seconds) => {
                format!("ICMP told a path MTU of {} for this destination, kept for {seconds} s more", self.mtu)
            }
            By::Ipv6Setting => format!("{} is {}, below the MTU of the device", self.setting(), self.mtu),
        }
    }
}
