//! What Cilium's Hubble says of a drop is joined to it; a Hubble that hangs, lies or goes away costs one sentence.

use std::io::Write as _;
use std::net::UdpSocket;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result, ensure};
use tracer_tests::bpf::{Attach, Verdict};
use tracer_tests::event::{Event, key};
use tracer_tests::hubble::{CT_MAP_INSERTION_FAILED, Manner, POLICY_DENY};
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::Flow;
use tracer_tests::traffic::raw::index;
use tracer_tests::{Expect, FakeHubble, Family, Tracer, eventually, require};
use whydrop::kubernetes::{Directory, Plan, Reach, spawn};

const TC_ACT_SHOT: i32 = 2;
const PORT: u16 = 9999;

fn watch(lab: &Pair, hubble: &FakeHubble) -> Result<Tracer> {
    let inode = lab.server.inode()?.to_string();
    let names = ["--hubble", hubble.path(), "--kubernetes", "off"];
    Tracer::start(&[&["--all", "--interval", "100ms", "--netns", &inode][..], &names[..]].concat())
}

/// A socket that sends what is dropped, and its flow.
fn sender(lab: &Pair, family: Family, port: u16) -> Result<(UdpSocket, Flow)> {
    let (source, destination) = (CLIENT.port(family, port), NEIGHBOUR.port(family, PORT));
    let socket = lab.client.run(|| Ok(UdpSocket::bind(source)?))?;
    socket.connect(destination)?;
    Ok((socket, Flow { protocol: "udp", source, destination }))
}

/// Sends and has Hubble tell it, until a line of the flow is as wanted.
fn told(
    tracer: &mut Tracer,
    (socket, flow): &(UdpSocket, Flow),
    hubble: &FakeHubble,
    (reason, policy): (i32, Option<(&str, &str)>),
    is_wanted: impl Fn(&Event) -> bool,
) -> Result<Event> {
    let port = u64::from(flow.source.port());
    eventually("Hubble's word is joined", || {
        hubble.dropped(flow, reason, policy);
        socket.send(b"x")?;
        tracer.take_waiting()?;
        let mut events = tracer.events().iter().filter(|event| event.is("drop"));
        Ok(events.any(|event| event.number(key::SOURCE_PORT).is_ok_and(|found| found == port) && is_wanted(event)))
    })?;
    let mut events = tracer.events().iter().filter(|event| event.is("drop"));
    let found =
        events.find(|event| event.number(key::SOURCE_PORT).is_ok_and(|found| found == port) && is_wanted(event));
    found.cloned().context("it is gone")
}

#[test]
fn a_policy_that_hubble_names_is_the_cause_and_certain() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let program = Verdict::load(Attach::TcxIngress, "cil_from_contai", TC_ACT_SHOT)?;
    let _link = lab.server.run(|| program.attach(index("s0")?))?;
    let hubble = FakeHubble::new()?;
    let mut tracer = watch(&lab, &hubble)?;
    for (family, port) in Family::BOTH.into_iter().zip(4001..) {
        let sender = sender(&lab, family, port)?;
        let word = (POLICY_DENY, Some(("shop", "deny")));
        let event = told(&mut tracer, &sender, &hubble, word, |event| event.text(key::CAUSE) == "network_policy")?;
        ensure!(event.text(key::CONFIDENCE) == "certain", "{event}");
        ensure!(event.text(key::SUMMARY).starts_with("CiliumNetworkPolicy shop/deny denies "), "{event}");
        ensure!(event.text(key::POLICY_NAME) == "deny" && event.text(key::POLICY_DIRECTION) == "ingress", "{event}");
        ensure!(event.text("/explanation/policy/enforced_by") == "cilium", "{event}");
        ensure!(event.number(key::PROGRAM_ID)? == u64::from(program.id()?), "the program is still told: {event}");
        event.says(key::EVIDENCE, "Hubble: dropped, POLICY_DENY, ingress, by CiliumNetworkPolicy shop/deny")?;
        event.says(key::REMEDY, "kubectl -n shop describe ciliumnetworkpolicy deny")?;
    }
    let asked = hubble.requests();
    ensure!(asked.iter().all(|one| one.follow && one.since.is_some() && one.whitelist.len() == 1), "{asked:?}");
    tracer.stop()?.ensure_clean()
}

