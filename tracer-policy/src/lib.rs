//! What the network policies of a Kubernetes cluster say about a connection between two ends.
//!
//! Objects of the API, from a server or from files, are [`read`] into a compact [`model`], kept in a [`World`], and
//! [`evaluate`]d: which policies select each end, which rule allows the connection, or which rule came nearest and what kept it
//! from allowing it. [`amend`] turns a denial into the smallest change that would allow it.
//!
//! Rule: no input or output, no clock; the answer is a function of the world and the question. What can't be decided is said,
//! never guessed: an allowed or denied that this crate gives is one that the API's text demands.

pub mod amend;
pub mod evaluate;
pub mod model;
pub mod read;
mod world;

pub use evaluate::{Answer, Connection, End, Side, Verdict, evaluate};
pub use world::World;
