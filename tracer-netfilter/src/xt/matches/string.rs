//! `string`: text in the packet (`net/netfilter/xt_string.c`).

use crate::packet::Packet;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Bytes from the IP header on, between which it must stand as a whole.
    from: u16,
    to: u16,
    algorithm: String,
    pattern: Vec<u8>,
    is_inverted: bool,
    ignores_case: bool,
}

/// `XT_STRING_MAX_PATTERN_SIZE`.
const MOST: u8 = 128;

impl Extension for Text {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let flags = blob.u8(149)?;
        Ok(Self {
            from: blob.u16(0)?,
            to: blob.u16(2)?,
            algorithm: blob.string(4, 16)?,
            pattern: blob.slice(20, usize::from(blob.u8(148)?.min(MOST)))?.to_vec(),
            is_inverted: if blob.revision == 0 { flags != 0 } else { flags & 0x01 != 0 },
            ignores_case: blob.revision > 0 && flags & 0x02 != 0,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        self.is_in(view.packet).invert_if(self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("string");
        let is_printable = |byte: &u8| (0x20..0x7f).contains(byte);
        if self.pattern.iter().all(is_printable) && self.pattern.last() != Some(&b'\\') {
            let mut text = String::new();
            for byte in &self.pattern {
                text.push_str(if matches!(byte, b'"' | b'\\') { "\\" } else { "" });
                text.push(char::from(*byte));
            }
            line.option(self.is_inverted, "--string", format_args!("\"{text}\""));
        } else {
            let hex = self.pattern.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            line.option(self.is_inverted, "--hex-string", format_args!("\"|{hex}|\""));
        }
        line.option(false, "--algo", &self.algorithm);
        line.option_if(self.from != 0, "--from", self.from);
        line.option_if(self.to != u16::MAX, "--to", self.to);
        line.flag_if(self.ignores_case, "--icase");
        line
    }
}

impl Text {
    fn is_in(&self, packet: &Packet) -> Truth {
        let (Some(start), Some(length)) = (packet.network, packet.length) else {
            return Truth::unknown("the text of the packet (string)");
        };
        if self.ignores_case && !self.pattern.is_ascii() {
            // The kernel's own idea of letters, and `bm` steps over some of them.
            return Truth::unknown("text in capital or small letters (string)");
        }
        let end = usize::from(self.to).min(length as usize);
        let kept = packet.bytes.get(start..).unwrap_or_default();
        let looked_at = kept.get(usize::from(self.from)..end.min(kept.len())).unwrap_or_default();
        let same = |window: &[u8]| {
            if self.ignores_case { window.eq_ignore_ascii_case(&self.pattern) } else { window == self.pattern }
        };
        if !self.pattern.is_empty() && looked_at.windows(self.pattern.len()).any(same) {
            Truth::Yes
        } else if end <= kept.len() {
            Truth::No
        } else {
            Truth::unknown("text that was not kept (string)")
        }
    }
}
