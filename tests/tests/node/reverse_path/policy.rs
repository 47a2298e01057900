//! The routing policy (ip rule) leads the way back elsewhere.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::firewall::nft;
use tracer_tests::sysctl;
use tracer_tests::topology;

use super::{Case, ELSEWHERE};

#[test]
fn the_route_back_stands_in_another_table() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/all/rp_filter", "1")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.2.2 dev r2 table 100")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.1.2 dev r1")?;
    // One rule that looks at where the answer goes, one at where it comes from.
    for (rule, text) in [
        ("to 10.77.0.0/16", "77: from all to 10.77.0.0/16 lookup 100"),
        ("from 10.99.2.2", "77: from 10.99.2.2 lookup 100"),
    ] {
        lab.router.exec(&format!("ip rule add priority 77 {rule} lookup 100"))?;
        let case = Case {
            summary: "rp_filter=1 (strict) on r1 refuses the source 10.77.0.9: the route back leaves by r2 \
                      (10.77.0.0/16 via 10.99.2.2 dev r2)",
            setting: Some(("net.ipv4.conf.all.rp_filter", "1", "1")),
            route: Some(("10.77.0.0/16 via 10.99.2.2 dev r2", "100")),
            remedy: Some("ip route add 10.77.0.9 via 10.99.1.2 dev r1 table 100"),
            ..Case::at_router(&lab, ELSEWHERE)
        };
        let event = case.tell()?;
        event.says(key::EVIDENCE, &format!("the rule of the routing policy that led there is {text}"))?;
        lab.router.exec("ip rule del priority 77 && ip route del 10.77.0.9 table 100")?;
    }
    Ok(())
}

#[test]
fn a_rule_for_marks_that_the_check_does_not_see() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "1")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.1.2 dev r1 table 100")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.2.2 dev r2")?;
    lab.router.exec("ip rule add priority 77 fwmark 0x5 lookup 100")?;
    nft(
        &lab.router,
        "table ip m { chain p { type filter hook prerouting priority -150; udp dport 5001 mark set 5; }; }",
    )?;
    let case = Case {
        summary: "rp_filter=1 (strict) on r1 refuses the source 10.77.0.9: the route back leaves by r2 (10.77.0.0/16 via \
                  10.99.2.2 dev r2)",
        setting: Some(("net.ipv4.conf.r1.rp_filter", "1", "1")),
        route: Some(("10.77.0.0/16 via 10.99.2.2 dev r2", "main")),
        remedy: Some("net.ipv4.conf.r1.src_valid_mark=1"),
        ..Case::at_router(&lab, ELSEWHERE)
    };
    let event = case.tell()?;
    event.says(key::EVIDENCE, "the way back was looked up without the packet's mark 0x5")?;
    event.says(key::EVIDENCE, "with the mark the route back is 10.77.0.0/16 via 10.99.1.2 dev r1 (table 100)")
}

#[test]
fn a_mark_that_leads_the_way_back_elsewhere() -> Result<()> {
    let lab = topology::router()?;
    let _strict = sysctl::set(&lab.router, "net/ipv4/conf/r1/rp_filter", "1")?;
    let _seen = sysctl::set(&lab.router, "net/ipv4/conf/r1/src_valid_mark", "1")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.2.2 dev r2 table 100")?;
    lab.router.exec("ip route add 10.77.0.0/16 via 10.99.1.2 dev r1")?;
    lab.router.exec("ip rule add priority 77 fwmark 0x5/0xff lookup 100")?;
    nft(
        &lab.router,
        "table ip m { chain p { type filter hook prerouting priority -150; udp dport 5001 mark set 5; }; }",
    )?;
    let case = Case {
        summary: "rp_filter=1 (strict) on r1 refuses the source 10.77.0.9: the route back leaves by r2 (10.77.0.0/16 via \
                  10.99.2.2 dev r2)",
        setting: Some(("net.ipv4.conf.r1.rp_filter", "1", "1")),
        route: Some(("10.77.0.0/16 via 10.99.2.2 dev r2", "100")),
        remedy: Some("ip route add 10.77.0.9 via 10.99.1.2 dev r1 table 100"),
        ..Case::at_router(&lab, ELSEWHERE)
    };
    let event = case.tell()?;
    event.says(key::EVIDENCE, "that led there is 77: from all fwmark 0x5/0xff lookup 100")
}
