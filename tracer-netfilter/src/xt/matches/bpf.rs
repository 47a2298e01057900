//! `bpf`: a program (`net/netfilter/xt_bpf.c`).

use super::line::list;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bpf {
    /// `struct sock_filter`: code, jumps, constant.
    Bytecode(Vec<(u16, u8, u8, u32)>),
    /// A file in the BPF file system.
    Pinned(String),
    Other(u16),
}

/// `XT_BPF_MAX_NUM_INSTR`.
const MOST: u16 = 64;
const INSTRUCTION: usize = 8;

impl Extension for Bpf {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let (count, start) = if blob.revision == 0 { (blob.u16(0)?, 4) } else { (blob.u16(2)?, 8) };
        match if blob.revision == 0 { 0 } else { blob.u16(0)? } {
            0 => {}
            1 => return blob.string(start, usize::from(MOST) * INSTRUCTION).map(Self::Pinned),
            mode => return Ok(Self::Other(mode)),
        }
        let instruction = |index: u16| {
            let at = start + INSTRUCTION * usize::from(index);
            Ok((blob.u16(at)?, blob.u8(at + 2)?, blob.u8(at + 3)?, blob.u32(at + 4)?))
        };
        (0..count.min(MOST)).map(instruction).collect::<Result<_, _>>().map(Self::Bytecode)
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("what a program says (bpf)")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("bpf");
        match self {
            Self::Bytecode(program) => {
                let code = program.iter().map(|(code, yes, no, constant)| format!("{code} {yes} {no} {constant}"));
                line.option(false, "--bytecode", format_args!("\"{},{}\"", program.len(), list(code)));
            }
            Self::Pinned(path) => line.option(false, "--object-pinned", path),
            Self::Other(_) => {}
        }
        line
    }
}
