//! `whydrop demo` shows what it promises and leaves nothing behind, however it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::bpf::{self, Object};
use tracer_tests::{NetNs, kernel, patience, tracer};

/// What each story must show: namespace, reasons (the first that this kernel knows), and words of the same line.
const STORIES: &[(&str, &[&str], &[&str])] = &[
    ("node", &["NETFILTER_DROP"], &["tcp 192.0.2.10:", "192.0.2.1:10250", "input", "nftables inet demo/input rule 1"]),
    ("pod", &["NO_SOCKET"], &["tcp 192.0.2.10:", "nothing listens on tcp 10.244.1.2:8080"]),
    (
        "node",
        &["IP_RPFILTER", "NOT_SPECIFIED"],
        &["udp 10.244.1.9:", "10.244.1.2:53", "rp_filter=1 (strict) on eth0 refuses the source 10.244.1.9"],
    ),
    ("node", &["NOT_SPECIFIED"], &["udp 192.0.2.10:", "10.244.7.5:53", "blackhole"]),
    ("node", &["IP_INNOROUTES"], &["udp [2001:db8::10]:", "[fd00:10:244:2::5]:53", "no route"]),
    ("node", &["IP_INHDR"], &["udp 192.0.2.10:", "10.244.1.2:443", "TTL"]),
    ("pod", &["SOCKET_RCVBUFF"], &["udp 192.0.2.10:", "10.244.1.2:5353", "receive buffer"]),
];

