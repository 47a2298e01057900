//! One runtime, from finding its socket to losing it, again and again.
//!
//! Rule: what is told to the index comes from listings only. Events of the runtime say when the next listing is due and when a
//! sandbox stopped, so that one that is late, doubled or missing does no harm.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::time::sleep;
use tonic::Status;
use tracer_grpc::cri::{ContainerEventResponse, ContainerEventType};

use super::client::Runtime;
use super::fault::Fault;
use super::listing::Listing;
use super::progress::Part;
use super::socket::Place;
use crate::host::Clock;

/// Between listings: of a runtime that tells of changes by itself, and of one that does not.
const TOLD: Duration = Duration::from_secs(5);
const ASKED: Duration = Duration::from_secs(1);
/// A change seldom comes alone.
const GATHER: Duration = Duration::from_millis(30);
/// Events taken at once.
const MOST_EVENTS: usize = 1024;
/// Before the next try to reach a runtime that fails.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Between looks for a socket that is not there.
const LOOK: Duration = Duration::from_secs(1);

/// Follows the runtime at a place for as long as anybody listens.
pub(super) async fn keep(place: &Place, part: Part) {
    let mut listing = Listing::default();
    let mut wait = FIRST_WAIT;
    loop {
        match connect(place).await {
            None => {
                part.is_absent(place);
                wait = wait.min(LOOK);
            }
            Some(Err(fault)) => part.fails(fault, place),
            Some(Ok(runtime)) => {
                let fault = follow(&runtime, &mut listing, &part, &mut wait).await;
                part.fails(fault, place);
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// The first of the place's sockets that answers; else why the first of them doesn't; `None` if there are none.
async fn connect(place: &Place) -> Option<Result<Runtime, Fault>> {
    let mut first = None;
    for path in place.present() {
        match Runtime::connect(path).await {
            Ok((runtime, _)) => return Some(Ok(runtime)),
            Err(fault) => first = first.or(Some(Err(fault))),
        }
    }
    first
}

/// Until it fails.
async fn follow(runtime: &Runtime, listing: &mut Listing, part: &Part, wait: &mut Duration) -> Fault {
    let mut events = pin!(runtime.events().fuse());
    // Opens the stream, so that nothing is missed between the first listing and the first event.
    let mut stops = HashMap::new();
    let mut is_told = take(&mut events, &mut stops, None);
    // The first listing is followed by a second soon: by then it is known whether the runtime tells of changes.
    let mut pause = ASKED;
    loop {
        if let Err(fault) = listing.renew(runtime, part, &stops).await {
            return fault;
        }
        *wait = FIRST_WAIT;
        stops.clear();
        tokio::select! {
            event = events.next(), if is_told => {
                is_told = matches!(event, Some(Ok(_)));
                sleep(GATHER).await;
                is_told &= take(&mut events, &mut stops, event);
            }
            () = sleep(pause) => {}
        }
        pause = if is_told { TOLD } else { ASKED };
    }
}

/// Takes the events that are there, and keeps when which sandbox or container stopped; false at their end.
fn take(
    events: &mut (impl Stream<Item = Result<ContainerEventResponse, Status>> + Unpin),
    stops: &mut HashMap<String, u64>,
    first: Option<Result<ContainerEventResponse, Status>>,
) -> bool {
    let clock = Clock::measure();
    let mut next = first.map(Some);
    for _ in 0..MOST_EVENTS {
        match next.take().or_else(|| events.next().now_or_never()) {
            None => return true,
            Some(None | Some(Err(_))) => return false,
            Some(Some(Ok(event))) if event.container_event_type() == ContainerEventType::ContainerStoppedEvent => {
                stops.entry(event.container_id).or_insert(clock.monotonic(event.created_at));
            }
            Some(Some(Ok(_))) => {}
        }
    }
    true
}
