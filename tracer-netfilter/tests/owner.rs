//! Who a rule belongs to, for the shapes of ruleset that are found on nodes. Needs root and `nft`; works in network
//! namespaces of its own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use tracer_netfilter::model::{Chain, Expression, Place, Ruleset, Verdict};
use tracer_netfilter::owner::{Owner, PolicyDirection, PolicyRef, ServiceRef, recognise};
use tracer_netfilter::packet::{Known, Mark, Packet};
use tracer_netfilter::walk::{Candidate, End};

/// Runs in a network namespace that is gone afterwards.
fn in_namespace<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        // SAFETY: `unshare` takes no pointers; only this thread gets the new namespace.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "this test needs root: {}", std::io::Error::last_os_error());
        work()
    });
    thread.join().unwrap()
}

fn load(script: &str) -> Ruleset {
    let mut child = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft is installed");
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{script}");
    Ruleset { tables: tracer_netfilter::nft::read().unwrap().tables, ..Ruleset::default() }
}

/// A TCP segment from 10.9.8.7 to 10.0.0.2, port 10250.
fn packet() -> Packet {
    Packet {
        ethertype: 0x0800,
        bytes: vec![],
        link: None,
        network: None,
        transport: None,
        protocol: Some(6),
        fragment_offset: 0,
        length: None,
        source: Some("10.9.8.7".parse().unwrap()),
        destination: Some("10.0.0.2".parse().unwrap()),
        source_port: Some(40000),
        destination_port: Some(10250),
        input: Known::Unknown,
        output: Known::Unknown,
        bridge_input: Known::Unknown,
        bridge_output: Known::Unknown,
        mark: Mark::Before(0),
        connection: Known::Unknown,
        socket: Known::Unknown,
        packet_type: None,
        vlan: None,
        cpu: None,
    }
}

fn jump(ruleset: &Ruleset, place: Place) -> Option<String> {
    let rule = ruleset.rule(place)?.ok()?;
    rule.expressions.into_iter().find_map(|expression| match expression {
        Expression::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain)) => Some(chain),
        _ => None,
    })
}

fn places(ruleset: &Ruleset) -> impl Iterator<Item = (Place, &Chain)> {
    ruleset.tables.iter().enumerate().flat_map(|(table, found)| {
        found.chains.iter().enumerate().flat_map(move |(chain, found)| {
            (0..=u32::try_from(found.rules.len()).unwrap()).map(move |number| (Place { table, chain, number }, found))
        })
    })
}

/// The candidate in `chain`: its last rule, or its policy if it has none.
fn candidate(ruleset: &Ruleset, chain: &str, mark_in: Option<&str>) -> Candidate {
    let last = |name: &str| places(ruleset).filter(|(_, chain)| chain.name == name).last().expect("the chain").0;
    let place = last(chain);
    let (mut path, mut to) = (vec![place], chain.to_owned());
    while let Some((from, chain)) = places(ruleset).find(|(at, _)| jump(ruleset, *at).is_some_and(|chain| chain == to))
    {
        path.insert(0, from);
        to.clone_from(&chain.name);
        assert!(path.len() < 10);
    }
    let marks = mark_in.map(last).into_iter().collect();
    Candidate { place, end: End::Drop, path, unknown: vec![], marks, sets: vec![] }
}

fn owner_of(script: &str, chain: &str, mark_in: Option<&str>) -> Option<Owner> {
    let (script, chain, mark_in) = (script.to_owned(), chain.to_owned(), mark_in.map(ToOwned::to_owned));
    in_namespace(move || {
        let ruleset = load(&script);
        recognise(&ruleset, &candidate(&ruleset, &chain, mark_in.as_deref()), &packet())
    })
}

fn owner(script: &str, chain: &str) -> Owner {
    owner_of(script, chain, None).expect("an owner")
}

fn policy(namespace: &str, name: &str, direction: PolicyDirection) -> PolicyRef {
    PolicyRef { namespace: Some(namespace.to_owned()), name: name.to_owned(), direction }
}

fn service(namespace: &str, name: &str, port: &str) -> ServiceRef {
    ServiceRef { namespace: namespace.to_owned(), name: name.to_owned(), port: Some(port.to_owned()) }
}

