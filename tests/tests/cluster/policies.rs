//! A NetworkPolicy of the real API, with rules as kube-router would put them: denied, asked about, amended, allowed.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::Expect;
use tracer_tests::event::key;

use crate::shop::{OPEN, Shop, words};

const SET: &str = "KUBE-SRC-ZXQKBCIIXIDWQ3RE";
const LABEL: &str = "the client's label app is \"other\", the rule wants app=client";

pub(crate) fn denied_until_the_label_is_there(shop: &Shop<'_>) -> Result<()> {
    let policy = json!({
        "metadata": {"name": "web-in"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"protocol": "TCP", "port": OPEN}]
            }]
        }
    });
    shop.cluster.api().create("/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies", &policy)?;
    enforce(shop)?;
    drop_is_told(shop)?;
    denial_is_told_through_the_service(shop)?;
    let line = check(shop, 3)?;
    ensure!(line["verdict"] == "denied" && line["policy"]["nearest"]["mismatch"] == LABEL, "{line:#}");
    matrix_has(shop, "denied")?;
    let path = "/api/v1/namespaces/shop/pods/client";
    shop.cluster.api().patch(path, &json!({"metadata": {"labels": {"app": "client"}}}))?;
    shop.cluster.node.exec(&format!("ipset add {SET} {}", shop.client.address))?;
    let line = check(shop, 0)?;
    ensure!(line["verdict"] == "allowed" && line["policy"]["decided_by"]["name"] == "web-in", "{line:#}");
    matrix_has(shop, "allowed")?;
    allowed_is_told(shop)
}

fn drop_is_told(shop: &Shop<'_>) -> Result<()> {
    let mut tracer = shop.watch(&words(&shop.sources("admin")))?;
    ensure!(!shop.client.connects(&shop.web.address, OPEN)?, "nothing denied it");
    let wanted = Expect::drop("NETFILTER_DROP").problem().cause("network_policy").sure("certain");
    let wanted = wanted.with(key::OWNER, "kube-router").with(key::POLICY_NAME, "web-in");
    let event = tracer.wait_for(&wanted.with(key::POLICY_DIRECTION, "ingress"))?;
    event.says(key::SUMMARY, "NetworkPolicy shop/web-in denies shop/client → shop/web-0 tcp 8080 (ingress)")?;
    event.says("/explanation/policy/nearest/mismatch", LABEL)?;
    ensure!(event.number("/explanation/policy/nearest/rule")? == 1, "{event}");
    for (end, name) in [("/packet/source/pod/name", "client"), ("/packet/destination/pod/name", "web-0")] {
        ensure!(event.text(end) == name, "{end}: {event}");
    }
    tracer.stop()?.ensure_clean()
}

/// Whom the connection was for is known by its dropped packet alone: no device saw it after kube-proxy's translation.
fn denial_is_told_through_the_service(shop: &Shop<'_>) -> Result<()> {
    let (node, sources) = (shop.cluster.node.inode()?.to_string(), shop.sources("admin"));
    let mut tracer = shop.start(&[&["verdicts", "-o", "json", "--netns", &node][..], &words(&sources)].concat())?;
    ensure!(!shop.client.connects(&shop.service, 80)?, "nothing denied it");
    let wanted =
        Expect::any().with(key::KIND, "verdict").with(key::VERDICT, "denied").with(key::POLICY_SIDE, "ingress");
    let wanted = wanted.with(key::FLOW_SOURCE_POD, "client").with(key::FLOW_DESTINATION_POD, "web-0");
    let event = tracer.wait_for(&wanted.with(key::ENFORCED_BY, "kube-router"))?;
    ensure!(event.text("/destination/service/name") == "web", "{event}");
    event.says("/policy/nearest/mismatch", LABEL)?;
    tracer.stop()?.ensure_clean()
}

