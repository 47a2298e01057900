//! One ruleset in one namespace of a routed network, the drops that it makes, and how each is told.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::family::Dual;
use tracer_tests::firewall::Backend;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, C0_MAC, CLIENT, R1_MAC, ROUTER_1, ROUTER_2, Router, SERVER};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, frame, udp};
use tracer_tests::{Expect, Family, NetNs, Story};

/// Legacy and nft, IPv4 and IPv6, in two runs.
pub(super) const MIXED: [(Backend, Family); 2] = [(Backend::Legacy, Family::V4), (Backend::Nft, Family::V6)];

/// Whose ruleset it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Router,
    Server,
}

#[derive(Debug)]
pub(super) struct Scene {
    pub(super) lab: Router,
    pub(super) family: Family,
    backend: Backend,
    at: At,
}

impl Scene {
    pub(super) fn new((backend, family): (Backend, Family), at: At) -> Result<Self> {
        Ok(Self { lab: topology::router()?, family, backend, at })
    }

    pub(super) fn here(&self) -> &NetNs {
        match self.at {
            At::Router => &self.lab.router,
            At::Server => &self.lab.server,
        }
    }

    /// Loads a file by its ending, with the addresses of the lab in it.
    pub(super) fn load(&self, (name, template): (&str, &str)) -> Result<()> {
        let text = self.filled(template);
        let program = match name.rsplit_once('.') {
            Some((_, "ipset")) => "ipset restore".to_owned(),
            Some((_, "nft")) => "nft -f -".to_owned(),
            _ => format!("{}-restore", self.backend.program(self.family)),
        };
        self.here().run(|| pipe(&program, &text)).with_context(|| format!("{name}:\n{text}"))
    }

