//! Reading a value of the contract from bytes. The only `unsafe` of this crate: a checked, unaligned copy.

/// A type for which any bit pattern is a valid value and which has no padding.
///
/// # Safety
/// Implement it only for `repr(C)` structs of integers and arrays of them, without implicit padding.
pub unsafe trait Plain: Copy + 'static {
    /// The bytes of the value, for writing it to a kernel map.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: `Plain` types have no padding, so each of their bytes is initialised.
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast::<u8>(), size_of::<Self>()) }
    }
}

/// The `T` at the start of `bytes`, or `None` if they are too short.
pub fn read_plain<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked, the read is unaligned, and any bit pattern is a valid `Plain` value.
    Some(unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast::<T>()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowKey, Tally};

    #[test]
    fn too_few_bytes_are_refused() {
        assert!(read_plain::<FlowKey>(&[0; size_of::<FlowKey>() - 1]).is_none());
        assert!(read_plain::<FlowKey>(&[0; size_of::<FlowKey>()]).is_some());
    }

    #[test]
    fn an_unaligned_value_survives_the_round_trip() {
        let tally = Tally { packets: 0x0102_0304_0506_0708, bytes: 9 };
        let mut buffer = [0u8; 17];
        buffer[1..].copy_from_slice(tally.as_bytes());
        assert_eq!(read_plain::<Tally>(&buffer[1..]), Some(tally));
    }
}
