//! The receive queue of a CPU.

use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::Observation;
use crate::node::device::{Backlog, Cpu};

/// CPUs that are listed.
const MOST: usize = 8;

pub(super) fn refine(explanation: &mut Explanation, found: &Backlog, _drop: &Observation<'_>) {
    let dropped = found.cpus.iter().filter(|cpu| cpu.dropped > 0).collect::<Vec<_>>();
    let which = match &*dropped {
        [one] => format!("CPU {}", one.number),
        _ => "a CPU".to_owned(),
    };
    let limit = found.limit.map_or_else(String::new, |limit| format!(" (net.core.netdev_max_backlog {limit} packets)"));
    let total = dropped.iter().map(|cpu| u64::from(cpu.dropped)).sum::<u64>();
    let so_far = if total > 0 { format!(": {total} packets dropped since boot") } else { String::new() };
    explanation.summary = format!("the queue of received packets of {which}{limit} is full{so_far}");
    explanation.confidence = Confidence::Derived;
    explanation.evidence.extend(dropped.iter().take(MOST).map(|cpu| sentence(cpu)));
    explanation.evidence.extend(found.cpu.map(|cpu| format!("CPU {cpu} handed it over")));
    if let Some(mask) = &found.steering {
        let on = mask.bytes().any(|byte| byte.is_ascii_hexdigit() && byte != b'0');
        let word = if on { "spreads" } else { "does not spread" };
        explanation.evidence.push(format!("receive steering {word} the load of the device (rps_cpus {mask})"));
    }
    let Some(limit) = found.limit else { return };
    explanation.sysctl = Some(vec![Sysctl {
        name: "net.core.netdev_max_backlog".into(),
        value: limit.to_string(),
        effective: limit.to_string(),
    }]);
    explanation.remedy = vec![
        "cat /proc/net/softnet_stat".to_owned(),
        // The setting is of the whole machine: no namespace is entered.
        format!("sysctl -w net.core.netdev_max_backlog={}", limit.saturating_mul(2).max(2)),
        "spread the load over CPUs (rps_cpus, more receive queues)".to_owned(),
    ];
}

fn sentence(cpu: &Cpu) -> String {
    let waiting = cpu.waiting.map_or_else(String::new, |packets| format!(", {packets} wait now"));
    let limited = if cpu.flow_limited > 0 {
        format!(", {} of them by the limit of one flow", cpu.flow_limited)
    } else {
        String::new()
    };
    let Cpu { number, processed, dropped, squeezed, .. } = cpu;
    format!(
        "CPU {number} took {processed} packets, dropped {dropped}{limited}, ran out of time {squeezed} times{waiting}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cause;

    #[test]
    fn the_setting_and_the_cpu_are_named() {
        let full = Cpu { number: 1, processed: 900, dropped: 12, squeezed: 3, waiting: Some(5), ..Cpu::default() };
        let found =
            Backlog { limit: Some(1000), cpu: Some(0), cpus: vec![Cpu::default(), full], steering: Some("00".into()) };
        let mut explanation = Explanation::new(Cause::Device, Confidence::Derived, "before");
        refine(&mut explanation, &found, &Observation::default());
        assert_eq!(
            explanation.summary,
            "the queue of received packets of CPU 1 (net.core.netdev_max_backlog 1000 packets) is full: \
             12 packets dropped since boot"
        );
        assert_eq!(
            explanation.evidence,
            [
                "CPU 1 took 900 packets, dropped 12, ran out of time 3 times, 5 wait now",
                "CPU 0 handed it over",
                "receive steering does not spread the load of the device (rps_cpus 00)",
            ]
        );
        assert_eq!(explanation.remedy[1], "sysctl -w net.core.netdev_max_backlog=2000");
        assert_eq!(explanation.sysctl.unwrap()[0].effective, "1000");
    }

    #[test]
    fn nothing_is_made_up() {
        let mut explanation = Explanation::new(Cause::Device, Confidence::Derived, "before");
        explanation.remedy = vec!["kept".into()];
        refine(&mut explanation, &Backlog::default(), &Observation::default());
        assert_eq!(explanation.summary, "the queue of received packets of a CPU is full");
        assert_eq!((explanation.remedy, explanation.sysctl), (vec!["kept".to_owned()], None));
    }
}
