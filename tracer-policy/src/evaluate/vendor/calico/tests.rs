//! The language of selectors, and tables of rules.

use serde_json::{Value, json};

use super::super::Opinion::{self, Allows, Denies, DeniesByDefault, NotAbout, Passes};
use super::super::fixture::{Ask, plain, undecided};
use super::super::truth::{Found, Truth};
use super::expression::Expression;
use super::{order, tier};
use crate::evaluate::Direction;
use crate::model::PolicyKind::{CalicoGlobalNetworkPolicy as Global, CalicoNetworkPolicy as Near};
use crate::model::{ObjectName, Protocol, VendorPolicy};

const ALLOWS: Opinion = Allows { rule: 1 };

#[test]
fn the_language_of_selectors() {
    let find = |key: &str| match key {
        "app" => Found::Value("web-shop"),
        "example.com/tier_1" => Found::Value("front"),
        "moon" => Found::Unknown("the moon".into()),
        "projectcalico.org/namespace" => Found::Value("shop"),
        _ => Found::Absent,
    };
    let unknown = Truth::Unknown("the moon".into());
    for (text, expected) in [
        ("", Truth::Yes),
        ("  ", Truth::Yes),
        ("all()", Truth::Yes),
        ("global()", Truth::No),
        ("!all()", Truth::No),
        ("app == 'web-shop'", Truth::Yes),
        ("app==\"web-shop\"", Truth::Yes),
        ("app == 'it\"s'", Truth::No),
        ("app != 'web-shop'", Truth::No),
        ("zone != 'a'", Truth::Yes),
        ("zone == 'a'", Truth::No),
        ("app in {'a', \"web-shop\"}", Truth::Yes),
        ("app in {}", Truth::No),
        ("app not in {'a'}", Truth::Yes),
        ("app not  in {'web-shop'}", Truth::No),
        ("zone not in {'a'}", Truth::Yes),
        ("has(app)", Truth::Yes),
        ("has( zone )", Truth::No),
        ("!has(zone)", Truth::Yes),
        ("! ! has(app)", Truth::Yes),
        ("app contains 'b-s'", Truth::Yes),
        ("app starts with 'web'", Truth::Yes),
        ("app starts with 'shop'", Truth::No),
        ("app ends with 'shop'", Truth::Yes),
        ("zone contains ''", Truth::No),
        ("example.com/tier_1 == 'front'", Truth::Yes),
        ("has(app) && has(zone)", Truth::No),
        ("has(app) || has(zone)", Truth::Yes),
        ("has(app) || has(app) && has(zone)", Truth::Yes),
        ("(has(app) || has(app)) && has(zone)", Truth::No),
        ("!(has(app) && has(zone))", Truth::Yes),
        ("!has(zone) && app == 'web-shop'", Truth::Yes),
        ("has(moon)", unknown.clone()),
        ("has(moon) && has(zone)", Truth::No),
        ("has(moon) || has(app)", Truth::Yes),
        ("has(moon) && has(app)", unknown.clone()),
        ("!(moon == 'full')", unknown),
    ] {
        assert_eq!(Expression::parse(text).unwrap().holds(&find), expected, "{text}");
    }
}

#[test]
fn what_is_no_selector() {
    let (deep, long) = ("(".repeat(10_000), "has(a) || ".repeat(10_000));
    let (nots, quotes) = ("!".repeat(10_000), "'".repeat(3));
    for text in [
        "app",
        "app =",
        "app = 'a'",
        "app == a",
        "app == 'a",
        "app in 'a'",
        "app in {'a'",
        "app in {'a' 'b'}",
        "app not 'a'",
        "has(",
        "has()",
        "has(a",
        "all",
        "all(a)",
        "any()",
        "a == 'b' &&",
        "a == 'b' c == 'd'",
        "|| has(a)",
        "()",
        ")",
        "starts with 'a'",
        "app starts 'a'",
        "🦀 == 'a'",
        &deep,
        &long,
        &nots,
        &quotes,
    ] {
        assert!(Expression::parse(text).is_err(), "{text:.60}");
    }
}

