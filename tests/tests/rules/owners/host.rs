//! Firewalls of a machine: UFW, firewalld, fail2ban, libvirt.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use tracer_tests::Family;
use tracer_tests::firewall::Backend;
use tracer_tests::topology::{CLIENT, SERVER};

use super::ruleset;
use super::scene::{At, Blame, MIXED, Scene};

#[test]
fn ufw() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Server)?;
        scene.load(ruleset!("ufw.iptables"))?;
        let server = SERVER.ip(scene.family);
        let blame = |chain: &str, number| {
            Blame::rule("ufw", &scene.iptables(&scene.filled(&format!("filter/{chain}"))), number).sure("certain")
        };
        let mut told = scene.story()?;
        let denied = blame("%ufw%-user-input", 2).remedy("ufw status numbered").remedy("ufw insert 1 allow 10250/tcp");
        let way = scene.filled("INPUT 2, %ufw%-before-input 7, %ufw%-user-input 2");
        told.blames(&scene.syn(server, 10250)?, &denied.path(&way))?;
        told.blames(&scene.syn(server, 23)?, &blame("%ufw%-user-input", 3).remedy("ufw insert 1 allow 23/tcp"))?;
        let default = blame("%ufw%-skip-to-policy-input", 1).remedy("ufw allow 445/tcp");
        told.blames(&scene.syn(server, 445)?, &default)?;
        let policy = Blame::policy_of("ufw", &scene.iptables("filter/INPUT")).remedy("ufw allow 8080/tcp");
        told.blames(&scene.syn(server, 8080)?, &policy)?;
        told.blames(&scene.stray()?, &blame("%ufw%-before-input", 4).invalid().remedy("conntrack -S"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

/// The sixth connection in 30 seconds is one too many.
#[test]
fn ufw_limit() -> Result<()> {
    let scene = Scene::new((Backend::Nft, Family::V4), At::Server)?;
    scene.load(ruleset!("ufw.iptables"))?;
    let mut told = scene.story()?;
    (0..5).try_for_each(|_| scene.syn(SERVER.v4.into(), 22).map(drop))?;
    let flow = scene.syn(SERVER.v4.into(), 22)?;
    let blame = Blame::rule("ufw", &scene.iptables("filter/ufw-user-limit"), 2).sure("certain");
    told.blames(&flow, &blame.remedy("ufw delete limit 22/tcp"))?;
    told.passes()?;
    told.end()
}

/// Copies of its files, in a mount namespace of its own.
const UFW: &str = "unshare -m sh -ec 'mount -t tmpfs tmpfs /run; cp -a /etc/ufw /usr/share/ufw/iptables /run; \
                   cp /run/iptables/* /run/ufw; mount --bind /run/ufw /etc/ufw; \
                   ufw deny 10250/tcp; ufw allow 7777/udp; ufw --force enable'";

/// The real program, where it is installed.
#[test]
fn ufw_itself() -> Result<()> {
    if !["/usr/sbin/ufw", "/usr/share/ufw/iptables"].iter().all(|path| Path::new(path).exists()) {
        writeln!(std::io::stderr(), "skipped ufw_itself: it is not installed, and only its shape is tested")?;
        return Ok(());
    }
    let version = Command::new("iptables").arg("-V").output()?.stdout;
    let is_nft = String::from_utf8_lossy(&version).contains("nf_tables");
    let backend = if is_nft { Backend::Nft } else { Backend::Legacy };
    let scene = Scene::new((backend, Family::V4), At::Server)?;
    scene.here().exec(UFW)?;
    let mut told = scene.story()?;
    let denied = Blame::rule("ufw", &scene.iptables("filter/ufw-user-input"), 1).sure("certain");
    told.blames(&scene.syn(SERVER.v4.into(), 10250)?, &denied.remedy("ufw insert 1 allow 10250/tcp"))?;
    let policy = Blame::policy_of("ufw", &scene.iptables("filter/INPUT")).remedy("ufw allow 8080/tcp");
    told.blames(&scene.syn(SERVER.v4.into(), 8080)?, &policy)?;
    told.passes()?;
    told.end()
}

#[test]
fn ufw_of_a_router() -> Result<()> {
    let scene = Scene::new((Backend::Nft, Family::V4), At::Router)?;
    scene.load(ruleset!("ufw.iptables"))?;
    let mut told = scene.story()?;
    let policy = Blame::policy_of("ufw", &scene.iptables("filter/FORWARD"))
        .remedy(&format!("ufw route allow proto tcp from {} to {} port 8080", CLIENT.v4, SERVER.v4));
    told.blames(&scene.syn(SERVER.v4.into(), 8080)?, &policy)?;
    told.passes()?;
    told.end()
}

#[test]
fn firewalld() -> Result<()> {
    for family in Family::BOTH {
        let scene = Scene::new((Backend::Nft, family), At::Server)?;
        scene.load(ruleset!("firewalld.nft"))?;
        let server = SERVER.ip(family);
        let blame = |chain: &str, number| {
            Blame::rule("firewalld", &format!("nftables inet firewalld/{chain}"), number).sure("derived")
        };
        let mut told = scene.story()?;
        let closed = blame("filter_INPUT", 6)
            .remedy("firewall-cmd --get-zone-of-interface=s0")
            .remedy("firewall-cmd --zone=public --add-port=10250/tcp")
            .remedy("firewall-cmd --permanent --zone=public --add-port=10250/tcp");
        told.blames(&scene.syn(server, 10250)?, &closed)?;
        let denied = blame("filter_IN_public_deny", 1).remedy("firewall-cmd --zone=public --list-all");
        told.blames(&scene.syn(server, 23)?, &denied)?;
        told.blames(&scene.stray()?, &blame("filter_INPUT", 4).invalid().remedy("conntrack -S"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn firewalld_by_iptables() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Server)?;
        scene.load(ruleset!("firewalld.iptables"))?;
        let blame = |chain: &str, number| {
            Blame::rule("firewalld", &scene.iptables(&format!("filter/{chain}")), number).sure("certain")
        };
        let mut told = scene.story()?;
        let closed = blame("INPUT", 7).remedy("firewall-cmd --permanent --zone=public --add-port=10250/tcp");
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &closed)?;
        let denied = blame("IN_public_deny", 1).remedy("firewall-cmd --zone=public --list-all");
        told.blames(&scene.syn(SERVER.ip(scene.family), 23)?, &denied)?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn fail2ban() -> Result<()> {
    for kind in MIXED {
        let scene = Scene::new(kind, At::Server)?;
        scene.load(ruleset!("fail2ban.iptables"))?;
        let mut told = scene.story()?;
        let blame = Blame::rule("fail2ban", &scene.iptables("filter/f2b-sshd"), 2).sure("certain");
        let unban = scene.filled("fail2ban-client set sshd unbanip %client%");
        told.blames(&scene.syn(SERVER.ip(scene.family), 22)?, &blame.path("INPUT 1, f2b-sshd 2").remedy(&unban))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn fail2ban_by_nft() -> Result<()> {
    for (family, number) in [(Family::V4, 1), (Family::V6, 2)] {
        let scene = Scene::new((Backend::Nft, family), At::Server)?;
        scene.load(ruleset!("fail2ban.nft"))?;
        let mut told = scene.story()?;
        let blame = Blame::rule("fail2ban", "nftables inet f2b-table/f2b-chain", number).sure("derived");
        let (banned, unban) = (scene.filled("%client%"), scene.filled("fail2ban-client set sshd unbanip %client%"));
        told.blames(&scene.syn(SERVER.ip(family), 22)?, &blame.evidence(&banned).remedy(&unban))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}

#[test]
fn libvirt() -> Result<()> {
    let outwards =
        |scene: &Scene| scene.lab.server.run(|| tracer_tests::traffic::tcp::attempt(CLIENT.port(scene.family, 443)));
    for kind in MIXED {
        let scene = Scene::new(kind, At::Router)?;
        scene.load(ruleset!("libvirt.iptables"))?;
        let blame = |chain: &str, number| {
            let blame = Blame::rule("libvirt", &scene.iptables(&format!("filter/{chain}")), number);
            blame.sure("certain").remedy("virsh net-edit")
        };
        let mut told = scene.story()?;
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &blame("LIBVIRT_FWI", 2))?;
        told.blames(&outwards(&scene)?, &blame("LIBVIRT_FWO", 2))?;
        told.passes()?;
        told.end()?;
        let scene = Scene::new((Backend::Nft, kind.1), At::Router)?;
        scene.load(ruleset!("libvirt.nft"))?;
        let blame = Blame::rule("libvirt", &scene.nftables("libvirt_network/guest_input"), 2).sure("certain");
        let mut told = scene.story()?;
        told.blames(&scene.syn(SERVER.ip(scene.family), 10250)?, &blame.remedy("virsh net-edit"))?;
        told.passes()?;
        told.end()?;
    }
    Ok(())
}
