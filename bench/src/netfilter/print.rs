//! How the numbers are printed.

use std::fmt;

use super::{Busy, Case, Lines, Netfilter};
use crate::spread::Spread;
use crate::tool::Memory;

const MIB: f64 = (1 << 20) as f64;

impl fmt::Display for Netfilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(f)?;
        self.reading(f)?;
        self.packets(f)?;
        self.memory(f)?;
        self.busy(f)
    }
}

impl Netfilter {
    fn lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nFrom the drop to its line, ms: no rule needed; its ruleset read before; its ruleset just changed\n"
        )?;
        writeln!(f, "| ruleset | no rule | read before | x no rule | just changed | x no rule | x listing |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- |")?;
        for Case { ruleset, closed, warm, cold, listing, .. } in &self.cases {
            let to = |lines: &Option<Lines>, other: &Option<Spread>| {
                ratio(lines.as_ref().map(|lines| lines.spread.median), other.map(|other| other.median))
            };
            writeln!(
                f,
                "| {ruleset} | {} | {} | {} | {} | {} | {} |",
                shown(closed.as_ref()),
                shown(warm.as_ref()),
                to(warm, closed),
                shown(cold.as_ref()),
                to(cold, closed),
                to(cold, listing)
            )?;
        }
        Ok(())
    }

    fn reading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nReading a ruleset, ms: the library, and the program that lists it\n")?;
        writeln!(f, "| ruleset | library | program | x program |\n| --- | --- | --- | --- |")?;
        for Case { ruleset, reading, listing, .. } in &self.cases {
            let ratio = ratio(median(reading.as_ref()), median(listing.as_ref()));
            writeln!(f, "| {ruleset} | {} | {} | {ratio} |", shown(reading.as_ref()), shown(listing.as_ref()))?;
        }
        Ok(())
    }

    fn packets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nA packet that passes the rules, ns: to ask the library; what they add to the sender's CPU time in the kernel\n"
        )?;
        writeln!(f, "| ruleset | rules passed | library | a rule | kernel | a rule | x kernel |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- |")?;
        for Case { ruleset, walk, kernel, .. } in &self.cases {
            let passed = ruleset.passed();
            // Of a few, the kernel's part drowns in the noise.
            let is_clear = passed >= 100;
            let of_one = |all: Option<f64>| {
                all.filter(|_| is_clear).map_or_else(|| "-".into(), |all| format!("{:.1}", all / passed as f64))
            };
            let walked = median(walk.as_ref());
            writeln!(
                f,
                "| {ruleset} | {passed} | {} | {} | {kernel:.0} | {} | {} |",
                shown(walk.as_ref()),
                of_one(walked),
                of_one(Some(*kernel)),
                ratio(walked, is_clear.then_some(*kernel))
            )?;
        }
        Ok(())
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / MIB;
        let Memory { resident, peak, .. } = self.empty;
        writeln!(
            f,
            "\nMemory with the ruleset read; without rules {:.1} MiB, peak {:.1} MiB\n",
            mib(resident),
            mib(peak)
        )?;
        writeln!(
            f,
            "| ruleset | resident, MiB | x without | bytes a rule | peak, MiB |\n| --- | --- | --- | --- | --- |"
        )?;
        for Case { ruleset, memory, .. } in &self.cases {
            let more = memory.resident.saturating_sub(resident);
            writeln!(
                f,
                "| {ruleset} | {:.1} | {:.2} | {} | {:.1} |",
                mib(memory.resident),
                memory.resident as f64 / resident as f64,
                if ruleset.rules < 1000 { "-".into() } else { (more / ruleset.rules as u64).to_string() },
                mib(memory.peak)
            )?;
        }
        Ok(())
    }

    fn busy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.busy.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nCPU time of whydrop while {} flows a second are dropped, share of one CPU\n", super::FLOWS)?;
        writeln!(f, "| ruleset | by a rule | for want of a socket | ratio |\n| --- | --- | --- | --- |")?;
        for Busy { ruleset, dropped, closed } in &self.busy {
            let ratio = ratio(Some(*dropped), Some(*closed));
            writeln!(f, "| {ruleset} | {dropped:.3} | {closed:.3} | {ratio} |")?;
        }
        Ok(())
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spread)?;
        if self.named < self.spread.samples {
            write!(f, " ({} of {} named)", self.named, self.spread.samples)
        } else {
            Ok(())
        }
    }
}

fn median(spread: Option<&Spread>) -> Option<f64> {
    spread.map(|spread| spread.median)
}

fn shown<T: fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".into(), ToString::to_string)
}

fn ratio(one: Option<f64>, other: Option<f64>) -> String {
    one.zip(other).map_or_else(|| "-".into(), |(one, other)| format!("{:.2}", one / other))
}