/// A demo that is under way; killed on drop.
struct Demo {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Demo {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { child, stdout })
    }

    /// Reads on to a line that begins so: the demo is not over.
    fn wait_for(&mut self, beginning: &str) -> Result<()> {
        let mut line = String::new();
        while !line.starts_with(beginning) {
            line.clear();
            ensure!(self.stdout.read_line(&mut line)? > 0, "it ended before it said {beginning:?}");
        }
        Ok(())
    }

    /// The network namespaces that it made, by inode, with a path to each.
    fn namespaces(&self) -> Result<BTreeMap<u64, PathBuf>> {
        let ours = fs::read_link("/proc/self/ns/net")?;
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.flatten() {
            let Ok(there) = fs::read_link(entry.path()) else { continue };
            let inode = there.to_str().and_then(|there| there.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|_| there != ours) {
                found.insert(inode, entry.path());
            }
        }
        ensure!(found.len() == 3, "a client, a node and a pod, not {found:?}");
        Ok(found)
    }

    fn signal(&self, signal: libc::c_int) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: a signal to a child that was not waited for yet, so the number is still its own.
        ensure!(unsafe { libc::kill(pid, signal) } == 0, "{}", io::Error::last_os_error());
        Ok(())
    }

    /// What else it says, on both outputs, and how it ends.
    fn finish(mut self) -> Result<(String, String, ExitStatus)> {
        let (mut said, mut errors) = (String::new(), String::new());
        self.stdout.read_to_string(&mut said)?;
        self.child.stderr.take().context("no pipe")?.read_to_string(&mut errors)?;
        let deadline = Instant::now() + patience();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((said, errors, status));
            }
            ensure!(Instant::now() < deadline, "it does not end: {said} {errors}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Both fail only if it has already ended, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs it to its end.
fn run(command: &mut Command) -> Result<(String, String, ExitStatus)> {
    Demo::start(command)?.finish()
}

/// The lines between a story's sentence and the next one's.
fn story(said: &str, number: usize) -> Result<&str> {
    let beginning = format!("\n{number}. ");
    let start = said.find(&beginning).with_context(|| format!("no story {number} in:\n{said}"))?;
    let rest = &said[start + beginning.len()..];
    Ok(rest.split_once("\n\n").map_or(rest, |(story, _)| story))
}

#[test]
fn each_drop_is_shown_after_its_sentence() -> Result<()> {
    let (said, errors, status) = run(&mut tracer::command(["demo"])?)?;
    assert!(status.success(), "{status}: {errors}{said}");
    assert_eq!(errors, "");
    for (number, (namespace, reasons, words)) in (1..).zip(STORIES) {
        let story = story(&said, number)?;
        let (reason, place) = (kernel::finest_reason(reasons)?, format!(" in {namespace})"));
        let mut words = words.iter().copied().chain([reason, &place]);
        let line = story.lines().skip(1).find(|line| words.clone().all(|word| line.contains(word)));
        ensure!(line.is_some(), "not all of {:?} in one line of:\n{story}", words.by_ref().collect::<Vec<_>>());
    }
    let packets = story(&said, 7)?.lines().last().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    ensure!(packets > Some(200), "the flood is not counted: {}", story(&said, 7)?);
    // Kept in a file, text is plain.
    ensure!(!said.contains('\x1b'), "{said:?}");
    Ok(())
}

#[test]
fn nothing_of_it_stays_after_its_end() -> Result<()> {
    leaves_nothing(|_| Ok(()), |status| status.success())
}

#[test]
fn nothing_of_it_stays_after_an_interrupt() -> Result<()> {
    leaves_nothing(|demo| demo.signal(libc::SIGINT), |status| status.success())
}

#[test]
fn nothing_of_it_stays_after_being_killed() -> Result<()> {
    leaves_nothing(|demo| demo.signal(libc::SIGKILL), |status| status.signal() == Some(libc::SIGKILL))
}

/// A link of ours with its other end in a namespace is the witness: it goes when the kernel destroys the namespace.
fn leaves_nothing(end: impl Fn(&Demo) -> Result<()>, ended_well: impl Fn(ExitStatus) -> bool) -> Result<()> {
    let outside = NetNs::new("x")?;
    let mut demo = Demo::start(&mut tracer::command(["demo"])?)?;
    demo.wait_for("2. ")?;
    let held = bpf::held_by(demo.child.id());
    ensure!(!held.is_empty(), "it holds no program");
    for (number, path) in demo.namespaces()?.values().enumerate() {
        let there = path.display();
        outside.exec(&format!("ip link add seen{number} type veth peer name wd{number} netns {there}"))?;
    }
    ensure!(witnesses(&outside)? == 3, "the links do not stand");
    end(&demo)?;
    let (said, errors, status) = demo.finish()?;
    ensure!(ended_well(status), "{status}: {errors}{said}");
    ensure!(errors.is_empty(), "{errors}");
    soon("a namespace", || Ok(witnesses(&outside)? == 0))?;
    soon("a program or map", || Ok(!held.iter().copied().any(Object::exists)))
}

fn witnesses(outside: &NetNs) -> Result<usize> {
    Ok(outside.exec("ip -o link show type veth")?.lines().count())
}

/// The kernel removes things a little after their last user.
fn soon(what: &str, is_gone: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + patience();
    while !is_gone()? {
        ensure!(Instant::now() < deadline, "{what} of the demo is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn an_interrupt_ends_it_at_once() -> Result<()> {
    let mut demo = Demo::start(&mut tracer::command(["demo"])?)?;
    demo.wait_for("1. ")?;
    demo.signal(libc::SIGINT)?;
    let (said, errors, status) = demo.finish()?;
    assert!(status.success(), "{status}: {errors}");
    // No other story is begun, and the summary comes.
    ensure!(!said.contains("\n3. ") && said.contains("dropped"), "{said}");
    Ok(())
}

#[test]
fn a_reader_that_goes_away_ends_it() -> Result<()> {
    let mut command = tracer::command(["demo"])?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
    let output = child.wait_with_output()?;
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    Ok(())
}

#[test]
fn the_namespace_it_is_started_in_stays_as_it_is() -> Result<()> {
    let home = NetNs::new("home")?;
    let state = || {
        let links = home.exec("ip -d address; ip route show table all; ip -6 route show table all; ip neigh")?;
        let rules = home.exec("nft list ruleset; ls /sys/class/net")?;
        Ok::<_, anyhow::Error>([links, rules, home.exec("grep -rs . /proc/sys/net || true")?])
    };
    let before = state()?;
    home.run(|| {
        let mut demo = Demo::start(&mut tracer::command(["demo"])?)?;
        demo.wait_for("3. ")?;
        let (_said, errors, status) = demo.finish()?;
        ensure!(status.success(), "{status}: {errors}");
        Ok(())
    })?;
    let after = state()?;
    for (before, after) in before.iter().zip(&after) {
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), after.lines().collect());
        let changed: Vec<_> = new.symmetric_difference(&old).collect();
        ensure!(changed.is_empty(), "{changed:#?}");
    }
    Ok(())
}

#[test]
fn what_the_kernel_lacks_costs_its_story_only_and_is_said() -> Result<()> {
    const NETFILTER: [libc::c_int; 3] = [libc::AF_NETLINK, libc::NETLINK_NETFILTER, libc::EPROTONOSUPPORT];
    const IPV6: [libc::c_int; 3] = [libc::AF_INET6, 0, libc::EAFNOSUPPORT];
    for (number, [family, protocol, error], words) in [(1, NETFILTER, "netlink"), (5, IPV6, "Address family")] {
        let mut command = tracer::command(["demo"])?;
        // SAFETY: between fork and exec only system calls are made.
        unsafe { command.pre_exec(move || without_sockets(family, protocol, error)) };
        let (said, errors, status) = run(&mut command)?;
        assert!(status.success(), "{status}: {errors}{said}");
        let skipped = story(&said, number)?;
        ensure!(skipped.contains("not shown") && skipped.contains(words), "{skipped}");
        ensure!(!skipped.contains("DROP") && !skipped.contains("IP_"), "{skipped}");
        ensure!(story(&said, number + 1)?.contains("192.0.2.10"), "{said}");
    }
    Ok(())
}

/// From here on a `socket` call for this family and protocol fails as on a kernel that was built without it.
fn without_sockets(family: libc::c_int, protocol: libc::c_int, error: libc::c_int) -> io::Result<()> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, of struct seccomp_data
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = [
        step(LOAD, 0, 0, 0),
        step(EQUAL, 0, 5, libc::SYS_socket as u32),
        step(LOAD, 0, 0, 16),
        step(EQUAL, 0, 3, family.cast_unsigned()),
        step(LOAD, 0, 0, 32),
        step(EQUAL, 0, 1, protocol.cast_unsigned()),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | error.cast_unsigned()),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its steps live until the call returns; it concerns this process alone.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn what_it_cannot_do_is_said_in_a_sentence() -> Result<()> {
    let read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$0\" demo";
    let mut container = Command::new("unshare");
    container.args(["--mount", "sh", "-c", read_only]).arg(tracer::binary()?);
    let mut powerless = Command::new("setpriv");
    powerless.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(tracer::binary()?).arg("demo");
    let cases = [(container, ["/proc/sys/net/ipv4/ip_forward", "privileged"]), (powerless, ["root", "CAP_SYS_ADMIN"])];
    for (mut command, words) in cases {
        let (said, errors, status) = run(&mut command)?;
        assert_eq!((status.code(), said.as_str()), (Some(1), ""), "{errors}");
        ensure!(errors.lines().count() == 1 && words.iter().all(|word| errors.contains(word)), "{errors}");
    }
    Ok(())
}
