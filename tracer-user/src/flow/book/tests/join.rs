use super::*;

fn tuples(story: &Story) -> (Tuple, Option<Tuple>) {
    (story.tuple, story.translated)
}

#[test]
fn a_service_address_joins_by_the_tuple_before_translation() {
    let pod = see(POD_A, tuple(CLIENT), 0).came(1);
    let uplink = see(ETH0, tuple(TRANSLATED), 1).left(1).of(tuple(CLIENT));
    for order in [[pod, uplink], [uplink, pod]] {
        let mut book = book(3500, &order);
        let story = book.one();
        assert_eq!(tuples(&story), (tuple(CLIENT), Some(tuple(TRANSLATED))));
        assert_eq!(story.sightings.len(), 2);
        assert_eq!(name(&story.sightings[0].0), "dev1-11", "in the order of time");
    }
}

#[test]
fn in_several_readings_too() {
    let mut book = book(500, &[see(ETH0, tuple(TRANSLATED), 1).left(1)]);
    book.read_on(1000, &[see(POD_A, tuple(CLIENT), 0).came(1)]);
    assert_eq!(book.so_far(), (0, 2), "two, for all that is known");
    book.read_on(1500, &[see(ETH0, tuple(TRANSLATED), 1).left(2).of(tuple(CLIENT)).until(1030)]);
    assert_eq!(book.so_far(), (0, 1));
    book.read_on(3500, &[]);
    assert_eq!(tuples(&book.one()), (tuple(CLIENT), Some(tuple(TRANSLATED))));
}

#[test]
fn each_namespace_translates_what_the_one_before_made_of_it() {
    let sightings = [
        see(IN_A, tuple(CLIENT), 0).left(1),
        see(POD_A, tuple(CLIENT), 1).came(1),
        see(ETH0, tuple(TRANSLATED), 2).left(1).of(tuple(CLIENT)),
        see(IN_B, tuple(TRANSLATED), 3).came(1),
        see(IN_B, tuple(MASQUERADED), 4).left(1).of(tuple(TRANSLATED)),
    ];
    for rotated in 0..sightings.len() {
        let mut order = sightings;
        order.rotate_left(rotated);
        let mut book = book(3500, &order);
        let story = book.one();
        assert_eq!(tuples(&story), (tuple(CLIENT), Some(tuple(MASQUERADED))), "rotated by {rotated}");
        assert_eq!(story.sightings.len(), 5);
        assert_eq!(book.census().sources.keys().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1"]);
    }
}

#[test]
fn a_circle_of_translations_ends() {
    let (one, other) = (tuple(CLIENT), tuple(TRANSLATED));
    let mut book = book(3500, &[see(POD_A, one, 0).came(1).of(other), see(ETH0, other, 1).left(1).of(one)]);
    assert_eq!(book.one().sightings.len(), 2);
}

#[test]
fn what_a_tunnel_carries_on_the_uplink_joins() {
    let mut book = book(
        3500,
        &[
            see(POD_A, tuple(CLIENT), 0).came(1),
            see(VXLAN, tuple(CLIENT), 1).left(1),
            Sighting { tunnel: Some(crate::flow::Tunnel::Vxlan), ..see(ETH0, tuple(CLIENT), 2).left(1) },
        ],
    );
    let story = book.one();
    assert!(matches!(&story.lost, Some(Lost::AfterNode { at }) if name(at) == "dev1-2"), "{:?}", story.lost);
}

#[test]
fn the_same_ports_later_are_another_attempt() {
    let mut book = book(3500, &[see(ETH0, tuple(CLIENT), 0).left(1)]);
    assert_eq!(book.one().first, BEGIN);
    // A device that is read late is still of the first.
    book.read_on(4000, &[see(POD_A, tuple(CLIENT), 0).came(1)]);
    assert_eq!(book.so_far(), (0, 0));
    book.read_on(24_000, &[see(ETH0, tuple(CLIENT), 23_000).left(1)]);
    assert_eq!(book.so_far(), (0, 1));
    book.read_on(26_500, &[]);
    assert_eq!(book.one().first, BEGIN + 23_000 * MS);
    assert_eq!(book.totals().no_answer, 2);
}

#[test]
fn what_is_long_over_is_not_begun_again_by_a_last_packet() {
    let one = see(ETH0, tuple(CLIENT), 0).left(1).answered(20);
    let mut book = book(500, &[one]);
    assert_eq!(book.so_far(), (1, 0));
    book.read_on(60_000, &[]);
    assert_eq!(book.so_far(), (1, 0));
    book.read_on(60_500, &[Sighting { server_resets: came(1), ..one.until(60_100) }]);
    assert_eq!(book.so_far(), (1, 0));
}

#[test]
fn two_clients_are_two_stories() {
    let other = "10.0.0.8:40000 10.96.0.1:80";
    let mut book = book(3500, &[see(ETH0, tuple(CLIENT), 0).left(1), see(ETH0, tuple(other), 0).left(1)]);
    assert_eq!(book.told().len(), 2);
    let tally = book.census().services.values().next().unwrap();
    assert_eq!((tally.no_answer, tally.failed.clients.values.len()), (2, 2));
}
