//! The network lab.
