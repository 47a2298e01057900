//! The kernel programs as they are embedded in the binary.
//!
//! Rule: an object that is missing, cut short or of another version is refused with a sentence before the kernel sees it.

use object::{Object, ObjectSection, ObjectSymbol};
use tracer_common::{ABI_VERSION, Settings};

use super::LoadError;

/// The object that this binary was built with; empty if it was built without the eBPF toolchain.
pub fn embedded() -> &'static [u8] {
    aya::include_bytes_aligned!(env!("WHYDROP_OBJECT"))
}

/// Whether `bytes` is an object that speaks our version of the contract.
pub(super) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::NotBuilt);
    }
    match abi(bytes) {
        Some(ABI_VERSION) => Ok(()),
        Some(found) => Err(LoadError::Version { found, wanted: ABI_VERSION }),
        None => Err(LoadError::Corrupt("it has no readable ABI version".into())),
    }
}

/// The initial value of the global [`Settings::ABI`].
fn abi(bytes: &[u8]) -> Option<u32> {
    let file = object::File::parse(bytes).ok()?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(Settings::ABI))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let at = usize::try_from(symbol.address()).ok()?;
    let value = section.data().ok()?.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(value.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_says_how_to_build_one() {
        let message = check(&[]).unwrap_err().to_string();
        assert!(message.contains("cargo xtask build"), "{message}");
    }

    #[test]
    fn garbage_and_truncated_objects_are_refused() {
        assert!(matches!(check(&[0; 100]), Err(LoadError::Corrupt(_))));
        let whole = embedded();
        for length in (1..whole.len()).step_by((whole.len() / 50).max(1)) {
            // Cut anywhere, it must come back as an error or as a version, and never panic.
            drop(check(&whole[..length]));
        }
    }
}
