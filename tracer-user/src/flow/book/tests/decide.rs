use super::*;

/// A client in pod A whose SYN leaves by the uplink.
fn out(count: u32, until: u64) -> [Sighting; 2] {
    let client = tuple(CLIENT);
    [see(POD_A, client, 0).came(count).until(until), see(ETH0, client, 1).left(count).until(until)]
}

#[test]
fn an_answer_at_the_device_nearest_to_the_client_is_counted_and_forgotten() {
    let [pod, uplink] = out(1, 1);
    let mut book = book(100, &[pod.answered(30), uplink.answered(29)]);
    assert_eq!(book.so_far(), (0, 1), "the reading may be torn");
    book.read_on(600, &[]);
    assert_eq!(book.so_far(), (1, 0));
    let tally = book.census().services.values().next().unwrap().clone();
    assert_eq!((tally.established, tally.rtt.count, tally.rtt.least), (1, 1, 30 * MS));
    assert_eq!((tally.ok.count, tally.ok.clients.values.len(), tally.ok.ports.values.clone()), (1, 1, vec![40_000]));
}

#[test]
fn a_single_syn_without_answer_is_given_three_seconds() {
    let mut book = book(500, &out(1, 1));
    book.read_on(2900, &[]);
    assert_eq!(book.so_far(), (0, 1));
    book.read_on(3100, &[]);
    let story = book.one();
    assert_eq!((story.outcome, story.attempts, story.way), (Outcome::NoAnswer, 1, Way::Out));
    assert!(story.is_failing() && story.drops.is_empty());
    assert_eq!((book.totals().no_answer, book.totals().pending), (1, 0));
}

#[test]
fn one_that_was_tried_again_is_given_two() {
    let mut book = book(500, &out(1, 1));
    book.read_on(1600, &out(2, 1030));
    assert_eq!(book.so_far(), (0, 1));
    // SYN every second: each might still be answered for half a second.
    book.read_on(2400, &out(3, 2060));
    assert_eq!(book.so_far(), (0, 1));
    book.read_on(2600, &[]);
    assert_eq!(book.one().attempts, 3);
    // The client goes on; it is told.
    book.read_on(4000, &out(5, 3900));
    assert_eq!((book.told(), book.totals().no_answer), (Vec::new(), 1));
}

#[test]
fn a_late_answer_takes_the_failure_back() {
    let mut book = book(3500, &out(2, 1030));
    assert_eq!(book.one().outcome, Outcome::NoAnswer);
    let [pod, uplink] = out(3, 3060);
    book.read_on(4000, &[pod.answered(3090), uplink.answered(3089)]);
    assert_eq!(book.so_far(), (1, 0));
    assert_eq!(book.totals().no_answer, 0);
    let tally = book.census().services.values().next().unwrap();
    assert_eq!((tally.established, tally.no_answer, tally.recovered), (1, 0, 1));
}

#[test]
fn the_end_waits_for_nothing_but_a_second() {
    for (last, decided) in [(600, 1), (1800, 0)] {
        let mut book = book(2000, &out(1, last));
        assert_eq!(book.take(u64::MAX, true).len(), decided, "last opener at {last} ms");
        assert_eq!(book.totals().pending, 1 - decided as u64);
        let tally = book.census().services.values().next().unwrap();
        assert_eq!(tally.pending, 1 - decided as u64);
    }
}

#[test]
fn a_reset_of_the_server_is_a_rejection_where_it_was_seen_first() {
    let [pod, uplink] = out(1, 20);
    let (pod, uplink) = (Sighting { server_resets: left(1), ..pod }, Sighting { server_resets: came(1), ..uplink });
    let mut book = book(500, &[pod, uplink]);
    let story = book.one();
    let Some(Rejection::Reset { at }) = &story.rejection else { panic!("{story:?}") };
    assert_eq!((story.outcome, name(at), &story.lost), (Outcome::Rejected, "dev1-2", &None));
}

#[test]
fn a_reset_after_an_answer_is_an_end() {
    let [pod, uplink] = out(1, 20);
    let sightings = [pod.answered(5), uplink.answered(4)].map(|one| Sighting { server_resets: came(1), ..one });
    assert_eq!(book(500, &sightings).so_far(), (1, 0));
}

