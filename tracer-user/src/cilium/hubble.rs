//! Hubble's socket on this node, followed for what Cilium drops.
//!
//! Rule: only reading requests are sent; every one has a time-out but the stream, whose server is asked each minute whether it is still
//! there. A server that hangs, talks nonsense or goes away costs one sentence.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use tower::service_fn;
use tracer_grpc::hubble::flow::{FlowFilter, Time, Verdict};
use tracer_grpc::hubble::observer::observer_client::ObserverClient;
use tracer_grpc::hubble::observer::{GetFlowsRequest, GetFlowsResponse, ServerStatusRequest};

use super::{Dropped, Fault, read};
use crate::host::{Clock, root};
use crate::kubernetes::Feed;

/// Where the agent listens (Cilium's `hubble-socket-path`, 1.10 and later); on most nodes `/var/run` is a link that leads elsewhere
/// below `/host`.
const SOCKETS: [&str; 2] = ["/var/run/cilium/hubble.sock", "/run/cilium/hubble.sock"];
/// For a connection, and for an answer, seconds.
const PATIENCE: u64 = 1;
/// Bytes of one flow.
const MOST_BYTES: usize = 1024 * 1024;
/// Flows taken at once.
const MOST_AT_ONCE: usize = 512;
/// Silence after which it is asked whether it is still there.
const PULSE: Duration = Duration::from_mins(1);
/// Before the next try.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Between looks for a socket that is not there.
const LOOK: Duration = Duration::from_secs(5);
/// How far back a new stream begins, so that what was dropped while there was none is not missed.
const BACK: Duration = Duration::from_secs(5);

/// Follows the socket that was given, or the usual one, for as long as anybody listens.
pub async fn follow(given: Option<PathBuf>, feed: Feed) {
    let mut wait = FIRST_WAIT;
    let mut was_there = false;
    loop {
        let Some(path) = present(given.as_deref()) else {
            let name = given.as_deref().or(was_there.then_some(Path::new(SOCKETS[0])));
            feed.gap(name.map(|path| Fault::Absent(path.to_owned()).to_string()));
            feed.started();
            sleep(LOOK.min(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            continue;
        };
        was_there = true;
        let fault = match connect(&path).await {
            Ok(client) => follow_flows(&path, client, &feed, &mut wait).await,
            Err(fault) => fault,
        };
        feed.gap(Some(fault.to_string()));
        feed.started();
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn present(given: Option<&Path>) -> Option<PathBuf> {
    match given {
        Some(path) => {
            let plain = path.to_str().and_then(|text| text.strip_prefix("unix://"));
            Some(plain.map_or_else(|| path.to_owned(), PathBuf::from)).filter(|path| path.exists())
        }
        None => SOCKETS.iter().flat_map(root::places).find(|path| path.exists()),
    }
}

async fn connect(path: &Path) -> Result<ObserverClient<Channel>, Fault> {
    let socket = path.to_owned();
    let connect = service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The address is only for the header that HTTP/2 wants.
    let endpoint = Endpoint::from_static("http://localhost");
    let connecting = endpoint.connect_with_connector(connect);
    let channel = match timeout(Duration::from_secs(PATIENCE), connecting).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return Err(Fault::unconnected(path, &error)),
        Err(_) => return Err(Fault::Silent { path: path.to_owned(), seconds: PATIENCE }),
    };
    let client = ObserverClient::new(channel).max_decoding_message_size(MOST_BYTES);
    is_there(path, &client).await?;
    Ok(client)
}

async fn is_there(path: &Path, client: &ObserverClient<Channel>) -> Result<(), Fault> {
    let mut client = client.clone();
    match timeout(Duration::from_secs(PATIENCE), client.server_status(ServerStatusRequest {})).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(Fault::of(path, &status)),
        Err(_) => Err(Fault::Silent { path: path.to_owned(), seconds: PATIENCE }),
    }
}

/// Until it fails.
async fn follow_flows(path: &Path, client: ObserverClient<Channel>, feed: &Feed, wait: &mut Duration) -> Fault {
    let mut flows = pin!(flows(client.clone()).fuse());
    // Opens the stream before it is said that Hubble is followed.
    let mut next = flows.next().now_or_never();
    feed.gap(None);
    feed.hubble_is_here();
    feed.started();
    loop {
        if next.is_none() {
            tokio::select! {
                first = flows.next() => next = Some(first),
                () = sleep(PULSE) => if let Err(fault) = is_there(path, &client).await {
                    return fault;
                },
            }
        }
        let clock = Clock::measure();
        let mut taken: Vec<Dropped> = Vec::new();
        let mut fault = None;
        for _ in 0..MOST_AT_ONCE {
            match next.take() {
                None => break,
                Some(Some(Ok(answer))) => {
                    taken.extend(answer.flow.as_ref().and_then(|flow| read::dropped(flow, &clock)));
                }
                Some(Some(Err(status))) => fault = Some(Fault::of(path, &status)),
                Some(None) => {
                    fault = Some(Fault::Ended { path: path.to_owned(), why: "the stream was closed".to_owned() });
                }
            }
            if fault.is_some() {
                break;
            }
            next = flows.next().now_or_never();
        }
        if !taken.is_empty() {
            *wait = FIRST_WAIT;
            feed.heard(taken);
        }
        if let Some(fault) = fault {
            return fault;
        }
        // The other sources have their turn.
        yield_now().await;
    }
}

/// What is dropped from now on. The headers of the answer may come only with the first flow, so there is no time-out.
fn flows(mut client: ObserverClient<Channel>) -> impl Stream<Item = Result<GetFlowsResponse, Status>> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(BACK);
    let since = Time { seconds: i64::try_from(since.as_secs()).unwrap_or_default(), nanos: 0 };
    let filter = FlowFilter { verdict: vec![Verdict::Dropped.into()] };
    let request = GetFlowsRequest { follow: true, whitelist: vec![filter], since: Some(since) };
    stream::once(async move { client.get_flows(request).await.map(Response::into_inner) }).try_flatten()
}
