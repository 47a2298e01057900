//! What real programs leave in the firewall: their shape of ruleset drops a packet, and the binary names the rule, the
//! program, the policy behind it, and what its user would change.
//!
//! Rule: text and handle of a rule are compared with what the owner's own tool shows at that number.

mod calico;
mod containers;
mod host;
mod kube_proxy;
mod kube_router;
mod npm;
mod overlay;
mod plugins;
mod scene;

/// A file of `tests/rulesets/`: its name and what it holds.
macro_rules! ruleset {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../rulesets/", $name)))
    };
}
use ruleset;
