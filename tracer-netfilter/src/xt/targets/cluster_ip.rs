//! CLUSTERIP: one address for several nodes, each taking its share of the flows. Kernels had it until 6.1.

use super::{Blob, Effect, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};

/// `struct ipt_clusterip_tgt_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIp {
    /// The rule made the address; the others of it say nothing more.
    is_first: bool,
    address: [u8; 6],
    nodes: u16,
    node: u16,
    hash: &'static str,
    seed: u32,
}

impl Extension for ClusterIp {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            is_first: blob.u32(0)? & 0x01 != 0,
            address: blob.bytes(4)?,
            nodes: blob.u16(10)?,
            node: blob.u16(14)?,
            hash: match blob.u32(48)? {
                0 => "sourceip",
                1 => "sourceip-sourceport",
                2 => "sourceip-sourceport-destport",
                _ => "unknown-error",
            },
            seed: blob.u32(52)?,
        })
    }

    /// Drops flows that are another node's.
    fn apply(&self, _view: &mut View<'_>, _sure: bool) -> Effect {
        Effect::Unknown("which node's share the flow is (CLUSTERIP)".to_owned())
    }

    fn line(&self, _family: Family) -> Line {
        let line = Line::new("CLUSTERIP");
        if !self.is_first {
            return line;
        }
        let address: Vec<String> = self.address.iter().map(|byte| format!("{byte:02X}")).collect();
        line.flag("--new")
            .option("--hashmode", self.hash)
            .option("--clustermac", address.join(":"))
            .option("--total-nodes", self.nodes)
            .option("--local-node", self.node)
            .option("--hash-init", self.seed)
    }
}
