//! What all resources tell, put into the index together.
//!
//! Rule: the index is written in batches, of what came within [`TOGETHER`] and not more than the line can wait for.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::board::{Board, Standing};
use super::server::Server;
use crate::kubernetes::Feed;
use crate::kubernetes::index::Change;

const TOGETHER: Duration = Duration::from_millis(20);
const MAX_BATCH: usize = 256;
/// How often the age of an outage is renewed.
const TICK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum News {
    Change(Change),
    /// Of the resource with this number.
    Standing(usize, Box<Standing>),
}

/// Takes news until nobody listens, or nobody tells any more.
pub(super) async fn gather(mut news: mpsc::Receiver<News>, feed: &Feed, server: &Server) {
    let mut desk = Desk { feed, server, board: Board::default(), has_started: false, knows: false, told: Vec::new() };
    while !feed.is_closed() {
        let mut changes = Vec::new();
        match timeout(TICK, news.recv()).await {
            Err(_) => {}
            Ok(None) => break,
            Ok(Some(first)) => {
                desk.take(first, &mut changes);
                let end = Instant::now() + TOGETHER;
                while changes.len() < MAX_BATCH {
                    let Ok(Some(next)) = timeout_at(end, news.recv()).await else { break };
                    desk.take(next, &mut changes);
                }
            }
        }
        desk.settle(changes);
    }
}

struct Desk<'a> {
    feed: &'a Feed,
    server: &'a Server,
    board: Board,
    has_started: bool,
    knows: bool,
    told: Vec<String>,
}

impl Desk<'_> {
    fn take(&mut self, news: News, changes: &mut Vec<Change>) {
        match news {
            News::Change(change) => changes.push(change),
            News::Standing(number, standing) => self.board.set(number, *standing),
        }
    }

    fn settle(&mut self, mut changes: Vec<Change>) {
        let knows = self.board.knows_policies();
        if knows != self.knows {
            self.knows = knows;
            changes.push(Change::PoliciesKnown(knows));
        }
        if !changes.is_empty() {
            self.feed.apply(changes);
        }
        let sentences = self.board.sentences(&self.server.access().to_string(), self.server.heard());
        if sentences != self.told {
            self.feed.gaps(sentences.clone());
            self.told = sentences;
        }
        if !self.has_started && self.board.is_settled() {
            self.has_started = true;
            self.feed.started();
        }
    }
}
