//! The requests to a container runtime.
//!
//! Rule: every request has a time-out and its answer a size limit; only reading requests are sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{Stream, TryStreamExt as _, stream};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use tower::service_fn;
use tracer_grpc::cri::runtime_service_client::RuntimeServiceClient;
use tracer_grpc::cri::{
    Container, ContainerEventResponse, ContainerFilter, ContainerState, ContainerStateValue, GetEventsRequest,
    ListContainersRequest, ListPodSandboxRequest, PodSandbox, PodSandboxFilter, PodSandboxState, PodSandboxStateValue,
    PodSandboxStatusRequest, PodSandboxStatusResponse, VersionRequest,
};

use super::fault::Fault;

/// A runtime that does not take a connection in this time hangs.
const CONNECT: Duration = Duration::from_secs(1);
/// Seconds that an answer may take: a listing of a full node takes some milliseconds, more on a busy one.
const ANSWER: u64 = 2;
/// Bytes of an answer: as much as kubelet takes.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Characters of the runtime's name and version.
const MOST_VERSION: usize = 64;

/// A connection to a container runtime.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    path: PathBuf,
    client: RuntimeServiceClient<Channel>,
}

impl Runtime {
    /// Connects, and asks who it is: `containerd 1.7.24`.
    pub(super) async fn connect(path: &Path) -> Result<(Self, String), Fault> {
        let socket = path.to_owned();
        let connect = service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address is only for the header that HTTP/2 wants.
        let endpoint = Endpoint::from_static("http://localhost");
        let connecting = endpoint.connect_with_connector(connect);
        let channel = match timeout(CONNECT, connecting).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(Fault::unconnected(path, &error)),
            Err(_) => return Err(Fault::Silent { path: path.to_owned(), seconds: CONNECT.as_secs() }),
        };
        let client = RuntimeServiceClient::new(channel).max_decoding_message_size(MOST_BYTES);
        let runtime = Self { path: path.to_owned(), client };
        let version = runtime.version().await?;
        Ok((runtime, version))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    async fn version(&self) -> Result<String, Fault> {
        let mut client = self.client.clone();
        let said = self.ask(client.version(VersionRequest::default())).await?;
        Ok(format!("{} {}", said.runtime_name, said.runtime_version).chars().take(MOST_VERSION).collect())
    }

    /// All sandboxes that are ready.
    pub(super) async fn sandboxes(&self) -> Result<Vec<PodSandbox>, Fault> {
        let mut client = self.client.clone();
        let ready = PodSandboxStateValue { state: PodSandboxState::SandboxReady.into() };
        let filter = Some(PodSandboxFilter { state: Some(ready), ..PodSandboxFilter::default() });
        let mut sandboxes = self.ask(client.list_pod_sandbox(ListPodSandboxRequest { filter })).await?.items;
        sandboxes.retain(|sandbox| sandbox.state() == PodSandboxState::SandboxReady);
        Ok(sandboxes)
    }

    /// All containers that run.
    pub(super) async fn containers(&self) -> Result<Vec<Container>, Fault> {
        let mut client = self.client.clone();
        let running = ContainerStateValue { state: ContainerState::ContainerRunning.into() };
        let filter = Some(ContainerFilter { state: Some(running), ..ContainerFilter::default() });
        Ok(self.ask(client.list_containers(ListContainersRequest { filter })).await?.containers)
    }

    /// What it knows of a sandbox; `None` if that has gone meanwhile.
    pub(super) async fn status(&self, sandbox: &str) -> Result<Option<PodSandboxStatusResponse>, Fault> {
        let mut client = self.client.clone();
        let request = PodSandboxStatusRequest { pod_sandbox_id: sandbox.to_owned(), verbose: true };
        let answer = client.pod_sandbox_status(request);
        let answer = async {
            match answer.await {
                Ok(answer) => Ok(Response::new(Some(answer.into_inner()))),
                Err(status) if status.code() == Code::NotFound => Ok(Response::new(None)),
                Err(status) => Err(status),
            }
        };
        self.ask(answer).await
    }

    /// What happens to containers and sandboxes from now on; ends at once where the runtime does not tell (containerd before 1.7).
    /// The headers of the answer may come only with the first event, so there is no time-out.
    pub(super) fn events(&self) -> impl Stream<Item = Result<ContainerEventResponse, Status>> + use<> {
        let mut client = self.client.clone();
        stream::once(async move { client.get_container_events(GetEventsRequest {}).await.map(Response::into_inner) })
            .try_flatten()
    }

    async fn ask<T>(&self, answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Fault> {
        match timeout(Duration::from_secs(ANSWER), answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Fault::of(&self.path, &status)),
            Err(_) => Err(Fault::Silent { path: self.path.clone(), seconds: ANSWER }),
        }
    }
}
