//! Pods and containers of this node, from the container runtime: containerd, CRI-O, cri-dockerd, by the Container Runtime
//! Interface (CRI), version 1.
//!
//! Each place where a runtime may listen is followed by itself: [`socket`] finds it, [`client`] asks, [`session`] follows it until
//! it fails by one [`listing`] after another, [`sandbox`] and [`info`] read what it says of a pod.
//!
//! Rule: nothing a runtime says is believed before it was looked at: a namespace must be one, an address an address, a name a name.
//! What is wrong is left out and said in one sentence. A runtime that hangs or goes away costs no more than news: what was known stays.

mod client;
mod fault;
mod info;
mod listing;
mod progress;
mod sandbox;
mod session;
pub mod socket;

use std::path::Path;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::{Feed, Plan};
use client::Runtime;
pub use fault::Fault;
use progress::Progress;
pub(super) use sandbox::named;
use socket::Place;

/// Lists and follows until nobody listens; tells whether any runtime answers, once that is known.
pub(super) async fn follow(plan: &Plan, feed: Feed, answers: watch::Sender<Option<bool>>) {
    let places =
        if plan.cri.is_empty() { socket::usual() } else { plan.cri.iter().map(|path| Place::given(path)).collect() };
    let progress = Progress::new(&feed, places.len(), answers);
    join_all(places.iter().enumerate().map(|(number, place)| session::keep(place, progress.of(number)))).await;
}

/// Name and version of the runtime that listens at a socket: `containerd 1.7.24`.
pub fn version(path: &Path) -> Result<String, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::Connect { path: path.to_owned(), why: error.to_string() })?;
    runtime.block_on(async { Runtime::connect(path).await.map(|(_, version)| version) })
}
