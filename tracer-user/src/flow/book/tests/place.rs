use super::*;

fn lost(sightings: &[Sighting]) -> (Way, String) {
    let mut book = book(6000, sightings);
    let story = book.one();
    (story.way, said(story.lost.as_ref()))
}

fn said(lost: Option<&Lost>) -> String {
    match lost {
        None => "nothing".into(),
        Some(Lost::AfterNode { at }) => format!("after {}", name(at)),
        Some(Lost::InPod { at }) => format!("in pod behind {}", name(at)),
        Some(Lost::InNetns { at }) => format!("in the namespace of {}", name(at)),
        Some(Lost::Between { from }) => format!("between {} and the next", name(from)),
        Some(Lost::Answer { from }) => format!("answer behind {}", name(from)),
        Some(Lost::AnswerElsewhere { asked, answered }) => format!("{} asked, {}", name(asked), name(answered)),
        Some(other) => format!("{other:?}"),
    }
}

#[test]
fn silence_is_behind_the_last_device() {
    let client = tuple(CLIENT);
    let out = [see(POD_A, client, 0).came(1), see(ETH0, client, 1).left(1)];
    assert_eq!(lost(&out), (Way::Out, "after dev1-2".into()));
    assert_eq!(lost(&out[..1]), (Way::Out, "between dev1-11 and the next".into()));
    assert_eq!(lost(&[see(ETH0, client, 0).left(1)]), (Way::Out, "after dev1-2".into()));
    let incoming = [see(ETH0, client, 0).came(1), see(POD_B, client, 1).left(1), see(IN_B, client, 2).came(1)];
    assert_eq!(lost(&incoming[..1]), (Way::In, "between dev1-2 and the next".into()));
    assert_eq!(lost(&incoming[..2]), (Way::In, "in pod behind dev1-12".into()));
    assert_eq!(lost(&incoming), (Way::In, "in the namespace of dev12-2".into()));
    let local = [see(POD_A, client, 0).came(1), see(POD_B, client, 1).left(1)];
    assert_eq!(lost(&local), (Way::Local, "in pod behind dev1-12".into()));
    let through = [see(ETH0, client, 0).came(1), see(ETH1, client, 1).left(1)];
    assert_eq!(lost(&through), (Way::Through, "after dev1-3".into()));
    let overlay = [see(VXLAN, client, 0).came(1), see(POD_B, client, 1).left(1)];
    assert_eq!(lost(&overlay), (Way::In, "in pod behind dev1-12".into()));
}

#[test]
fn a_device_that_was_attached_to_between_two_tries_has_its_place() {
    let (client, masqueraded) = (tuple(CLIENT), tuple("192.0.2.1:50000 10.96.0.1:80"));
    let late = [see(ETH0, masqueraded, 0).left(2).of(client).until(1001), see(POD_A, client, 1000).came(1).until(1000)];
    let mut book = book(6000, &late);
    let story = book.one();
    assert_eq!((story.way, said(story.lost.as_ref())), (Way::Out, "after dev1-2".into()));
    assert_eq!((story.tuple, story.translated), (client, Some(masqueraded)));
    // Sent out, and come back: both saw each of them.
    let back = [see(ETH0, client, 0).left(2).until(1000), see(ETH1, client, 5).came(2).until(1005)];
    assert_eq!(lost(&back), (Way::Local, "between dev1-3 and the next".into()));
}

#[test]
fn of_several_namespaces_the_last_one_outward_counts() {
    let client = tuple(CLIENT);
    let nested = [see(IN_A, client, 0).left(1), see(POD_A, client, 1).came(1), see(ETH0, client, 2).left(1)];
    assert_eq!(lost(&nested), (Way::Out, "after dev1-2".into()));
    assert_eq!(lost(&nested[..1]), (Way::Out, "after dev11-2".into()));
}

