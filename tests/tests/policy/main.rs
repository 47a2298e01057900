//! Which network policy denied it: real rules in the shapes of policy engines, pods by a container runtime, and the real binary.

mod cluster;
mod node;
mod scene;
