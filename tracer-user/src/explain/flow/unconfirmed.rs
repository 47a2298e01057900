//! The server answered again and again: its answer does not arrive, the client's last ACK does not, or the queue of finished
//! handshakes is full.
//!
//! Rule: the last ACK of a handshake is not looked at, so which of these it is can only be told by the server's queue.

use std::fmt::Write as _;
use std::sync::Arc;

use super::words;
use crate::event::{Cause, Confidence, Explanation};
use crate::explain::node::socket::words as sockets;
use crate::explain::quoted;
use crate::flow::{Point, Role, Story};
use crate::host::Netns;
use crate::node::silence::Silence;

/// The namespace that answered, if it is one of this machine.
pub(super) fn server<'a>(story: &'a Story, at: &'a Arc<Point>) -> Option<&'a Arc<Netns>> {
    let pod = story.sightings.iter().find(|(point, sighting)| point.role == Role::Pod && sighting.answers.ingress > 0);
    if let Some((point, _)) = pod {
        return point.leads_to.as_ref();
    }
    let passed = story.sightings.iter().any(|(_, sighting)| sighting.answers.ingress > 0);
    (!passed).then_some(&at.netns)
}

pub(super) fn explain(story: &Story, at: &Arc<Point>, silence: Option<&Silence>) -> Explanation {
    let answers = words::counted(story.answers().max(1), words::reply(story));
    let (goal, client) = (words::goal(story), story.tuple.client);
    let said = format!("{answers} of {goal} left by {} for {}, again and again", words::device(at), client.ip());
    let mut explanation = Explanation::new(Cause::Unknown, Confidence::Inferred, said);
    let sent = words::counted(story.attempts.max(1), words::opener(story));
    explanation.evidence.push(format!("{sent} had {answers}: the server sends again what nobody confirms"));
    let tuple = words::tuple_at(story, at);
    let (port, peer) = (tuple.server.port(), tuple.client.ip());
    explanation
        .remedy
        .push(words::within(&at.netns, &format!("tcpdump -ni {} 'host {peer} and tcp port {port}'", quoted(&at.name))));
    if let Some(netns) = server(story, at) {
        explanation.remedy.push(words::within(netns, &format!("ss -tlnmp '( sport = :{port} )'")));
    }
    let listener = silence.and_then(|silence| silence.expected.as_ref()?.taker.as_ref());
    if let Some(held) = listener {
        let (waiting, backlog) = (held.socket.receive_queue, held.socket.send_queue);
        let label = sockets::labelled(held);
        explanation.evidence.extend(sockets::holder(held));
        explanation
            .evidence
            .push(format!("{} to be accepted by {label}, its backlog is {backlog}", sockets::waiting(waiting)));
        // `sk_acceptq_is_full` compares with "greater": one more than the backlog fits.
        if waiting > backlog {
            explanation.cause = Cause::NoAnswer;
            explanation.confidence = Confidence::Derived;
            let _ = write!(
                explanation.summary,
                ": the accept queue of {label} is full ({}, its backlog is {backlog}), so it does not take the \
                 client's ACK",
                sockets::waiting(waiting)
            );
            if let Some((evidence, remedy)) = sockets::stopped(held) {
                explanation.summary += ", and its program is stopped";
                explanation.evidence.push(evidence);
                explanation.remedy.insert(0, remedy);
            }
            return explanation;
        }
    }
    if at.role == Role::Uplink {
        explanation.cause = Cause::Upstream;
        explanation.summary += ": they do not reach the client, or its ACK does not come back";
    }
    words::doubt(&mut explanation, "which of the two is lost: an ACK is not looked at; the capture shows it");
    explanation
}
