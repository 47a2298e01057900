use super::*;
use crate::netlink::Subsystem;

fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((16 + payload.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

fn families(datagram: &[u8], sequence: u32) -> (Result<Progress, NetlinkError>, Vec<u8>, bool) {
    let (mut seen, mut is_partial) = (Vec::new(), false);
    let progress = take(datagram, sequence, &mut is_partial, |message| seen.push(message.family));
    (progress, seen, is_partial)
}

#[test]
fn answers_to_other_questions_are_passed_over() {
    let bytes = [message(0xa03, 2, 7, &[2, 0, 0, 0]), message(0xa03, 2, 6, &[9; 4])].concat();
    assert_eq!(families(&bytes, 7), (Ok(Progress::More), vec![2], false));
    let done = message(3, NLM_F_DUMP_INTR, 7, &[0; 4]);
    assert_eq!(families(&done, 7), (Ok(Progress::Complete), vec![], true));
}

#[test]
fn refusals_carry_their_error_number() {
    let refused = |number: i32| message(2, 0, 1, &[(-number).to_ne_bytes().to_vec(), vec![0; 16]].concat());
    assert_eq!(families(&refused(libc::EPERM), 1).0, Err(NetlinkError::Denied));
    assert_eq!(families(&refused(libc::ENOENT), 1).0, Err(NetlinkError::Refused(Errno(libc::ENOENT))));
    assert!(NetlinkError::Denied.to_string().contains("CAP_NET_ADMIN"));
}

#[test]
fn lying_lengths_are_malformed_and_nothing_panics() {
    let good = message(0xa03, 2, 1, &[2, 0, 0, 0, 8, 0, 1, 0, 1, 2, 3, 4]);
    for cut in 1..good.len() {
        assert_eq!(families(&good[..cut], 1).0, Err(NetlinkError::Malformed), "cut at {cut}");
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..50_000 {
        let mut bytes = good.repeat(2);
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = state as usize % bytes.len();
            bytes[at] = (state >> 32) as u8;
        }
        let mut values = 0;
        let _ = take(&bytes, 1, &mut false, |message| values += message.attributes.iter().count());
        assert!(values <= 4, "four headers fit at most");
    }
}

#[test]
fn a_request_has_header_family_and_aligned_attributes() {
    let request = Request::new(Subsystem::NfTables, 7, 2).with_text(1, "abcd").with(3, &[1]);
    let bytes = request.bytes(NLM_F_REQUEST, 5);
    assert_eq!(bytes.len(), 16 + 4 + 12 + 8);
    assert_eq!(bytes[..8], [40, 0, 0, 0, 7, 10, 1, 0]);
    assert_eq!(bytes[16..], *b"\x02\0\0\0\x09\0\x01\0abcd\0\0\0\0\x05\0\x03\0\x01\0\0\0");
}
