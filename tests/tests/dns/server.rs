//! Resolvers: dnsmasq, and one that answers as it is told.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::topology::SERVER;
use tracer_tests::{Family, NetNs, patience};

use crate::client;

/// A dnsmasq that knows names below `lab.example` and refuses others; killed on drop.
pub(crate) struct Dnsmasq(Child);

impl Dnsmasq {
    /// Ready, on both addresses of the server behind the router. Names that begin with `no` do not exist.
    pub(crate) fn start(namespace: &NetNs, names: &[&str]) -> Result<Self> {
        let mut arguments = vec!["--keep-in-foreground".to_owned(), "--conf-file=/dev/null".into()];
        arguments
            .extend(["--no-hosts", "--no-resolv", "--bind-interfaces", "--user=root", "--pid-file"].map(Into::into));
        arguments.extend(Family::BOTH.map(|family| format!("--listen-address={}", SERVER.ip(family))));
        arguments.push("--local=/lab.example/".into());
        arguments.extend(names.iter().map(|name| format!("--host-record={name},192.0.2.1")));
        let child = namespace.run(|| {
            let mut command = Command::new("dnsmasq");
            command.args(&arguments).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().context("cannot start dnsmasq (package dnsmasq-base)")
        })?;
        let running = Self(child);
        let deadline = Instant::now() + patience();
        for family in Family::BOTH {
            let server = SocketAddr::new(SERVER.ip(family), 53);
            while client::ask(namespace, server, "ready.lab.example", Duration::from_millis(100))?.is_none() {
                ensure!(Instant::now() < deadline, "dnsmasq does not answer on {server}");
            }
        }
        Ok(running)
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        // Both fail only if it has already ended, which is what is wanted.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Answers one query after `delay`, with this response code and no record.
pub(crate) fn answer_once(namespace: &NetNs, at: SocketAddr, delay: Duration, rcode: u8) -> Result<()> {
    let socket = namespace.run(|| UdpSocket::bind(at).with_context(|| format!("cannot bind {at}")))?;
    socket.set_read_timeout(Some(patience()))?;
    thread::spawn(move || -> Result<()> {
        let mut message = [0; 512];
        let (length, from) = socket.recv_from(&mut message)?;
        thread::sleep(delay);
        message[2] |= 0x80;
        message[3] = 0x80 | rcode;
        socket.send_to(message.get(..length).unwrap_or_default(), from)?;
        Ok(())
    });
    Ok(())
}
