//! What came out, as one table of scenarios and kernels.
//!
//! Rule: every cell says something. A scenario that a kernel never came to has failed there.

use std::fmt::Write as _;

use super::kernel::Line;
use super::transcript::{Outcome, Transcript};

/// One kernel and what it said.
pub(super) struct Column {
    pub(super) line: Line,
    pub(super) transcript: Transcript,
}

impl Column {
    fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.transcript.scenarios.iter().find(|scenario| scenario.name == name).map(|scenario| &scenario.outcome)
    }

    fn note(&self, what: &str) -> &str {
        self.transcript.notes.iter().find(|(name, _)| name == what).map_or("unknown", |(_, value)| value)
    }
}

/// One word for a cell.
pub(super) fn word(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Right) => "right",
        Some(Outcome::Degraded(_)) => "degraded",
        Some(Outcome::Failed(_)) => "FAILED",
        None => "NOT RUN",
    }
}

/// How many cells are not as they should be.
pub(super) fn failures(columns: &[Column]) -> usize {
    let cells = names(columns).into_iter().flat_map(|name| columns.iter().map(move |column| column.outcome(name)));
    cells.filter(|outcome| !matches!(outcome, Some(Outcome::Right | Outcome::Degraded(_)))).count()
}

/// The table, then the reasons for what is degraded and the text of what failed.
pub(super) fn render(columns: &[Column]) -> String {
    let head = columns.iter().map(|column| column.line.to_string()).collect();
    let mut rows = vec![("scenario", head)];
    rows.extend(
        names(columns).into_iter().map(|name| (name, cells(columns, |column| word(column.outcome(name)).into()))),
    );
    for what in union(columns, |transcript| transcript.notes.iter().map(|(what, _)| what.as_str()).collect()) {
        rows.push((what, cells(columns, |column| column.note(what).into())));
    }
    for word in ["right", "degraded", "failed"] {
        rows.push((word, cells(columns, |column| count(column, word).to_string())));
    }
    let mut text = aligned(&rows);
    for column in columns {
        reasons(&mut text, column);
    }
    text
}

fn cells(columns: &[Column], cell: impl Fn(&Column) -> String) -> Vec<String> {
    columns.iter().map(cell).collect()
}

fn count(column: &Column, wanted: &str) -> usize {
    let outcomes = column.transcript.scenarios.iter().map(|scenario| word(Some(&scenario.outcome)));
    outcomes.filter(|word| word.eq_ignore_ascii_case(wanted)).count()
}

/// The scenarios of all kernels, each once.
fn names(columns: &[Column]) -> Vec<&str> {
    union(columns, |transcript| transcript.scenarios.iter().map(|scenario| scenario.name.as_str()).collect())
}

fn union<'a>(columns: &'a [Column], of: impl Fn(&'a Transcript) -> Vec<&'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for name in columns.iter().flat_map(|column| of(&column.transcript)) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn aligned(rows: &[(&str, Vec<String>)]) -> String {
    let first = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let width = rows.iter().flat_map(|(_, cells)| cells).map(String::len).max().unwrap_or_default();
    let mut text = String::new();
    for (name, cells) in rows {
        let _infallible = write!(text, "{name:first$}");
        for cell in cells {
            let _infallible = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

fn reasons(text: &mut String, column: &Column) {
    for scenario in &column.transcript.scenarios {
        let (line, name) = (column.line, &scenario.name);
        let _infallible = match &scenario.outcome {
            Outcome::Right => Ok(()),
            Outcome::Degraded(why) => write!(text, "\n{line} degraded: {name}: {why}\n"),
            Outcome::Failed(said) => write!(text, "\n{line} FAILED: {name}\n{said}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::transcript::Scenario;

    fn column(line: &str, scenarios: &[(&str, Outcome)]) -> Column {
        let scenarios = scenarios
            .iter()
            .map(|(name, outcome)| Scenario { name: (*name).into(), outcome: outcome.clone() })
            .collect();
        let mut transcript = Transcript::default();
        transcript.scenarios = scenarios;
        Column { line: line.parse().unwrap(), transcript }
    }

    #[test]
    fn one_table_and_then_the_reasons() {
        let mut old = column("6.1", &[("lab a", Outcome::Right), ("lab b", Outcome::Degraded("no VXLAN".into()))]);
        old.transcript.notes.push(("verified".into(), "36".into()));
        let new = column("6.12", &[("lab a", Outcome::Failed("wanted\nthis\n".into())), ("lab b", Outcome::Right)]);
        let columns = [old, new];
        assert_eq!(failures(&columns), 1);
        let text = render(&columns);
        let expected = "\
scenario       6.1      6.12
lab a        right    FAILED
lab b     degraded     right
verified        36   unknown
right            1         1
degraded         1         0
failed           0         1

6.1 degraded: lab b: no VXLAN

6.12 FAILED: lab a
wanted
this
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_scenario_that_one_kernel_never_came_to_is_a_failure() {
        let columns = [column("6.1", &[("a", Outcome::Right)]), column("6.12", &[])];
        assert_eq!(failures(&columns), 1);
        assert!(render(&columns).contains("NOT RUN"));
        assert_eq!(failures(&[]), 0);
    }
}
