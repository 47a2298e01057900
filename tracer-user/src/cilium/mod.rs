//! Cilium: what its own agent says about drops and verdicts, from Hubble's socket on this node, or from its pinned maps.
//!
//! Rule: Hubble's word is joined to what was seen by five-tuple and time; without it nothing is lost but policy names.