#[test]
fn a_client_that_breaks_off_is_said_to() {
    let sightings = out(1, 900).map(|one| Sighting { client_resets: came(1), ..one });
    let mut book = book(4000, &sightings);
    let story = book.one();
    assert_eq!((story.outcome, story.is_given_up()), (Outcome::NoAnswer, true));
}

#[test]
fn an_error_message_is_a_rejection_unless_an_answer_comes() {
    let [pod, uplink] = out(1, 20);
    let mut unreachable = book(400, &[pod.refused(3, 13), uplink.refused(3, 13)]);
    assert_eq!(unreachable.so_far(), (0, 1), "the client may try again");
    unreachable.read_on(600, &[]);
    let story = unreachable.one();
    let from = "192.0.2.254".parse().unwrap();
    assert_eq!(story.rejection, Some(Rejection::Icmp { from, kind: 3, code: 13 }));
    assert_eq!(story.outcome, Outcome::Rejected);
    // "Fragmentation needed" is none.
    let mut too_large = book(1000, &[pod.refused(3, 4), uplink.refused(3, 4)]);
    assert_eq!(too_large.so_far(), (0, 1));
    let mut answered = book(1000, &[pod.refused(3, 1).answered(30), uplink.refused(3, 1).answered(30)]);
    assert_eq!(answered.so_far(), (1, 0));
}

#[test]
fn a_drop_and_no_answer_is_a_drop() {
    let mut book = Book::default();
    book.dropped(&tuple(CLIENT), drop_seen(0, false, "rule 4 dropped it"));
    book.read_on(500, &out(1, 1)[..1]);
    assert_eq!(book.so_far(), (0, 1), "the next one may get through");
    book.read_on(3500, &[]);
    let story = book.one();
    assert_eq!((story.outcome, story.drops.len()), (Outcome::Dropped, 1));
    assert!(matches!(&story.lost, Some(Lost::Between { from }) if name(from) == "dev1-11"), "{:?}", story.lost);
    assert_eq!(book.census().services.values().next().unwrap().failed.count, 1);
}

#[test]
fn a_drop_of_one_that_was_answered_is_no_failure() {
    let [pod, uplink] = out(2, 1000);
    let mut book = book(2000, &[pod.answered(1020), uplink.answered(1019)]);
    book.dropped(&tuple(CLIENT), drop_seen(1, false, "rule 4 dropped it"));
    assert_eq!(book.so_far(), (1, 0));
}

#[test]
fn a_drop_counts_for_others_only_where_its_port_is_not_known() {
    let mut book = Book::default();
    book.dropped(&tuple("10.0.0.7:1234 10.96.0.1:80"), drop_seen(0, false, "another port"));
    book.dropped(&tuple("10.0.0.7:0 10.96.0.1:81"), drop_seen(0, false, "another service"));
    book.dropped(&tuple(CLIENT), drop_seen(0, false, "long ago").at(-5000));
    book.read_on(3500, &out(1, 1));
    assert_eq!(book.one().outcome, Outcome::NoAnswer);

    let mut book = Book::default();
    book.dropped(&tuple("10.0.0.7:0 10.96.0.1:80"), drop_seen(0, false, "any port"));
    book.read_on(3500, &out(1, 1));
    assert_eq!(book.one().outcome, Outcome::Dropped);
}

#[test]
fn what_was_translated_and_then_dropped_tells_the_translation() {
    let (asked, pod) = (tuple("10.0.0.7:40000 10.96.0.1:80"), tuple("10.0.0.7:40000 10.0.1.9:8080"));
    let mut book = Book::default();
    book.dropped(&asked, DropSeen { tuple: pod, ..drop_seen(0, false, "denied") });
    book.read_on(3500, &[see(POD_A, asked, 0).came(1)]);
    let story = book.one();
    assert_eq!((story.outcome, story.translated), (Outcome::Dropped, Some(pod)));
}

impl DropSeen {
    fn at(self, ms: i64) -> Self {
        Self { time: BEGIN.saturating_add_signed(ms * 1_000_000), ..self }
    }
}

