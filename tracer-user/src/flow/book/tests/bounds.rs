use super::*;

fn flood(index: u32) -> Tuple {
    let client = std::net::Ipv4Addr::from(0x0a00_0000 + index);
    Tuple { client: (client, 40_000).into(), ..tuple(CLIENT) }
}

#[test]
fn a_flood_of_random_sources_is_bounded_and_counted() {
    let flood: Vec<Sighting> = (0..70_000).map(|index| see(ETH0, flood(index), 0).came(1)).collect();
    let mut book = book(500, &flood);
    assert_eq!(book.so_far(), (0, 65_536));
    assert_eq!((book.totals().not_followed, book.census().others), (70_000 - 65_536, 70_000 - 65_536));
    book.read_on(3500, &[]);
    assert_eq!(book.told().len(), 100, "in detail, of one service");
    let tally = book.census().services.values().next().unwrap();
    assert_eq!((tally.no_answer, tally.untold), (65_536, 65_436));
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