    /// `%…%` of a template, as it is in this family.
    pub(super) fn filled(&self, template: &str) -> String {
        let pick = |v4: &str, v6: &str| self.family.pick(v4, v6).to_owned();
        let ip = |host: Dual| host.ip(self.family).to_string();
        let target = self.family.pick(SERVER.v4.to_string(), format!("[{}]", SERVER.v6));
        let words = [
            ("client", ip(CLIENT)),
            ("server", ip(SERVER)),
            ("dotted", pick("10.99.2.2", "fd99.2..2")),
            ("router1", ip(ROUTER_1)),
            ("router2", ip(ROUTER_2)),
            ("target", target),
            ("clients", pick("10.99.1.0/24", "fd99:1::/64")),
            ("servers", pick("10.99.2.0/24", "fd99:2::/64")),
            ("service", pick("10.96.0.10", "fd96::10")),
            ("balancer", pick("10.96.0.20", "fd96::20")),
            ("services", pick("10.96.0.0/16", "fd96::/108")),
            ("nobody", pick("192.0.2.1", "2001:db8::1")),
            ("len", pick("32", "128")),
            ("v", pick("4", "6")),
            ("ip", pick("ip", "ip6")),
            ("inet", pick("inet", "inet6")),
            ("addr", pick("ipv4_addr", "ipv6_addr")),
            ("icmp", pick("icmp", "ipv6-icmp")),
            ("unreach", pick("icmp-port-unreachable", "icmp6-port-unreachable")),
            ("ufw", pick("ufw", "ufw6")),
            ("prohibited", pick("icmp-host-prohibited", "icmp6-adm-prohibited")),
            ("published", pick("10.99.2.9", "fd99:2::9")),
            // In front of a rule that one family has.
            ("v4only", pick("", "# ")),
        ];
        words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(&format!("%{word}%"), value))
    }

    /// Addresses that no host has are behind the router.
    pub(super) fn route(&self, prefix: &str) -> Result<()> {
        let (prefix, via) = (self.filled(prefix), SERVER.ip(self.family));
        self.lab.router.exec(&format!("ip route add {prefix} via {via}")).map(drop)
    }

    /// A TCP SYN of the client.
    pub(super) fn syn(&self, to: IpAddr, port: u16) -> Result<Flow> {
        self.lab.client.run(|| tracer_tests::traffic::tcp::attempt((to, port).into()))
    }

    pub(super) fn address(&self, template: &str) -> Result<IpAddr> {
        Ok(self.filled(template).parse()?)
    }

    /// `iptables-nft ip filter/INPUT`, of the family and backend of the scene.
    pub(super) fn iptables(&self, chain: &str) -> String {
        let backend = match self.backend {
            Backend::Legacy => "iptables-legacy",
            Backend::Nft => "iptables-nft",
        };
        format!("{backend} {} {chain}", self.family.pick("ip", "ip6"))
    }

    pub(super) fn nftables(&self, chain: &str) -> String {
        format!("nftables {} {chain}", self.family.pick("ip", "ip6"))
    }

    /// A packet of the client, made by hand.
    pub(super) fn packet(
        &self,
        to: IpAddr,
        protocol: (&'static str, u8),
        ports: (u16, u16),
        payload: &[u8],
    ) -> Result<Flow> {
        let source = CLIENT.ip(self.family);
        let (ethertype, packet) = match (source, to) {
            (IpAddr::V4(source), IpAddr::V4(to)) => {
                (frame::ETHERTYPE_IPV4, frame::Ipv4::new(source, to, protocol.1).build(payload))
            }
            (IpAddr::V6(source), IpAddr::V6(to)) => {
                (frame::ETHERTYPE_IPV6, frame::Ipv6::new(source, to, protocol.1).build(payload))
            }
            _ => bail!("{to} is of another family"),
        };
        let frame = frame::ethernet(R1_MAC, C0_MAC, ethertype, &packet);
        self.lab.client.run(|| Interface::sender("c0")?.send(&frame))?;
        Ok(Flow { protocol: protocol.0, source: (source, ports.0).into(), destination: (to, ports.1).into() })
    }

    /// A TCP packet to the server that connection tracking can make nothing of: SYN and FIN at once.
    pub(super) fn stray(&self) -> Result<Flow> {
        let (ports, to) = ((40000, 443), SERVER.ip(self.family));
        let segment = frame::tcp(CLIENT.ip(self.family), to, ports, 3);
        self.packet(to, ("tcp", frame::TCP), ports, &segment)
    }

    pub(super) fn story(&self) -> Result<Told<'_>> {
        Ok(Told { scene: self, story: Story::of(self.here())? })
    }

    fn shown(&self, blame: &Blame) -> Result<(String, Option<u64>)> {
        let [_, family, table, chain] = blame.place()?;
        if blame.backend() == "nftables" {
            let listed = self.here().exec(&format!("nft -s -a list chain {family} {table} '{chain}'"))?;
            let rules =
                listed.lines().skip(2).filter(|line| !line.contains("{ # handle") && !line.trim().starts_with("type "));
            let rules = rules.filter(|line| line.contains(" # handle "));
            let line = rules.map(str::trim).nth(blame.number.saturating_sub(1)).with_context(|| listed.clone())?;
            let (text, handle) = line.rsplit_once(" # handle ").context("no handle")?;
            return Ok((text.to_owned(), Some(handle.parse()?)));
        }
        let tool = self.backend.program(self.family);
        let listed = self.here().exec(&format!("{tool} -t {table} -S '{chain}' {}", blame.number))?;
        Ok((listed.trim().to_owned(), None))
    }
}

