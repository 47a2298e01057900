//! How often the answer was right, and how sure it was of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::truth::Name;
use crate::watch::SWALLOW;

/// One answer against the truth.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// One rule is named, and it hangs on nothing.
    Certain { is_right: bool, says: String },
    /// Several are possible, or one that hangs on something.
    Possible { holds_truth: bool, is_meant: bool, says: String },
}

/// Failures of each kind that are printed whole.
const SHOWN: usize = 3;
/// Of a hundred answers that could be sure, so many must be sure and right.
const WANTED: usize = 99;

pub(crate) struct Score {
    name: String,
    certain: usize,
    wrong: usize,
    /// The rules hang on chance, and the truth is among the candidates.
    possible: usize,
    /// Nothing was by chance, and still no certain answer.
    undecided: usize,
    missed: usize,
    unclear: usize,
    /// Of all truths, those that are no rule's of the case.
    passed: usize,
    shown: BTreeMap<&'static str, usize>,
    reasons: BTreeMap<String, usize>,
}

impl Score {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            certain: 0,
            wrong: 0,
            possible: 0,
            undecided: 0,
            missed: 0,
            unclear: 0,
            passed: 0,
            shown: BTreeMap::new(),
            reasons: BTreeMap::new(),
        }
    }

    /// The kernel's counters did not tell what became of a packet.
    pub(crate) fn unclear(&mut self) {
        self.unclear += 1;
    }

    pub(crate) fn add(&mut self, answer: Answer, truth: &Name, case: impl FnOnce() -> String) {
        self.passed += usize::from(truth.table == SWALLOW);
        match answer {
            Answer::Certain { is_right: true, .. } => self.certain += 1,
            Answer::Certain { says, .. } => {
                self.wrong += 1;
                self.show("wrong and certain", &says, truth, case);
            }
            Answer::Possible { holds_truth: false, says, .. } => {
                self.missed += 1;
                self.show("not among the candidates", &says, truth, case);
            }
            Answer::Possible { is_meant: true, .. } => self.possible += 1,
            Answer::Possible { says, .. } => {
                self.undecided += 1;
                *self.reasons.entry(says.lines().next().unwrap_or_default().to_owned()).or_default() += 1;
                self.show("undecided", &says, truth, case);
            }
        }
    }

    fn show(&mut self, what: &'static str, says: &str, truth: &Name, case: impl FnOnce() -> String) {
        let shown = self.shown.entry(what).or_default();
        *shown += 1;
        if *shown <= SHOWN {
            println!("{what}: the kernel dropped it by {truth}, we say: {says}\n{}", case());
        } else {
            println!("{what}: the kernel dropped it by {truth}, we say: {}", says.lines().next().unwrap_or_default());
        }
    }

    pub(crate) fn end(self, took: Duration) -> Result<()> {
        let Self { name, certain, wrong, possible, undecided, missed, unclear, passed, reasons, .. } = self;
        for (reason, count) in &reasons {
            println!("{count} undecided: {reason}");
        }
        println!(
            "{name}: {certain} right, {wrong} wrong and certain, {possible} possible as they should be, {undecided} undecided, \
             {missed} missed, {unclear} unclear, {passed} of all passed, {} ms",
            took.as_millis()
        );
        let decidable = certain + wrong + undecided + missed;
        ensure!(wrong == 0, "{wrong} wrong rules were named as certain; {name}");
        ensure!(certain * 100 >= decidable * WANTED, "{certain} of {decidable} were right; {name}");
        ensure!(unclear * 20 <= certain + possible, "{unclear} packets without a truth; {name}");
        ensure!(passed * 5 <= certain * 4, "{passed} packets met no rule that drops: the rules are too mild; {name}");
        Ok(())
    }
}
