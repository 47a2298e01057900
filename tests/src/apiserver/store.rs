//! Objects, and what happened to them, by resource version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::resource::{BUILT_IN, Resource};

/// Namespace and name.
type Name = (String, String);

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) resource: Resource,
    /// `ADDED`, `MODIFIED`, `DELETED`
    pub(super) what: &'static str,
    pub(super) object: Arc<Value>,
}

#[derive(Debug)]
pub(super) struct Store {
    resources: BTreeSet<Resource>,
    objects: BTreeMap<Resource, BTreeMap<Name, Arc<Value>>>,
    log: Vec<Event>,
    pub(super) version: u64,
    /// Watches from before it get 410.
    pub(super) oldest: u64,
}

impl Default for Store {
    fn default() -> Self {
        let resources = BUILT_IN.iter().map(|(version, kind)| Resource::new(version, kind)).collect();
        // As of a server that has lived for a while.
        Self { resources, objects: BTreeMap::new(), log: Vec::new(), version: 1000, oldest: 0 }
    }
}

impl Store {
    pub(super) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter()
    }

    pub(super) fn define(&mut self, resource: Resource) {
        self.resources.insert(resource);
    }

    pub(super) fn undefine(&mut self, kind: &str) {
        self.resources.retain(|resource| resource.kind != kind);
        self.objects.retain(|resource, _| resource.kind != kind);
    }

    pub(super) fn put(&mut self, mut object: Value) {
        let resource = Resource::of(&object);
        self.define(resource.clone());
        self.version += 1;
        let version = self.version;
        object["apiVersion"] = resource.api_version.clone().into();
        let metadata = &mut object["metadata"];
        let name =
            metadata["name"].as_str().unwrap_or_else(|| panic!("an object without a name: {metadata}")).to_owned();
        let namespace = if resource.is_namespaced() {
            let namespace = metadata["namespace"].as_str().unwrap_or("default").to_owned();
            metadata["namespace"] = namespace.clone().into();
            namespace
        } else {
            String::new()
        };
        let old = self.objects.get(&resource).and_then(|objects| objects.get(&(namespace.clone(), name.clone())));
        if metadata.get("uid").is_none() {
            let known = old.map(|old| old["metadata"]["uid"].clone());
            metadata["uid"] = known.unwrap_or_else(|| format!("00000000-0000-4000-8000-{version:012}").into());
        }
        if metadata.get("creationTimestamp").is_none() {
            metadata["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        metadata["resourceVersion"] = version.to_string().into();
        let what = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let object = Arc::new(object);
        self.objects.entry(resource.clone()).or_default().insert((namespace, name), Arc::clone(&object));
        self.log.push(Event { version, resource, what, object });
    }

    pub(super) fn delete(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        let id = (namespace.to_owned(), name.to_owned());
        let mut of_kind = self.objects.iter_mut().filter(|(resource, _)| resource.kind == kind);
        let found = of_kind.find_map(|(resource, objects)| Some((resource.clone(), objects.remove(&id)?)));
        let Some((resource, object)) = found else { return false };
        self.version += 1;
        let mut object = (*object).clone();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let event = Event { version: self.version, resource, what: "DELETED", object: Arc::new(object) };
        self.log.push(event);
        true
    }

    pub(super) fn expire(&mut self) {
        self.version += 1;
        self.oldest = self.version;
        self.log.clear();
    }

    /// All of a resource that the field selector takes, by namespace and name.
    pub(super) fn list<'a>(
        &'a self,
        resource: &Resource,
        fields: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Name, &'a Arc<Value>)> {
        let objects = self.objects.get(resource).into_iter().flatten();
        objects.filter(move |(_, object)| selects(fields, object))
    }

    /// What happened to a resource after a version.
    pub(super) fn since(&self, resource: &Resource, version: u64, fields: Option<&str>) -> Vec<Event> {
        let from = self.log.partition_point(|event| event.version <= version);
        let events = self.log.get(from..).unwrap_or_default().iter();
        events.filter(|event| event.resource == *resource && selects(fields, &event.object)).cloned().collect()
    }
}

impl Event {
    pub(super) fn line(&self) -> Value {
        json!({"type": self.what, "object": *self.object})
    }
}

/// `spec.nodeName=n1,metadata.name=x`
fn selects(fields: Option<&str>, object: &Value) -> bool {
    let Some(fields) = fields.filter(|fields| !fields.is_empty()) else { return true };
    fields.split(',').all(|field| {
        let (path, value) = field.split_once('=').unwrap_or_else(|| panic!("a field selector without =: {field}"));
        object.pointer(&format!("/{}", path.replace('.', "/"))).and_then(Value::as_str).unwrap_or_default() == value
    })
}