fn allowed_is_told(shop: &Shop<'_>) -> Result<()> {
    let (node, sources) = (shop.cluster.node.inode()?.to_string(), shop.sources("admin"));
    let mut tracer = shop.start(&[&["verdicts", "-o", "json", "--netns", &node][..], &words(&sources)].concat())?;
    ensure!(shop.client.connects(&shop.web.address, OPEN)?, "the label is there, and it is denied");
    let wanted = Expect::any().with(key::KIND, "verdict").with(key::VERDICT, "allowed");
    let wanted = wanted.with(key::POLICY_SIDE, "ingress").with(key::FLOW_DESTINATION_POD, "web-0");
    let wanted = wanted.with(key::FLOW_SOURCE_POD, "client").with(key::DECIDED_BY, "web-in");
    tracer.wait_for(&wanted.with(key::DECIDED_BY_RULE, 1))?;
    tracer.stop()?.ensure_clean()
}

/// `whydrop policy check` of the client to the Service.
fn check(shop: &Shop<'_>, status: i32) -> Result<Value> {
    let config = shop.cluster.kubeconfig("admin").display().to_string();
    let ends = ["--from", "shop/client", "--to", "shop/web", "--port", "80"];
    let output = shop.ask(&[&["policy", "check", "-o", "json", "--kubeconfig", &config][..], &ends].concat())?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(status) && said.is_empty(), "{}: {said}", output.status);
    Ok(serde_json::from_str(std::str::from_utf8(&output.stdout)?.lines().next().context("no line")?)?)
}

fn matrix_has(shop: &Shop<'_>, verdict: &str) -> Result<()> {
    let config = shop.cluster.kubeconfig("admin").display().to_string();
    let output = shop.ask(&["policy", "matrix", "-o", "json", "--port", "8080", "--kubeconfig", &config])?;
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let is_pair =
        |line: &Value| line["from"] == "shop/client" && line["to"] == "shop/web-0" && line["verdict"] == verdict;
    ensure!(lines.iter().any(is_pair), "not {verdict}: {text} {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// As kube-router leaves it; nobody has the label yet.
fn enforce(shop: &Shop<'_>) -> Result<()> {
    let web = &shop.web.address;
    let comment = "rule to ACCEPT traffic from source pods to dest pods selected by policy name web-in namespace shop";
    let rules = format!(
        "*filter
:KUBE-NWPLCY-5VLCZNPWIAXAL2HB - [0:0]
:KUBE-POD-FW-XIOATVM5TOINSO4V - [0:0]
:KUBE-ROUTER-FORWARD - [0:0]
-I FORWARD -m comment --comment \"kube-router netpol - TEMCG2JMVZWTQEZH\" -j KUBE-ROUTER-FORWARD
-A KUBE-NWPLCY-5VLCZNPWIAXAL2HB -p tcp -m comment --comment \"{comment}\" -m set --match-set {SET} src -m tcp --dport {OPEN} -j MARK --set-xmark 0x10000/0x10000
-A KUBE-POD-FW-XIOATVM5TOINSO4V -m comment --comment \"rule for stateful firewall for pod\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-POD-FW-XIOATVM5TOINSO4V -m comment --comment \"run through nw policy web-in\" -j KUBE-NWPLCY-5VLCZNPWIAXAL2HB
-A KUBE-POD-FW-XIOATVM5TOINSO4V -m comment --comment \"rule to REJECT traffic destined for POD name:web-0 namespace: shop\" -m mark ! --mark 0x10000/0x10000 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-POD-FW-XIOATVM5TOINSO4V -j MARK --set-xmark 0x0/0x10000
-A KUBE-ROUTER-FORWARD -d {web} -m comment --comment \"rule to jump traffic destined to POD name:web-0 namespace: shop to chain KUBE-POD-FW-XIOATVM5TOINSO4V\" -j KUBE-POD-FW-XIOATVM5TOINSO4V
COMMIT
"
    );
    // Pods of one node meet on its bridge: such an engine wants bridge-nf.
    let sysctl = "sysctl -qw net.bridge.bridge-nf-call-iptables=1";
    let script = format!(
        "{sysctl}; ipset create {SET} hash:ip family inet && iptables-restore --noflush -w 20 <<'RULES'\n{rules}RULES\n"
    );
    shop.cluster.node.exec(&script).map(drop)
}
