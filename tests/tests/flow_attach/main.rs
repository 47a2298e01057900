//! The tc programs: where they are attached, how devices are followed, and that nothing stays and nobody else is disturbed.

mod beside;
mod devices;
mod ends;
mod watcher;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tracer_tests::bpf::{self, Attach};
use tracer_tests::{NetNs, patience};

/// Names of the programs that tcx links hold at an interface, both directions.
fn tcx(namespace: &NetNs, name: &str) -> Result<[Vec<String>; 2]> {
    let index: u32 = namespace.exec(&format!("ip -o link show {name} | cut -d: -f1"))?.trim().parse()?;
    let names = |place| -> Result<Vec<String>> {
        let programs = namespace.run(|| bpf::at_interface(place, index))?;
        // One that is just unloaded has no name any more.
        Ok(programs.into_iter().filter_map(|program| program.name().ok()).collect())
    };
    Ok([names(Attach::TcxIngress)?, names(Attach::TcxEgress)?])
}

/// The filters of clsact at an interface, both directions.
fn filters(namespace: &NetNs, name: &str) -> Result<String> {
    namespace.exec(&format!("tc filter show dev {name} ingress; tc filter show dev {name} egress"))
}

/// Waits until it is so.
fn until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<Duration> {
    let began = Instant::now();
    while !is_so()? {
        ensure!(began.elapsed() < patience(), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(began.elapsed())
}
