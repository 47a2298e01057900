//! `whydrop demo`: a throw-away client, node and pod, a handful of everyday drops, and what `whydrop watch` says of them.
//!
//! Rule: it is the real line ([`crate::pipeline`]), filtered to the demo's own namespaces, and no external program runs.
//! Everything it makes lives inside those namespaces, and they exist by open descriptors alone: the kernel removes all
//! of it when this process ends, however it ends. The machine's own namespace is never written to.

mod error;
mod lab;
mod namespace;
mod narrator;
mod nftables;
mod rtnetlink;
mod story;
mod witness;

use std::io::{BufWriter, stdout};
use std::sync::mpsc::channel;
use std::time::Duration;

pub use error::DemoError;
pub use lab::Lab;

use crate::counter::Scope;
use crate::host::error::{Errno, HostError};
use crate::kubernetes::Plan;
use crate::load::{Kernel, Programs};
use crate::pipeline::{self, Signals, Watch};
use crate::sink::{Style, Text};
use narrator::{Narrator, Told, say};
use witness::Witness;

/// Counts that rise are shown sooner than by default: nobody waits long for a demo.
const INTERVAL: Duration = Duration::from_millis(250);

const BEFORE: &str = "\
Three network namespaces, gone when this ends; nothing else on this machine is touched or shown:

  client 192.0.2.10  ----  eth0 192.0.2.1  node  veth-pod 10.244.1.1  ----  10.244.1.2 pod

";
const AFTER: &str = "
That was the demo. Its namespaces are gone, so the commands above lead nowhere; they do for real drops: `whydrop` shows
those of this machine, `whydrop doctor` what it can see here.
";

/// Tells the stories on standard output, `pause` apart, until the last or a signal. `programs` were loaded with
/// [`Lab::filter`].
///
/// # Errors
/// [`DemoError`] if the lab, the kernel or the output fails, or a drop was not seen.
pub async fn run(
    lab: Lab,
    programs: Programs,
    kernel: Kernel,
    signals: Signals,
    style: Style,
    pause: Duration,
) -> Result<(), DemoError> {
    say(BEFORE)?;
    // The stories are of drops; counters of the machine's other namespaces are not the demo's.
    let counters = Scope::Nothing;
    let watch = Watch {
        interval: INTERVAL,
        namespaces: lab.netns(),
        counters,
        names: Plan { off: true, ..Plan::default() },
        ..Watch::default()
    };
    let (tell, shown) = channel();
    let sink = Witness::new(Text::new(BufWriter::new(stdout()), style), tell);
    let narrator = Narrator { lab, shown, end: watch.end.clone(), style, pause };
    let narrator = std::thread::Builder::new()
        .name("narrator".to_owned())
        .spawn(move || narrator.tell())
        .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
    let watched = pipeline::run(watch, programs, kernel, signals, Box::new(sink)).await;
    let told = narrator.join().map_err(|_| DemoError::NarratorFailed)?;
    watched?;
    match told? {
        Told::All { unseen: 0 } => say(AFTER),
        Told::All { unseen } => Err(DemoError::NotSeen(unseen)),
        Told::NotAll => Ok(()),
    }
}
