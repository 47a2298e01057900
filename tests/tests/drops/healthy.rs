//! A network that works gives nothing to report.

use std::io::{Read, Write};
use std::net::Shutdown;

use anyhow::{Result, ensure};
use tracer_tests::topology::{self, CLIENT, SERVER};
use tracer_tests::traffic::{echo, tcp, udp};
use tracer_tests::{Family, Tracer, patience};

#[test]
fn conversations_are_no_problem() -> Result<()> {
    let lab = topology::router()?;
    let inodes = [&lab.client, &lab.router, &lab.server].map(|namespace| namespace.inode().map(|i| i.to_string()));
    let inodes = inodes.into_iter().collect::<Result<Vec<_>>>()?.join(",");
    let tracer = Tracer::start(&["--netns", &inodes])?;
    for family in Family::BOTH {
        for port in 5000..5005 {
            udp::deliver(&lab.client, &lab.server, SERVER.port(family, port))?;
            udp::deliver(&lab.server, &lab.client, CLIENT.port(family, port))?;
            ensure!(lab.client.run(|| echo::answered(SERVER.ip(family), patience()))?);
            let connection = tcp::connect(&lab.client, &lab.server, SERVER.port(family, port))?;
            let (mut client, mut server) = (connection.client, connection.server);
            client.write_all(&vec![b'w'; 100_000])?;
            client.shutdown(Shutdown::Write)?;
            let mut received = Vec::new();
            server.read_to_end(&mut received)?;
            ensure!(received.len() == 100_000);
            server.write_all(b"thanks")?;
            drop(server);
            client.read_to_end(&mut received)?;
        }
    }
    let report = tracer.stop()?;
    report.ensure_clean()?;
    let problems: Vec<_> = report.events.iter().filter(|event| event.is("drop")).collect();
    ensure!(problems.is_empty(), "{problems:#?}");
    Ok(())
}
