//! What else of x_tables may stand in a packet's way: recognised, not read.

use std::fs;

use super::control::Control;
use super::entry::Layout;
use super::{ATTEMPTS, LegacyError, blob, names};
use crate::model::{Family, Policy};

/// A sentence for each table of arptables-legacy that may drop something.
pub(super) fn arptables() -> Vec<String> {
    let tables = match names::existing(Family::Arp) {
        Ok(tables) if tables.is_empty() => return Vec::new(),
        Ok(tables) => tables,
        Err(error) => return vec![error.to_string()],
    };
    let control = match Control::open(&Layout::ARP) {
        Ok(control) => control,
        Err(error) => return vec![error.to_string()],
    };
    tables
        .iter()
        .filter_map(|table| sentence(&control, table).unwrap_or_else(|error| Some(error.to_string())))
        .collect()
}

fn sentence(control: &Control, name: &str) -> Result<Option<String>, LegacyError> {
    let (info, entries) = control.read(name, ATTEMPTS)?;
    let table = blob::table(control.layout, name, &info, &entries)?;
    let rules: usize = table.chains.iter().map(|chain| chain.rules.len()).sum();
    let drops = table.chains.iter().filter_map(|chain| chain.base.as_ref()).any(|base| base.policy == Policy::Drop);
    let what = match (rules, drops) {
        (0, false) => return Ok(None),
        (0, true) => "a policy that drops".to_owned(),
        (1, _) => "1 rule".to_owned(),
        (rules, _) => format!("{rules} rules"),
    };
    Ok(Some(format!(
        "ARP may be dropped by the arptables-legacy table {name}, which has {what} that whydrop does not evaluate: see `arptables-legacy -t {name} -S`"
    )))
}

/// A sentence if ebtables-legacy may have rules. There is no list of its tables, and asking for one makes it, so only
/// its modules tell.
pub(super) fn ebtables() -> Option<String> {
    sentence_on(&fs::read_to_string("/proc/modules").ok()?)
}

fn sentence_on(modules: &str) -> Option<String> {
    let names = modules.lines().filter_map(|line| line.split(' ').next());
    let tables: Vec<&str> =
        names.filter(|name| matches!(*name, "ebtable_broute" | "ebtable_filter" | "ebtable_nat")).collect();
    if tables.is_empty() {
        return None;
    }
    Some(format!(
        "bridged frames may meet rules of ebtables-legacy ({} is loaded), which whydrop does not read: see `ebtables-legacy -L`",
        tables.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::sentence_on;

    #[test]
    fn ebtables_is_known_by_the_modules_of_its_tables() {
        let modules = "ebtables 45056 1 ebtable_filter, Live 0x0\nebtable_filter 16384 0 - Live 0x0\n";
        assert!(sentence_on(modules).is_some_and(|gap| gap.contains("(ebtable_filter is loaded)")));
        assert_eq!(sentence_on("bridge 1 0 - Live 0x0\nebtables 45056 0 - Live 0x0\n"), None, "no table, no rule");
    }
}
