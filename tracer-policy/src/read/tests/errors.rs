//! What is told of each mistake.

use super::super::file;
use super::mistake;

fn of_policy(spec: &str) -> String {
    let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}";
    let told = mistake(&format!("{head}\nspec: {spec}"));
    told.strip_prefix("test.yaml: NetworkPolicy shop/web: ").unwrap_or_else(|| panic!("{told}")).to_owned()
}

const IN_A_POLICY: &[(&str, &str)] = &[
    ("{podSelecter: {}}", "spec.podSelecter: unknown field `podSelecter`, expected one of"),
    ("{podSelector: {matchLabel: {a: b}}}", "spec.podSelector.matchLabel: unknown field `matchLabel`"),
    ("{podSelector: {matchLabels: {a: 1}}}", "spec.podSelector.matchLabels.a: invalid type: integer `1`, expected a"),
    ("{podSelector: {matchLabels: {a: yes}}}", "spec.podSelector.matchLabels.a: invalid type: boolean `true`"),
    ("{podSelector: [null, null]}", "spec.podSelector: is not of the right type"),
    ("{ingress: [[null, null]]}", "spec.ingress[0]: is not of the right type"),
    ("[null, null, null, null]", "spec: is not of the right type"),
    ("{podSelector: all}", "spec.podSelector: invalid type: string \"all\""),
    (
        "{podSelector: {matchExpressions: [{key: a, operator: Is, values: [b]}]}}",
        "spec.podSelector.matchExpressions[0].operator: \"Is\" is none of In, NotIn, Exists, DoesNotExist",
    ),
    (
        "{podSelector: {matchExpressions: [{key: a, operator: In}]}}",
        "spec.podSelector.matchExpressions[0].values: must not be empty for In",
    ),
    (
        "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}",
        "spec.podSelector.matchExpressions[0].values: must be empty for Exists",
    ),
    (
        "{podSelector: {matchExpressions: [{operator: Exists}]}}",
        "spec.podSelector.matchExpressions[0]: missing field `key`",
    ),
    ("{policyTypes: [ingress]}", "spec.policyTypes[0]: \"ingress\" is none of Ingress, Egress"),
    ("{ingress: [{to: []}]}", "spec.ingress[0].to: unknown field `to`, expected `from` or `ports`"),
    ("{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]: is empty: it needs podSelector"),
    (
        "{ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}",
        "spec.ingress[0].from[0].ipBlock: can't be with a selector in one entry",
    ),
    (
        "{egress: [{to: [{ipBlock: {cidr: 10.0.0.0}}]}]}",
        "spec.egress[0].to[0].ipBlock.cidr: \"10.0.0.0\" is no block of addresses such as 10.0.0.0/8",
    ),
    ("{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}", "spec.egress[0].to[0].ipBlock.cidr: \"10.0.0.0/33\" is"),
    (
        "{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}",
        "spec.egress[0].to[0].ipBlock.except[0]: 11.0.0.0/16 does not lie in 10.0.0.0/8",
    ),
    (
        "{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}",
        "spec.egress[0].to[0].ipBlock.except[0]: 10.0.0.0/8 does not lie in 10.0.0.0/8",
    ),
    ("{ingress: [{ports: [{port: 80}, {port: 70000}]}]}", "spec.ingress[0].ports[1].port: 70000 is no port"),
    ("{ingress: [{ports: [{port: 0}]}]}", "spec.ingress[0].ports[0].port: 0 is no port: ports go from 1 to 65535"),
    ("{ingress: [{ports: [{port: 80.5}]}]}", "spec.ingress[0].ports[0].port: a port is a number or the name"),
    ("{ingress: [{ports: [{port: '80'}]}]}", "spec.ingress[0].ports[0].port: \"80\" in quotes is a name"),
    ("{ingress: [{ports: [{port: Bad_Name}]}]}", "spec.ingress[0].ports[0].port: \"Bad_Name\" can't be the name of"),
    (
        "{ingress: [{ports: [{port: 80, endPort: 79}]}]}",
        "spec.ingress[0].ports[0].endPort: 79 is below the first port, 80",
    ),
    ("{ingress: [{ports: [{port: http, endPort: 90}]}]}", "spec.ingress[0].ports[0].endPort: needs a port that is a"),
    ("{ingress: [{ports: [{endPort: 90}]}]}", "spec.ingress[0].ports[0].endPort: needs a port where the range begins"),
    ("{ingress: [{ports: [{protocol: ICMP}]}]}", "spec.ingress[0].ports[0].protocol: \"ICMP\" is none of TCP, UDP,"),
    ("{ingress: [{ports: [{ports: 80}]}]}", "spec.ingress[0].ports[0].ports: unknown field `ports`"),
];