#[test]
fn where_a_policy_stands() {
    let policy = |spec| VendorPolicy { kind: Near, id: ObjectName::new("shop", "a"), spec };
    assert_eq!(
        (order(&policy(json!({"order": 10.5}))), tier(&policy(json!({"tier": "security"})))),
        (10.5, "security")
    );
    assert_eq!((order(&policy(json!({}))), tier(&policy(json!({})))), (f64::INFINITY, "default"));
}

#[test]
fn the_directions_of_a_policy_have_defaults() {
    let of = |direction, spec: &Value| Ask { direction, ..Ask::from(Near, "shop/client") }.of(spec) != NotAbout;
    let to_self = |spec: Value| {
        let egress =
            Ask { from: "shop/web", to: "shop/client", direction: Direction::Egress, ..Ask::from(Near, "shop/web") };
        (of(Direction::Ingress, &spec), egress.of(&spec) != NotAbout)
    };
    for (spec, expected) in [
        (json!({}), (true, false)),
        (json!({"ingress": []}), (true, false)),
        (json!({"ingress": [{"action": "Deny"}]}), (true, false)),
        (json!({"egress": [{"action": "Deny"}]}), (false, true)),
        (json!({"ingress": [{"action": "Deny"}], "egress": [{"action": "Deny"}]}), (true, true)),
        (json!({"types": ["Egress"], "ingress": [{"action": "Deny"}]}), (false, true)),
        (json!({"types": ["Ingress", "Egress"]}), (true, true)),
    ] {
        assert_eq!(to_self(spec.clone()), expected, "{spec}");
    }
}

#[test]
fn which_pods_a_policy_is_about() {
    let of = |kind, spec: Value| plain(Ask::from(kind, "shop/client").of(&spec));
    for (spec, expected) in [
        (json!({}), DeniesByDefault),
        (json!({"selector": ""}), DeniesByDefault),
        (json!({"selector": "all()"}), DeniesByDefault),
        (json!({"selector": "app == 'web'"}), DeniesByDefault),
        (json!({"selector": "app == 'db'"}), NotAbout),
        (json!({"selector": "projectcalico.org/namespace == 'shop'"}), DeniesByDefault),
        (json!({"selector": "projectcalico.org/serviceaccount == 'robot'"}), DeniesByDefault),
        (json!({"selector": "projectcalico.org/orchestrator == 'k8s'"}), DeniesByDefault),
        (json!({"selector": "pcns.team == 'a'"}), DeniesByDefault),
        (json!({"selector": "app = 'web'"}), undecided()),
        (json!({"namespaceSelector": "team == 'a'"}), DeniesByDefault),
        (json!({"namespaceSelector": "team == 'b'"}), NotAbout),
        (json!({"namespaceSelector": "projectcalico.org/name == 'shop'"}), DeniesByDefault),
        (json!({"namespaceSelector": "global()"}), NotAbout),
        (json!({"serviceAccountSelector": "has(a)"}), undecided()),
        (json!({"serviceAccountSelector": "has(a)", "selector": "app == 'db'"}), NotAbout),
        (json!({"doNotTrack": true}), undecided()),
        (json!({"preDNAT": true}), undecided()),
        (json!({"applyOnForward": true}), undecided()),
        (json!({"applyOnForward": false}), DeniesByDefault),
        (json!({"mood": "good"}), undecided()),
    ] {
        assert_eq!(of(Global, spec.clone()), expected, "{spec}");
    }
    let abroad = |kind| Ask { to: "other/client", ..Ask::from(kind, "shop/web") }.of(&json!({}));
    assert_eq!((abroad(Near), abroad(Global)), (NotAbout, DeniesByDefault));
    let lost = Ask { to: "unseen/lost", ..Ask::from(Global, "shop/web") };
    assert_eq!(plain(lost.of(&json!({"namespaceSelector": "team == 'a'"}))), undecided());
    assert_eq!(Ask { to: "shop/agent", ..Ask::from(Global, "shop/web") }.of(&json!({})), NotAbout);
}

