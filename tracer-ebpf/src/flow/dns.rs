//! DNS: a transaction by its id, with the question in the packet's own bytes.

use core::ptr::read_volatile;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::{bpf_ktime_get_ns, generated};
use tracer_common::{AttemptCounter, PORT_DNS, QUESTION_LENGTH, Query, QueryKey};

use super::copied::load;
use super::packet::{Packet, Scratch, class};
use super::{Context, entry};
use crate::maps::QUERIES;

/// Header, bytes (RFC 1035, section 4.1.1).
const HEADER: u32 = 12;
const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
/// The shortest question: the root's name, type and class.
const SHORTEST: u32 = 1 + 4;
/// Bytes of a label.
const LABEL: u8 = 63;

/// What the header says, host order.
struct Header {
    flags: u16,
    answers: u16,
}

/// The message of a packet, as far as it is in this one.
#[inline(never)]
pub fn see(context: Context, scratch: &mut Scratch) {
    let (packet, key, query) = (&scratch.packet, &mut scratch.key, &mut scratch.query);
    let at = packet.message;
    if packet.end < at + HEADER {
        return entry::count(AttemptCounter::Unreadable);
    }
    let Some([id, flags, questions, answers]) = load::<[u16; 4]>(context, at) else {
        return entry::count(AttemptCounter::Unreadable);
    };
    let header = Header { flags: u16::from_be(flags), answers: u16::from_be(answers) };
    let is_answer = header.flags & QR != 0;
    let has_question = questions == 1_u16.to_be();
    let server = if is_answer { packet.source_port } else { packet.destination_port };
    // Another direction than the port says, another kind of message, a query without a question: none of a resolver's.
    if class(server) != PORT_DNS || header.flags & OPCODE != 0 || (questions != 0 && !has_question) {
        return;
    }
    if !is_answer && (!has_question || answers != 0) {
        return;
    }
    *key = QueryKey { attempt: packet.key(entry::device(context), !is_answer), id: u16::from_be(id), pad: [0; 3] };
    if let Some(query) = QUERIES.get_ptr_mut(&*key) {
        // SAFETY: a value of the map; other CPUs may change it at the same time, which loses a count.
        return update(context, unsafe { &mut *query }, packet, &header);
    }
    entry::zero(query);
    if has_question && !ask(context, packet, query) {
        return entry::count(AttemptCounter::Unreadable);
    }
    entry::place(context, &mut query.netns, &mut query.netns_cookie, &mut query.ifindex);
    update(context, query, packet, &header);
    query.first = query.last;
    // Refused too if another CPU was faster: the next packet is counted.
    let made = QUERIES.insert(&*key, &*query, u64::from(BPF_NOEXIST)).is_ok();
    entry::count(if made { AttemptCounter::Queries } else { AttemptCounter::Refused });
}

/// Copies what is where the first question should be; `false` if it is none. User space looks for its end: labels that are
/// followed here, one after the other, are a long way for the verifier.
#[inline(always)]
fn ask(context: Context, packet: &Packet, query: &mut Query) -> bool {
    let at = packet.message + HEADER;
    let length = (packet.end - at).min(QUESTION_LENGTH as u32);
    query.question_length = length as u16;
    // A pointer has nothing to point to yet.
    length >= SHORTEST && copy(context, at, query, length) && query.question[0] <= LABEL
}

/// Copies the question.
#[inline(always)]
fn copy(context: Context, at: u32, query: &mut Query, length: u32) -> bool {
    // One less, as old verifiers take "not 0" for "0 or more".
    let last = u64::from(length).wrapping_sub(1);
    // SAFETY: a local. Volatile, or the compiler would know what the verifier does not, and leave out the comparison.
    let last = unsafe { read_volatile(&raw const last) };
    if last >= QUESTION_LENGTH as u64 {
        return false;
    }
    // SAFETY: at most as long as the array.
    unsafe {
        let to = (&raw mut query.question).cast();
        generated::bpf_skb_load_bytes(context.cast(), at, to, last as u32 + 1) == 0
    }
}

#[inline(always)]
fn update(context: Context, query: &mut Query, packet: &Packet, header: &Header) {
    // SAFETY: the helper takes no arguments.
    query.last = unsafe { bpf_ktime_get_ns() };
    let pair = if header.flags & QR == 0 { &mut query.asked } else { &mut query.answers };
    entry::add(pair, packet.direction);
    if header.flags & QR != 0 && query.answered == 0 {
        query.answered = query.last;
        query.answer_flags = header.flags;
        query.answer_count = header.answers;
    }
    entry::remember(context, &mut query.original, &mut query.original_asked, packet.direction, packet.tunnel);
}
