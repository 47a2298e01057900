//! Questions about drops that are answered beside the event line, and the way to who answers them.
//!
//! Rule: the line never waits for an answer. Questions go through a bounded queue and are refused when it is full (the
//! flow's next line asks again); answers come as values.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::mpsc;
use tracer_common::FlowKey;

use crate::decode::Dropped;

/// Questions that wait: more flows than one tick prints (about 1 KiB each).
pub const QUEUE: usize = 1024;

/// Packets of a flow that nothing beside the line tells apart: those that differ may be dropped by different rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    pub flow: FlowKey,
    /// A number for what rules may ask of such a packet; 0 if no packet is known.
    pub fingerprint: u64,
    /// Tells the flow's namespace from another one with the same number; 0 if unknown.
    pub netns_cookie: u64,
}

impl Case {
    pub fn new(flow: FlowKey, packet: Option<&Dropped>) -> Self {
        let netns_cookie = packet.map_or(0, |packet| packet.event.netns_cookie);
        Self { flow, fingerprint: packet.map_or(0, fingerprint), netns_cookie }
    }
}

fn fingerprint(dropped: &Dropped) -> u64 {
    let (event, headers) = (&dropped.event, &dropped.headers);
    let mut hasher = DefaultHasher::new();
    dropped.stack.hash(&mut hasher);
    [event.mark, event.length, event.in_ifindex, event.out_ifindex, event.uid, event.gid].hash(&mut hasher);
    [event.conntrack & 15, event.connection.mark, event.connection.status].hash(&mut hasher);
    [event.bridge_in_ifindex, event.bridge_out_ifindex, u32::from(event.packet_type)].hash(&mut hasher);
    (headers.source_port, headers.destination_port, headers.ttl, headers.later_fragment).hash(&mut hasher);
    (headers.tcp_flags.map(|flags| flags.0), headers.icmp).hash(&mut hasher);
    hasher.finish()
}

/// What was found out about a case.
#[derive(Clone, Debug)]
pub struct Answer<A> {
    pub case: Case,
    pub finding: Arc<A>,
}

/// The line's end: who answers ends when this is dropped.
#[derive(Debug)]
pub struct Inquiry<Q, A> {
    questions: SyncSender<Q>,
    answers: mpsc::UnboundedReceiver<Answer<A>>,
}

/// Where answers are put.
pub type Answers<A> = mpsc::UnboundedSender<Answer<A>>;

/// Both ends: the line's, and the two of who answers.
pub fn channel<Q, A>() -> (Inquiry<Q, A>, Receiver<Q>, Answers<A>) {
    let (questions, asked) = sync_channel(QUEUE);
    let (publish, answers) = mpsc::unbounded_channel();
    (Inquiry { questions, answers }, asked, publish)
}

impl<Q, A> Inquiry<Q, A> {
    /// Asks; false when the queue is full (or nobody answers any more).
    pub fn ask(&self, question: Q) -> bool {
        self.questions.try_send(question).is_ok()
    }

    /// The next answer, if it is there already.
    pub fn answer_now(&mut self) -> Option<Answer<A>> {
        self.answers.try_recv().ok()
    }

    /// Waits for the next answer; pending for ever once nobody answers any more.
    pub async fn answer(&mut self) -> Answer<A> {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}
