//! What the virtual machine says, line by line, and what it means.
//!
//! Rule: only `end 0` makes a scenario right. Silence, a half-told scenario and an early end of the machine are failures, and
//! so is a complaint of the kernel itself.

use std::time::Duration;

/// How a scenario went on one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    /// It cannot be had on this kernel; why.
    Degraded(String),
    /// What was said, over some lines.
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    /// Test program and test.
    pub(super) name: String,
    pub(super) outcome: Outcome,
}

/// How the machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Off,
    /// It said nothing for this long and was killed.
    Silent(Duration),
}

/// Everything that one machine said.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    pub(super) release: Option<String>,
    /// Facts that are neither right nor wrong: what, and its value.
    pub(super) notes: Vec<(String, String)>,
    pub(super) scenarios: Vec<Scenario>,
    open: Option<Open>,
    done: bool,
}

/// A scenario that has begun.
#[derive(Debug)]
struct Open {
    name: String,
    because: Vec<String>,
    text: String,
}

impl Transcript {
    /// Takes one line; gives the scenario that it ended.
    pub(super) fn take(&mut self, line: &str) -> Option<&Scenario> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, &mut self.open) {
            ("up", _) => self.release = Some(rest.to_owned()),
            ("note", _) => self.notes.extend(rest.split_once(": ").map(|(what, value)| (what.into(), value.into()))),
            ("test", None) => self.open = Some(Open { name: rest.into(), because: Vec::new(), text: String::new() }),
            ("because", Some(open)) => open.because.push(without_test(rest).to_owned()),
            ("text", Some(open)) => {
                open.text.push_str(rest);
                open.text.push('\n');
            }
            ("end", Some(_)) => return self.end(rest),
            ("done", None) => self.done = true,
            _ => {}
        }
        None
    }

    fn end(&mut self, status: &str) -> Option<&Scenario> {
        let Open { name, because, text } = self.open.take()?;
        let outcome = match (status, because.is_empty()) {
            ("0", true) => Outcome::Right,
            ("0", false) => Outcome::Degraded(because.join("; ")),
            ("137", _) => Outcome::Failed(format!("did not end in time and was killed\n{text}")),
            _ => Outcome::Failed(text),
        };
        self.scenarios.push(Scenario { name, outcome });
        self.scenarios.last()
    }

    /// Closes the account when the machine has ended; `console` is what the kernel printed.
    pub(super) fn close(&mut self, end: End, console: &str) {
        let how = match end {
            End::Off if self.done => "no test has that in its name".to_owned(),
            End::Off => "the machine ended too early".to_owned(),
            End::Silent(time) => format!("the machine said nothing for {} s and was killed", time.as_secs()),
        };
        let what = match (&self.open, &self.release) {
            (Some(open), _) => Some(open.name.clone()),
            (None, None) => Some("boot".to_owned()),
            (None, Some(_)) if !self.done || self.scenarios.is_empty() => Some("all scenarios told".to_owned()),
            (None, Some(_)) => None,
        };
        if let Some(name) = what {
            let text = format!("{how}; the end of the console:\n{}", tail(console));
            self.scenarios.push(Scenario { name, outcome: Outcome::Failed(text) });
        }
        let complaints: Vec<_> = console.lines().filter(|line| is_complaint(line)).collect();
        let outcome =
            if complaints.is_empty() { Outcome::Right } else { Outcome::Failed(complaints.join("\n") + "\n") };
        self.scenarios.push(Scenario { name: "the kernel does not complain".into(), outcome });
    }
}

/// The lab says `test name: reason`; the test is known here.
fn without_test(said: &str) -> &str {
    said.split_once(": ").map_or(said, |(_test, why)| why)
}

