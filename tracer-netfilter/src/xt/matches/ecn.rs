//! `ecn`: marks of congestion (`net/netfilter/xt_ecn.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, seen, tcp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecn {
    asked: u8,
    inverted: u8,
    of_ip: u8,
}

const IP: u8 = 0x01;
const ECE: u8 = 0x10;
const CWR: u8 = 0x20;

impl Extension for Ecn {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { asked: blob.u8(0)?, inverted: blob.u8(1)?, of_ip: blob.u8(2)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let mut truth = Truth::Yes;
        if self.asked & IP != 0 {
            let holds = |class| (class & 0x03 == self.of_ip) != self.is_inverted(IP);
            truth = truth.and(seen::traffic_class(view.packet).test("the type of service", holds));
        }
        for (asked, bit) in [(ECE, 0x40), (CWR, 0x80)] {
            if self.asked & asked != 0 {
                let holds = |header: [u8; 20]| (header[13] & bit != 0) != self.is_inverted(asked);
                truth = truth.and(tcp::header(view.packet).test("the TCP flags", holds));
            }
        }
        truth
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("ecn");
        if self.asked & ECE != 0 {
            line.flag(self.is_inverted(ECE), "--ecn-tcp-ece");
        }
        if self.asked & CWR != 0 {
            line.flag(self.is_inverted(CWR), "--ecn-tcp-cwr");
        }
        if self.asked & IP != 0 {
            line.option(self.is_inverted(IP), "--ecn-ip-ect", self.of_ip);
        }
        line
    }
}

impl Ecn {
    const fn is_inverted(&self, bit: u8) -> bool {
        self.inverted & bit != 0
    }
}
