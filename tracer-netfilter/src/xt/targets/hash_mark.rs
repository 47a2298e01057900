//! HMARK: a mark by the hash of the flow.

use super::{Blob, Effect, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};

/// `struct xt_hmark_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashMark {
    /// Bits of the addresses that are hashed.
    source_bits: u32,
    destination_bits: u32,
    port_mask: (u16, u16),
    port_set: (u16, u16),
    /// The same bytes, for protocols with an index in place of ports.
    index_mask: u32,
    index_set: u32,
    flags: u32,
    protocol_mask: u16,
    seed: u32,
    modulus: u32,
    offset: u32,
}

// Numbers of bits in the flags.
const SOURCE: u32 = 0;
const DESTINATION: u32 = 1;
const INDEX: u32 = 2;
const INDEX_MASK: u32 = 3;
const SOURCE_PORT: u32 = 4;
const DESTINATION_PORT: u32 = 5;
const SOURCE_PORT_MASK: u32 = 6;
const DESTINATION_PORT_MASK: u32 = 7;
const PROTOCOL_MASK: u32 = 8;
const SEED: u32 = 9;
const MODULUS: u32 = 10;
const OFFSET: u32 = 11;
const CONNECTION: u32 = 12;

impl Extension for HashMark {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        // An IPv4 address is the first four bytes.
        let bits = |offset| {
            let mask = u128::from_be_bytes(blob.bytes(offset)?);
            let used = if blob.is_ipv6() { mask } else { mask >> 96 << 96 };
            Ok::<_, DecodeError>(used.count_ones())
        };
        Ok(Self {
            source_bits: bits(0)?,
            destination_bits: bits(16)?,
            port_mask: (blob.be16(32)?, blob.be16(34)?),
            port_set: (blob.be16(36)?, blob.be16(38)?),
            index_mask: u32::from_be_bytes(blob.bytes(32)?),
            index_set: u32::from_be_bytes(blob.bytes(36)?),
            flags: blob.u32(40)?,
            protocol_mask: blob.u16(44)?,
            seed: blob.u32(48)?,
            modulus: blob.u32(52)?,
            offset: blob.u32(56)?,
        })
    }

    /// The whole mark is set.
    fn apply(&self, view: &mut View<'_>, _sure: bool) -> Effect {
        view.mark.forget(u32::MAX);
        Effect::Continue
    }

    fn line(&self, _family: Family) -> Line {
        let has = |bit: u32| self.flags >> bit & 1 == 1;
        Line::new("HMARK")
            .option_if(has(SOURCE), "--hmark-src-prefix", self.source_bits)
            .option_if(has(DESTINATION), "--hmark-dst-prefix", self.destination_bits)
            .option_if(has(SOURCE_PORT_MASK), "--hmark-sport-mask", format_args!("{:#06x}", self.port_mask.0))
            .option_if(has(DESTINATION_PORT_MASK), "--hmark-dport-mask", format_args!("{:#06x}", self.port_mask.1))
            .option_if(has(INDEX_MASK), "--hmark-spi-mask", format_args!("{:#010x}", self.index_mask))
            .option_if(has(SOURCE_PORT), "--hmark-sport", format_args!("{:#06x}", self.port_set.0))
            .option_if(has(DESTINATION_PORT), "--hmark-dport", format_args!("{:#06x}", self.port_set.1))
            .option_if(has(INDEX), "--hmark-spi", format_args!("{:#010x}", self.index_set))
            .option_if(has(PROTOCOL_MASK), "--hmark-proto-mask", format_args!("{:#x}", self.protocol_mask))
            .option_if(has(SEED), "--hmark-rnd", format_args!("{:#010x}", self.seed))
            .option_if(has(MODULUS), "--hmark-mod", self.modulus)
            .option_if(has(OFFSET), "--hmark-offset", self.offset)
            .option_if(has(CONNECTION), "--hmark-tuple", "ct")
    }
}