#[test]
fn a_pod_that_calls_itself_by_its_service_passes_its_veth_twice() {
    let (client, own) = (tuple(CLIENT), "10.0.0.7:40000 10.0.0.7:8080");
    let hairpin = [see(POD_A, client, 0).came(1), see(POD_A, tuple(own), 1).left(1).of(client)];
    assert_eq!(lost(&hairpin), (Way::Local, "in pod behind dev1-11".into()));
}

#[test]
fn an_answer_that_does_not_reach_the_client_is_lost_if_it_asks_again() {
    let client = tuple(CLIENT);
    let pod = |count, until| see(POD_A, client, 0).came(count).until(until);
    let uplink = |count, until| see(ETH0, client, 1).left(count).answered_by(count, 20).until(until);
    let mut book = book(600, &[pod(1, 0), uplink(1, 20)]);
    assert_eq!(book.so_far(), (0, 1), "the reading may be torn, and the client may ask again");
    book.read_on(1600, &[pod(2, 1030), uplink(2, 1050)]);
    let story = book.one();
    assert_eq!((story.outcome, said(story.lost.as_ref())), (Outcome::NoAnswer, "answer behind dev1-2".into()));
}

#[test]
fn an_answer_that_passed_beside_the_device_satisfies_a_client_that_asks_no_more() {
    let client = tuple(CLIENT);
    let mut book = book(600, &[see(POD_A, client, 0).came(1), see(ETH0, client, 1).left(1).answered(20)]);
    assert_eq!(book.so_far(), (0, 1));
    book.read_on(1600, &[]);
    assert_eq!(book.so_far(), (1, 0));
}

#[test]
fn over_udp_the_device_must_have_shown_answers() {
    let (one, other) = (udp("10.0.0.7:40000 192.0.2.9:123"), udp("10.0.0.7:40001 192.0.2.9:123"));
    let fails = [see(POD_A, one, 0).came(1), see(ETH0, one, 1).left(1).answered(20)];
    let mut unknown = book(2600, &fails);
    assert_eq!(unknown.so_far(), (1, 0));
    let mut known = book(600, &[see(POD_A, other, 0).came(1).answered(20), see(ETH0, other, 1).left(1).answered(19)]);
    assert_eq!(known.so_far(), (1, 0));
    known.read_on(2600, &fails);
    assert_eq!(said(known.one().lost.as_ref()), "answer behind dev1-2");
}

#[test]
fn an_answer_by_another_device_is_said_to_be() {
    let client = tuple(CLIENT);
    let incoming = [
        see(ETH0, client, 0).came(2).until(1030),
        see(POD_B, client, 1).left(2).answered_by(2, 5).until(1040),
        see(ETH1, client, 6).only_answers(left(2)).until(1041),
    ];
    assert_eq!(lost(&incoming), (Way::In, "dev1-2 asked, dev1-3".into()));
    let outgoing = [see(ETH0, client, 0).left(2).until(1030), see(ETH1, client, 6).only_answers(came(2)).until(1041)];
    assert_eq!(lost(&outgoing), (Way::Out, "dev1-2 asked, dev1-3".into()));
}

#[test]
fn an_answer_that_was_dropped_here_is_a_drop() {
    let client = tuple(CLIENT);
    let sightings = [see(POD_A, client, 0).came(1), see(ETH0, client, 1).left(1).answered(20)];
    let mut book = book(2600, &sightings);
    book.dropped(&client, drop_seen(20, true, "rp_filter"));
    let story = book.one();
    assert_eq!((story.outcome, said(story.lost.as_ref())), (Outcome::Dropped, "answer behind dev1-2".into()));
    assert!(story.drops[0].is_answer);
}

#[test]
fn what_this_namespace_itself_answers_a_pod_is_local() {
    let mut book = book(600, &[see(POD_A, tuple(CLIENT), 0).came(1).answered(1)]);
    assert_eq!(book.so_far(), (1, 0));
    assert_eq!(book.census().services.keys().next().unwrap().way, Way::Local);
}
