//! Clients (and, for tests, servers) of the gRPC services that whydrop asks, made from `proto/`.
//!
//! Rule: the files hold only the messages and fields that are used, with the numbers of the originals; a field that is not there
//! is skipped when it is read.

/// The Container Runtime Interface, version 1 (k8s.io/cri-api pkg/apis/runtime/v1/api.proto).
pub mod cri {
    tonic::include_proto!("runtime.v1");
}

/// Hubble, which tells what Cilium's programs did on a node (github.com/cilium/cilium api/v1).
pub mod hubble {
    /// What was seen of a packet (api/v1/flow/flow.proto).
    pub mod flow {
        tonic::include_proto!("flow");
    }

    /// Who tells it (api/v1/observer/observer.proto).
    pub mod observer {
        tonic::include_proto!("observer");
    }
}
