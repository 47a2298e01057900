//! Pods and Services in titles, and what a name that comes late changes: nothing but the text.

use super::*;
use crate::event::{Affected, PodName, ServiceName, Translated, WorkloadName};

fn pod(text: &str, name: &str) -> Endpoint {
    let pod = PodName { namespace: "shop".into(), name: name.into(), uid: name.into() };
    let workload = WorkloadName { kind: "Deployment".into(), name: "client".into() };
    Endpoint { pod: Some(pod), workload: Some(workload), ..end(text) }
}

fn service(text: &str) -> Endpoint {
    let service = ServiceName { namespace: "shop".into(), name: "web".into(), port: Some("http".into()) };
    Endpoint { service: Some(service), ..end(text) }
}

fn attempt(source: Endpoint) -> Flow {
    let translated = Translated { source: source.clone(), destination: pod("10.244.1.7:8080", "web-0") };
    let plain = silent("10.244.1.5:40000", "10.96.0.20:80", 4);
    Flow { source, destination: service("10.96.0.20:80"), translated: Some(translated), ..plain }
}

#[test]
fn a_title_names_pod_and_service_with_their_addresses() {
    let said = Run::new().flow(&attempt(pod("10.244.1.5:40000", "client-0"))).end();
    let title = "tcp from pod shop/client-0 (10.244.1.5) to Service shop/web port http (10.96.0.20:80, pod shop/web-0) \
                 leaves this node and is never answered";
    assert_eq!(said.titles(), [title]);
    let Affected { source, destination, .. } = &said.findings[0].affected[0];
    assert_eq!((source.pod.as_ref().map(|pod| pod.name.as_str()), source.port), (Some("client-0"), None));
    assert_eq!(destination.service.as_ref().map(|service| service.name.as_str()), Some("web"));
}

#[test]
fn pods_of_one_workload_are_told_as_such() {
    let mut run = Run::new();
    for number in 1..=3 {
        run = run.flow(&attempt(pod(&format!("10.244.1.{number}:40000"), &format!("client-{number}"))));
    }
    let said = run.end();
    assert!(
        said.titles()[0].starts_with("tcp from 3 pods of Deployment shop/client to Service "),
        "{:?}",
        said.titles()
    );
}

#[test]
fn a_name_that_comes_late_is_of_the_same_finding() {
    let unnamed = silent("10.244.1.5:40000", "10.96.0.20:80", 4);
    let mut named = attempt(pod("10.244.1.5:40001", "client-0"));
    named.seen[0].netns.pod.clone_from(&named.source.pod);
    let said = Run::new().flow(&unnamed).flow(&named).end();
    assert_eq!((said.findings.len(), said.findings[0].count, said.findings[0].affected.len()), (1, 2, 1));
    assert!(said.titles()[0].contains("from pod shop/client-0 (10.244.1.5)"), "{:?}", said.titles());
}

#[test]
fn an_address_that_was_two_pods_has_no_name() {
    let run = Run::new().flow(&attempt(pod("10.244.1.5:40000", "client-0")));
    let said = run.flow(&attempt(pod("10.244.1.5:40001", "other"))).end();
    assert_eq!(said.findings.len(), 1);
    let source = &said.findings[0].affected[0].source;
    let why = Some("it was that of shop/client-0 and of shop/other in this run");
    assert_eq!((&source.pod, source.unknown_why.as_deref()), (&None, why));
    assert!(said.titles()[0].starts_with("tcp from 10.244.1.5 to Service shop/web"), "{:?}", said.titles());
}
