//! Objects of the cluster: made, changed and looked at by HTTP, as kubectl does.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::netns::NetNs;
use crate::within;

/// How long a pod may take to run.
const START: std::time::Duration = std::time::Duration::from_mins(1);

/// The API server of a cluster, asked as `admin`.
#[derive(Debug)]
pub struct Api<'a> {
    node: &'a NetNs,
    authority: PathBuf,
}

impl<'a> Api<'a> {
    pub(super) fn new(node: &'a NetNs, authority: PathBuf) -> Self {
        Self { node, authority }
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.request("GET", path, None, "application/json")
    }

    /// Makes an object in the collection at `path`.
    pub fn create(&self, path: &str, object: &Value) -> Result<Value> {
        self.request("POST", path, Some(object), "application/json")
    }

    /// Changes an object by a merge patch (RFC 7386).
    pub fn patch(&self, path: &str, change: &Value) -> Result<Value> {
        self.request("PATCH", path, Some(change), "application/merge-patch+json")
    }

    pub fn delete(&self, path: &str) -> Result<Value> {
        self.request("DELETE", path, None, "application/json")
    }

    /// Waits until a pod runs; its first address.
    pub fn running(&self, namespace: &str, name: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let mut address = String::new();
        within(START, &format!("the pod {namespace}/{name} runs"), || {
            let pod = self.get(&path)?;
            pod["status"]["podIP"].as_str().unwrap_or_default().clone_into(&mut address);
            let ready = pod["status"]["containerStatuses"][0]["ready"] == true;
            Ok(ready && pod["status"]["phase"] == "Running" && !address.is_empty())
        })?;
        Ok(address)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>, kind: &str) -> Result<Value> {
        let mut command = format!(
            "curl --silent --show-error --fail-with-body --max-time 20 --cacert {} --request {method} \
             --header 'Authorization: Bearer admintoken' --header 'Content-Type: {kind}'",
            self.authority.display()
        );
        if let Some(body) = body {
            let body = body.to_string().replace('\'', r"'\''");
            let _ = write!(command, " --data-binary '{body}'");
        }
        let _ = write!(command, " 'https://10.0.0.1:16443{path}'");
        let answer = self.node.exec(&command).with_context(|| format!("{method} {path}"))?;
        serde_json::from_str(&answer).with_context(|| format!("{method} {path} answered {answer}"))
    }
}