#[test]
fn another_reason_is_said_in_plain_words() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let program = Verdict::load(Attach::TcxIngress, "cil_from_contai", TC_ACT_SHOT)?;
    let _link = lab.server.run(|| program.attach(index("s0")?))?;
    let hubble = FakeHubble::new()?;
    let mut tracer = watch(&lab, &hubble)?;
    let sender = sender(&lab, Family::BOTH[0], 4001)?;
    let is_certain = |event: &Event| event.text(key::CONFIDENCE) == "certain";
    let event = told(&mut tracer, &sender, &hubble, (CT_MAP_INSERTION_FAILED, None), is_certain)?;
    ensure!(event.text(key::CAUSE) == "bpf_program", "{event}");
    ensure!(event.text(key::SUMMARY).ends_with(": Cilium's table of connections is full"), "{event}");
    event.says(key::REMEDY, "bpf-ct-global-tcp-max")?;
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_hubble_that_hangs_costs_a_sentence_and_nothing_else() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let program = Verdict::load(Attach::TcxIngress, "cil_from_contai", TC_ACT_SHOT)?;
    let _link = lab.server.run(|| program.attach(index("s0")?))?;
    let hubble = FakeHubble::new()?;
    hubble.behave(Manner::Hangs);
    let mut tracer = watch(&lab, &hubble)?;
    tracer.header().says("/coverage", "does not answer within 1 s, so Cilium's own reasons are not told")?;
    let (socket, flow) = sender(&lab, Family::BOTH[0], 4001)?;
    for _ in 0..3 {
        socket.send(b"x")?;
    }
    let wanted = Expect::drop("TC_INGRESS").cause("bpf_program").flow(&flow);
    let event = tracer.wait_for(&wanted)?;
    ensure!(event.number(key::PROGRAM_ID)? == u64::from(program.id()?), "{event}");
    tracer.wait_for_count(&wanted, 3)?;
    tracer.stop()?.ensure_clean()
}

fn follow(socket: &str) -> Result<Directory> {
    let plan = Plan {
        cri: vec!["/nonexistent/whydrop.sock".into()],
        hubble: Some(socket.into()),
        reach: Reach::Off,
        ..Plan::default()
    };
    let directory = spawn(plan)?;
    directory.wait_for_first_listing(tracer_tests::patience());
    Ok(directory)
}

fn says(directory: &Directory, what: &str) -> bool {
    directory.gaps().iter().any(|gap| gap.contains(what))
}

#[test]
fn a_hubble_that_goes_away_is_missed_until_it_is_back() -> Result<()> {
    let hubble = FakeHubble::new()?;
    let directory = follow(hubble.path())?;
    ensure!(!says(&directory, "Hubble") && directory.hubble().is_here(), "{:?}", directory.gaps());
    hubble.vanish();
    eventually("it is missed", || Ok(says(&directory, "Hubble")))?;
    hubble.start()?;
    eventually("it is not missed any more", || Ok(!says(&directory, "Hubble")))?;
    let (source, destination) = ("10.0.0.5:4000".parse()?, "10.0.0.9:80".parse()?);
    let flow = Flow { protocol: "tcp", source, destination };
    eventually("it tells again", || {
        hubble.dropped(&flow, POLICY_DENY, None);
        Ok(!directory.hubble().is_empty())
    })
}

#[test]
fn a_socket_that_is_not_there_is_named() -> Result<()> {
    let directory = follow("/nonexistent/hubble.sock")?;
    ensure!(says(&directory, "/nonexistent/hubble.sock") && says(&directory, "--hubble"), "{:?}", directory.gaps());
    ensure!(!directory.hubble().is_here());
    Ok(())
}

#[test]
fn a_stream_that_ends_at_once_is_said() -> Result<()> {
    let hubble = FakeHubble::new()?;
    hubble.behave(Manner::Ends);
    let directory = follow(hubble.path())?;
    eventually("it is said", || Ok(says(&directory, "until it is back")))?;
    ensure!(directory.hubble().is_empty());
    Ok(())
}

/// Takes a socket's file away.
struct Gone(PathBuf);

impl Drop for Gone {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_socket_of_something_else_is_said() -> Result<()> {
    let path = std::env::temp_dir().join(format!("wd-no-hubble-{}.sock", std::process::id()));
    let (listener, _gone) = (UnixListener::bind(&path)?, Gone(path.clone()));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _closed = stream.write_all(&[0xff; 4096]);
        }
    });
    let directory = follow(path.to_str().context("no text")?)?;
    ensure!(says(&directory, "so Cilium's own reasons are not told"), "{:?}", directory.gaps());
    Ok(())
}
