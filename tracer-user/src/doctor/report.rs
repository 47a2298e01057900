//! The doctor's report: aligned text for people, one JSON object for scripts.
//!
//! Rule: both say the same. Text that comes from the host is printed without its control characters.

use std::fmt::Write;

use serde::Serialize;

use super::check::{Check, Finding, Group, Status};
use crate::host::kernel::Kernel;

/// One check and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: &'static str,
    pub group: Group,
    pub status: Status,
    pub detail: String,
    /// What that means; only when not `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<&'static str>,
    /// Any one of these helps; only when not `ok`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<String>,
}

impl Row {
    pub fn of(check: &Check, finding: Finding) -> Self {
        let effect = (finding.status != Status::Ok).then_some(check.effect);
        let Finding { status, detail, fix } = finding;
        Self { name: check.name, group: check.group, status, detail, effect, fix }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Always `doctor`.
    pub kind: &'static str,
    /// Of the event contract.
    pub schema: u32,
    pub version: &'static str,
    pub host: String,
    /// `uname -r`.
    pub kernel: String,
    /// Nothing is missing.
    pub works: bool,
    pub checks: Vec<Row>,
}

impl Report {
    pub(super) fn new(kernel: &Kernel, checks: Vec<Row>) -> Self {
        Self {
            kind: "doctor",
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            host: kernel.hostname.clone(),
            kernel: kernel.release.clone(),
            works: checks.iter().all(|row| row.status != Status::Missing),
            checks,
        }
    }

    /// 0 when whydrop works here, fully or with less; 1 when it cannot.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.works)
    }

    fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|row| row.status == status).count()
    }
}

/// The report as aligned text: one line a row, and under each that is not `ok` what that means and what helps. What
/// helps with several rows is said once, at the end.
pub fn render_text(report: &Report, color: bool) -> String {
    let mut text = format!("whydrop {} on {}, kernel {}\n", report.version, plain(&report.host), plain(&report.kernel));
    let width = report.checks.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut group = None;
    let common = common_fixes(report);
    for row in &report.checks {
        if group != Some(row.group) {
            group = Some(row.group);
            let _ = writeln!(text, "\n{}", heading(row.group));
        }
        let (word, paint) = status(row.status);
        let (on, off) = if color { (paint, "\x1b[0m") } else { ("", "") };
        let _ = writeln!(text, "  {:width$}  {on}{word:8}{off}  {}", row.name, plain(&row.detail));
        let indent = width + 14;
        if let Some(effect) = row.effect {
            let _ = writeln!(text, "{:indent$}effect: {effect}", "");
        }
        let own = row.fix.iter().filter(|fix| !common.iter().any(|(shared, _)| shared == fix));
        for (at, fix) in own.enumerate() {
            let label = if at == 0 { "fix:" } else { "or:" };
            let _ = writeln!(text, "{:indent$}{label:8}{}", "", plain(fix));
        }
    }
    let _ = writeln!(text, "\n{}", verdict(report));
    for (fix, rows) in common {
        let _ = writeln!(text, "  helps with {rows:2} rows: {}", plain(fix));
    }
    text
}

/// What helps with more than one row, and with how many, in the order of appearance.
fn common_fixes(report: &Report) -> Vec<(&String, usize)> {
    let mut fixes: Vec<(&String, usize)> = Vec::new();
    for fix in report.checks.iter().flat_map(|row| &row.fix) {
        match fixes.iter_mut().find(|(known, _)| *known == fix) {
            Some((_, rows)) => *rows += 1,
            None => fixes.push((fix, 1)),
        }
    }
    fixes.retain(|(_, rows)| *rows > 1);
    fixes
}

fn verdict(report: &Report) -> String {
    let rows = |count: usize| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    match (report.count(Status::Missing), report.count(Status::Degraded)) {
        (0, 0) => "whydrop works here.".to_owned(),
        (0, degraded) => format!("whydrop works here and shows less: {} degraded.", rows(degraded)),
        (missing, _) => format!("whydrop cannot work here: {} missing.", rows(missing)),
    }
}

