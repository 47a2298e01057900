//! Who translates the addresses beyond the node has no port left.

use anyhow::{Result, ensure};
use tracer_tests::cloud::SERVERS;
use tracer_tests::traffic::server::Tcp;
use tracer_tests::traffic::talk::Talk;

use crate::scene::{Scene, first_suspect, in_both, unanswered};

#[test]
fn the_ninth_connection_of_eight() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let server = SERVERS[0].port(family, 443);
        let accepts = Tcp::listen(&scene.lab.internet, server)?;
        let mut diagnosis = scene.diagnose(&[])?;
        let _faults = scene.lab.translate("tcp dport 443", &(40_000..=40_007))?;
        let mut live = (0..8).map(|_| Talk::open(&scene.lab.pods[0], server)).collect::<Result<Vec<_>>>()?;
        unanswered(&scene.lab.pods[1], &[server], 6)?;
        diagnosis.sees_many(family, "no_answer", "tcp", 443, 6)?;
        live.iter_mut().try_for_each(|talk| talk.exchange(100, 100))?;
        ensure!(accepts.accepted() == 8);
        let findings = scene.end(diagnosis)?;
        first_suspect(findings.only("upstream", "inferred", &["443", "n0"])?, "snat_exhausted")
    })
}
