//! `socket`: whether a socket here takes the packet (`net/netfilter/xt_socket.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketMatch {
    flags: u8,
}

impl Extension for SocketMatch {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1, 2, 3])?;
        Ok(Self { flags: if blob.revision == 0 { 0 } else { blob.u8(0)? } })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("whether a local socket takes it (socket)")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("socket");
        line.flag_if(self.flags & 1 << 0 != 0, "--transparent");
        line.flag_if(self.flags & 1 << 1 != 0, "--nowildcard");
        line.flag_if(self.flags & 1 << 2 != 0, "--restore-skmark");
        line
    }
}
