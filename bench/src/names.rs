//! What it costs to know who is who: memory for a large cluster, a look-up, and a change.
//!
//! Rule: a look-up is compared with one in a plain `HashMap` by address, in the same process and order.

use std::collections::HashMap;
use std::fmt;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use tracer_policy::model::{NetworkPolicy, ObjectName, Operator, Pod, Policy, Requirement, Rule, Selector, Workload};
use tracer_policy::read::Object;
use whydrop::kubernetes::{Change, Index, Origin, PodSeen, Span};

use crate::Bench;
use crate::spread::Spread;

const PODS: u32 = 50_000;
const POLICIES: u32 = 2_000;
/// Pods of a Deployment, and of a node.
const OF_WORKLOAD: u32 = 25;
const OF_NODE: u32 = 110;
const LOOKUPS: u32 = 1_000_000;
/// Pods that come, and pods that go, in one round.
const CHANGES: u32 = 500;
/// The present, as far as the index is told.
const NOW: u64 = 1_000_000_000_000;

#[derive(Debug, Serialize)]
pub(crate) struct Names {
    /// Bytes of resident memory.
    per_pod: f64,
    per_policy: f64,
    /// ns a look-up.
    map: Spread,
    address: Spread,
    netns: Spread,
    /// µs a change: a pod that comes, or goes.
    change: Spread,
}

pub(crate) fn measure(bench: &Bench<'_>) -> Result<Option<Names>> {
    if !bench.wants("names") {
        return Ok(None);
    }
    eprintln!("names");
    once(bench.rounds.max(3)).map(Some)
}

fn once(rounds: usize) -> Result<Names> {
    let mut index = Index::of_whole_cluster(true);
    let empty = resident()?;
    (0..PODS).for_each(|number| index.apply_at(pod(number), NOW));
    let with_pods = resident()?;
    (0..POLICIES).for_each(|number| index.apply_at(policy(number), NOW));
    let per_policy = (resident()? - with_pods) / f64::from(POLICIES);
    let plain: HashMap<IpAddr, u32> = (0..PODS).map(|number| (address(number), number)).collect();
    let at = |number: u32| number.wrapping_mul(2_654_435_761) % PODS;
    let lookups = |look: &dyn Fn(u32) -> bool| {
        let times = (0..rounds).map(|_| {
            let begun = Instant::now();
            let found = (0..LOOKUPS).filter(|number| look(at(*number))).count();
            assert_eq!(found, LOOKUPS as usize, "every pod is known");
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(LOOKUPS)
        });
        Spread::of(times.collect::<Vec<_>>()).context("no rounds")
    };
    let span = Span::at(NOW + 1);
    Ok(Names {
        per_pod: (with_pods - empty) / f64::from(PODS),
        per_policy,
        map: lookups(&|number| black_box(plain.get(&address(number))).is_some())?,
        address: lookups(&|number| black_box(index.pod_at(address(number), span)).pod().is_some())?,
        netns: lookups(&|number| black_box(index.pod_of_netns(number, span)).pod().is_some())?,
        change: changes(&mut index, rounds)?,
    })
}

/// Pods go and others come in their place.
fn changes(index: &mut Index, rounds: usize) -> Result<Spread> {
    let mut times = Vec::new();
    for round in 0..u32::try_from(rounds)? {
        let (old, new) = (round * CHANGES, PODS + round * CHANGES);
        let begun = Instant::now();
        for number in 0..CHANGES {
            let (id, uid) = (name(old + number), uid(old + number));
            index.apply_at(Change::PodGone { origin: Origin::Runtime, id, uid: uid.into(), at: NOW + 2 }, NOW + 2);
            index.apply_at(pod(new + number), NOW + 3);
        }
        times.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(2 * CHANGES));
    }
    Spread::of(times).context("no rounds")
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a80_0000 + number).into()
}

fn uid(number: u32) -> String {
    format!("{number:08x}-6c1f-4a57-9d3e-0123456789ab")
}

fn name(number: u32) -> ObjectName {
    ObjectName::new(
        format!("team-{}", number / OF_WORKLOAD % 200),
        format!("web-{}-7d4b9c-{number:05}", number / OF_WORKLOAD),
    )
}

fn pod(number: u32) -> Change {
    let (id, workload) = (name(number), format!("web-{}", number / OF_WORKLOAD));
    let mut pod = Pod { id, ..Pod::new("", "", uid(number)) };
    pod.labels = [("app.kubernetes.io/name", workload.as_str()), ("tier", "front"), ("pod-template-hash", "7d4b9c")]
        .into_iter()
        .collect();
    pod.addresses = [address(number)].into();
    pod.node = Some(format!("node-{}", number / OF_NODE).into());
    pod.workload = Some(Workload { kind: "Deployment".into(), name: workload.into() });
    pod.service_account = Some("default".into());
    let seen = PodSeen { origin: Origin::Runtime, pod, since: NOW, netns: Some(number), containers: Vec::new() };
    Change::Pod(Box::new(seen))
}

fn policy(number: u32) -> Change {
    let requirement = Requirement {
        key: "app.kubernetes.io/name".into(),
        operator: Operator::In,
        values: [format!("web-{number}").into()].into(),
    };
    Change::Object(Object::Policy(
        Policy::Network(NetworkPolicy {
            id: ObjectName::new(format!("team-{}", number % 200), format!("allow-{number}")),
            pods: Selector { requirements: [requirement].into() },
            ingress: Some([Rule::default()].into()),
            egress: None,
        })
        .into(),
    ))
}

/// Bytes.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/self/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nNames of {PODS} pods with {POLICIES} policies\n")?;
        writeln!(f, "| what | measured |\n| --- | --- |")?;
        writeln!(f, "| memory a pod | {:.0} bytes |", self.per_pod)?;
        writeln!(f, "| memory a policy | {:.0} bytes |", self.per_policy)?;
        writeln!(f, "| look-up by address in a plain map | {} ns |", self.map)?;
        let ratio = |spread: &Spread| spread.median / self.map.median;
        writeln!(f, "| pod of an address | {} ns, {:.1} x |", self.address, ratio(&self.address))?;
        writeln!(f, "| pod of a namespace | {} ns, {:.1} x |", self.netns, ratio(&self.netns))?;
        writeln!(f, "| a pod comes or goes | {} µs |", self.change)
    }
}
