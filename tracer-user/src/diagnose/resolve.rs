//! The addresses of expected hosts, by the system's resolver in the chosen namespace.
//!
//! Rule: the start waits for it for a bounded time; a name without an answer is a finding later, not an error now.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::host::{self, HostError, Netns};

use super::Expectation;

/// How long all names together may take: the resolver's own first timeout is 5 s (resolv.conf(5), `timeout`).
const PATIENCE: Duration = Duration::from_secs(6);

/// Asks for all names at once, and waits for the answers.
pub fn resolve(expectations: &mut [Expectation], netns: &Netns) {
    let deadline = Instant::now() + PATIENCE;
    let names = expectations.iter_mut().filter_map(Expectation::host_mut).filter(|host| host.addresses.is_empty());
    let asked: Vec<_> = names.map(|host| (ask(host.name.clone(), netns.clone()), host)).collect();
    for (answer, host) in asked {
        let left = deadline.saturating_duration_since(Instant::now());
        match answer.recv_timeout(left).unwrap_or_else(|_| Err(no_answer())) {
            Ok(addresses) => host.addresses = addresses,
            Err(why) => host.unresolved = Some(why),
        }
    }
}

fn no_answer() -> String {
    format!("no answer in {} s", PATIENCE.as_secs())
}

/// The resolver can't be broken off, so its thread is left to end by itself.
fn ask(name: String, netns: Netns) -> mpsc::Receiver<Result<Vec<IpAddr>, String>> {
    let (answer, answered) = mpsc::sync_channel(1);
    let work = move || {
        let found = host::enter::one(&netns, || Ok::<_, HostError>(look_up(&name)));
        // Nobody may wait any more.
        let _told = answer.send(found.unwrap_or_else(|error| Err(error.to_string())));
    };
    // Where no thread can be made, nobody answers, and that is said.
    let _thread = thread::Builder::new().name("resolve".to_owned()).spawn(work);
    answered
}

fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = (name, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<_> = found.map(|address| address.ip().to_canonical()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn a_name_is_looked_up_and_one_that_is_none_says_why() {
        let parsed = ["out:tcp:localhost:80", "out:tcp:name.invalid:80", "out:tcp:80", "out:tcp:192.0.2.1:80"];
        let mut expectations: Vec<Expectation> = parsed.iter().map(|text| text.parse().unwrap()).collect();
        resolve(&mut expectations, &settings::netns(None).unwrap());
        let host = |at: usize| expectations[at].host();
        assert!(host(0).unwrap().addresses.iter().all(IpAddr::is_loopback) && host(0).unwrap().unresolved.is_none());
        assert!(host(1).unwrap().addresses.is_empty() && host(1).unwrap().unresolved.is_some());
        assert!(host(2).is_none());
        assert_eq!((host(3).unwrap().addresses.len(), host(3).unwrap().unresolved.as_ref()), (1, None));
    }
}
