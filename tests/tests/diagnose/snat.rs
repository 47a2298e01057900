//! Who translates the addresses beyond the node has no port left.

use anyhow::{Result, ensure};
use tracer_tests::cloud::SERVERS;
use tracer_tests::traffic::server::Tcp;
use tracer_tests::traffic::talk::Talk;

use crate::scene::{Scene, first_suspect, in_both, unanswered};

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
