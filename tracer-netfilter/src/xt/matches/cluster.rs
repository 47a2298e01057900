//! `cluster`: which node of a cluster a connection is for (`net/netfilter/xt_cluster.c`).

use super::tracked::Tracked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    nodes: u32,
    mask: u32,
    seed: u32,
    is_inverted: bool,
}

impl Extension for Cluster {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { nodes: blob.u32(0)?, mask: blob.u32(4)?, seed: blob.u32(8)?, is_inverted: blob.u32(12)? & 1 != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        Tracked::of(view).has_connection().and(Truth::unknown("the node that its connection is for (cluster)"))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("cluster");
        line.option(self.is_inverted, "--cluster-local-nodemask", format_args!("{:#010x}", self.mask));
        line.option(false, "--cluster-total-nodes", self.nodes);
        line.option(false, "--cluster-hash-seed", format_args!("{:#010x}", self.seed));
        line
    }
}
