//! Names of pods without a cluster: from a real runtime, and from one that does whatever a runtime may do.

mod faults;
mod index;
mod names;
