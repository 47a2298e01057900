//! Look-ups that go well are counted and, unless all are asked for, not told.

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::{Expect, Family};

use crate::client::{answer, answer_over_tcp};
use crate::server::Dnsmasq;
use crate::{asked, line, watch};

const NAMES: [&str; 2] = ["www-ipv4.lab.example", "www-ipv6.lab.example"];

#[test]
fn they_are_silent() -> Result<()> {
    let lab = topology::router()?;
    let _dnsmasq = Dnsmasq::start(&lab.server, &NAMES)?;
    for namespace in [&lab.client, &lab.router] {
        let tracer = watch(namespace, &[])?;
        for family in Family::BOTH {
            let (name, server) = asked(family, SERVER, "www");
            assert_eq!(answer(&lab.client, server, &name)?, 0);
            assert_eq!(answer_over_tcp(&lab.client, server, &name)?, 0);
        }
        let report = tracer.stop()?;
        report.ensure_clean()?;
        report.ensure_silent(&Expect::any().with(key::KIND, "dns"))?;
        report.ensure_silent(&Expect::any().with(key::KIND, "flow"))?;
        let stats = report.stats()?;
        assert_eq!((stats.number(key::QUERIES)?, stats.number(key::FAILED_QUERIES)?), (4, 0), "{stats}");
    }
    Ok(())
}

#[test]
fn all_are_told_with_what_they_took() -> Result<()> {
    let lab = topology::router()?;
    let _dnsmasq = Dnsmasq::start(&lab.server, &NAMES)?;
    let mut tracer = watch(&lab.router, &["--all"])?;
    for family in Family::BOTH {
        let (name, server) = asked(family, SERVER, "www");
        answer(&lab.client, server, &name)?;
        answer_over_tcp(&lab.client, server, &name)?;
        for transport in ["udp", "tcp"] {
            let wanted = line(&name, "answered")
                .with(key::TRANSPORT, transport)
                .with(key::RCODE, "NOERROR")
                .with(key::QUERY_TYPE, "A")
                .with(key::RESOLVER, server.ip().to_string())
                .with(key::CLIENT_NETNS, lab.client.inode()?);
            let event = tracer.wait_for(&wanted)?;
            ensure!(event.number(key::LATENCY)? > 0 && event.at(key::SUMMARY).is_none(), "{event}");
        }
    }
    tracer.stop()?.ensure_clean()
}
