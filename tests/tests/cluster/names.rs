//! Who the ends are: by the API and the runtime, and by each alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::{Event, Expect, within};

use crate::shop::{Shop, words};

const CLOSED: u16 = 9999;
/// A watch that is silent is asked for after a minute, and has half a minute for its answer.
const OUTAGE: Duration = Duration::from_mins(3);
const SOURCE_POD: &str = "/packet/source/pod";
const DESTINATION_POD: &str = "/packet/destination/pod";

/// A SYN of the client to a port that web-0 does not serve.
fn refused(shop: &Shop<'_>) -> Expect {
    let ends = Expect::drop("NO_SOCKET").problem().cause("no_socket").with(key::SOURCE, shop.client.address.clone());
    ends.with(key::DESTINATION, shop.web.address.clone()).with(key::DESTINATION_PORT, CLOSED)
}

fn named(shop: &Shop<'_>, event: &Event) -> Result<()> {
    for (end, name, uid) in [(SOURCE_POD, "client", &shop.client.uid), (DESTINATION_POD, "web-0", &shop.web.uid)] {
        let pod = event.at(end).unwrap_or(&serde_json::Value::Null);
        ensure!(pod["namespace"] == "shop" && pod["name"] == name && pod["uid"] == uid.as_str(), "{end}: {event}");
    }
    Ok(())
}

fn seen(shop: &Shop<'_>, arguments: &[&str]) -> Result<()> {
    let mut tracer = shop.watch(arguments)?;
    ensure!(!shop.client.connects(&shop.web.address, CLOSED)?, "something listens");
    let event = tracer.wait_for(&refused(shop))?;
    named(shop, &event)?;
    tracer.stop()?.ensure_clean()
}

pub(crate) fn by_both_and_by_each_alone(shop: &Shop<'_>) -> Result<()> {
    let admin = shop.sources("admin");
    seen(shop, &words(&admin))?;
    let selected = [&["--pod", "shop/web-0"][..], &words(&admin)].concat();
    seen(shop, &selected)?;
    let runtime = [&words(&admin[..2])[..], &["--kubernetes", "off"]].concat();
    seen(shop, &runtime)?;
    seen(shop, &[&["--pod", "shop/web-0"][..], &runtime].concat())?;
    let api = [&["--cri", "/nonexistent/containerd.sock"][..], &words(&admin[2..])].concat();
    seen(shop, &api)
}

/// Who has no right to ask has the runtime's names, and is told each rule that is missing.
pub(crate) fn without_rights(shop: &Shop<'_>) -> Result<()> {
    let mut tracer = shop.watch(&words(&shop.sources("reader")))?;
    let coverage = tracer.header().texts("/coverage").join("\n");
    for resource in ["pods", "networkpolicies"] {
        let rule = format!("resources: [{resource}]");
        ensure!(coverage.matches(&rule).count() == 1, "{resource} not once in {coverage}");
    }
    shop.client.connects(&shop.web.address, CLOSED)?;
    named(shop, &tracer.wait_for(&refused(shop))?)?;
    tracer.stop()?.ensure_clean()
}

/// The API server is not to be reached for a while: what was known stays.
pub(crate) fn through_an_outage(shop: &Shop<'_>) -> Result<()> {
    let mut tracer = shop.watch(&words(&shop.sources("admin")))?;
    let wall = Wall::build(shop)?;
    // An outage is told when a connection breaks, or a minute after the last word.
    within(OUTAGE, "stats tell the outage", || {
        tracer.take_waiting()?;
        Ok(tracer.events().iter().any(is_told))
    })?;
    shop.client.connects(&shop.web.address, CLOSED)?;
    named(shop, &tracer.wait_for(&refused(shop))?)?;
    drop(wall);
    tracer.stop()?.ensure_clean()
}

fn is_told(event: &Event) -> bool {
    let aged = |sentence: &&str| sentence.starts_with("the Kubernetes API has not answered for ");
    let told: Vec<&str> = event.texts("/coverage").into_iter().filter(aged).collect();
    event.is("stats") && told.len() == 1 && told[0].contains("names and policies are as of ")
}

/// Nobody reaches the API server through it, also over connections that are there; gone on drop.
struct Wall<'a>(&'a Shop<'a>);

const WALL: &str = "OUTPUT -p tcp --dport 16443 -j REJECT --reject-with tcp-reset";

impl<'a> Wall<'a> {
    fn build(shop: &'a Shop<'a>) -> Result<Self> {
        shop.cluster.node.exec(&format!("iptables -w 20 -I {WALL}"))?;
        let wall = Self(shop);
        // What is open breaks, too; a kernel that can't do that leaves it to time.
        shop.cluster.node.exec("ss --kill --no-header dst 10.0.0.1 dport = 16443 || true")?;
        Ok(wall)
    }
}

impl Drop for Wall<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.cluster.node.exec(&format!("iptables -w 20 -D {WALL}")) {
            eprintln!("the API server stays blocked: {error:#}");
        }
    }
}