#[test]
fn a_rule_of_nobody_is_the_users() {
    let script = "table inet t { chain input { type filter hook input priority 0; tcp dport 10250 drop; }; }";
    assert_eq!(owner_of(script, "input", None), None);
    assert_eq!(
        owner_of("table ip filter { chain INPUT { type filter hook input priority 0; policy drop; }; }", "INPUT", None),
        None
    );
}

#[test]
fn azure_npm_names_the_policy_in_the_jump_to_the_chain_that_set_the_mark() {
    let script = r#"table ip filter {
        chain FORWARD { type filter hook forward priority 0; jump AZURE-NPM; }
        chain AZURE-NPM { jump AZURE-NPM-INGRESS; }
        chain AZURE-NPM-INGRESS {
            jump AZURE-NPM-INGRESS-111 comment "INGRESS-POLICY-other/allow-all-TO-podlabel-a:b-AND-ns-other-IN-ns-other"
            jump AZURE-NPM-INGRESS-222 comment "INGRESS-POLICY-shop/deny-all-TO-podlabel-app:db-AND-ns-shop-IN-ns-shop"
            meta mark & 0x400 == 0x400 drop comment "DROP-ON-INGRESS-DROP-MARK-0x400/0x400"
        }
        chain AZURE-NPM-INGRESS-111 { accept; }
        chain AZURE-NPM-INGRESS-222 { meta mark set meta mark | 0x400 comment "SET-INGRESS-DROP-MARK-0x400/0x400"; }
    }"#;
    let found = owner_of(script, "AZURE-NPM-INGRESS", Some("AZURE-NPM-INGRESS-222")).unwrap();
    assert_eq!((found.name, found.is_controller), ("azure-npm", true));
    assert_eq!(found.policy, Some(policy("shop", "deny-all", PolicyDirection::Ingress)));
    assert_eq!(found.remedy[0], "kubectl -n shop describe networkpolicy deny-all");
    let without = owner_of(script, "AZURE-NPM-INGRESS", None).unwrap();
    assert_eq!(without.remedy, ["kubectl get networkpolicy -A"]);
}

fn calico(comment: &str) -> String {
    format!(
        r#"table ip filter {{
        chain FORWARD {{ type filter hook forward priority 0; jump cali-FORWARD comment "cali:wUHhoiAYhphO9Mso"; }}
        chain cali-FORWARD {{ oifname "cali*" jump cali-to-wl-dispatch; }}
        chain cali-to-wl-dispatch {{ oifname "cali12" goto cali-tw-cali12; }}
        chain cali-pi-old {{ accept comment "Policy other/knp.default.gone ingress"; }}
        chain cali-pi-abc {{ meta mark set 0x10000 comment "{comment}"; }}
        chain cali-tw-cali12 {{
            jump cali-pi-old
            meta mark set meta mark & 0xfffdffff comment "Start of tier default"
            meta mark & 0x20000 == 0 jump cali-pi-abc
            drop comment "End of tier default. Drop if no policies passed packet"
        }}
    }}"#
    )
}

#[test]
fn calico_drops_what_no_policy_above_passed() {
    let found = owner(&calico("Policy shop/knp.default.allow-web ingress"), "cali-tw-cali12");
    assert_eq!((found.name, found.why.as_str()), ("calico", "the chain cali-tw-cali12"));
    assert_eq!(
        found.policy,
        Some(policy("shop", "allow-web", PolicyDirection::Ingress)),
        "not the one of the tier before"
    );
    assert_eq!(found.remedy[0], "kubectl -n shop describe networkpolicy allow-web");
    let newer = owner(&calico("KubernetesNetworkPolicy shop/allow-web ingress"), "cali-tw-cali12");
    assert_eq!(newer.policy, Some(policy("shop", "allow-web", PolicyDirection::Ingress)));
    let own = owner(&calico("GlobalNetworkPolicy default.deny-all ingress"), "cali-tw-cali12");
    assert_eq!(own.remedy[0], "calicoctl get globalnetworkpolicy deny-all -o yaml");
    let hashed = owner(&calico("cali:abcdef"), "cali-tw-cali12");
    assert_eq!((hashed.policy, hashed.remedy.as_slice()), (None, &["kubectl get networkpolicy -A".to_owned()][..]));
}

