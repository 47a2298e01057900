//! From the API's JSON, or from files, to the [`crate::model`].
//!
//! Rule: whoever reads an object says which: an error names the file, the object and the field, in one sentence. Fields that mean
//! nothing to names and policies are passed over; a field of a policy that is not understood is an error or kept as unknown,
//! never ignored.

use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use crate::World;
use crate::model::{Namespace, Node, Pod, Policy, Service, Slice};

/// One object of the kinds that matter.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Pod(Pod),
    Namespace(Namespace),
    Node(Node),
    Service(Service),
    Slice(Slice),
    Policy(Arc<Policy>),
}

/// Why an object can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}{object}: {field}: {problem}")]
pub struct ReadError {
    /// `policies.yaml: `, or empty where it came from no file.
    pub file: String,
    /// `NetworkPolicy shop/web`, or `document 3`.
    pub object: String,
    /// `spec.ingress[0].ports[1].port`.
    pub field: String,
    pub problem: String,
}

/// Reads one object of the API; `None` for a kind that means nothing here.
pub fn object(_value: &Value) -> Result<Option<Object>, ReadError> {
    Ok(None)
}

/// Reads a file: YAML with any number of documents, or JSON; `List` objects are taken apart.
pub fn file(_name: &str, _text: &str) -> Result<Vec<Object>, ReadError> {
    Ok(Vec::new())
}

impl World {
    /// Adds what was read, in place of the object with the same name.
    pub fn add(&mut self, object: Object) {
        match object {
            Object::Pod(pod) => self.set_pod(Arc::new(pod)),
            Object::Namespace(namespace) => self.set_namespace(namespace),
            Object::Node(node) => self.set_node(node),
            Object::Service(service) => self.set_service(Arc::new(service)),
            Object::Slice(slice) => self.set_slice(Arc::new(slice)),
            Object::Policy(policy) => self.set_policy(policy),
        }
    }
}