#[test]
fn a_request_over_udp_is_given_two_seconds() {
    let request = see(ETH0, udp("10.0.0.7:40000 192.0.2.9:123"), 0).left(1);
    let mut book = book(1900, &[request]);
    assert_eq!(book.so_far(), (0, 1));
    assert_eq!(book.take(u64::MAX, true), [], "nor less at the end");
    book.read_on(2100, &[]);
    let story = book.one();
    assert_eq!((story.outcome, story.tuple.protocol), (Outcome::NoAnswer, UDP));
}

#[test]
fn a_client_that_asks_by_the_same_port_again_is_another_attempt() {
    let request = |count, until| see(ETH0, udp("10.0.0.7:123 192.0.2.9:123"), 0).left(count).until(until);
    let mut book = book(500, &[request(1, 0).answered(30)]);
    assert_eq!(book.so_far(), (1, 0));
    // Answered as well: nothing new.
    book.read_on(4500, &[request(2, 4030).answered_by(2, 30)]);
    assert_eq!(book.so_far(), (1, 0));
    // Not answered any more.
    book.read_on(8500, &[request(3, 8000).answered_by(2, 30)]);
    assert_eq!(book.so_far(), (1, 1));
    book.read_on(10_100, &[]);
    let story = book.one();
    assert_eq!((story.outcome, story.attempts, story.first), (Outcome::NoAnswer, 1, BEGIN + 8000 * MS));
    assert_eq!((book.totals().established, book.totals().no_answer), (1, 1));
}

#[test]
fn answers_that_nobody_confirms_are_a_failure() {
    let incoming = |answers, until| see(ETH0, tuple(CLIENT), 0).came(1).answered_by(answers, 1).until(until);
    let mut book = book(500, &[incoming(1, 1)]);
    assert_eq!(book.so_far(), (1, 0));
    book.read_on(1500, &[incoming(2, 1020)]);
    assert_eq!(book.so_far(), (1, 0));
    book.read_on(3500, &[incoming(3, 3050)]);
    let story = book.one();
    assert!(matches!(&story.lost, Some(Lost::Unconfirmed { at }) if name(at) == "dev1-2"));
    assert_eq!((story.outcome, story.attempts, story.answers()), (Outcome::NoAnswer, 1, 3));
    assert_eq!((book.totals().established, book.totals().no_answer), (0, 1));
}

#[test]
fn an_attempt_that_nobody_was_seen_to_begin_is_none() {
    let mut book = book(4000, &[see(ETH0, tuple(CLIENT), 0).only_answers(came(1))]);
    assert_eq!(book.so_far(), (0, 0));
    assert_eq!(book.census().services.len(), 0);
}

#[test]
fn ports_that_are_used_again_are_no_unconfirmed_answers() {
    let again = |until| see(ETH0, tuple(CLIENT), 0).came(3).answered_by(3, 1).until(until);
    assert_eq!(book(5000, &[again(1700)]).so_far(), (1, 0), "three healthy connections");
    assert_eq!(book(5000, &[again(2430)]).so_far(), (1, 0));
    for in_step in [2010, 3060] {
        let story = book(5000, &[again(in_step)]).one();
        assert!(matches!(&story.lost, Some(Lost::Unconfirmed { .. })), "{story:?}");
    }
}

#[test]
fn each_attempt_is_told_once_when_it_is_decided_for_the_first_time() {
    let client = |port: u16| tuple(&format!("10.0.0.7:{port} 10.0.1.9:80"));
    let answered = see(POD_A, client(1), 0).came(1).answered(30);
    let silent = see(POD_A, client(2), 0).came(2).until(1030);
    let look = |book: &mut Book| {
        let mut decided = Vec::new();
        let stories = book.take_of(u64::MAX, false, &|_| true, &mut |story| decided.push(story.outcome));
        decided.sort_unstable();
        (stories.len(), decided)
    };
    let mut book = book(3500, &[answered, silent]);
    assert_eq!(look(&mut book), (1, vec![Outcome::Established, Outcome::NoAnswer]));
    // More of the one, and an answer of the other after all: both are decided already.
    book.read_on(4200, &[answered.until(3900), silent.came(3).answered(3900)]);
    assert_eq!(look(&mut book), (0, Vec::new()));
}
