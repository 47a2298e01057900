//! A Service that nobody serves: kube-proxy's own rule is named, and the Service.

use anyhow::{Result, ensure};
use tracer_tests::Expect;
use tracer_tests::event::key;

use crate::shop::{Shop, words};

pub(crate) fn without_endpoints(shop: &Shop<'_>) -> Result<()> {
    let mut tracer = shop.watch(&words(&shop.sources("admin")))?;
    shop.client.connects(&shop.empty, 80)?;
    let wanted = Expect::drop("NETFILTER_DROP").problem().cause("netfilter_rule").sure("certain");
    let wanted = wanted.with(key::OWNER, "kube-proxy").with(key::DESTINATION, shop.empty.clone());
    let event = tracer.wait_for(&wanted.with(key::RULE_CHAIN, "KUBE-SERVICES"))?;
    ensure!(event.text("/packet/destination/service/name") == "empty", "{event}");
    ensure!(event.text("/packet/source/pod/name") == "client", "{event}");
    event.says(key::RULE_TEXT, "shop/empty has no endpoints")?;
    event.says(key::EVIDENCE, "the Service has no endpoints")?;
    event.says(key::REMEDY, "kubectl -n shop describe service empty")?;
    tracer.stop()?.ensure_clean()
}