/// What the kernel says when something is wrong with it (lib/bug.c, arch/x86/kernel/dumpstack.c, kernel/panic.c).
fn is_complaint(line: &str) -> bool {
    ["BUG: ", "WARNING: ", "Oops: ", "kernel BUG at", "Kernel panic", "general protection fault"]
        .iter()
        .any(|words| line.contains(words))
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str], end: End, console: &str) -> Transcript {
        let mut transcript = Transcript::default();
        for line in lines {
            transcript.take(line);
        }
        transcript.close(end, console);
        transcript
    }

    fn outcome<'a>(transcript: &'a Transcript, name: &str) -> &'a Outcome {
        &transcript.scenarios.iter().find(|scenario| scenario.name == name).unwrap().outcome
    }

    #[test]
    fn a_whole_run_is_read() {
        let lines = [
            "up 6.1.0-56-cloud-amd64",
            "note instructions verified: 36363",
            "test drops no_socket::udp",
            "end 0",
            "test drops vxlan::vni",
            "because vxlan::vni: no VXLAN: it came with 3.7",
            "end 0",
            "test drops mtu::forward",
            "text wanted /reason/name=PKT_TOO_BIG",
            "text of 2 lines, the nearest:",
            "end 101",
            "test lab slow",
            "end 137",
            "done",
        ];
        let transcript = told(&lines, End::Off, "all is well\n");
        assert_eq!(transcript.release.as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(transcript.notes, [("instructions verified".to_owned(), "36363".to_owned())]);
        assert_eq!(*outcome(&transcript, "drops no_socket::udp"), Outcome::Right);
        let why = "no VXLAN: it came with 3.7".to_owned();
        assert_eq!(*outcome(&transcript, "drops vxlan::vni"), Outcome::Degraded(why));
        let text = "wanted /reason/name=PKT_TOO_BIG\nof 2 lines, the nearest:\n".to_owned();
        assert_eq!(*outcome(&transcript, "drops mtu::forward"), Outcome::Failed(text));
        assert!(matches!(outcome(&transcript, "lab slow"), Outcome::Failed(text) if text.contains("in time")));
        assert_eq!(*outcome(&transcript, "the kernel does not complain"), Outcome::Right);
        assert_eq!(transcript.scenarios.len(), 5);
    }

    #[test]
    fn the_scenario_during_which_a_machine_died_has_failed() {
        let lines = ["up 6.1", "test lab a", "end 0", "test lab b"];
        let silent = told(&lines, End::Silent(Duration::from_secs(9)), "last words");
        assert_eq!(*outcome(&silent, "lab a"), Outcome::Right);
        assert!(
            matches!(outcome(&silent, "lab b"), Outcome::Failed(text) if text.contains("9 s") && text.contains("last words"))
        );
        let panicked = told(&lines, End::Off, "x\n[  3.1] Kernel panic - not syncing\n");
        assert!(matches!(outcome(&panicked, "lab b"), Outcome::Failed(text) if text.contains("too early")));
        let complaint = outcome(&panicked, "the kernel does not complain");
        assert_eq!(*complaint, Outcome::Failed("[  3.1] Kernel panic - not syncing\n".into()));
    }

    #[test]
    fn a_machine_that_never_came_up_or_stopped_between_scenarios_has_failed() {
        assert!(matches!(outcome(&told(&[], End::Off, ""), "boot"), Outcome::Failed(_)));
        let early = told(&["up 6.1", "test lab a", "end 0"], End::Off, "");
        assert!(matches!(outcome(&early, "all scenarios told"), Outcome::Failed(_)));
    }

    #[test]
    fn a_run_without_any_scenario_has_failed() {
        let empty = told(&["up 6.1", "done"], End::Off, "");
        assert!(matches!(outcome(&empty, "all scenarios told"), Outcome::Failed(text) if text.contains("no test")));
    }

    #[test]
    fn noise_on_the_line_ends_nothing_and_is_not_right() {
        let noise = ["end 0", "text lost", "because of", "", " ", "test", "done", "test x", "done", "\u{fffd}"];
        let transcript = told(&noise, End::Off, "");
        assert!(transcript.scenarios.iter().all(|scenario| scenario.name != "x" || scenario.outcome != Outcome::Right));
    }
}