#[test]
fn kube_router_names_pod_and_policy() {
    let script = r#"table ip filter {
        chain FORWARD { type filter hook forward priority 0; jump KUBE-ROUTER-FORWARD; }
        chain KUBE-ROUTER-FORWARD { ip daddr 10.42.1.72 jump KUBE-POD-FW-DMK comment "rule to jump traffic destined to POD name:db-0 namespace: shop to chain KUBE-POD-FW-DMK"; }
        chain KUBE-NWPLCY-KJ4 { return; }
        chain KUBE-POD-FW-DMK {
            jump KUBE-NWPLCY-KJ4 comment "run through nw policy deny-all"
            meta mark & 0x10000 != 0x10000 reject comment "rule to REJECT traffic destined for POD name:db-0 namespace: shop"
        }
    }"#;
    let found = owner(script, "KUBE-POD-FW-DMK");
    assert_eq!((found.name, found.policy), ("kube-router", Some(policy("shop", "deny-all", PolicyDirection::Ingress))));
    assert_eq!(found.note, "no rule of the NetworkPolicies that select pod shop/db-0 allows it");
    assert_eq!(found.remedy, ["kubectl -n shop describe networkpolicy deny-all", "kubectl -n shop get networkpolicy"]);
}

fn kube(chain: &str, rule: &str) -> Owner {
    let script = format!(
        "table ip filter {{ chain FORWARD {{ type filter hook forward priority 0; jump {chain}; }}; chain {chain} {{ {rule}; }}; }}"
    );
    owner(&script, chain)
}

#[test]
fn kube_proxy_in_its_iptables_mode() {
    let found = kube("KUBE-SERVICES", "ip daddr 10.96.0.9 reject comment \"shop/web:http has no endpoints\"");
    assert_eq!((found.name, found.service.clone()), ("kube-proxy", Some(service("shop", "web", "http"))));
    assert_eq!(found.remedy[0], "kubectl -n shop get endpointslices -l kubernetes.io/service-name=web");
    assert_eq!(found.note, "the Service has no endpoints: no ready pod matches its selector");
    let local = kube("KUBE-EXTERNAL-SERVICES", "drop comment \"shop/web:http has no local endpoints\"");
    assert!(local.note.contains("runs on this node"), "{}", local.note);
    let invalid = kube("KUBE-FORWARD", "ct state invalid drop");
    assert!(invalid.remedy[0].starts_with("sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1"));
    let firewall = kube("KUBE-PROXY-FIREWALL", "drop comment \"shop/web:http traffic not accepted by KUBE-FW-ABC\"");
    assert_eq!(firewall.service, Some(service("shop", "web", "http")));
    assert!(firewall.remedy[0].contains("loadBalancerSourceRanges"));
}

#[test]
fn the_kubelets_chain_is_two_peoples() {
    let marked = kube(
        "KUBE-FIREWALL",
        "meta mark & 0x8000 == 0x8000 drop comment \"kubernetes firewall for dropping marked packets\"",
    );
    assert_eq!(marked.name, "kube-proxy");
    let local = kube(
        "KUBE-FIREWALL",
        "ip saddr != 127.0.0.0/8 ip daddr 127.0.0.0/8 drop comment \"block incoming localnet connections\"",
    );
    assert_eq!(local.name, "kubelet");
}

