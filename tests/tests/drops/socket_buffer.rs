//! A socket is there and does not take the packet.

use std::net::UdpSocket;

use anyhow::{Context, Result};
use socket2::{SockFilter, SockRef};
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, kernel};

#[test]
fn nobody_reads() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let to = SERVER.port(family, 9999);
        let lazy = lab.server.run(|| Ok(UdpSocket::bind(to)?))?;
        // The kernel takes no less than 2304 bytes: one large datagram, whatever its overhead.
        SockRef::from(&lazy).set_recv_buffer_size(0)?;
        let sent = lab.client.run(|| udp::send(to, 10, 1000))?;
        let wanted = Expect::drop("SOCKET_RCVBUFF")
            .cause("socket_buffer")
            .problem()
            .hook("socket")
            .interface("s0")
            .netns(&lab.server)?;
        let freed_in = family.pick(["udp_queue_rcv_one_skb"], ["udpv6_queue_rcv_one_skb"]);
        let wanted = wanted.flow(&sent.flow).freed_in(&freed_in);
        // What was not dropped is in the buffer still.
        lazy.set_nonblocking(true)?;
        let kept = std::iter::from_fn(|| lazy.recv(&mut [0; 2048]).ok()).count() as u64;
        assert!((1..10).contains(&kept), "{kept} of 10 datagrams fit into the smallest buffer");
        story.names(wanted, 10 - kept)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn a_socket_filter_accepts_nothing() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let to = SERVER.port(family, 9999);
        let picky = lab.server.run(|| Ok(UdpSocket::bind(to)?))?;
        // Classic BPF: return 0 bytes (`BPF_RET | BPF_K`).
        let refuse = [SockFilter::new(6, 0, 0, 0)];
        SockRef::from(&picky).attach_filter(&refuse).context("no socket filter")?;
        let sent = lab.client.run(|| udp::send(to, 2, 20))?;
        let wanted = if kernel::tells_reasons() {
            Expect::drop("SOCKET_FILTER").cause("bpf_program")
        } else {
            // The place is that of a full buffer.
            Expect::drop("SOCKET_RCVBUFF").cause("socket_buffer").sure("inferred")
        };
        let wanted = wanted.problem().hook("socket").interface("s0").netns(&lab.server)?;
        let freed_in = family.pick(["udp_queue_rcv_one_skb"], ["udpv6_queue_rcv_one_skb"]);
        let event = story.names(wanted.flow(&sent.flow).freed_in(&freed_in), 2)?;
        assert_eq!(event.text(key::PROTOCOL), "udp");
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}
