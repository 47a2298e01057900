//! DNS: a transaction by its id, with the question in the packet's own bytes.

use core::ptr::addr_of_mut;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::{bpf_ktime_get_ns, generated};
use tracer_common::{AttemptCounter, PORT_DNS, QUESTION_LENGTH, Query, QueryKey};

use super::copied::load;
use super::packet::{Packet, class};
use super::{Context, entry};
use crate::maps::{QUERIES, QUERY};

/// Header, bytes (RFC 1035, section 4.1.1).
const HEADER: u32 = 12;
const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
/// Type and class of a question.
const TYPE_AND_CLASS: u32 = 4;
/// Labels that are followed; a longer name is cut.
const LABELS: u32 = 64;

/// What the header says, host order.
struct Header {
    flags: u16,
    questions: u16,
    answers: u16,
}

/// A message at `at`, of which bytes before `end` are in this packet.
#[inline(never)]
pub fn see(context: Context, packet: &Packet, at: u32, end: u32) {
    if end < at + HEADER {
        return entry::count(AttemptCounter::Unreadable);
    }
    let Some([id, flags, questions, answers]) = load::<[u16; 4]>(context, at) else {
        return entry::count(AttemptCounter::Unreadable);
    };
    let header = Header {
        flags: u16::from_be(flags),
        questions: u16::from_be(questions),
        answers: u16::from_be(answers),
    };
    let is_answer = header.flags & QR != 0;
    let server = if is_answer { packet.source_port } else { packet.destination_port };
    // Another direction than the port says, another kind of message, a query without a question: none of a resolver's.
    if class(server) != PORT_DNS || header.flags & OPCODE != 0 || header.questions > 1 {
        return;
    }
    if !is_answer && (header.questions == 0 || header.answers != 0) {
        return;
    }
    let key = QueryKey { attempt: packet.key(entry::device(context), !is_answer), id: u16::from_be(id), pad: [0; 3] };
    if let Some(query) = QUERIES.get_ptr_mut(&key) {
        update(context, query, packet, &header);
        return;
    }
    let Some(query) = QUERY.get_ptr_mut(0) else { return };
    entry::zero(query);
    // SAFETY: this CPU's own value, and no other program of ours runs on it until this one returns.
    let scratch = unsafe { &mut *query };
    if header.questions == 1 {
        let length = question_length(context, at + HEADER, end);
        if length == 0 {
            return entry::count(AttemptCounter::Unreadable);
        }
        scratch.question_length = length as u16;
        if !copy(context, at + HEADER, query, length) {
            return entry::count(AttemptCounter::Unreadable);
        }
    }
    entry::place(context, &mut scratch.netns, &mut scratch.netns_cookie, &mut scratch.ifindex);
    update(context, query, packet, &header);
    scratch.first = scratch.last;
    match QUERIES.insert(&key, &*scratch, u64::from(BPF_NOEXIST)) {
        Ok(()) => entry::count(AttemptCounter::Queries),
        Err(_) => match QUERIES.get_ptr_mut(&key) {
            // Another CPU was faster.
            Some(query) => update(context, query, packet, &header),
            None => entry::count(AttemptCounter::Refused),
        },
    }
}

/// Bytes of the first question that are here and are kept; 0 if it is none.
#[inline(always)]
fn question_length(context: Context, at: u32, end: u32) -> u32 {
    let mut label = at;
    for _ in 0..LABELS {
        if label >= end {
            return 0;
        }
        let Some(length) = load::<u8>(context, label) else { return 0 };
        if length == 0 {
            let whole = label + 1 + TYPE_AND_CLASS - at;
            return if at + whole > end { 0 } else { whole.min(QUESTION_LENGTH as u32) };
        }
        // A pointer has nothing to point to yet.
        if length > 63 {
            return 0;
        }
        label += 1 + u32::from(length);
        if label - at > 254 {
            return 0;
        }
    }
    (end - at).min(QUESTION_LENGTH as u32)
}

/// A function of its own, or the compiler would know more of the length than it lets the verifier see.
#[inline(never)]
fn copy(context: Context, at: u32, query: *mut Query, length: u32) -> bool {
    if length == 0 || length > QUESTION_LENGTH as u32 {
        return false;
    }
    // SAFETY: at most as long as the array.
    unsafe {
        let to = addr_of_mut!((*query).question);
        generated::bpf_skb_load_bytes(context.cast(), at, to.cast(), length) == 0
    }
}

#[inline(always)]
fn update(context: Context, query: *mut Query, packet: &Packet, header: &Header) {
    // SAFETY: a value of the map or of this CPU; other CPUs may change it at the same time, which loses a count.
    let query = unsafe { &mut *query };
    // SAFETY: the helper takes no arguments.
    query.last = unsafe { bpf_ktime_get_ns() };
    let pair = if header.flags & QR == 0 { &mut query.asked } else { &mut query.answers };
    entry::add(pair, packet.direction);
    if header.flags & QR != 0 && query.answered == 0 {
        query.answered = query.last;
        query.answer_flags = header.flags;
        query.answer_count = header.answers;
    }
    entry::remember(context, &mut query.original, packet);
}