#[test]
fn kube_proxy_in_its_nftables_mode() {
    let script = r#"table ip kube-proxy {
        map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.9 . tcp . 80 comment "shop/web:http" : goto reject-chain }; }
        chain filter-forward { type filter hook forward priority -110; ct state new jump service-endpoints-check; }
        chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; goto reject-chain; }
        chain reject-chain { reject; }
        chain firewall-ABCD-shop/web/tcp/http { drop; }
    }"#;
    let found = owner(script, "reject-chain");
    assert_eq!((found.name, found.why.as_str()), ("kube-proxy", "the table kube-proxy"));
    assert!(found.note.contains("no endpoints"));
    let firewall = owner(script, "firewall-ABCD-shop/web/tcp/http");
    assert_eq!(firewall.service, Some(service("shop", "web", "http")));
    let by_set = in_namespace(move || {
        let ruleset = load(script);
        let mut candidate = candidate(&ruleset, "reject-chain", None);
        candidate.sets.push("10.96.0.9 . tcp . 80 is in map no-endpoint-services (\"shop/web:http\")".to_owned());
        recognise(&ruleset, &candidate, &packet()).unwrap()
    });
    assert_eq!(by_set.service, Some(service("shop", "web", "http")));
}

#[test]
fn ufw_is_told_what_to_allow() {
    let script = "table ip filter {
        chain INPUT { type filter hook input priority 0; policy drop; jump ufw-before-input; jump ufw-after-input; }
        chain ufw-before-input { jump ufw-user-input; jump ufw-not-local; }
        chain ufw-user-input { tcp dport 10250 drop; }
        chain ufw-user-limit { reject; }
        chain ufw-not-local { drop; }
        chain ufw-after-input { tcp dport 10250 jump ufw-skip-to-policy-input; }
        chain ufw-skip-to-policy-input { drop; }
        chain ufw-user-forward { drop; }
    }";
    let default = owner(script, "ufw-skip-to-policy-input");
    assert_eq!(
        (default.name, default.is_controller, default.remedy[0].as_str()),
        ("ufw", false, "ufw allow 10250/tcp")
    );
    assert!(default.note.contains("DEFAULT_INPUT_POLICY"));
    let user = owner(script, "ufw-user-input");
    assert_eq!(user.remedy, ["ufw status numbered", "ufw insert 1 allow 10250/tcp"]);
    assert!(owner(script, "ufw-user-limit").note.contains("6 connections in 30 seconds"));
    assert!(owner(script, "ufw-not-local").note.contains("no address of this machine"));
    let forward = owner(script, "ufw-user-forward");
    assert_eq!(forward.remedy[1], "ufw route insert 1 allow proto tcp from 10.9.8.7 to 10.0.0.2 port 10250");
    let policy = in_namespace(move || {
        let ruleset = load(script);
        let mut candidate = candidate(&ruleset, "INPUT", None);
        candidate.place.number = 0;
        candidate.path = vec![candidate.place];
        recognise(&ruleset, &candidate, &packet()).unwrap()
    });
    assert_eq!((policy.name, policy.remedy[0].as_str()), ("ufw", "ufw allow 10250/tcp"));
}

#[test]
fn firewalld_is_told_the_zone() {
    let script = "table inet firewalld {
        chain filter_INPUT { type filter hook input priority 10; jump filter_IN_public; reject with icmpx admin-prohibited; }
        chain filter_IN_public { jump filter_IN_public_deny; }
        chain filter_IN_public_deny { tcp dport 10250 drop; }
    }";
    let deny = owner(script, "filter_IN_public_deny");
    assert_eq!((deny.name, deny.remedy[0].as_str()), ("firewalld", "firewall-cmd --zone=public --list-all"));
    assert_eq!(deny.remedy[1], "firewall-cmd --zone=public --add-port=10250/tcp");
    let last = owner(script, "filter_INPUT");
    assert_eq!(last.remedy[0], "firewall-cmd --get-zone-of-interface=DEVICE");
    assert_eq!(last.remedy[1], "firewall-cmd --zone=ZONE --add-port=10250/tcp");
}