#[test]
fn mistakes_in_a_network_policy() {
    for (spec, expected) in IN_A_POLICY {
        let told = of_policy(spec);
        assert!(told.starts_with(expected), "{spec}\ntold:     {told}\nexpected: {expected}");
        assert!(!told.contains('\n'), "one sentence: {told}");
    }
}

const AROUND_AN_OBJECT: &[(&str, &str)] = &[
    ("replicas: 3", "test.yaml: document 1: apiVersion: is missing"),
    ("- 1\n- 2", "test.yaml: document 1: object: is no object of Kubernetes"),
    ("{apiVersion: v1, kind: 3}", "test.yaml: document 1: kind: is no text"),
    (
        "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: a}}, {kind: Pod}]}",
        "test.yaml: document 1, items[1]: apiVersion: is missing",
    ),
    (
        "{apiVersion: extensions/v1beta1, kind: NetworkPolicy, metadata: {name: old}, spec: {}}",
        "test.yaml: NetworkPolicy old: apiVersion: \"extensions/v1beta1\" was served until Kubernetes 1.15",
    ),
    (
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {podIPs: [{ip: 10.0.0}]}}",
        "test.yaml: Pod p: status.podIPs[0].ip: \"10.0.0\" is no address",
    ),
    (
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {podIP: here}}",
        "test.yaml: Pod p: status.podIP: \"here\" is no address",
    ),
    (
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{}, {ports: [{containerPort: 0}]}]}}",
        "test.yaml: Pod p: spec.containers[1].ports[0].containerPort: 0 is no port",
    ),
    (
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80, targetPort: 99999}]}}",
        "test.yaml: Service s: spec.ports[0].targetPort: 99999 is no port",
    ),
    (
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {}}",
        "test.yaml: Deployment d: spec.template: is missing",
    ),
    (
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: {containers: 3}}}}",
        "test.yaml: Deployment d: spec.template.spec.containers: invalid type: integer `3`",
    ),
    (
        "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: c}}",
        "test.yaml: CiliumNetworkPolicy c: spec: is missing",
    ),
    (
        "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: c}, spec: {endpointSelector: {}, \
             ingress: [{fromEndpoint: []}]}}",
        "test.yaml: CiliumNetworkPolicy c: spec.ingress[0].fromEndpoint: is not known",
    ),
    (
        "{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: c}, spec: {ingres: []}}",
        "test.yaml: NetworkPolicy c: spec.ingres: is not known",
    ),
];

#[test]
fn mistakes_around_an_object() {
    for (text, expected) in AROUND_AN_OBJECT {
        let told = mistake(text);
        assert!(told.starts_with(expected), "told:     {told}\nexpected: {expected}");
    }
}

#[test]
fn text_that_can_not_be_parsed_has_a_place() {
    for (name, text, expected) in [
        ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n", "a.yaml: file: line 4, column "),
        ("a.yaml", "apiVersion: v1\nkind: [Pod\n", "a.yaml: file: line "),
        ("a.yaml", "apiVersion: v1\nkind: \"Pod\n", "a.yaml: file: line "),
        ("a.yaml", "kind: a\nkind: b\n", "a.yaml: file: line 2, column 1: no YAML: "),
        ("a.json", "{\"kind\": \"Pod\",\n \"metadata\": {", "a.json: file: line 2, column 14: no JSON: EOF"),
        ("a.json", "kind: Pod", "a.json: file: line 1, column 1: no JSON: expected value"),
    ] {
        let told = file(name, text).unwrap_err().to_string();
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains('\n'), "one sentence: {told}");
    }
    let told = file("t.yaml", "{{- if .Values.policy }}\nkind: NetworkPolicy\n{{- end }}").unwrap_err().to_string();
    assert!(told.ends_with("(a template has to be rendered first, as by helm template)"), "{told}");
}

#[test]
fn hostile_files_are_refused_in_one_short_sentence() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{} , ", level - 1).repeat(10);
        bomb.extend([format!("a{level}: &a{level} ["), before, "]\n".to_owned()]);
    }
    let deep_yaml = format!("kind: {}{}", "[".repeat(5000), "]".repeat(5000));
    let deep_json = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let long = "x".repeat(1 << 20);
    let label = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: a, labels: {{app: {long}}}}}}}");
    let key = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: a, labels: {{'{long}': a}}}}}}");
    let name = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {long}}}}}");
    let field = format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: a}}, spec: {{? {long} : 1}}}}"
    );
    let kind = format!("{{apiVersion: v1, kind: {long}List}}");
    assert_eq!(file("a.yaml", &kind).unwrap().len(), 0);
    for text in [bomb, deep_yaml, deep_json.clone(), label, key, name, field] {
        let told = file("a.yaml", &text).unwrap_err().to_string();
        assert!(told.len() < 1500 && !told.contains('\n'), "{} bytes are told of {:.60}", told.len(), text);
    }
    assert!(file("a.json", &deep_json).is_err());
}