fn pipe(program: &str, input: &str) -> Result<()> {
    let mut words = program.split(' ');
    let mut child = Command::new(words.next().context("no program")?)
        .args(words)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What is to be said of a drop.
#[derive(Clone, Debug)]
pub(super) struct Blame {
    place: String,
    /// 0: the policy of the chain.
    number: usize,
    expect: Expect,
    remedy: Vec<String>,
    evidence: Vec<String>,
    path: Option<String>,
    /// Instead of the rule or policy itself.
    cause: Option<&'static str>,
}

impl Blame {
    /// `kube-proxy iptables-nft ip filter/KUBE-SERVICES 1`
    pub(super) fn rule(owner: &str, place: &str, number: usize) -> Self {
        let expect = Expect::drop("NETFILTER_DROP").problem().with(key::OWNER, owner);
        Self {
            place: place.to_owned(),
            number,
            expect,
            remedy: Vec::new(),
            evidence: Vec::new(),
            path: None,
            cause: None,
        }
    }

    /// The policy of a base chain of iptables, which has a counter of its own.
    pub(super) fn policy_of(owner: &str, place: &str) -> Self {
        Self::rule(owner, place, 0).sure("certain")
    }

    /// It drops what connection tracking calls invalid.
    pub(super) fn invalid(mut self) -> Self {
        self.cause = Some("conntrack_invalid");
        self.remedy("look at what sends it").evidence("statistic invalid rose by 1")
    }

    /// The NetworkPolicy behind it, which the rule names: then that is the cause.
    pub(super) fn policy(mut self, namespace: &str, name: &str, direction: &str) -> Self {
        self.expect = self.expect.with(key::POLICY_NAMESPACE, namespace).with(key::POLICY_NAME, name);
        self.expect = self.expect.with(key::POLICY_DIRECTION, direction);
        self.cause = Some("network_policy");
        self
    }

    pub(super) fn sure(mut self, confidence: &str) -> Self {
        self.expect = self.expect.sure(confidence);
        self
    }

    pub(super) fn hook(mut self, hook: &str) -> Self {
        self.expect = self.expect.hook(hook);
        self
    }

    /// One of the remedies has this in it.
    pub(super) fn remedy(mut self, part: &str) -> Self {
        self.remedy.push(part.to_owned());
        self
    }

    pub(super) fn evidence(mut self, part: &str) -> Self {
        self.evidence.push(part.to_owned());
        self
    }

    /// The way there: `FORWARD 1, KUBE-SERVICES 1`.
    pub(super) fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn backend(&self) -> &str {
        self.place.split(' ').next().unwrap_or_default()
    }

    fn place(&self) -> Result<[&str; 4]> {
        let mut words = self.place.splitn(3, ' ');
        let mut next = || words.next().with_context(|| self.place.clone());
        let (backend, family, rest) = (next()?, next()?, next()?);
        let (table, chain) = rest.split_once('/').with_context(|| self.place.clone())?;
        Ok([backend, family, table, chain])
    }
}

/// The story of a scene.
pub(super) struct Told<'a> {
    scene: &'a Scene,
    story: Story,
}

impl Told<'_> {
    /// This flow was dropped, once, and told so.
    pub(super) fn blames(&mut self, flow: &Flow, blame: &Blame) -> Result<Event> {
        let of_place = if blame.number == 0 { "netfilter_policy" } else { "netfilter_rule" };
        let mut wanted = blame.expect.clone().flow(flow).cause(blame.cause.unwrap_or(of_place));
        let keys = [key::RULE_BACKEND, key::RULE_FAMILY, key::RULE_TABLE, key::RULE_CHAIN];
        for (key, value) in keys.into_iter().zip(blame.place()?) {
            wanted = wanted.with(key, value);
        }
        if blame.number > 0 {
            let (text, handle) = self.scene.shown(blame)?;
            wanted = wanted.with(key::RULE_NUMBER, blame.number as u64).with(key::RULE_TEXT, text);
            if let Some(handle) = handle {
                wanted = wanted.with(key::RULE_HANDLE, handle);
            }
        }
        let event = self.story.names(wanted, 1)?;
        blame.check(&event)?;
        Ok(event)
    }

    /// A datagram passes through the ruleset and arrives.
    pub(super) fn passes(&mut self) -> Result<()> {
        let lab = &self.scene.lab;
        let flow = udp::deliver(&lab.client, &lab.server, SERVER.port(self.scene.family, CONTROL_PORT))?;
        self.story.control(flow);
        Ok(())
    }

    pub(super) fn end(self) -> Result<()> {
        self.story.end().map(drop)
    }
}

impl Blame {
    fn check(&self, event: &Event) -> Result<()> {
        let (remedy, evidence) = (event.texts(key::REMEDY), event.texts(key::EVIDENCE));
        for part in &self.remedy {
            ensure!(remedy.iter().any(|step| step.contains(part)), "no remedy says {part:?}: {event}");
        }
        for part in &self.evidence {
            ensure!(evidence.iter().any(|fact| fact.contains(part)), "no evidence says {part:?}: {event}");
        }
        // Whoever owns the rule puts it back, or loses track of it.
        if event.text(key::OWNER) != "user" {
            let deletes = |step: &&str| step.contains(" -D ") || step.contains("nft delete");
            ensure!(!remedy.iter().any(deletes), "it says to delete another's rule: {event}");
        }
        if let Some(path) = &self.path {
            let steps = event.at(key::RULE_PATH).and_then(|path| path.as_array()).cloned().unwrap_or_default();
            let steps = steps.iter().map(|step| {
                let chain = step.pointer("/chain").and_then(|chain| chain.as_str()).unwrap_or_default();
                format!("{chain} {}", step.pointer("/number").unwrap_or_default())
            });
            let steps = steps.collect::<Vec<_>>().join(", ");
            ensure!(&steps == path, "the way is {steps}, not {path}: {event}");
        }
        Ok(())
    }
}
