//! Who put a rule there, and what that means for changing it.

use crate::*;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ingress,
    Egress,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRef {
    pub namespace: Option<String>,
    pub name: String,
    pub direction: Direction,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: &'static str,
    pub why: String,
    pub is_controller: bool,
    pub remedy: Vec<String>,
    pub policy: Option<PolicyRef>,
    pub note: Option<String>,
}
pub fn recognise(_r: &Ruleset, _c: &walk::Candidate, _p: &Packet) -> Option<Owner> {
    None
}
