//! Who translates the addresses beyond the node has no port left.

use anyhow::{Result, ensure};
use tracer_tests::cloud::{SERVERS, nft_family};
use tracer_tests::traffic::server::Tcp;
use tracer_tests::traffic::talk::Talk;

use crate::scene::{Scene, first_suspect, in_both, unanswered};

/// Eight connections to one destination live on, no further one gets through, and other destinations answer.
#[test]
fn the_ninth_connection_of_eight() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let [server, other] = [SERVERS[0], SERVERS[1]].map(|host| host.port(family, 443));
        let (accepts, _other) = (Tcp::listen(&scene.lab.internet, server)?, Tcp::listen(&scene.lab.internet, other)?);
        let mut diagnosis = scene.diagnose(&[])?;
        let what = format!("{} daddr {} tcp dport 443", nft_family(family), server.ip());
        let _translated = scene.lab.translate(&what, &(40_000..=40_007))?;
        let mut live = (0..8).map(|_| Talk::open(&scene.lab.pods[0], server)).collect::<Result<Vec<_>>>()?;
        unanswered(&scene.lab.pods[1], &[server], 6)?;
        Talk::open(&scene.lab.pods[1], other)?.exchange(100, 100)?;
        diagnosis.sees_many(family, "no_answer", "tcp", 443, 6)?;
        live.iter_mut().try_for_each(|talk| talk.exchange(100, 100))?;
        ensure!(accepts.accepted() == 8);
        let findings = scene.end(diagnosis)?;
        let finding = findings.only("upstream", "inferred", &["443", "n0"])?;
        first_suspect(finding, "snat_exhausted")?;
        ensure!(
            finding.to_string().contains("a rule would have to have been changed"),
            "no firewall behind it: {finding}"
        );
        Ok(())
    })
}

/// The counter-case: no new connection to any host at this port gets through from some moment on.
#[test]
fn a_port_that_is_blocked_for_everybody_in_the_middle_of_the_run() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let servers = [SERVERS[0], SERVERS[1]].map(|host| host.port(family, 443));
        let _servers = servers.map(|server| Tcp::listen(&scene.lab.internet, server));
        let mut diagnosis = scene.diagnose(&[])?;
        let live = servers.iter().flat_map(|server| std::iter::repeat_n(*server, 8));
        let mut live = live.map(|server| Talk::open(&scene.lab.pods[0], server)).collect::<Result<Vec<_>>>()?;
        let _blocked = scene.lab.swallow("oifname ci tcp dport 443 tcp flags syn / syn,ack")?;
        unanswered(&scene.lab.pods[1], &servers, 3)?;
        diagnosis.sees_many(family, "no_answer", "tcp", 443, 6)?;
        live.iter_mut().try_for_each(|talk| talk.exchange(100, 100))?;
        let findings = scene.end(diagnosis)?;
        first_suspect(findings.only("upstream", "inferred", &["443", "n0"])?, "firewall")
    })
}

#[test]
fn no_port_is_left_at_times() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let server = SERVERS[0].port(family, 443);
        let accepts = Tcp::listen(&scene.lab.internet, server)?;
        let mut diagnosis = scene.diagnose(&[])?;
        // Ten ports, of which two are somebody else's at first.
        let [_translated, _] = scene.lab.translate("tcp dport 443", &(40_000..=40_009))?;
        let full = scene.lab.swallow("oifname ci tcp dport 443 ct state new limit rate over 1/day burst 8 packets")?;
        let mut live = (0..8).map(|_| Talk::open(&scene.lab.pods[0], server)).collect::<Result<Vec<_>>>()?;
        unanswered(&scene.lab.pods[1], &[server], 6)?;
        // Two ports become free, and are in use again.
        drop(full);
        live.push(Talk::open(&scene.lab.pods[0], server)?);
        live.push(Talk::open(&scene.lab.pods[0], server)?);
        let _full = scene.lab.swallow("oifname ci tcp dport 443 ct state new")?;
        unanswered(&scene.lab.pods[1], &[server], 3)?;
        diagnosis.sees_many(family, "no_answer", "tcp", 443, 9)?;
        live.iter_mut().try_for_each(|talk| talk.exchange(100, 100))?;
        ensure!(accepts.accepted() == 10);
        let findings = scene.end(diagnosis)?;
        first_suspect(findings.only("upstream", "inferred", &["443", "n0"])?, "snat_exhausted")
    })
}
