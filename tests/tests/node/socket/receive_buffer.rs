//! A socket whose program does not read.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Result, ensure};
use socket2::SockRef;
use tracer_tests::event::key;
use tracer_tests::program::{COMM, Program};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story};

use super::any;

#[test]
fn a_full_receive_buffer_and_whose_it_is() -> Result<()> {
    let lab = topology::router()?;
    for family in Family::BOTH {
        let to = SERVER.port(family, 9999);
        let lazy = lab.server.run(|| Ok(UdpSocket::bind((any(family), 9999))?))?;
        SockRef::from(&lazy).set_recv_buffer_size(4000)?;
        let limit = SockRef::from(&lazy).recv_buffer_size()?;
        let program = Program::holding(&lab.server, lazy.try_clone()?)?;
        lazy.set_nonblocking(true)?;
        let kept = || std::iter::from_fn(|| lazy.recv(&mut [0; 2048]).ok()).count() as u64;
        // How many fit is tried before anybody watches.
        lab.client.run(|| udp::send(to, 20, 400))?;
        udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?;
        let fits = kept();
        let mut story = Story::of(&lab.server)?;
        let wanted = Expect::drop("SOCKET_RCVBUFF").cause("socket_buffer").problem().interface("s0");
        let wanted = wanted.netns(&lab.server)?;
        let sent = lab.client.run(|| udp::send(to, 20, 400))?;
        // The event has the socket's number only if somebody has listed sockets before, which proves it.
        let sure = ["derived", "certain"];
        let event = story.names(wanted.clone().flow(&sent.flow).with_any(key::CONFIDENCE, sure), 20 - fits)?;
        let local = SocketAddr::new(any(family), 9999);
        let summary = event.text(key::SUMMARY);
        let expected = format!("the receive buffer of udp {local} ({}) is full: ", program.label());
        ensure!(summary.starts_with(&expected) && summary.ends_with(&format!(" of {limit} bytes")), "{event}");
        event.says(key::EVIDENCE, &format!("udp {local} is held by {}", program.label()))?;
        assert_eq!((event.number(key::PROCESS_PID)?, event.text(key::PROCESS_COMM)), (program.pid().into(), COMM));
        event.says(key::REMEDY, &format!("top -b -n 1 -H -p {}", program.pid()))?;
        event.says(
            key::REMEDY,
            &format!("raise the SO_RCVBUF that {} sets, {} bytes now", program.label(), limit / 2),
        )?;
        // The count of drops has been read by now, so that of the next flow is seen to move it.
        let again = lab.client.run(|| udp::send(to, 1, 400))?;
        let sure = story.names(wanted.flow(&again.flow).sure(super::agreed()), 1)?;
        sure.says(key::EVIDENCE, "its count of drops rose from")?;
        // The program reads, and the buffer is large enough.
        assert_eq!(kept(), fits);
        SockRef::from(&lazy).set_recv_buffer_size(100_000)?;
        let flow = lab.client.run(|| Ok(udp::send(to, 20, 400)?.flow))?;
        lazy.set_nonblocking(false)?;
        for _ in 0..20 {
            lazy.recv(&mut [0; 2048])?;
        }
        story.control(flow);
        story.end()?;
    }
    Ok(())
}

#[test]
fn the_program_is_stopped() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::router()?;
        let to = SERVER.port(family, 9999);
        let lazy = lab.server.run(|| Ok(UdpSocket::bind((any(family), 9999))?))?;
        SockRef::from(&lazy).set_recv_buffer_size(4000)?;
        let program = Program::holding(&lab.server, lazy)?;
        program.signal(libc::SIGSTOP)?;
        let mut story = Story::of(&lab.server)?;
        let sent = lab.client.run(|| udp::send(to, 20, 400))?;
        let wanted = Expect::drop("SOCKET_RCVBUFF").cause("socket_buffer").problem().flow(&sent.flow);
        let event = story.tracer().wait_for(&wanted)?;
        ensure!(event.text(key::SUMMARY).ends_with(": its program is stopped"), "{event}");
        event.says(
            key::EVIDENCE,
            &format!("{} is stopped (by SIGSTOP, job control or a debugger) and reads nothing", program.label()),
        )?;
        event.says(key::REMEDY, &format!("kill -CONT {}", program.pid()))?;
        program.signal(libc::SIGCONT)?;
        story.end()?;
    }
    Ok(())
}