/// A rule that allows, in a policy in the namespace shop.
fn near(from: &'static str, source: &Value) -> Opinion {
    plain(Ask::from(Near, from).of(&json!({"ingress": [{"action": "Allow", "source": source}]})))
}

fn global(from: &'static str, source: &Value) -> Opinion {
    plain(Ask::from(Global, from).of(&json!({"ingress": [{"action": "Allow", "source": source}]})))
}

#[test]
fn whom_a_rule_is_about() {
    for (from, source, in_namespace, in_cluster) in [
        ("shop/client", json!({}), ALLOWS, ALLOWS),
        ("203.0.113.9", json!({}), ALLOWS, ALLOWS),
        ("shop/client", json!({"selector": "app == 'client'"}), ALLOWS, ALLOWS),
        ("other/client", json!({"selector": "app == 'client'"}), DeniesByDefault, ALLOWS),
        ("other/client", json!({"selector": "app == 'client'", "namespaceSelector": "team == 'b'"}), ALLOWS, ALLOWS),
        ("other/client", json!({"namespaceSelector": "all()"}), ALLOWS, ALLOWS),
        ("other/client", json!({"namespaceSelector": "global()"}), DeniesByDefault, DeniesByDefault),
        ("shop/client", json!({"namespaceSelector": "team == 'b'"}), DeniesByDefault, DeniesByDefault),
        ("unseen/lost", json!({"namespaceSelector": "team == 'b'"}), undecided(), undecided()),
        ("shop/client", json!({"notSelector": "app == 'client'"}), DeniesByDefault, DeniesByDefault),
        ("other/client", json!({"notSelector": "app == 'db'"}), ALLOWS, ALLOWS),
        ("203.0.113.9", json!({"selector": "all()"}), undecided(), undecided()),
        ("203.0.113.9", json!({"notSelector": "has(a)"}), undecided(), undecided()),
        ("203.0.113.9", json!({"nets": ["203.0.113.0/24"]}), ALLOWS, ALLOWS),
        ("203.0.113.9", json!({"nets": ["192.0.2.0/24"]}), DeniesByDefault, DeniesByDefault),
        ("203.0.113.9", json!({"nets": []}), ALLOWS, ALLOWS),
        ("203.0.113.9", json!({"notNets": ["203.0.113.0/24"]}), DeniesByDefault, DeniesByDefault),
        ("shop/client", json!({"nets": ["10.1.0.0/16"]}), ALLOWS, ALLOWS),
        ("203.0.113.9", json!({"nets": ["moon"]}), undecided(), undecided()),
        ("203.0.113.9", json!({"nets": ["192.0.2.0/24"], "selector": "all()"}), DeniesByDefault, DeniesByDefault),
        ("shop/client", json!({"ports": [80]}), undecided(), undecided()),
        ("shop/client", json!({"serviceAccounts": {"names": ["default"]}}), ALLOWS, ALLOWS),
        ("other/client", json!({"serviceAccounts": {"names": ["default"]}}), DeniesByDefault, ALLOWS),
        ("shop/client", json!({"serviceAccounts": {"names": ["robot"]}}), DeniesByDefault, DeniesByDefault),
        ("shop/client", json!({"serviceAccounts": {"selector": "has(a)"}}), undecided(), undecided()),
        ("203.0.113.9", json!({"serviceAccounts": {"names": ["default"]}}), DeniesByDefault, DeniesByDefault),
        ("shop/client", json!({"domains": ["example.com"]}), undecided(), undecided()),
    ] {
        assert_eq!(near(from, &source), in_namespace, "{from} {source}");
        assert_eq!(global(from, &source), in_cluster, "{from} {source}");
    }
}

