//! `owner`: who has the socket that sent it (`net/netfilter/xt_owner.c`).

use crate::packet::Known;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    users: (u32, u32),
    groups: (u32, u32),
    asked: u8,
    inverted: u8,
}

const USER: u8 = 1 << 0;
const GROUP: u8 = 1 << 1;
const SOCKET: u8 = 1 << 2;
const SUPPLEMENTARY: u8 = 1 << 3;

impl Extension for Owner {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1])?;
        Ok(Self { users: blob.u32_pair(0)?, groups: blob.u32_pair(8)?, asked: blob.u8(16)?, inverted: blob.u8(17)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let socket = match &view.packet.socket {
            Known::Is(socket) => socket,
            // Without a socket it holds if all that is asked for is inverted.
            Known::Absent => return Truth::from(self.asked == self.inverted),
            Known::Unknown => return Truth::unknown("the socket that sent it"),
        };
        if self.asked & self.inverted & SOCKET != 0 {
            return Truth::No;
        }
        let is_in = |(lowest, highest): (u32, u32), id: u32| Truth::from(lowest <= id && id <= highest);
        let user = socket.user.map_or_else(|| Truth::unknown("the user of its socket"), |user| is_in(self.users, user));
        let group = socket.group.map(|group| is_in(self.groups, group));
        let mut group = group.unwrap_or_else(|| Truth::unknown("the group of its socket"));
        if self.asked & SUPPLEMENTARY != 0 {
            group = group.or(Truth::unknown("the supplementary groups of its socket"));
        }
        self.says(USER, user).and(self.says(GROUP, group))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("owner");
        let ids = |(lowest, highest): (u32, u32)| {
            if lowest == highest { lowest.to_string() } else { format!("{lowest}-{highest}") }
        };
        let options = [
            (SOCKET, "--socket-exists", None),
            (USER, "--uid-owner", Some(self.users)),
            (GROUP, "--gid-owner", Some(self.groups)),
            (SUPPLEMENTARY, "--suppl-groups", None),
        ];
        for (bit, option, range) in options.into_iter().filter(|(bit, ..)| self.asked & bit != 0) {
            let is_inverted = self.inverted & bit != 0;
            match range {
                Some(range) => line.option(is_inverted, option, ids(range)),
                None => line.flag(is_inverted, option),
            }
        }
        line
    }
}

impl Owner {
    fn says(&self, bit: u8, truth: Truth) -> Truth {
        if self.asked & bit == 0 { Truth::Yes } else { truth.invert_if(self.inverted & bit != 0) }
    }
}
