//! The program behind a tun device does not read, as a stuck VPN does.

use anyhow::Result;
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, NetNs, Story, require, sysctl, tun};

#[test]
fn its_ring_is_full() -> Result<()> {
    require!(TUN);
    let namespace = NetNs::new("t")?;
    let _unread = namespace.run(tun::open)?;
    // IPv6 would greet the network first, and fill the ring.
    let _silent = sysctl::set(&namespace, "net/ipv6/conf/tun0/disable_ipv6", "1")?;
    namespace.exec("ip link set tun0 txqueuelen 2 up && ip address add 10.88.0.1/24 dev tun0")?;
    let mut story = Story::of(&namespace)?;
    let sent = namespace.run(|| udp::send(([10, 88, 0, 5], 53).into(), 8, 20))?;
    let wanted = Expect::finest(&["FULL_RING", "NOT_SPECIFIED"])?.cause("device").problem().hook("device");
    let wanted = wanted.interface("tun0").netns(&namespace)?.flow(&sent.flow).freed_in(&["tun_net_xmit"]);
    story.names(wanted, 6)?;
    story.end().map(drop)
}
