//! Which devices, as what, and how they come and go.

use anyhow::{Result, ensure};
use tracer_tests::topology;
use tracer_tests::{NetNs, require};

use crate::watcher::Watcher;
use crate::{filters, tcx, until};

fn add_pair(namespace: &NetNs, there: &NetNs, near: &str, far: &str) -> Result<()> {
    namespace.exec(&format!("ip link add {near} type veth peer name {far} netns {}", there.name())).map(drop)
}

#[test]
fn each_kind_of_device_has_its_role() -> Result<()> {
    require!(VXLAN, BRIDGE);
    let lab = topology::router()?;
    let router = &lab.router;
    router.exec(
        "ip link add br0 type bridge && ip link set br0 up && ip link add dum0 type dummy && ip link set dum0 up; \
         ip link add vx0 type vxlan id 5 local 10.99.1.1 dstport 4789 && ip link set vx0 up; \
         ip tuntap add tun0 mode tun && ip tuntap add tap0 mode tap; ip link add in0 type veth peer name in1",
    )?;
    let mut watcher = Watcher::start(&[router, &lab.client], false)?;
    watcher.wait_for("c0")?;
    let server = lab.server.inode()?;
    for (name, role) in [
        ("r1", Some("Pod")),
        ("r2", Some("Pod")),
        ("vx0", Some("Tunnel")),
        ("tun0", Some("Tunnel")),
        ("tap0", Some("Pod")),
        ("c0", Some("Uplink")),
        ("br0", None),
        ("lo", None),
    ] {
        ensure!(watcher.role(name) == role, "{name} is {:?}", watcher.role(name));
    }
    ensure!(watcher.role("in0").is_some() != watcher.role("in1").is_some(), "one end of a pair within");
    watcher.wait("it is known where r2 leads", |last| {
        let r2 = last["points"].as_array()?.iter().find(|point| point["name"] == "r2")?;
        (r2["leads_to"].as_u64() == Some(server)).then_some(())
    })?;
    ensure!(tcx(router, "r1")? == [["flow_ingress"], ["flow_egress"]], "{:?}", tcx(router, "r1")?);
    ensure!(tcx(router, "tun0")? == [["flow_ingress_ip"], ["flow_egress_ip"]], "{:?}", tcx(router, "tun0")?);
    ensure!(tcx(router, "br0")? == [[""; 0], [""; 0]]);
    ensure!(watcher.said().is_empty(), "{:?}", watcher.said());
    watcher.end()?;
    for name in ["r1", "r2", "vx0", "tun0"] {
        ensure!(tcx(router, name)? == [[""; 0], [""; 0]], "{name}: {:?}", tcx(router, name)?);
    }
    Ok(())
}

#[test]
fn devices_come_and_go_and_change() -> Result<()> {
    follows(false)
}

#[test]
fn devices_come_and_go_also_with_filters() -> Result<()> {
    follows(true)
}

fn follows(clsact: bool) -> Result<()> {
    let (here, there) = (NetNs::new("h")?, NetNs::new("t")?);
    add_pair(&here, &there, "a0", "a1")?;
    let mut watcher = Watcher::start(&[&here], clsact)?;
    watcher.wait_for("a0")?;
    let is_attached = |name: &str| -> Result<bool> {
        Ok(if clsact {
            filters(&here, name)?.matches("whydrop-").count() == 2
        } else {
            tcx(&here, name)? == [["flow_ingress"], ["flow_egress"]]
        })
    };
    ensure!(is_attached("a0")?);
    let mut slowest = std::time::Duration::ZERO;
    for round in 0..5 {
        let name = format!("b{round}");
        add_pair(&here, &there, &name, &format!("c{round}"))?;
        slowest = slowest.max(until("a new device is attached to", || is_attached(&name))?);
        here.exec(&format!("ip link del {name}"))?;
    }
    // 30 ms on an idle machine.
    ensure!(slowest < std::time::Duration::from_secs(1), "it took {slowest:?}");

    // Deleted and made again with the same index and name, at once.
    let index = here.exec("ip -o link show a0 | cut -d: -f1")?;
    here.exec(&format!(
        "ip link del a0 && ip link add a0 index {} type veth peer name a1 netns {}",
        index.trim(),
        there.name()
    ))?;
    until("the new device with the old index is attached to", || is_attached("a0"))?;

    here.exec("ip link set a0 name x0")?;
    watcher.wait_for("x0")?;
    ensure!(is_attached("x0")?);

    // A gateway makes it the uplink.
    ensure!(watcher.role("x0") == Some("Pod"), "{:?}", watcher.role("x0"));
    there.exec("ip link set a1 up")?;
    here.exec("ip link set x0 up && ip addr add 10.1.1.1/24 dev x0 && ip route add default via 10.1.1.2")?;
    watcher.wait("the gateway makes it the uplink", |last| {
        let x0 = last["points"].as_array()?.iter().find(|point| point["name"] == "x0")?;
        (x0["role"] == "Uplink").then_some(())
    })?;

    // Moved to another namespace, which is not watched.
    add_pair(&here, &there, "m0", "m1")?;
    until("it is attached to", || is_attached("m0"))?;
    let away = NetNs::new("w")?;
    here.exec(&format!("ip link set m0 netns {}", away.name()))?;
    until("nothing is left at it", || Ok(tcx(&away, "m0")? == [[""; 0], [""; 0]] && filters(&away, "m0")?.is_empty()))?;
    watcher.end()?;
    ensure!(filters(&here, "x0")?.is_empty() && !here.exec("tc qdisc show dev x0")?.contains("clsact"));
    Ok(())
}

#[test]
fn a_namespace_is_not_kept_alive() -> Result<()> {
    let (here, there) = (NetNs::new("h")?, NetNs::new("t")?);
    add_pair(&here, &there, "a0", "a1")?;
    let mut watcher = Watcher::start(&[&here], false)?;
    watcher.wait_for("a0")?;
    // With its namespace the pair goes, and so does its other end.
    drop(here);
    until("the other end goes", || Ok(!there.exec("ip -o link show")?.contains("a1")))?;
    watcher.end()
}
