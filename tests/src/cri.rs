//! A container runtime of the test's own: a CRI server on a unix socket that says what it was told to say, and no more.
//!
//! ```text
//! let cri = FakeCri::new()?;
//! cri.pod("shop", "web-0").labels(&[("app", "web")]).address("10.0.0.2").netns(&pod.path()).run();
//! let tracer = Tracer::start(&["--cri", cri.path()])?;
//! cri.stop("shop", "web-0");
//! ```
//!
//! Rule: it serves exactly its pods, at once: what is told to the tracer is what the test can assert.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::net::UnixListener;
use tokio::sync::{broadcast, oneshot};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tracer_grpc::cri::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use tracer_grpc::cri::{
    Container, ContainerEventResponse, ContainerEventType, ContainerMetadata, ContainerState, ContainerStatusRequest,
    ContainerStatusResponse, GetEventsRequest, LinuxPodSandboxStatus, ListContainersRequest, ListContainersResponse,
    ListPodSandboxRequest, ListPodSandboxResponse, Namespace, NamespaceMode, NamespaceOption, PodIp, PodSandbox,
    PodSandboxMetadata, PodSandboxState, PodSandboxStatus, PodSandboxStatusRequest, PodSandboxStatusResponse,
    VersionRequest, VersionResponse,
};

/// How it behaves; by default it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Answers,
    /// It takes requests and never answers.
    Hangs,
    /// It has no `GetContainerEvents`, as containerd 1.6.
    HasNoEvents,
}

/// One pod as it is served.
#[derive(Clone, Debug)]
struct Served {
    status: PodSandboxStatus,
    /// The runtime's own JSON.
    info: String,
    containers: Vec<(String, String)>,
}

#[derive(Debug)]
struct State {
    pods: Mutex<Vec<Served>>,
    manner: Mutex<Manner>,
    events: broadcast::Sender<ContainerEventResponse>,
    /// Requests so far, by their names.
    requests: Mutex<HashMap<&'static str, u32>>,
}

/// The server; gone with its socket on drop.
#[derive(Debug)]
pub struct FakeCri {
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

impl FakeCri {
    /// Listens at a socket of its own.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("wd-cri-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let state = State {
            pods: Mutex::default(),
            manner: Mutex::default(),
            events: broadcast::channel(1024).0,
            requests: Mutex::default(),
        };
        let server = Self { path: std::env::temp_dir().join(name), state: Arc::new(state), server: Mutex::default() };
        server.start()?;
        Ok(server)
    }

    /// For `--cri`.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }

    /// A pod to be served; nothing is done before [`PodBuilder::run`].
    pub fn pod(&self, namespace: &str, name: &str) -> PodBuilder<'_> {
        let metadata = PodSandboxMetadata {
            name: name.to_owned(),
            uid: uid(namespace, name),
            namespace: namespace.to_owned(),
            attempt: 0,
        };
        let kubelets = [("name", name), ("namespace", namespace), ("uid", &metadata.uid)];
        let labels = kubelets.map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.to_owned()));
        let status = PodSandboxStatus {
            id: id(namespace, name),
            created_at: now(),
            labels: labels.into(),
            metadata: Some(metadata),
            state: PodSandboxState::SandboxReady.into(),
            ..PodSandboxStatus::default()
        };
        PodBuilder { server: self, served: Served { status, info: "{}".to_owned(), containers: Vec::new() } }
    }

    /// The pod is there no more.
    pub fn stop(&self, namespace: &str, name: &str) {
        let id = id(namespace, name);
        locked(&self.state.pods).retain(|pod| pod.status.id != id);
        self.tell(id, ContainerEventType::ContainerStoppedEvent);
    }

    pub fn behave(&self, manner: Manner) {
        *locked(&self.state.manner) = manner;
    }

    /// Requests of a kind so far: `ListPodSandbox`.
    pub fn requests(&self, kind: &str) -> u32 {
        locked(&self.state.requests).get(kind).copied().unwrap_or_default()
    }

    /// The runtime ends: connections are closed and the socket is gone.
    pub fn vanish(&self) {
        if let Some(Running { stop, thread }) = locked(&self.server).take() {
            let _ended = stop.send(());
            let _panicked = thread.join();
        }
        let _gone = fs::remove_file(&self.path);
    }

    /// It listens again, with the pods it has by now.
    pub fn start(&self) -> Result<()> {
        self.vanish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { UnixListener::bind(&self.path) });
        let incoming = UnixListenerStream::new(listener.with_context(|| format!("no socket at {}", self.path()))?);
        let (stop, stopped) = oneshot::channel::<()>();
        let service = RuntimeServiceServer::new(Service(Arc::clone(&self.state)));
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

    fn tell(&self, container_id: String, kind: ContainerEventType) {
        let event = ContainerEventResponse {
            container_id,
            container_event_type: kind.into(),
            created_at: now(),
            ..ContainerEventResponse::default()
        };
        let _nobody_listens = self.state.events.send(event);
    }
}

impl Drop for FakeCri {
    fn drop(&mut self) {
        self.vanish();
    }
}

/// Says what a pod is like.
#[derive(Debug)]
#[must_use = "the pod is served after run()"]
pub struct PodBuilder<'a> {
    server: &'a FakeCri,
    served: Served,
}

