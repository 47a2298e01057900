//! Ranges of plain keys, which the kernel keeps as a row of beginnings and ends (`net/netfilter/nft_set_rbtree.c`).
//!
//! Rule: a key belongs to the last beginning at or below it, unless an end comes between; so a range reaches up to the
//! key before whatever comes next, or to the highest key.

use crate::model::Element;

/// What an element stands for. At one key an end comes first: it belongs to the range below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The first key behind a range (`NFT_SET_ELEM_INTERVAL_END`).
    End,
    /// No longer there, but it still ends the range below it.
    TimedOut,
    Live,
}

/// An element as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) element: Element,
    pub(super) kind: Kind,
}

impl Listed {
    fn order(&self) -> (&[u8], Kind, Option<&[u8]>) {
        (&self.element.key, self.kind, self.element.key_end.as_deref())
    }
}

/// Sorts by key, and tells whether one is there twice: the list was made anew while it was read.
pub(super) fn sort(listed: &mut [Listed]) -> bool {
    listed.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
    listed.windows(2).any(|pair| matches!(pair, [a, b] if a.order() == b.order()))
}

/// Turns beginnings and ends, sorted, into closed ranges.
pub(super) fn closed(listed: Vec<Listed>) -> Vec<Element> {
    let mut ranges = Vec::with_capacity(listed.len() / 2 + 1);
    let mut rest = listed.into_iter().peekable();
    while let Some(Listed { mut element, kind }) = rest.next() {
        if kind != Kind::Live {
            continue;
        }
        if element.key_end.is_none() {
            let last = match rest.peek() {
                Some(next) => before(&next.element.key),
                None => vec![u8::MAX; element.key.len()],
            };
            element.key_end = (last > element.key).then_some(last);
        }
        ranges.push(element);
    }
    ranges
}

/// The key before this one, as a big-endian number.
fn before(key: &[u8]) -> Vec<u8> {
    let mut key = key.to_vec();
    for byte in key.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            break;
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: [u8; 2], is_end: bool) -> Listed {
        let element =
            Element { key: key.to_vec(), key_end: None, data: None, comment: None, counter: None, conditional: false };
        Listed { element, kind: if is_end { Kind::End } else { Kind::Live } }
    }

    fn ranges(mut listed: Vec<Listed>) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        assert!(!sort(&mut listed));
        closed(listed).into_iter().map(|element| (element.key, element.key_end)).collect()
    }

    #[test]
    fn ends_may_come_before_their_beginnings() {
        let got = ranges(vec![listed([2, 0], true), listed([0, 5], false), listed([0, 0], true)]);
        assert_eq!(got, [(vec![0, 5], Some(vec![1, 255]))]);
    }

    #[test]
    fn a_range_of_one_key_has_no_end_and_the_last_one_may_be_open() {
        let got = ranges(vec![listed([0, 9], false), listed([0, 10], true), listed([224, 0], false)]);
        assert_eq!(got, [(vec![0, 9], None), (vec![224, 0], Some(vec![255, 255]))]);
    }

    #[test]
    fn ranges_may_touch_with_or_without_an_end_between() {
        let got =
            ranges(vec![listed([0, 4], false), listed([0, 2], false), listed([0, 4], true), listed([0, 6], true)]);
        assert_eq!(got, [(vec![0, 2], Some(vec![0, 3])), (vec![0, 4], Some(vec![0, 5]))]);
        let got = ranges(vec![listed([0, 2], false), listed([0, 4], false), listed([0, 6], true)]);
        assert_eq!(got, [(vec![0, 2], Some(vec![0, 3])), (vec![0, 4], Some(vec![0, 5]))]);
    }

    #[test]
    fn an_element_that_is_there_twice_is_noticed() {
        assert!(sort(&mut [listed([0, 4], false), listed([0, 2], false), listed([0, 4], false)]));
        assert!(!sort(&mut [listed([0, 4], false), listed([0, 2], false), listed([0, 4], true)]));
    }
}
