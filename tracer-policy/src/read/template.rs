//! Stand-ins for pods that manifests describe and nothing has made yet.
//!
//! Rule: one for each template, under the name of its workload, without an address or node; never beside a real pod of it.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use super::Object;
use super::error::{Fault, ReadError, typed};
use super::interner::Interner;
use super::meta::{Meta, title};
use super::pod::Spec;
use crate::model::{ObjectName, Pod, Workload};

#[derive(Deserialize)]
struct Owned<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
}

#[derive(Default, Deserialize)]
struct Template<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
}

/// Where a workload of this kind has its template.
fn path(kind: &str) -> Option<&'static str> {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            Some("/spec/template")
        }
        "CronJob" => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// The pod that a workload would make; `None` for other kinds, and for one that a workload has made itself.
pub(super) fn stand_in(kind: &str, value: &Value, interner: &mut Interner) -> Result<Option<Pod>, ReadError> {
    let Some(path) = path(kind) else { return Ok(None) };
    read(kind, path, value, interner).map_err(|fault| fault.of(title(kind, value)))
}

fn read(kind: &str, path: &str, value: &Value, interner: &mut Interner) -> Result<Option<Pod>, Fault> {
    let meta = typed::<Owned<'_>>(value)?.metadata;
    if meta.controller().is_some() {
        return Ok(None);
    }
    let field = path.trim_start_matches('/').replace('/', ".");
    let Some(template) = value.pointer(path) else { return Err(Fault::new(field, "is missing")) };
    let within = |fault: Fault| fault.under(&field);
    let template: Template<'_> = typed(template).map_err(within)?;
    let id = meta.namespaced(interner)?;
    let workload = Workload { kind: interner.text(kind), name: id.name.clone() };
    let mut pod = Pod::new(id.namespace, id.name, "");
    pod.labels = template.metadata.labels(interner).map_err(within)?;
    let spec = template.spec.unwrap_or_default();
    spec.read_into(&mut pod, interner).map_err(|fault| within(fault.under("spec")))?;
    pod.workload = Some(workload);
    Ok(Some(pod))
}

/// Leaves out stand-ins for workloads whose pods are there.
pub(super) fn without_doubles(objects: &mut Vec<Object>) {
    let is_stand_in = |pod: &Pod| pod.uid.is_empty() && pod.addresses.is_empty() && pod.node.is_none();
    let owner = |pod: &Pod| {
        let workload = pod.workload.as_ref()?;
        Some((pod.id.namespace.clone(), workload.kind.clone(), workload.name.clone()))
    };
    let pods = objects.iter().filter_map(|object| if let Object::Pod(pod) = object { Some(pod) } else { None });
    let real: HashSet<_> = pods.filter(|pod| !is_stand_in(pod)).filter_map(owner).collect();
    objects.retain(|object| match object {
        Object::Pod(pod)
            if is_stand_in(pod) && pod.workload.as_ref().is_some_and(|workload| is_of(&pod.id, workload)) =>
        {
            owner(pod).is_none_or(|owner| !real.contains(&owner))
        }
        _ => true,
    });
}

/// A stand-in has its workload's name.
fn is_of(id: &ObjectName, workload: &Workload) -> bool {
    id.name == workload.name
}
