//! From an object of the API to a change of the index.
//!
//! Rule: an object that can't be read costs itself, by name; it never stops the others.

use std::net::IpAddr;
use std::time::SystemTime;

use serde_json::Value;
use tracer_policy::model::{ObjectName, PolicyId, Text};
use tracer_policy::read::{Object, object};

use super::fault::short;
use super::resource::Resource;
use crate::host::clock::monotonic;
use crate::kubernetes::index::{Change, ContainerSeen, Gone, Kind, Origin, PodSeen};

/// Reads the objects of one resource.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) resource: Resource,
    /// `networking.k8s.io/v1`
    pub(super) api_version: String,
    /// Containers are told of pods of this node only: nobody asks for others'.
    pub(super) node: String,
}

/// An object, or why it can't be used.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: ObjectName,
    pub(super) uid: Text,
    /// `None`: an object that says nothing.
    pub(super) change: Result<Option<Change>, String>,
}

impl Reader {
    pub(super) fn read(&self, mut value: Value) -> Item {
        let text = |key: &str| value.pointer(key).and_then(Value::as_str).unwrap_or_default();
        let name = ObjectName::new(text("/metadata/namespace"), text("/metadata/name"));
        let uid: Text = text("/metadata/uid").into();
        let change = self.typed(&mut value, &name).and_then(|()| self.change(&value));
        Item { name, uid, change }
    }

    /// Items of a list do not say their kind; one that says another is none of ours.
    fn typed(&self, value: &mut Value, name: &ObjectName) -> Result<(), String> {
        let kind = self.resource.kind;
        let Some(fields) = value.as_object_mut().filter(|_| !name.name.is_empty()) else {
            return Err(format!("an item of {} without metadata.name", self.resource.full_name()));
        };
        let said = fields.entry("kind").or_insert_with(|| kind.into());
        if said != kind {
            return Err(format!("{kind} {name}: kind: is {}", short(&said.to_string())));
        }
        fields.entry("apiVersion").or_insert_with(|| self.api_version.as_str().into());
        Ok(())
    }

    fn change(&self, value: &Value) -> Result<Option<Change>, String> {
        let read = object(value).map_err(|error| short(&error.to_string()))?;
        Ok(read.map(|read| match read {
            Object::Pod(pod) => {
                let since = since(value, &pod.addresses);
                let is_ours = pod.node.as_deref() == Some(self.node.as_str());
                let containers = if is_ours { containers(value) } else { Vec::new() };
                Change::Pod(Box::new(PodSeen { origin: Origin::Api, pod, since, netns: None, containers }))
            }
            other => Change::Object(other),
        }))
    }

    /// It is there no more.
    pub(super) fn gone(&self, item: Item) -> Change {
        let Item { name, uid, .. } = item;
        match self.resource.listed_as {
            None => Change::PodGone { origin: Origin::Api, id: name, uid, at: monotonic() },
            Some(Kind::Namespace) => Change::Gone(Gone::Namespace(name.name)),
            Some(Kind::Node) => Change::Gone(Gone::Node(name.name)),
            Some(Kind::Service) => Change::Gone(Gone::Service(name)),
            Some(Kind::Slice) => Change::Gone(Gone::Slice(name)),
            Some(Kind::Policy(kind)) => Change::Gone(Gone::Policy(PolicyId { kind, id: name })),
        }
    }
}

/// Since when a pod may have its addresses: `status.startTime`, or now where there is none; 0 without addresses.
fn since(pod: &Value, addresses: &[IpAddr]) -> u64 {
    if addresses.is_empty() {
        return 0;
    }
    let now = monotonic();
    let started = pod.pointer("/status/startTime").and_then(Value::as_str);
    let started = started.and_then(|time| humantime::parse_rfc3339_weak(time).ok());
    let age = started.and_then(|started| SystemTime::now().duration_since(started).ok()).unwrap_or_default();
    // What began before the machine did is as old as the machine; 0 would mean that it is not known.
    now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)).max(1)
}

/// `containerd://0123…` of each status (corev1.ContainerStatus).
fn containers(pod: &Value) -> Vec<ContainerSeen> {
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses", "/status/ephemeralContainerStatuses"];
    let statuses = lists.iter().filter_map(|list| pod.pointer(list)?.as_array()).flatten();
    let seen = statuses.filter_map(|status| {
        let (_, id) = status.get("containerID")?.as_str()?.split_once("://")?;
        let name = status.get("name")?.as_str()?.to_owned();
        (!id.is_empty()).then(|| ContainerSeen { id: id.to_owned(), name, cgroup: None })
    });
    seen.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resource::RESOURCES;
    use super::*;

    fn pods() -> Reader {
        Reader { resource: RESOURCES[0], api_version: "v1".to_owned(), node: "n1".to_owned() }
    }

    #[test]
    fn an_object_that_lies_about_its_kind_or_has_no_name_is_told() {
        let item = pods().read(json!({"kind": "Secret", "metadata": {"name": "a", "namespace": "b"}}));
        assert_eq!(item.change.unwrap_err(), r#"Pod b/a: kind: is "Secret""#);
        for nameless in [json!(5), json!(null), json!([]), json!({}), json!({"metadata": {"name": 5}})] {
            assert!(pods().read(nameless).change.unwrap_err().contains("without metadata.name"));
        }
    }

    #[test]
    fn a_pod_has_its_addresses_since_it_was_started() {
        let address = ["10.0.0.7".parse().unwrap()];
        let (before, hour) = (monotonic(), 3_600_000_000_000);
        let started = SystemTime::now() - std::time::Duration::from_nanos(hour);
        let pod = |time: String| json!({"status": {"startTime": time}});
        let at = since(&pod(humantime::format_rfc3339_seconds(started).to_string()), &address);
        assert!(at <= before.saturating_sub(hour).max(1) + 1_100_000_000, "{at} {before}");
        assert!(since(&pod("yesterday".to_owned()), &address) >= before);
        assert_eq!(since(&json!({}), &[]), 0, "without an address there is no since");
        assert_eq!(since(&pod("1970-01-02T00:00:00Z".to_owned()), &address), 1);
    }

    #[test]
    fn containers_are_told_by_the_digits_of_their_runtime() {
        let pod = json!({"status": {"containerStatuses": [
            {"name": "web", "containerID": "containerd://abc"},
            {"name": "waiting", "containerID": ""},
            {"name": "waits"}
        ]}});
        let seen = containers(&pod);
        assert_eq!(
            seen.iter().map(|seen| (seen.name.as_str(), seen.id.as_str())).collect::<Vec<_>>(),
            [("web", "abc")]
        );
    }
}