#[test]
fn protocols_and_ports() {
    let of = |port, protocol, rule: Value| {
        let mut rule = rule;
        rule["action"] = json!("Allow");
        plain(Ask::from(Near, "shop/client").port(port, protocol).of(&json!({"ingress": [rule]})))
    };
    let to = |ports: Value| json!({"protocol": "TCP", "destination": {"ports": ports}});
    let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
    for (port, protocol, rule, expected) in [
        (80, tcp, json!({"protocol": "TCP"}), ALLOWS),
        (80, tcp, json!({"protocol": 6}), ALLOWS),
        (80, udp, json!({"protocol": "TCP"}), DeniesByDefault),
        (80, tcp, json!({"protocol": "ICMP"}), DeniesByDefault),
        (80, tcp, json!({"notProtocol": "UDP"}), ALLOWS),
        (80, udp, json!({"notProtocol": 17}), DeniesByDefault),
        (80, tcp, json!({"ipVersion": 4}), ALLOWS),
        (80, tcp, json!({"ipVersion": 6}), DeniesByDefault),
        (80, tcp, to(json!([80])), ALLOWS),
        (80, tcp, to(json!(["80"])), ALLOWS),
        (81, tcp, to(json!([80])), DeniesByDefault),
        (85, tcp, to(json!([1, "80:90"])), ALLOWS),
        (91, tcp, to(json!(["80:90"])), DeniesByDefault),
        (91, tcp, to(json!(["90:moon"])), undecided()),
        (8080, tcp, to(json!(["http"])), ALLOWS),
        (80, tcp, to(json!(["http"])), DeniesByDefault),
        (80, tcp, json!({"destination": {"notPorts": [80]}}), DeniesByDefault),
        (81, tcp, json!({"destination": {"notPorts": [80]}}), ALLOWS),
        (80, tcp, json!({"icmp": {"type": 8}}), undecided()),
        (80, tcp, json!({"protocol": "ICMP", "icmp": {"type": 8}}), DeniesByDefault),
        (80, tcp, json!({"protocol": "TCP", "http": {"methods": ["GET"]}}), undecided()),
        (80, tcp, json!({"mood": "good"}), undecided()),
    ] {
        assert_eq!(of(port, protocol, rule.clone()), expected, "{port} {protocol} {rule}");
    }
}

#[test]
fn services_as_destinations() {
    let of = |to: &'static str, port, name: &str| {
        let services = json!({"services": {"name": name, "namespace": "shop"}});
        let spec = json!({"egress": [{"action": "Allow", "destination": services}]});
        plain(Ask::to(Near, to).port(port, Protocol::Tcp).of(&spec))
    };
    assert_eq!(of("203.0.113.7", 443, "backends"), ALLOWS);
    assert_eq!(of("203.0.113.7", 444, "backends"), DeniesByDefault);
    assert_eq!(of("203.0.113.8", 443, "backends"), DeniesByDefault);
    assert_eq!(of("203.0.113.7", 443, "unheard"), undecided());
}

#[test]
fn the_first_rule_that_is_about_it_decides() {
    let of = |rules: Value| plain(Ask::from(Near, "shop/client").of(&json!({"ingress": rules})));
    let rule = |action: &str| json!({"action": action});
    let maybe = |action: &str| json!({"action": action, "mood": "good"});
    let other = |action: &str| json!({"action": action, "protocol": "UDP"});
    for (rules, expected) in [
        (json!([rule("Allow")]), ALLOWS),
        (json!([rule("Deny"), rule("Allow")]), Denies { rule: 1 }),
        (json!([other("Deny"), rule("Allow")]), Allows { rule: 2 }),
        (json!([rule("Log"), rule("Pass"), rule("Deny")]), Passes),
        (json!([rule("Log")]), DeniesByDefault),
        (json!([maybe("Log"), rule("Allow")]), Allows { rule: 2 }),
        (json!([maybe("Allow"), rule("Allow")]), Allows { rule: 2 }),
        (json!([maybe("Allow"), rule("Deny")]), undecided()),
        (json!([maybe("Deny"), rule("Deny")]), Denies { rule: 2 }),
        (json!([maybe("Deny")]), undecided()),
        (json!([rule("Allow"), maybe("Deny")]), ALLOWS),
        (json!([rule("Sing")]), undecided()),
        (json!([{}]), undecided()),
    ] {
        assert_eq!(of(rules.clone()), expected, "{rules}");
    }
}
