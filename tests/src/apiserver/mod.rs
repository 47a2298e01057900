//! A Kubernetes API server of the test's own: discovery, lists, watches, and faults, over plain HTTP on a loopback port.
//!
//! ```no_run
//! # use tracer_tests::FakeApi;
//! # use serde_json::json;
//! let api = FakeApi::start()?;
//! api.put(json!({"kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}, "status": {"podIP": "10.0.0.7"}}));
//! api.deny("networkpolicies");
//! let kubeconfig = api.kubeconfig(); // for --kubeconfig
//! # anyhow::Ok(())
//! ```
//!
//! Rule: it answers as kube-apiserver does, also where that is odd: a list with `resourceVersion=0` is not paged, a watch from before
//! what is kept ends with 410. It has no admission: what is put is served as it is. Each connection is a thread of its own.

mod answer;
mod fault;
mod http;
mod resource;
mod store;

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use fault::Faults;
pub use fault::Garbage;
use resource::Resource;
use store::Store;

/// Stopped on drop.
#[derive(Debug)]
pub struct FakeApi {
    shared: Arc<Shared>,
    address: SocketAddr,
    kubeconfig: PathBuf,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    faults: Faults,
    connections: Vec<TcpStream>,
    /// Path and query of every request.
    requests: Vec<String>,
    is_down: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_all();
        changed
    }
}

impl FakeApi {
    /// On a free port of 127.0.0.1 in this thread's network namespace.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let name = format!("wd-kubeconfig-{}-{}", std::process::id(), address.port());
        let kubeconfig = std::env::temp_dir().join(name);
        let api = Self { shared: Arc::default(), address, kubeconfig, listening: Mutex::default() };
        std::fs::write(&api.kubeconfig, api.config()).context("the kubeconfig")?;
        api.listen(listener);
        Ok(api)
    }

    /// A file that points to it, removed with it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn config(&self) -> String {
        format!(
            "apiVersion: v1
kind: Config
clusters: [{{name: fake, cluster: {{server: \"{}\"}}}}]
users: [{{name: fake, user: {{token: secret}}}}]
contexts: [{{name: fake, context: {{cluster: fake, user: fake}}}}]
current-context: fake
",
            self.url()
        )
    }

    /// Adds an object or puts it in the place of the one with its name. What a server would fill in is filled in if it is left out:
    /// `apiVersion` of the usual kinds, `metadata.namespace`, `.uid`, `.creationTimestamp`, `.resourceVersion`. The first object of
    /// a kind of somebody else (Cilium, Calico, …) defines that kind.
    ///
    /// # Panics
    /// Of an object without `kind` or `metadata.name`, which is a mistake of the test.
    #[allow(clippy::needless_pass_by_value, reason = "it is called with json!({…})")]
    pub fn put(&self, object: Value) {
        self.shared.change(|state| state.store.put(object.clone()));
    }

    /// Many at once; watchers see them together.
    pub fn put_all(&self, objects: impl IntoIterator<Item = Value>) {
        self.shared.change(|state| objects.into_iter().for_each(|object| state.store.put(object)));
    }

    /// Whether it was there. The namespace of an object of the whole cluster is empty.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.shared.change(|state| state.store.delete(kind, namespace, name))
    }

    /// A kind that no object is there of: `define("cilium.io/v2", "CiliumNetworkPolicy")`.
    pub fn define(&self, api_version: &str, kind: &str) {
        self.shared.change(|state| state.store.define(Resource::new(api_version, kind)));
    }

    /// The kind is not served any more, nor its objects.
    pub fn undefine(&self, kind: &str) {
        self.shared.change(|state| state.store.undefine(kind));
    }

    /// 403 for this resource (`networkpolicies`) from now on; watches of it end.
    pub fn deny(&self, resource: &str) {
        self.shared.change(|state| state.faults.denied.insert(resource.to_owned(), false));
    }

    /// The same, but for lists and watches with a field selector.
    pub fn deny_cluster_wide(&self, resource: &str) {
        self.shared.change(|state| state.faults.denied.insert(resource.to_owned(), true));
    }

    pub fn allow(&self, resource: &str) {
        self.shared.change(|state| state.faults.denied.remove(resource));
    }

    /// 401 for everything.
    pub fn refuse_credentials(&self, refuse: bool) {
        self.shared.change(|state| state.faults.unauthorized = refuse);
    }

    /// Each answer begins this much later.
    pub fn slow(&self, delay: Duration) {
        self.shared.change(|state| state.faults.delay = delay);
    }

    /// Nothing but this is answered to lists of a resource (`None`: as usual again).
    pub fn garbage(&self, resource: &str, garbage: Option<Garbage>) {
        self.shared.change(|state| match garbage {
            Some(garbage) => state.faults.garbage.insert(resource.to_owned(), garbage),
            None => state.faults.garbage.remove(resource),
        });
    }

    /// Watches end as soon as they begin.
    pub fn close_watches(&self, close: bool) {
        self.shared.change(|state| state.faults.close_watches = close);
    }

    /// Forgets what happened: watches end with 410 Gone, also those that begin at a resource version of before.
    pub fn expire(&self) {
        self.shared.change(|state| state.store.expire());
    }

    /// Refuses connections and ends those that are there.
    pub fn stop(&self) {
        self.shared.change(|state| {
            state.is_down = true;
            state.connections.drain(..).for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
        });
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            drop(listening.join());
        }
    }

    /// Answers again, on the same port, in this thread's network namespace.
    pub fn resume(&self) -> Result<()> {
        let listener = TcpListener::bind(self.address).context("the port was taken")?;
        self.shared.change(|state| state.is_down = false);
        self.listen(listener);
        Ok(())
    }

    /// Path and query of every request since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().requests)
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let accept = move || {
            for stream in listener.incoming().flatten() {
                let mut state = shared.state();
                if state.is_down {
                    return;
                }
                // The peer may be gone already.
                let Ok(known) = stream.set_nodelay(true).and_then(|()| stream.try_clone()) else { continue };
                state.connections.push(known);
                drop(state);
                let shared = Arc::clone(&shared);
                // Ends with its connection, whatever comes over it.
                thread::spawn(move || drop(http::serve(&stream, &shared)));
            }
        };
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::spawn(accept));
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.stop();
        drop(std::fs::remove_file(&self.kubeconfig));
    }
}
