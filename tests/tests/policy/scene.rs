//! Two pods behind a node: the client shop/front-0, the server shop/web-0, and the node's rules in the shape of an engine.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, CLIENT, Router, SERVER};
use tracer_tests::traffic::{Flow, udp};
use tracer_tests::{Expect, FakeCri, Tracer};

/// A file of `tests/rulesets/`.
macro_rules! ruleset {
    ($name:literal) => {
        include_str!(concat!("../../rulesets/", $name))
    };
}
pub(super) use ruleset;

#[derive(Debug)]
pub(super) struct Scene {
    pub(super) lab: Router,
    pub(super) cri: FakeCri,
}

impl Scene {
    /// The client's pod has these labels.
    pub(super) fn new(client: &[(&str, &str)]) -> Result<Self> {
        let scene = Self { lab: topology::router()?, cri: FakeCri::new()? };
        scene.client(client);
        let (server, netns) = (SERVER.v4.to_string(), scene.lab.server.path());
        scene.cri.pod("shop", "web-0").labels(&[("app", "web")]).address(&server).netns(&netns).run();
        Ok(scene)
    }

    /// Gives the client's pod these labels.
    pub(super) fn client(&self, labels: &[(&str, &str)]) {
        let (address, netns) = (CLIENT.v4.to_string(), self.lab.client.path());
        self.cri.pod("shop", "front-0").labels(labels).address(&address).netns(&netns).run();
    }

    /// Loads sets or rules into the node, with the addresses of the lab in them.
    pub(super) fn load(&self, program: &str, template: &str) -> Result<()> {
        let words = [
            ("%client%", CLIENT.v4.to_string()),
            ("%server%", SERVER.v4.to_string()),
            ("%len%", "32".to_owned()),
            ("%v%", "4".to_owned()),
            ("%inet%", "inet".to_owned()),
            ("%unreach%", "icmp-port-unreachable".to_owned()),
        ];
        let text = words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
        self.lab.router.run(|| {
            let mut words = program.split(' ');
            let mut child = Command::new(words.next().context("no program")?)
                .args(words)
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            child.stdin.take().context("no pipe")?.write_all(text.as_bytes())?;
            let output = child.wait_with_output()?;
            ensure!(output.status.success(), "{program}: {}\n{text}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        })
    }

    /// Watches the node, with more arguments.
    pub(super) fn watch(&self, more: &[&str]) -> Result<Tracer> {
        let netns = self.lab.router.inode()?.to_string();
        let mut arguments = vec!["--all", "--interval", "100ms", "--netns", &netns, "--cri", self.cri.path()];
        arguments.extend(more);
        Tracer::start(&arguments)
    }

    /// A datagram of the client to the port that the policy is about.
    pub(super) fn sends(&self, port: u16) -> Result<Flow> {
        self.lab.client.run(|| Ok(udp::send((SERVER.v4, port).into(), 1, 8)?.flow))
    }

    /// One that arrives.
    pub(super) fn arrives(&self) -> Result<Flow> {
        udp::deliver(&self.lab.client, &self.lab.server, (SERVER.v4, CONTROL_PORT).into())
    }
}

/// Without the client among the members of a set.
pub(super) fn without(sets: &str, member: &str) -> String {
    let kept: Vec<&str> = sets.lines().filter(|line| *line != member).collect();
    kept.join("\n") + "\n"
}

/// A drop of this flow that is the policy's.
pub(super) fn denied(flow: &Flow) -> Expect {
    Expect::drop("NETFILTER_DROP").problem().flow(flow).cause("network_policy")
}

pub(super) fn says(event: &Event, pointer: &str, part: &str) {
    let all = match pointer {
        key::EVIDENCE | key::REMEDY => event.texts(pointer).join("\n"),
        _ => event.text(pointer).to_owned(),
    };
    assert!(all.contains(part), "{pointer} does not say {part:?}: {event}");
}
