//! A network namespace as it is typed.

use std::path::Path;

use super::error::{SettingsError, shortened};
use super::filter::netns_inode;
use crate::host::netns::{Netns, scan};

/// The namespace that a name, path, inode, `host` or `pid:PID` stands for; the one we are in if nothing is given.
///
/// # Errors
/// [`SettingsError::Netns`] if there is none, or nothing that we can see leads to it.
pub fn netns(text: Option<&str>) -> Result<Netns, SettingsError> {
    let given = text.unwrap_or("/proc/thread-self/ns/net");
    let unknown = || SettingsError::Netns(shortened(given));
    let inode = netns_inode(given).ok_or_else(unknown)?;
    let mut found = scan(Path::new("/proc")).map_err(|_| unknown())?;
    found.namespaces.remove(&inode).ok_or_else(|| match given.parse::<u32>() {
        Ok(number) if Path::new(&format!("/proc/{number}/ns/net")).exists() => SettingsError::IsProcess(number),
        _ => unknown(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_a_process_says_how_to_name_it() {
        let own = std::process::id();
        let error = netns(Some(&own.to_string())).unwrap_err().to_string();
        assert!(error.ends_with(&format!("write pid:{own}")), "{error}");
        let inode = netns(Some(&format!("pid:{own}"))).unwrap().inode;
        assert_eq!(netns(Some(&inode.to_string())).unwrap().inode, inode);
        assert!(netns(Some("4294967295")).unwrap_err().to_string().starts_with("no network namespace 4294967295"));
    }
}
