//! The firewall's rules, read as they are read when a packet was dropped.

use std::time::{Duration, Instant};

use tracer_netfilter::{Backend, Ruleset, live};

use super::check::Finding;
use super::context::Context;
use super::fix;
use crate::host::enter;
use crate::netfilter::rule_count;

pub(super) fn ruleset(context: &Context) -> Finding {
    let facts = context.facts();
    let Some(host) = facts.host().and_then(|host| facts.netns(host.inode)) else {
        return Finding::degraded("no network namespace could be read", vec!["mount the host's /proc".to_owned()]);
    };
    let read = enter::one(host, || {
        let begun = Instant::now();
        Ok((live::ruleset(), begun.elapsed()))
    });
    match read {
        Ok((ruleset, took)) => finding(context, &ruleset, took),
        Err(error) => Finding::degraded(error.to_string(), fix::capability(context, "CAP_SYS_ADMIN")),
    }
}

fn finding(context: &Context, ruleset: &Ruleset, took: Duration) -> Finding {
    if !ruleset.gaps.is_empty() {
        return Finding::degraded(ruleset.gaps.join("; "), fix::capability(context, "CAP_NET_ADMIN"));
    }
    let all = rule_count(ruleset);
    let tables = ruleset.tables.iter().filter(|table| table.backend == Backend::Legacy);
    let legacy: usize = tables.flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
    let nft = all.saturating_sub(legacy);
    let milliseconds = took.as_secs_f64() * 1000.0;
    Finding::ok(format!(
        "{nft} rules of nf_tables and {legacy} of iptables-legacy in the host's namespace read in {milliseconds:.1} ms"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn what_is_refused_names_the_capability() {
        let context = Context::bare();
        let took = Duration::from_micros(1250);
        let mut ruleset = Ruleset { generation: Some(1), tables: Vec::new(), gaps: Vec::new() };
        let found = finding(&context, &ruleset, took);
        assert_eq!(found.status, Status::Ok);
        assert!(found.detail.starts_with("0 rules of nf_tables and 0 of iptables-legacy"), "{}", found.detail);
        assert!(found.detail.ends_with("read in 1.2 ms"), "{}", found.detail);
        ruleset.gaps.push("refused".to_owned());
        let found = finding(&context, &ruleset, took);
        assert_eq!((found.status, found.detail.as_str()), (Status::Degraded, "refused"));
        assert!(!found.fix.is_empty());
    }
}
