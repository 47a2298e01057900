use super::*;

fn flood(index: u32) -> Tuple {
    let client = std::net::Ipv4Addr::from(0x0a00_0000 + index);
    Tuple { client: (client, 40_000).into(), ..tuple(CLIENT) }
}

#[test]
fn a_flood_of_random_sources_is_bounded_and_counted() {
    let flood: Vec<Sighting> = (0..40_000).map(|index| see(ETH0, flood(index), 0).came(1)).collect();
    let mut book = book(500, &flood);
    assert_eq!(book.so_far(), (0, 32_768));
    assert_eq!((book.totals().not_followed, book.census().others), (40_000 - 32_768, 40_000 - 32_768));
    book.read_on(3500, &[]);
    assert_eq!(book.told().len(), 100, "in detail, of one service");
    let tally = book.census().services.values().next().unwrap();
    assert_eq!((tally.no_answer, tally.untold), (32_768, 32_668));
    assert!(tally.failed.clients.is_more && tally.failed.clients.values.len() < 100);
    assert_eq!(book.told(), [], "they are told once");
    assert!(book.groups.len() <= 16_384);
    book.read_on(60_000, &[]);
    assert_eq!((book.told(), book.groups.len()), (Vec::new(), 0));
}

#[test]
fn an_unknown_device_is_no_fault() {
    let mut book = book(500, &[see((9, 9, Role::Uplink), tuple(CLIENT), 0).left(1)]);
    assert_eq!(book.so_far(), (0, 1));
    book.read_on(3500, &[]);
    assert_eq!(book.so_far(), (0, 0));
}

#[test]
fn drops_are_bounded() {
    let mut book = Book::default();
    for index in 0..20_000 {
        book.dropped(&flood(index), drop_seen(0, false, "a rule"));
        book.dropped(&flood(0), drop_seen(0, false, &format!("rule {index}")));
    }
    assert!(book.drops.len() <= 8192);
}

#[test]
fn a_tuple_that_is_used_without_end_is_bounded() {
    let mut book = Book::default();
    for index in 0..200 {
        book.read_on(500, &[see(ETH0, tuple(CLIENT), index).left(1)]);
    }
    book.read_on(4000, &[]);
    assert!(book.one().sightings.len() <= 32);
}

#[test]
fn what_the_kernel_pushed_out_before_its_answer_is_not_called_lost() {
    let (near, far) = (see(POD_A, tuple(CLIENT), 0).came(1), see(ETH0, tuple(CLIENT), 1).left(1));
    let told_without = |seen: &[Sighting], gone: Sighting| {
        let mut book = book(500, seen);
        book.lose_on(1000, &[gone]);
        book.read_on(4000, &[]);
        (book.told().len(), book.totals().not_followed, book.census().others)
    };
    assert_eq!(told_without(&[near, far], near), (0, 1, 1), "the answer would have been seen there");
    assert_eq!(told_without(&[near, far], far), (1, 0, 0), "nothing came back to the client");
    let again = see(POD_A, tuple(CLIENT), 0).came(3).until(900 + 2100);
    assert_eq!(told_without(&[again], again), (1, 0, 0), "who asks again after two seconds had no answer");
    assert_eq!(told_without(&[near, far.answered(2)], near), (0, 0, 0), "an answer was on its way");
    let refused = far.refused(3, 1);
    assert_eq!(told_without(&[near, refused], near), (1, 0, 0), "it was refused, whatever came later");
    let other = see(POD_A, tuple(CLIENT), 7);
    assert_eq!(told_without(&[near], other), (1, 0, 0), "another one with the same ends");
}

#[test]
fn a_drop_tells_what_became_of_what_was_pushed_out() {
    let seen = see(ETH0, tuple(CLIENT), 0).came(1);
    let mut book = book(500, &[seen]);
    book.dropped(&tuple(CLIENT), drop_seen(1, false, "a rule"));
    book.lose_on(1000, &[seen]);
    book.read_on(4000, &[]);
    assert_eq!((book.one().outcome, book.totals().not_followed), (Outcome::Dropped, 0));
}

#[test]
fn what_is_not_wanted_is_neither_told_nor_counted() {
    let (other, third) = (tuple("10.0.0.8:40000 10.96.0.1:80"), tuple("10.0.0.9:40000 10.96.0.1:80"));
    let is_wanted = |story: &Story| story.tuple == tuple(CLIENT);
    let mut book = book(1000, &[see(ETH0, third, 0).left(1).answered(1)]);
    assert_eq!(book.take_of(u64::MAX, false, &is_wanted, &mut |_| {}), []);
    let seen = |tuple| see(ETH0, tuple, 2000).left(1);
    book.read_on(8000, &[seen(tuple(CLIENT)), seen(other)]);
    let stories = book.take_of(u64::MAX, true, &is_wanted, &mut |_| {});
    assert_eq!(stories.iter().map(|story| story.tuple).collect::<Vec<_>>(), [tuple(CLIENT)]);
    let counted: u64 = book.census().services.values().map(|tally| tally.no_answer + tally.established).sum();
    assert_eq!((counted, book.totals().no_answer, book.totals().established), (1, 1, 0));
    assert_eq!(book.take(u64::MAX, true), [], "it is decided, and not looked at again");
}
