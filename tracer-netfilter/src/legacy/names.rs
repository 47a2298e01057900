//! Which tables of x_tables a network namespace has.
//!
//! Rule: the list is read, never tried out: a table that is asked for comes into being.

use std::io::ErrorKind;
use std::path::Path;
use std::{fs, io};

use super::LegacyError;
use crate::model::Family;

/// Most names taken; the kernel has five tables a family.
const MAX_NAMES: usize = 64;

/// The names of the tables that exist in the calling thread's network namespace, in the order in which packets meet them.
pub(super) fn existing(family: Family) -> Result<Vec<String>, LegacyError> {
    let path = match family {
        Family::Ip6 => "/proc/thread-self/net/ip6_tables_names",
        Family::Arp => "/proc/thread-self/net/arp_tables_names",
        _ => "/proc/thread-self/net/ip_tables_names",
    };
    match fs::read_to_string(path) {
        Ok(list) => Ok(sorted(&list)),
        // Without the module there is no file; without /proc there is no directory either.
        Err(error) if error.kind() == ErrorKind::NotFound && has_proc() => Ok(Vec::new()),
        Err(source) => Err(LegacyError::Names { family, path, source: io::Error::from(source.kind()) }),
    }
}

fn has_proc() -> bool {
    Path::new("/proc/thread-self/net/dev").exists()
}

fn sorted(list: &str) -> Vec<String> {
    let mut names: Vec<String> = list.lines().take(MAX_NAMES).map(str::to_owned).collect();
    let order = |name: &str| ["raw", "mangle", "nat", "filter", "security"].iter().position(|known| *known == name);
    names.sort_by_key(|name| order(name).unwrap_or(usize::MAX));
    names
}

#[cfg(test)]
mod tests {
    use super::sorted;

    #[test]
    fn tables_come_in_the_order_of_their_hooks() {
        assert_eq!(sorted("security\nfilter\nnat\nother\nraw\n"), ["raw", "nat", "filter", "security", "other"]);
        assert!(sorted("").is_empty());
    }
}
