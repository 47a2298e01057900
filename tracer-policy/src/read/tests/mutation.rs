//! Manifests that are changed at random, from a fixed seed: whatever is read, nothing panics.

use std::net::IpAddr;

use serde_json::Value;

use super::super::{Interner, Object, object, objects};
use crate::World;
use crate::evaluate::vendor::judge;
use crate::evaluate::{Connection, Direction, End};
use crate::model::{Pod, Policy, Protocol};

const ROUNDS: u32 = 3000;

const MANIFESTS: [&str; 7] = [
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: shop}\nspec:\n  podSelector: \
     {matchExpressions: [{key: app, operator: In, values: [web]}]}\n  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, \
     except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]\n",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: web}, ownerReferences: [{kind: ReplicaSet, name: p-5, \
     controller: true}]}\nspec: {containers: [{ports: [{name: http, containerPort: 80}]}]}\nstatus: {podIPs: [{ip: \
     10.0.0.1}]}\n",
    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.0.0.2, selector: {app: web}, ports: [{port: \
     80, targetPort: http}]}\n",
    "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: a}\nspec: {priority: 1, \
     subject: {namespaces: {}}, ingress: [{action: Allow, from: [{pods: {namespaceSelector: {}, podSelector: {}}}], ports: \
     [{portRange: {start: 1, end: 2}}]}]}\n",
    "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {endpointSelector: {}, \
     ingress: [{fromEndpoints: [{matchLabels: {'k8s:app': web}}], toPorts: [{ports: [{port: '80', protocol: ANY}]}]}, \
     {fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}], egress: [{toEntities: [world]}]}\n",
    "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {selector: \"a == \
     'b' && !(has(c) || d in {'e'})\", ingress: [{action: Allow, protocol: TCP, source: {nets: [10.0.0.0/8], selector: all()}, \
     destination: {ports: [80, '1:9', http]}}]}\n",
    "apiVersion: v1\nkind: List\nitems:\n- &x {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: \
     {metadata: {labels: {app: web}}, spec: {containers: []}}}}\n- *x\n",
];

/// xorshift (Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

#[test]
fn text_that_is_changed_anywhere_never_panics() {
    let mut dice = Dice(0x5eed);
    let mut read = [0_u32; 2];
    for _ in 0..ROUNDS {
        let mut text: Vec<u8> = MANIFESTS[dice.roll(MANIFESTS.len())].into();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(text.len());
            match dice.roll(5) {
                0 => text[at] = b" \t\n{}[]:,-&*!'\"#0x"[dice.roll(18)],
                1 => drop(text.remove(at)),
                2 => text.truncate(at.max(1)),
                3 => text.insert(at, dice.roll(256) as u8),
                _ => {
                    let part: Vec<u8> = text[at..].iter().take(dice.roll(40)).copied().collect();
                    let to = dice.roll(text.len());
                    text.splice(to..to, part);
                }
            }
        }
        let (found, errors) = objects("m.yaml", &String::from_utf8_lossy(&text), &mut Interner::default());
        for error in &errors {
            assert!(error.to_string().len() < 2000);
        }
        read[usize::from(errors.is_empty())] += 1;
        found.iter().for_each(ask);
    }
    assert!(read.iter().all(|count| *count > ROUNDS / 20), "both happen often: {read:?}");
}

#[test]
fn values_of_any_type_anywhere_never_panic() {
    let mut dice = Dice(0xfeed);
    for _ in 0..ROUNDS {
        let text = MANIFESTS[dice.roll(MANIFESTS.len())];
        let mut value: Value = serde_saphyr::from_str(text).unwrap();
        for _ in 0..=dice.roll(3) {
            change(&mut value, &mut dice);
        }
        if let Ok(Some(found)) = object(&value) {
            ask(&found);
        }
    }
}

/// Replaces something in a value, or takes it away.
fn change(value: &mut Value, dice: &mut Dice) {
    let is_here = dice.roll(4) == 0;
    match value {
        Value::Object(fields) if !fields.is_empty() && !is_here => {
            let key = fields.keys().nth(dice.roll(fields.len())).cloned().unwrap();
            match dice.roll(8) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert(format!("{key}x"), Value::Null)),
                _ => change(fields.get_mut(&key).unwrap(), dice),
            }
        }
        Value::Array(entries) if !entries.is_empty() && !is_here => {
            let at = dice.roll(entries.len());
            change(&mut entries[at], dice);
        }
        _ => {
            let texts =
                ["", "a", "80", "-1", "1:2", "9:1", "10.0.0.0/99", "::/0", "all(", "!!!!", "🦀", "k8s:", "In", "None"];
            *value = match dice.roll(7) {
                0 => Value::Null,
                1 => Value::Bool(dice.roll(2) == 0),
                2 => Value::from([0_i64, -1, 65536, i64::MAX, i64::MIN][dice.roll(5)]),
                3 => Value::from(1.5),
                4 => Value::Array(vec![value.take()]),
                5 => Value::Object([(texts[dice.roll(texts.len())].to_owned(), value.take())].into_iter().collect()),
                _ => Value::from(texts[dice.roll(texts.len())]),
            };
        }
    }
}

/// Asks a vendor's policy, which is kept as it came, about a connection.
fn ask(object: &Object) {
    let Object::Policy(policy) = object else { return };
    let Policy::Vendor(policy) = &**policy else { return };
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    let pod = Pod::new("shop", "a", "u");
    let ends = [End::Pod(&pod, address), End::Outside(address), End::Node(None, address)];
    for destination in ends {
        for direction in [Direction::Egress, Direction::Ingress] {
            let connection =
                Connection { source: End::Pod(&pod, address), destination, protocol: Protocol::Tcp, port: 80 };
            judge(&World::default(), policy, &connection, direction);
        }
    }
}
