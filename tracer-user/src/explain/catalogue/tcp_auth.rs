//! TCP-MD5 (RFC 2385), TCP-AO (RFC 5925) and PSP: both ends must agree about keys.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::Problem;

const LISTENER: &str = "{ns}ss -tnp '( sport = :{dport} )'";
const MD5: &str = "{ns}nstat -az TcpExtTCPMD5NotFound TcpExtTCPMD5Unexpected TcpExtTCPMD5Failure";
const AO: &str = "{ns}nstat -az TcpExtTCPAORequired TcpExtTCPAOBad TcpExtTCPAOKeyNotFound";
const KEYS: &str = "compare the password or keys of both ends (usually BGP peers)";

/// An entry of this group: they differ in what was wrong with the signature.
const fn entry(
    name: &'static str,
    meaning: &'static str,
    usual: &'static str,
    remedy: &'static [&'static str],
) -> ReasonEntry {
    ReasonEntry {
        name,
        meaning,
        usual_cause: usual,
        severity: Problem,
        severity_why: "the two ends do not agree about protection, so no connection comes up",
        cause: Cause::Unknown,
        remedy,
    }
}

pub(super) const GROUP: Group = Group {
    title: "TCP signatures and PSP",
    layout: Layout::Sections,
    entries: &[
        entry(
            "TCP_AUTH_HDR",
            "its TCP signature options are malformed or there are two of them",
            "A broken or forged segment",
            &[LISTENER, KEYS],
        ),
        entry(
            "TCP_MD5NOTFOUND",
            "it carries no MD5 signature and this socket demands one",
            "Only one end has the password",
            &[MD5, KEYS],
        ),
        entry(
            "TCP_MD5UNEXPECTED",
            "it carries an MD5 signature that this socket did not ask for",
            "Only the peer has the password",
            &[MD5, KEYS],
        ),
        entry("TCP_MD5FAILURE", "its MD5 signature is wrong", "The passwords differ", &[MD5, KEYS]),
        entry(
            "TCP_AONOTFOUND",
            "it carries no TCP-AO signature and this socket demands one",
            "Only one end has the keys",
            &[AO, KEYS],
        ),
        entry(
            "TCP_AOUNEXPECTED",
            "it carries a TCP-AO signature that this socket did not ask for",
            "Only the peer has the keys",
            &[AO, KEYS],
        ),
        entry(
            "TCP_AOKEYNOTFOUND",
            "it is signed with a TCP-AO key that this socket does not have",
            "A key was rolled over on one end only",
            &[AO, KEYS],
        ),
        entry("TCP_AOFAILURE", "its TCP-AO signature is wrong", "The keys differ", &[AO, KEYS]),
        entry(
            "PSP_INPUT",
            "the PSP check of a received segment failed",
            "The connection is encrypted with PSP on one end only, or with another key",
            &[LISTENER, "check the PSP configuration of both ends"],
        ),
        entry(
            "PSP_OUTPUT",
            "the PSP check of a segment to send failed",
            "The connection is to be encrypted with PSP and its route left the device that does it",
            &[LISTENER, "{ns}{ip} route get {destination}"],
        ),
    ],
};
