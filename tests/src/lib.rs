//! The network lab: real drops, caused by real tools in network namespaces of its own, seen by the real binary.
//!
//! Rules: nothing outside the lab's namespaces is changed; everything made is undone by a guard, also when a test
//! fails; readiness is waited for, never slept for; a test asserts the cause that is named, not that a line appeared.

pub mod apiserver;
pub mod bpf;
pub mod cgroup;
pub mod cloud;
pub mod cluster;
pub mod containerd;
pub mod cpu;
pub mod cri;
pub mod diagnosis;
pub mod event;
pub mod expect;
pub mod family;
pub mod firewall;
pub mod hubble;
pub mod kernel;
pub mod neighbour;
pub mod netns;
pub mod netstat;
pub mod program;
pub mod remedy;
pub mod require;
pub mod schema;
pub mod story;
pub mod sysctl;
pub mod topology;
pub mod tracer;
pub mod traffic;
pub mod tun;

pub use apiserver::FakeApi;
pub use cloud::Cloud;
pub use containerd::Containerd;
pub use cri::FakeCri;
pub use diagnosis::{Diagnosis, Findings};
pub use event::{Event, Report};
pub use expect::Expect;
pub use family::{Dual, Family};
pub use hubble::FakeHubble;
pub use netns::NetNs;
pub use schema::Schema;
pub use story::Story;
pub use tracer::Tracer;

use std::time::{Duration, Instant};

/// How long anything may take that should be instant: 20 seconds, or what `WHYDROP_LAB_DEADLINE` says (whole seconds,
/// for emulated machines).
pub fn patience() -> Duration {
    let seconds = std::env::var("WHYDROP_LAB_DEADLINE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

/// Waits until something is so; `what` is said if it never is.
pub fn eventually(what: &str, is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    within(patience(), what, is_so)
}

/// The same, for what takes a known time.
pub fn within(time: Duration, what: &str, mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + time;
    while !is_so()? {
        anyhow::ensure!(Instant::now() < deadline, "not within {time:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
