//! Matches that a later one makes needless: `meta l4proto tcp` before `tcp dport 22`.
//!
//! Rule: as nft 1.0 does it; only a match that nothing with an effect stands behind is left out, because a counter between
//! the two would count other packets.

use super::header::{Field, Protocol};
use super::protocol::Piece;
use crate::model::{Family, MetaKey, PayloadBase};

/// Which layer a match made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Link,
    Network,
    Transport,
    Inner,
}

impl Layer {
    pub(super) const fn of(base: PayloadBase) -> Self {
        match base {
            PayloadBase::Link => Self::Link,
            PayloadBase::Network => Self::Network,
            PayloadBase::Transport => Self::Transport,
            PayloadBase::Inner | PayloadBase::Tunnel => Self::Inner,
        }
    }

    pub(super) const fn above(self) -> Self {
        match self {
            Self::Link => Self::Network,
            Self::Network => Self::Transport,
            Self::Transport | Self::Inner => Self::Inner,
        }
    }
}

/// What a match that made a protocol known looks at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    Field(Protocol),
    Meta(MetaKey),
    Ct,
}

#[derive(Clone, Copy, Debug)]
struct Match {
    statement: usize,
    key: Key,
    value: u128,
}

/// The matches so far that may turn out needless, one a layer.
#[derive(Debug, Default)]
pub(super) struct Implied {
    layers: [Option<Match>; 4],
    icmp_type: Option<u8>,
}

impl Implied {
    fn get(&self, layer: Layer) -> Option<(Layer, Match)> {
        let at = |layer: Layer| self.layers.get(layer as usize).copied().flatten().map(|found| (layer, found));
        at(layer).or_else(|| if layer == Layer::Transport { at(Layer::Inner) } else { None })
    }

    fn take(&mut self, layer: Layer) -> Option<usize> {
        let (layer, found) = self.get(layer)?;
        *self.layers.get_mut(layer as usize)? = None;
        Some(found.statement)
    }

    /// Something with an effect stands here.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// `statement` asks for the protocol of `layer`.
    pub(super) fn remember(&mut self, layer: Layer, statement: usize, key: Key, value: u128) {
        if self.is_echo(key, value) {
            return;
        }
        if let Some(slot) = self.layers.get_mut(layer as usize) {
            *slot = Some(Match { statement, key, value });
        }
    }

    fn is_echo(&mut self, key: Key, value: u128) -> bool {
        let kind = u8::try_from(value).unwrap_or(u8::MAX);
        match key {
            Key::Field(Protocol::Icmp) => {
                self.icmp_type = Some(if kind == 0 { 8 } else { kind });
                matches!(kind, 0 | 8)
            }
            Key::Field(Protocol::Icmp6) => {
                self.icmp_type = Some(kind);
                matches!(kind, 128 | 129)
            }
            _ => false,
        }
    }

    /// A field is looked at: gives the statement that is needless now. `is_key`: the field is itself asked for as a key.
    pub(super) fn by_field(&mut self, piece: &Piece, is_key: bool, family: Family) -> Option<usize> {
        let (protocol, field) = piece.field?;
        let layer = Layer::of(piece.at.base);
        let (_, found) = self.get(layer)?;
        self.is_needless(&found, protocol, field, piece.at.base, is_key, family).then(|| self.take(layer))?
    }

    fn is_needless(
        &self,
        found: &Match,
        protocol: Protocol,
        field: &Field,
        base: PayloadBase,
        is_key: bool,
        family: Family,
    ) -> bool {
        let Key::Field(lower) = found.key else { return true };
        if matches!(family, Family::Bridge | Family::Netdev | Family::Inet) {
            if matches!(lower, Protocol::Ip | Protocol::Ip6) && base == PayloadBase::Transport {
                return false;
            }
            if lower.base() == base {
                if is_key || lower == Protocol::Vlan {
                    return false;
                }
                if base == PayloadBase::Link {
                    return lower != Protocol::Ether || found.value == 0x8100;
                }
            }
        }
        match (base, lower) {
            (PayloadBase::Transport, Protocol::Icmp | Protocol::Icmp6) => {
                lower == protocol && field.only_in.is_some() && field.only_in == self.icmp_type
            }
            _ => true,
        }
    }

    /// An extension header or option is looked at.
    pub(super) fn by_layer(&mut self, layer: Layer) -> Option<usize> {
        self.take(layer)
    }

    /// A `meta` or `ct` key of `layer` is found to be `value`.
    pub(super) fn by_key(&mut self, layer: Layer, is_l4proto: bool, value: u128, family: Family) -> Option<usize> {
        let network = self.get(Layer::Network).map(|(_, found)| found);
        let may = network.is_none_or(|network| network.may_go_for(is_l4proto, value, family));
        may.then(|| self.take(layer))?
    }
}

/// A network protocol that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Ip,
    Ip6,
    Other,
}

impl Match {
    /// The network protocol that it asks for, if that is all it asks for.
    fn nf_protocol(&self) -> Option<Asked> {
        match self.key {
            Key::Meta(MetaKey::NfProtocol) => Some(match self.value {
                2 => Asked::Ip,
                10 => Asked::Ip6,
                _ => Asked::Other,
            }),
            Key::Meta(MetaKey::Protocol) | Key::Field(Protocol::Ether | Protocol::Vlan) => Some(match self.value {
                0x0800 => Asked::Ip,
                0x86dd => Asked::Ip6,
                _ => Asked::Other,
            }),
            _ => None,
        }
    }

    fn may_go_for(&self, is_l4proto: bool, value: u128, family: Family) -> bool {
        let Some(asked) = self.nf_protocol() else { return true };
        match family {
            Family::Ip => return asked == Asked::Ip,
            Family::Ip6 => return asked == Asked::Ip6,
            Family::Arp => return true,
            Family::Inet | Family::Netdev | Family::Bridge => {}
        }
        if !is_l4proto {
            return true;
        }
        matches!((asked, value), (Asked::Ip, 1) | (Asked::Ip6, 58) | (Asked::Other, 1 | 58))
    }
}
