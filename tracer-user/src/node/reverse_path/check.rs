//! What the kernel's check comes to with what was read: a pure copy of its decisions.

use netlink_packet_route::route::RouteType;

use super::back::End;
use super::{Checked, is_never_a_source};

const STRICT: u32 = 1;

/// What refuses a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An address that can't be a source.
    NeverASource,
    /// An address of 127.0.0.0/8.
    Loopback,
    /// An address of this machine as source.
    LocalSource,
    /// The route back, by `rp_filter`.
    Filter,
}

impl Checked {
    /// What refuses it, in the order in which the kernel looks; `None` if nothing does, or it can't be told.
    pub fn refusal(&self) -> Option<Refusal> {
        if is_never_a_source(self.source) {
            return Some(Refusal::NeverASource);
        }
        if (self.source.is_loopback() || self.destination.is_loopback()) && self.settings.route_localnet.is_off() {
            return Some(Refusal::Loopback);
        }
        if let Some(End::Route(route)) = self.end() {
            match route.kind {
                RouteType::Local if self.settings.accept_local.is_off() => return Some(Refusal::LocalSource),
                RouteType::Unicast | RouteType::Local => {}
                // Without the filter only own addresses are looked for.
                _ if self.settings.rp_filter.is_on() => return Some(Refusal::NeverASource),
                _ => {}
            }
        }
        (self.filter_refuses() == Some(true)).then_some(Refusal::Filter)
    }

    /// Whether `rp_filter` refuses; `None` if that can't be told.
    pub fn filter_refuses(&self) -> Option<bool> {
        let mode = self.settings.rp_filter.effective()?;
        if mode == 0 {
            return Some(false);
        }
        match self.end()? {
            End::Route(route) if route.leaves_by(&self.interface) => Some(false),
            End::Route(_) if mode == STRICT => Some(true),
            End::Route(_) => self.has_address.map(|has| !has),
            End::Nowhere | End::Refused(_) => Some(true),
            End::Unknown(_) => None,
        }
    }

    /// Where the way back leads; `None` for a source that is not looked up.
    pub fn end(&self) -> Option<&End> {
        self.back.as_ref().map(|back| &back.end)
    }
}
