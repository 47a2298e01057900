//! A Hubble of the test's own: an observer on a unix socket that says what it was told to say, and no more.
//!
//! ```text
//! let hubble = FakeHubble::new()?;
//! let tracer = Tracer::start(&["--hubble", hubble.path()])?;
//! hubble.dropped(&flow, POLICY_DENY, Some(("shop", "deny")));
//! ```
//!
//! Rule: it tells each flow to whoever follows at that time, at once, with the time of now.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use futures_util::stream::{BoxStream, unfold};
use tokio::net::UnixListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tracer_grpc::hubble::flow::layer4::Protocol;
use tracer_grpc::hubble::flow::{Endpoint, Flow, Ip, Layer4, Policy, Ports, Time, TrafficDirection, Verdict};
use tracer_grpc::hubble::observer::observer_server::{Observer, ObserverServer};
use tracer_grpc::hubble::observer::{GetFlowsRequest, GetFlowsResponse, ServerStatusRequest, ServerStatusResponse};

use crate::traffic;

/// Codes of Cilium's `DropReason`.
pub const POLICY_DENIED: i32 = 133;
pub const CT_MAP_INSERTION_FAILED: i32 = 155;
pub const POLICY_DENY: i32 = 181;

/// How it behaves; by default it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Answers,
    /// It takes requests and never answers.
    Hangs,
    /// It ends each stream as soon as it begins.
    Ends,
}

#[derive(Debug)]
struct State {
    manner: Mutex<Manner>,
    flows: broadcast::Sender<Flow>,
    /// What was asked for, of each stream.
    requests: Mutex<Vec<GetFlowsRequest>>,
}

/// The server; gone with its socket on drop.
#[derive(Debug)]
pub struct FakeHubble {
    path: PathBuf,
    state: Arc<State>,
    server: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeHubble {
    /// Listens at a socket of its own.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("wd-hubble-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let state = State { manner: Mutex::default(), flows: broadcast::channel(1024).0, requests: Mutex::default() };
        let server = Self { path: std::env::temp_dir().join(name), state: Arc::new(state), server: Mutex::default() };
        server.start()?;
        Ok(server)
    }

    /// For `--hubble`.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }

    pub fn behave(&self, manner: Manner) {
        *locked(&self.state.manner) = manner;
    }

    /// What was asked for so far, of each stream.
    pub fn requests(&self) -> Vec<GetFlowsRequest> {
        locked(&self.state.requests).clone()
    }

    /// Tells that Cilium dropped a packet of this flow on its way in, just now, for a CiliumNetworkPolicy (namespace and name) or
    /// none. False if nobody listens.
    pub fn dropped(&self, flow: &traffic::Flow, reason: i32, policy: Option<(&str, &str)>) -> bool {
        let ports = Ports { source_port: flow.source.port().into(), destination_port: flow.destination.port().into() };
        let protocol = if flow.protocol == "tcp" { Protocol::Tcp(ports) } else { Protocol::Udp(ports) };
        let policy = policy.map(|(namespace, name)| Policy {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            kind: "CiliumNetworkPolicy".to_owned(),
            ..Policy::default()
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let time = Time {
            seconds: i64::try_from(now.as_secs()).unwrap_or_default(),
            nanos: i32::try_from(now.subsec_nanos()).unwrap_or_default(),
        };
        let said = Flow {
            time: Some(time),
            verdict: Verdict::Dropped.into(),
            ip: Some(Ip { source: flow.source.ip().to_string(), destination: flow.destination.ip().to_string() }),
            l4: Some(Layer4 { protocol: Some(protocol) }),
            source: Some(Endpoint { identity: 2, ..Endpoint::default() }),
            traffic_direction: TrafficDirection::Ingress.into(),
            drop_reason_desc: reason,
            ingress_denied_by: policy.into_iter().collect(),
            ..Flow::default()
        };
        self.state.flows.send(said).is_ok()
    }

    /// The agent ends: connections are closed and the socket is gone.
    pub fn vanish(&self) {
        if let Some(Running { stop, thread }) = locked(&self.server).take() {
            let _ended = stop.send(());
            let _panicked = thread.join();
        }
        let _gone = fs::remove_file(&self.path);
    }

    /// It listens again.
    pub fn start(&self) -> Result<()> {
        self.vanish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { UnixListener::bind(&self.path) });
        let incoming = UnixListenerStream::new(listener.with_context(|| format!("no socket at {}", self.path()))?);
        let (stop, stopped) = oneshot::channel::<()>();
        let service = ObserverServer::new(Service(Arc::clone(&self.state)));
        let thread = thread::spawn(move || {
            let serve = Server::builder().add_service(service).serve_with_incoming(incoming);
            runtime.block_on(async {
                tokio::select! {
                    _ = serve => {}
                    _ = stopped => {}
                }
            });
        });
        *locked(&self.server) = Some(Running { stop, thread });
        Ok(())
    }
}

impl Drop for FakeHubble {
    fn drop(&mut self) {
        self.vanish();
    }
}

#[derive(Debug)]
struct Service(Arc<State>);

impl Service {
    async fn begin(&self) -> Manner {
        let manner = *locked(&self.0.manner);
        if manner == Manner::Hangs {
            std::future::pending::<()>().await;
        }
        manner
    }
}

#[tonic::async_trait]
impl Observer for Service {
    type GetFlowsStream = BoxStream<'static, Result<GetFlowsResponse, Status>>;

    async fn get_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Self::GetFlowsStream>, Status> {
        let manner = self.begin().await;
        let flows = self.0.flows.subscribe();
        locked(&self.0.requests).push(request.into_inner());
        if manner == Manner::Ends {
            return Ok(Response::new(Box::pin(futures_util::stream::empty())));
        }
        let next = async |mut flows: broadcast::Receiver<Flow>| {
            loop {
                match flows.recv().await {
                    Ok(flow) => return Some((Ok(GetFlowsResponse { flow: Some(flow) }), flows)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        };
        Ok(Response::new(Box::pin(unfold(flows, next))))
    }

    async fn server_status(&self, _: Request<ServerStatusRequest>) -> Result<Response<ServerStatusResponse>, Status> {
        self.begin().await;
        Ok(Response::new(ServerStatusResponse { version: "cilium-fake".to_owned() }))
    }
}