fn heading(group: Group) -> &'static str {
    match group {
        Group::Kernel => "Kernel",
        Group::Capability => "Capabilities",
        Group::Host => "Host",
        Group::Cluster => "Cluster",
    }
}

/// The word, and the terminal sequence for its colour.
fn status(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Ok => ("ok", "\x1b[32m"),
        Status::Degraded => ("degraded", "\x1b[33m"),
        Status::Missing => ("missing", "\x1b[31m"),
    }
}

/// Without control characters: they could rewrite the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::CHECKS;
    use super::*;

    fn report(rows: Vec<Row>) -> Report {
        let mut report = Report::new(&Kernel::read(), rows);
        (report.host, report.kernel, report.version) = ("node-7".into(), "6.18.44".into(), "0.1.0");
        report
    }

    fn row(at: usize, finding: Finding) -> Row {
        Row::of(&CHECKS[at], finding)
    }

    #[test]
    fn text_is_aligned_and_says_what_helps() {
        let sudo = vec!["sudo whydrop".to_owned(), "reboot\x1b[2J".to_owned()];
        let fewer = vec!["sudo whydrop".to_owned()];
        let rows = vec![
            row(0, Finding::ok("found")),
            row(1, Finding::missing("CAP_BPF is not held", sudo)),
            row(12, Finding::degraded("not held", fewer)),
        ];
        let expected = "\
whydrop 0.1.0 on node-7, kernel 6.18.44

Kernel
  btf          ok        found
  ring_buffer  missing   CAP_BPF is not held
                         effect: no event can be received
                         fix:    reboot\u{fffd}[2J

Capabilities
  CAP_BPF      degraded  not held
                         effect: no program can be loaded and no table created

whydrop cannot work here: 1 row missing.
  helps with  2 rows: sudo whydrop
";
        let report = report(rows);
        assert_eq!(render_text(&report, false), expected);
        assert!(render_text(&report, true).contains("\x1b[31mmissing \x1b[0m"));
        assert_eq!(report.exit_code(), 1);
    }

    #[test]
    fn less_than_everything_still_works() {
        let degraded = Finding::degraded("not held", vec![]);
        let report = report(vec![row(0, Finding::ok("found")), row(7, degraded.clone()), row(8, degraded)]);
        assert_eq!(report.exit_code(), 0);
        assert!(render_text(&report, false).ends_with("\nwhydrop works here and shows less: 2 rows degraded.\n"));
    }

    #[test]
    fn json_has_what_text_has_and_leaves_out_what_is_not_known() {
        let json = serde_json::to_value(report(vec![row(0, Finding::ok("found"))])).unwrap();
        let expected = serde_json::json!({
            "kind": "doctor", "schema": 1, "version": "0.1.0", "host": "node-7", "kernel": "6.18.44", "works": true,
            "checks": [{"name": "btf", "group": "kernel", "status": "ok", "detail": "found"}],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn this_machine_is_examined_and_nothing_stays_behind() {
        let report = super::super::run();
        let names: Vec<_> = report.checks.iter().map(|row| row.name).collect();
        assert_eq!(names, CHECKS.iter().map(|check| check.name).collect::<Vec<_>>());
        for row in &report.checks {
            assert!(!row.detail.is_empty(), "{row:?}");
            assert_eq!(row.status == Status::Ok, row.effect.is_none(), "{row:?}");
        }
        // Other trials may run beside this test, but not for long.
        let settled = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            bpf_descriptors() == 0
        });
        assert!(settled, "{} BPF descriptors are still open", bpf_descriptors());
    }

    /// Maps, programs and links of this process.
    fn bpf_descriptors() -> usize {
        let links =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().contains("bpf")).count()
    }
}
