//! kube-proxy in its three modes, and the chain that it shares with the kubelet.

use anyhow::Result;
use tracer_tests::firewall::Backend;
use tracer_tests::topology::ROUTER_2;
use tracer_tests::traffic::{frame, tcp};
use tracer_tests::{Family, sysctl};

use super::ruleset;
use super::scene::{At, Blame, MIXED, Scene};

fn scene(kind: (Backend, Family), ruleset: (&str, &str)) -> Result<Scene> {
    let scene = Scene::new(kind, At::Router)?;
    scene.load(ruleset)?;
    scene.route("%services%")?;
    Ok(scene)
}

#[test]
fn by_iptables() -> Result<()> {
    for kind in MIXED {
        let scene = scene(kind, ruleset!("kube-proxy.iptables"))?;
        let (service, balancer) = (scene.address("%service%")?, scene.address("%balancer%")?);
        let blame = |chain: &str, number| {
            Blame::rule("kube-proxy", &scene.iptables(&format!("filter/{chain}")), number).sure("certain")
        };
        let mut told = scene.story()?;
        let no_endpoints = blame("KUBE-SERVICES", 1)
            .remedy("kubectl -n shop get endpointslices -l kubernetes.io/service-name=web")
            .remedy("kubectl -n shop describe service web");
        told.blames(
            &scene.syn(service, 80)?,
            &no_endpoints.clone().path("FORWARD 3, KUBE-SERVICES 1").hook("forward"),
        )?;
        told.blames(&scene.lab.router.run(|| tcp::attempt((service, 80).into()))?, &no_endpoints.hook("output"))?;
        let local = blame("KUBE-EXTERNAL-SERVICES", 1).hook("input").remedy("traffic policy");
        told.blames(&scene.syn(ROUTER_2.ip(scene.family), 30080)?, &local)?;
        let ranges = blame("KUBE-PROXY-FIREWALL", 1).remedy("kubectl -n shop edit service web");
        told.blames(&scene.syn(balancer, 80)?, &ranges)?;
        told.blames(&scene.stray()?, &blame("KUBE-FORWARD", 1).invalid())?;
        let marked = blame("KUBE-FIREWALL", scene.family.pick(2, 1)).hook("input");
        told.blames(&scene.syn(ROUTER_2.ip(scene.family), 8443)?, &marked.remedy("kubectl get endpointslices -A"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn the_kubelets_guard_of_127() -> Result<()> {
    for backend in Backend::BOTH {
        let scene = scene((backend, Family::V4), ruleset!("kube-proxy.iptables"))?;
        let _open = sysctl::set(&scene.lab.router, "net/ipv4/conf/r1/route_localnet", "1")?;
        let mut told = scene.story()?;
        let (to, ports) = (scene.address("127.0.0.1")?, (4000, 10249));
        let datagram = frame::udp(scene.address("%client%")?, to, ports, b"hello");
        let flow = scene.packet(to, ("udp", frame::UDP), ports, &datagram)?;
        let blame = Blame::rule("kubelet", &scene.iptables("filter/KUBE-FIREWALL"), 1).sure("certain");
        told.blames(&flow, &blame.remedy("instead of 127.0.0.1"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn by_nft() -> Result<()> {
    for family in Family::BOTH {
        let scene = scene((Backend::Nft, family), ruleset!("kube-proxy.nft"))?;
        let (service, balancer) = (scene.address("%service%")?, scene.address("%balancer%")?);
        let blame = |chain: &str, number| {
            Blame::rule("kube-proxy", &scene.nftables(&format!("kube-proxy/{chain}")), number).sure("derived")
        };
        let mut told = scene.story()?;
        let no_endpoints = blame("reject-chain", 1).remedy("kubernetes.io/service-name=web").evidence("shop/web:http");
        told.blames(&scene.syn(service, 80)?, &no_endpoints)?;
        let node_port = blame("nodeport-endpoints-check", 1).remedy("kubernetes.io/service-name=local");
        told.blames(&scene.syn(ROUTER_2.ip(family), 30080)?, &node_port)?;
        let ranges = blame("firewall-TKCWPIVC-shop/lb/tcp/http", 1).remedy("kubectl -n shop edit service lb");
        told.blames(&scene.syn(balancer, 80)?, &ranges.hook("prerouting"))?;
        let other_port = blame("cluster-ips-check", 1).remedy("kubectl get service -A");
        told.blames(&scene.syn(service, 81)?, &other_port)?;
        let unallocated = scene.address(family.pick("10.96.7.99", "fd96::99"))?;
        told.blames(&scene.syn(unallocated, 80)?, &blame("cluster-ips-check", 2).remedy("kubectl get service -A"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn by_ipvs() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Router)?;
        scene.load(ruleset!("kube-proxy-ipvs.ipset"))?;
        scene.load(ruleset!("kube-proxy-ipvs.iptables"))?;
        let (service, balancer) = (scene.address("%service%")?, scene.address("%balancer%")?);
        scene.lab.router.exec(&format!("ip addr add {service} dev lo; ip addr add {balancer} dev lo"))?;
        let blame = |chain: &str, number| {
            Blame::rule("kube-proxy", &scene.iptables(&format!("filter/{chain}")), number).sure("certain")
        };
        let mut told = scene.story()?;
        let other_port = blame("KUBE-IPVS-FILTER", 5).evidence("KUBE-IPVS-IPS").remedy("ipvsadm -Ln");
        told.blames(&scene.syn(service, 81)?, &other_port)?;
        let ranges = blame("KUBE-SOURCE-RANGES-FIREWALL", 3).remedy("loadBalancerSourceRanges");
        told.blames(&scene.syn(balancer, 80)?, &ranges)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}
