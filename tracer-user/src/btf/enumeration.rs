//! The names and values of an enum.

use super::error::malformed;
use super::record::Kind;
use super::{Btf, BtfError};

/// Most enumerators that are read; the enums that are asked for have some hundred.
const MAX_ENUMERATORS: usize = 4096;

impl Btf<'_> {
    /// Names and values of `enum name`, in the order of their declaration.
    ///
    /// Values of an unsigned 64-bit enum above [`i64::MAX`] come out negative.
    pub fn enumerators(&self, name: &str) -> Result<Vec<(&str, i64)>, BtfError> {
        let Some(&id) = self.named(name, &[Kind::Enum, Kind::Enum64]).first() else {
            return Err(BtfError::UnknownType { kind: "enum", name: name.to_owned() });
        };
        let found = self.type_by_id(id)?;
        if found.head.count() > MAX_ENUMERATORS {
            return Err(malformed("an enum has too many values"));
        }
        let signed = found.head.flag();
        if found.kind == Kind::Enum64 {
            let value = |low, high| (u64::from(high) << 32 | u64::from(low)).cast_signed();
            return found.elements().map(|[name, low, high]| Ok((self.string(name)?, value(low, high)))).collect();
        }
        let value = |raw: u32| if signed { i64::from(raw.cast_signed()) } else { i64::from(raw) };
        found.elements().map(|[name, raw]| Ok((self.string(name)?, value(raw)))).collect()
    }

    /// The same, with [`None`] for an enum that this kernel does not have.
    pub(super) fn optional_enumerators(&self, name: &str) -> Result<Option<Vec<(&str, i64)>>, BtfError> {
        match self.enumerators(name) {
            Ok(found) => Ok(Some(found)),
            Err(BtfError::UnknownType { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }
}