impl PodBuilder<'_> {
    pub fn labels(mut self, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.served.status.labels.extend(labels);
        self
    }

    /// Its first address, or one more.
    pub fn address(mut self, address: &str) -> Self {
        let network = self.served.status.network.get_or_insert_default();
        if network.ip.is_empty() {
            address.clone_into(&mut network.ip);
        } else {
            network.additional_ips.push(PodIp { ip: address.to_owned() });
        }
        self
    }

    /// Where its network namespace is bound: [`crate::NetNs::path`].
    pub fn netns(self, path: &Path) -> Self {
        let network = serde_json::json!({"type": "network", "path": path});
        self.info(&serde_json::json!({"pid": 0, "runtimeSpec": {"linux": {"namespaces": [network]}}}).to_string())
    }

    /// The runtime's own JSON, whatever it is.
    pub fn info(mut self, json: &str) -> Self {
        json.clone_into(&mut self.served.info);
        self
    }

    pub fn host_network(mut self) -> Self {
        let options = Some(NamespaceOption { network: NamespaceMode::Node.into() });
        self.served.status.linux = Some(LinuxPodSandboxStatus { namespaces: Some(Namespace { options }) });
        self
    }

    pub fn uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.served.status.metadata.get_or_insert_default().uid);
        self
    }

    /// A container that runs: the id as the runtime has it, and the name in the pod.
    pub fn container(mut self, id: &str, name: &str) -> Self {
        self.served.containers.push((id.to_owned(), name.to_owned()));
        self
    }

    /// The uid that it will have.
    pub fn its_uid(&self) -> String {
        self.served.status.metadata.as_ref().map(|metadata| metadata.uid.clone()).unwrap_or_default()
    }

    /// From now on it is there, instead of one of the same name.
    pub fn run(self) {
        let id = self.served.status.id.clone();
        let mut pods = locked(&self.server.state.pods);
        pods.retain(|pod| pod.status.id != id);
        pods.push(self.served);
        drop(pods);
        self.server.tell(id, ContainerEventType::ContainerStartedEvent);
    }
}

/// The uid of a pod that was given none: as Kubernetes has them, the same for the same name.
pub fn uid(namespace: &str, name: &str) -> String {
    let digits = &id(namespace, name)[..32];
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

/// The id of a pod's sandbox: 64 hexadecimal digits.
pub fn id(namespace: &str, name: &str) -> String {
    use std::fmt::Write as _;

    use sha2::Digest as _;
    sha2::Sha256::digest(format!("{namespace}/{name}")).iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

/// Nanoseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[derive(Debug)]
struct Service(Arc<State>);

impl Service {
    async fn begin(&self, kind: &'static str) -> Manner {
        *locked(&self.0.requests).entry(kind).or_default() += 1;
        let manner = *locked(&self.0.manner);
        if manner == Manner::Hangs {
            std::future::pending::<()>().await;
        }
        manner
    }
}

#[tonic::async_trait]
impl RuntimeService for Service {
    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        self.begin("Version").await;
        Ok(Response::new(VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: "fake".to_owned(),
            runtime_version: "1.0".to_owned(),
            runtime_api_version: "v1".to_owned(),
        }))
    }

    async fn list_pod_sandbox(
        &self,
        _: Request<ListPodSandboxRequest>,
    ) -> Result<Response<ListPodSandboxResponse>, Status> {
        self.begin("ListPodSandbox").await;
        let sandbox = |pod: &Served| PodSandbox {
            id: pod.status.id.clone(),
            metadata: pod.status.metadata.clone(),
            state: pod.status.state,
            created_at: pod.status.created_at,
            labels: pod.status.labels.clone(),
            annotations: HashMap::new(),
        };
        let items = locked(&self.0.pods).iter().map(sandbox).collect();
        Ok(Response::new(ListPodSandboxResponse { items }))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<PodSandboxStatusRequest>,
    ) -> Result<Response<PodSandboxStatusResponse>, Status> {
        self.begin("PodSandboxStatus").await;
        let id = request.into_inner().pod_sandbox_id;
        let pods = locked(&self.0.pods);
        let pod = pods.iter().find(|pod| pod.status.id == id).ok_or_else(|| Status::not_found("no such sandbox"))?;
        let info = HashMap::from([("info".to_owned(), pod.info.clone())]);
        Ok(Response::new(PodSandboxStatusResponse { status: Some(pod.status.clone()), info }))
    }

    async fn list_containers(
        &self,
        _: Request<ListContainersRequest>,
    ) -> Result<Response<ListContainersResponse>, Status> {
        self.begin("ListContainers").await;
        let pods = locked(&self.0.pods);
        let containers = pods.iter().flat_map(|pod| {
            pod.containers.iter().map(|(id, name)| Container {
                id: id.clone(),
                pod_sandbox_id: pod.status.id.clone(),
                metadata: Some(ContainerMetadata { name: name.clone(), attempt: 0 }),
                state: ContainerState::ContainerRunning.into(),
                created_at: pod.status.created_at,
            })
        });
        Ok(Response::new(ListContainersResponse { containers: containers.collect() }))
    }

    async fn container_status(
        &self,
        _: Request<ContainerStatusRequest>,
    ) -> Result<Response<ContainerStatusResponse>, Status> {
        self.begin("ContainerStatus").await;
        Err(Status::not_found("no such container"))
    }

    type GetContainerEventsStream = futures_util::stream::BoxStream<'static, Result<ContainerEventResponse, Status>>;

    async fn get_container_events(
        &self,
        _: Request<GetEventsRequest>,
    ) -> Result<Response<Self::GetContainerEventsStream>, Status> {
        if self.begin("GetContainerEvents").await == Manner::HasNoEvents {
            return Err(Status::unimplemented("unknown method GetContainerEvents"));
        }
        let events = self.0.events.subscribe();
        let next = async |mut events: broadcast::Receiver<_>| Some((Ok(events.recv().await.ok()?), events));
        Ok(Response::new(Box::pin(futures_util::stream::unfold(events, next))))
    }
}
