//! What nft keeps beside a rule, set or element for itself: type, length and value, a byte each for the first two.
//!
//! Rule: the kernel never looks at it, so anything may be in there.

use crate::netlink::text;

/// `NFTNL_UDATA_RULE_COMMENT`, and the same number for tables, chains and elements (`libnftnl/udata.h`).
pub(super) const COMMENT: u8 = 0;
/// `NFTNL_UDATA_SET_COMMENT`.
pub(super) const SET_COMMENT: u8 = 7;

/// The value of a type.
pub(super) fn find(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((&[kind, length], rest)) = bytes.split_first_chunk::<2>() {
        let (value, after) = rest.split_at_checked(usize::from(length))?;
        if kind == wanted {
            return Some(value);
        }
        bytes = after;
    }
    None
}

/// A comment, unless it is empty.
pub(super) fn comment(bytes: Option<&[u8]>, kind: u8) -> Option<String> {
    find(bytes?, kind).map(text).filter(|comment| !comment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_behind_other_values() {
        let bytes = [1, 4, 0, 0, 0, 0, 0, 3, b'h', b'i', 0];
        assert_eq!(comment(Some(&bytes), COMMENT).as_deref(), Some("hi"));
        assert_eq!(comment(Some(&bytes[..10]), COMMENT), None, "cut short");
        assert_eq!(comment(Some(&bytes), SET_COMMENT), None);
    }
}
