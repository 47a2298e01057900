//! The header match of a legacy entry, put together from the comparisons that iptables-nft makes of it.

use crate::model::{DecodeError, Family, MetaKey};
use crate::xt;

/// Where the fields of `struct ipt_ip` or `struct ip6t_ip6` are.
struct Layout {
    /// Bytes of an address.
    address: usize,
    devices: usize,
    protocol: usize,
    flags: usize,
    inverted: usize,
    /// Offsets in the packet: source address, destination address, protocol.
    packet: [u32; 3],
}

const IPV4: Layout = Layout { address: 4, devices: 16, protocol: 80, flags: 82, inverted: 83, packet: [12, 16, 9] };
const IPV6: Layout = Layout { address: 16, devices: 64, protocol: 128, flags: 131, inverted: 132, packet: [8, 24, 6] };

/// `IFNAMSIZ`
const DEVICE: usize = 16;
/// `IPT_F_FRAG`
const FRAGMENT: u8 = 0x01;
/// `IP6T_F_PROTO`
const HAS_PROTOCOL: u8 = 0x01;

/// `IPT_INV_` bits, the same for both.
const INVERTED_INPUT: u8 = 0x01;
const INVERTED_OUTPUT: u8 = 0x02;
const INVERTED_SOURCE: u8 = 0x08;
const INVERTED_DESTINATION: u8 = 0x10;
const INVERTED_FRAGMENT: u8 = 0x20;
const INVERTED_PROTOCOL: u8 = 0x40;

pub(super) struct Header {
    is_ipv6: bool,
    layout: &'static Layout,
    bytes: Vec<u8>,
    protocol: Option<u8>,
}

impl Header {
    pub(super) fn new(family: Family) -> Option<Self> {
        let (is_ipv6, layout, size) = match family {
            Family::Ip => (false, &IPV4, xt::Header::IPV4_SIZE),
            Family::Ip6 => (true, &IPV6, xt::Header::IPV6_SIZE),
            _ => return None,
        };
        Some(Self { is_ipv6, layout, bytes: vec![0; size], protocol: None })
    }

    pub(super) fn decode(&self) -> Result<xt::Header, DecodeError> {
        if self.is_ipv6 { xt::Header::decode_ipv6(&self.bytes) } else { xt::Header::decode_ipv4(&self.bytes) }
    }

    /// The protocol that the rule is for.
    pub(super) const fn protocol(&self) -> Option<u8> {
        self.protocol
    }

    /// A comparison of something beside the packet's bytes.
    pub(super) fn meta(&mut self, key: MetaKey, data: &[u8], is_inverted: bool) -> Option<()> {
        match key {
            MetaKey::InputName => self.device(0, data, is_inverted, INVERTED_INPUT),
            MetaKey::OutputName => self.device(1, data, is_inverted, INVERTED_OUTPUT),
            MetaKey::TransportProtocol => self.ask_protocol(data, is_inverted),
            _ => None,
        }
    }

    /// A comparison of bytes of the IP header.
    pub(super) fn network(&mut self, offset: u32, data: &[u8], mask: Option<&[u8]>, is_inverted: bool) -> Option<()> {
        let [source, destination, protocol] = self.layout.packet;
        match mask {
            // The offset of a fragment, which is not 0.
            Some([0x1f, 0xff]) if !self.is_ipv6 && offset == 6 && data == [0, 0] => {
                *self.bytes.get_mut(self.layout.flags)? |= FRAGMENT;
                self.invert(!is_inverted, INVERTED_FRAGMENT)
            }
            _ if offset == source => self.address(0, data, mask, is_inverted, INVERTED_SOURCE),
            _ if offset == destination => self.address(1, data, mask, is_inverted, INVERTED_DESTINATION),
            None if offset == protocol => self.ask_protocol(data, is_inverted),
            _ => None,
        }
    }

    /// Without a mask, only the bytes that a prefix covers are compared.
    fn address(&mut self, which: usize, data: &[u8], mask: Option<&[u8]>, is_inverted: bool, bit: u8) -> Option<()> {
        let size = self.layout.address;
        let ones = vec![u8::MAX; data.len()];
        self.put(which * size, size, data)?;
        self.put((which + 2) * size, size, mask.unwrap_or(&ones))?;
        self.invert(is_inverted, bit)
    }

    /// A name without its 0 is the start of a name.
    fn device(&mut self, which: usize, data: &[u8], is_inverted: bool, bit: u8) -> Option<()> {
        let name = data.split(|byte| *byte == 0).next()?;
        let compared = data.len().min(name.len().saturating_add(1));
        let at = self.layout.devices + which * DEVICE;
        self.put(at, DEVICE, name)?;
        self.put(at + 2 * DEVICE, DEVICE, &vec![u8::MAX; compared])?;
        self.invert(is_inverted, bit)
    }

    fn ask_protocol(&mut self, data: &[u8], is_inverted: bool) -> Option<()> {
        let [protocol] = *data else { return None };
        // nft says it again for each header that it looks at.
        if !is_inverted && self.protocol.replace(protocol) == Some(protocol) {
            return Some(());
        }
        self.put(self.layout.protocol, 2, &u16::from(protocol).to_ne_bytes())?;
        if self.is_ipv6 {
            *self.bytes.get_mut(self.layout.flags)? |= HAS_PROTOCOL;
        }
        self.invert(is_inverted, INVERTED_PROTOCOL)
    }

    fn invert(&mut self, is_inverted: bool, bit: u8) -> Option<()> {
        *self.bytes.get_mut(self.layout.inverted)? |= if is_inverted { bit } else { 0 };
        Some(())
    }

    /// Puts a value at the start of a field; `None` if it does not fit, or there is one already, since nft can ask for two
    /// addresses in one rule, and iptables can't.
    fn put(&mut self, at: usize, size: usize, value: &[u8]) -> Option<()> {
        let field = self.bytes.get_mut(at..at.checked_add(size)?)?;
        if field.iter().any(|byte| *byte != 0) {
            return None;
        }
        field.get_mut(..value.len())?.copy_from_slice(value);
        Some(())
    }
}