#[test]
fn docker_and_podman_keep_containers_to_themselves() {
    let script = "table ip filter {
        chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; jump DOCKER-FORWARD; }
        chain DOCKER { iifname != docker0 oifname docker0 drop; }
        chain DOCKER-USER { return; }
        chain DOCKER-FORWARD { oifname docker0 jump DOCKER; iifname docker0 jump DOCKER-ISOLATION-STAGE-1; }
        chain DOCKER-ISOLATION-STAGE-1 { jump DOCKER-ISOLATION-STAGE-2; }
        chain DOCKER-ISOLATION-STAGE-2 { oifname br-1 drop; }
    }
    table ip raw { chain PREROUTING { type filter hook prerouting priority -300; ip daddr 10.0.0.2 iifname != docker0 drop; }; }";
    assert!(owner(script, "DOCKER").remedy[0].contains("docker run -p 10250:10250/tcp"));
    assert!(owner(script, "PREROUTING").remedy[0].contains("docker run -p 10250:10250/tcp"));
    let isolated = owner(script, "DOCKER-ISOLATION-STAGE-2");
    assert_eq!(isolated.remedy[1], "iptables -I DOCKER-USER -s 10.9.8.7 -d 10.0.0.2 -p tcp --dport 10250 -j ACCEPT");
    assert!(owner(script, "DOCKER-USER").note.contains("administrator"));
    let podman = owner("table inet netavark { chain NETAVARK-ISOLATION-3 { drop; }; }", "NETAVARK-ISOLATION-3");
    assert_eq!((podman.name, podman.note.contains("isolate")), ("podman", true));
}

#[test]
fn fail2ban_is_told_jail_and_address() {
    let iptables = owner(
        "table ip filter { chain INPUT { type filter hook input priority 0; tcp dport 22 jump f2b-sshd; }; chain f2b-sshd { ip saddr 10.9.8.7 reject; }; }",
        "f2b-sshd",
    );
    assert_eq!(iptables.remedy[0], "fail2ban-client set sshd unbanip 10.9.8.7");
    let nft = owner(
        "table inet f2b-table { set addr-set-sshd { type ipv4_addr; elements = { 10.9.8.7 }; }; chain f2b-chain { type filter hook input priority -1; tcp dport 22 ip saddr @addr-set-sshd reject; }; }",
        "f2b-chain",
    );
    assert_eq!(nft.remedy[0], "fail2ban-client set sshd unbanip 10.9.8.7");
}

#[test]
fn others_are_known_by_their_chains_and_tables() {
    for (table, chain, name) in [
        ("filter", "CILIUM_FORWARD", "cilium"),
        ("filter", "FLANNEL-FWD", "flannel"),
        ("filter", "ANTREA-FORWARD", "antrea"),
        ("filter", "OVN-KUBE-EXTERNALIP", "ovn-kubernetes"),
        ("filter", "AWS-SNAT-CHAIN-0", "aws-vpc-cni"),
        ("filter", "CNI-HOSTPORT-DNAT", "cni-portmap"),
        ("filter", "CNI-FORWARD", "cni-firewall"),
        ("filter", "LIBVIRT_FWI", "libvirt"),
        ("libvirt_network", "guest_input", "libvirt"),
        ("filter", "ts-input", "tailscale"),
        ("netbird", "netbird-rt-fwd", "netbird"),
        ("nat", "ISTIO_INBOUND", "istio"),
        ("filter", "WEAVE-NPC", "weave"),
        ("kube-network-policies", "postrouting", "kube-network-policies"),
    ] {
        let found = owner(&format!("table ip {table} {{ chain {chain} {{ drop; }}; }}"), chain);
        assert_eq!(found.name, name, "{table} {chain}");
        assert!(!found.why.is_empty() && !found.remedy.is_empty(), "{found:?}");
    }
}

#[test]
fn no_remedy_deletes_the_rule_of_a_controller() {
    for (chain, rule) in
        [("KUBE-SERVICES", "drop"), ("cali-tw-x", "drop"), ("AZURE-NPM-INGRESS", "drop"), ("KUBE-POD-FW-X", "drop")]
    {
        let found = kube(chain, rule);
        assert!(found.is_controller);
        let deletes = |remedy: &String| remedy.contains("delete rule") || remedy.contains("tables -D");
        assert!(!found.remedy.is_empty() && !found.remedy.iter().any(deletes), "{found:?}");
    }
}

#[test]
fn a_name_in_a_comment_stays_one_word_of_the_shell() {
    let found = kube("KUBE-SERVICES", "drop comment \"shop;reboot/$(id):x has no endpoints\"");
    assert_eq!(found.remedy[0], "kubectl -n 'shop;reboot' get endpointslices -l 'kubernetes.io/service-name=$(id)'");
}
