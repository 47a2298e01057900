//! Pods that come and go by hundreds a second and take each other's addresses, told late and in any order.

use std::collections::BTreeMap;

use super::*;

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What is true of one pod.
struct Life {
    address: usize,
    created: u64,
    /// When it has its address, and when it has it no more.
    begin: u64,
    end: u64,
    /// When the index was first told that it is there, and by when all had told that it is gone.
    told: u64,
    told_gone: u64,
    /// When the runtime said so, for a pod of this node: it alone knows the network namespace.
    runtime: Option<(u64, u64)>,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Address,
    Netns,
}

struct Cluster {
    lives: Vec<Life>,
    /// By time.
    news: BTreeMap<(u64, u64), Change>,
}

const ADDRESSES: usize = 100;

fn address(number: usize) -> String {
    format!("10.244.0.{number}")
}

impl Cluster {
    /// `delay`: how late notifications are at most, ns; of 100 pods `local` are of this node.
    fn new(seed: u64, pods: u64, delay: u64, local: u64) -> Self {
        let mut dice = Dice(seed);
        let mut free_at = vec![START; ADDRESSES];
        let (mut lives, mut news) = (Vec::new(), BTreeMap::new());
        let mut now = START;
        for number in 0..pods {
            now += dice.below(4 * MS);
            let address = (0..ADDRESSES).min_by_key(|slot| (free_at[*slot], *slot)).unwrap();
            let created = now.max(free_at[address] + dice.below(20 * MS));
            let begin = created + dice.below(10 * MS);
            let end = begin + 50 * MS + dice.below(400 * MS);
            // Some are not told to be gone before others have their address.
            free_at[address] = end;
            let uid = format!("u{number}");
            let is_local = dice.below(100) < local;
            let mut say = |time: u64, change: Change| news.insert((time, news.len() as u64), change);
            let pod = |text: &str| pod(&format!("p{}", number % 50), &uid, text);
            let text = self::address(address);
            let (api, api_gone) = (begin + dice.below(delay), dice.below(delay));
            let api_gone = api.max(end + api_gone);
            say(api, Change::Pod(Box::new(seen(Origin::Api, pod(&text), api))));
            say(api_gone, gone(Origin::Api, &format!("p{}", number % 50), &uid, api_gone));
            let (mut told, mut told_gone, mut by_runtime) = (api, api_gone, None);
            if is_local {
                // In any order: the news of its end may come before that of its beginning.
                let (runtime, runtime_gone) = (begin + dice.below(delay), end + dice.below(delay));
                let netns = Some(1000 + u32::try_from(address).unwrap());
                let by_netns = PodSeen { netns, ..seen(Origin::Runtime, pod(&text), created) };
                say(runtime, Change::Pod(Box::new(by_netns)));
                say(runtime_gone, gone(Origin::Runtime, &format!("p{}", number % 50), &uid, end));
                (told, told_gone) = (told.min(runtime), told_gone.max(runtime_gone));
                by_runtime = Some((runtime, runtime_gone));
            }
            lives.push(Life { address, created, begin, end, told, told_gone, runtime: by_runtime });
        }
        Self { lives, news }
    }

    /// Who had an address at a time.
    fn holder(&self, address: usize, time: u64) -> Option<usize> {
        self.lives.iter().position(|life| life.address == address && life.begin <= time && time < life.end)
    }

    /// Whether a name that was given at `now` is right, or could not be known to be wrong.
    fn is_right(&self, uid: &str, what: What, address: usize, time: u64, now: u64) -> bool {
        let number: usize = uid.strip_prefix('u').unwrap().parse().unwrap();
        let named = &self.lives[number];
        let told = |life: &Life| match what {
            What::Address => Some((life.told, life.told_gone)),
            What::Netns => life.runtime,
        };
        match self.holder(address, time).filter(|holder| told(&self.lives[*holder]).is_some()) {
            Some(holder) if holder == number => true,
            // Nobody has told so far that another one is there.
            Some(holder) => told(&self.lives[holder]).is_some_and(|(told, _)| told > now),
            // It was being made, or taken down, and nobody else had it.
            None => {
                let is_its_time = |(_, gone): (u64, u64)| named.created <= time && time <= gone;
                named.address == address && told(named).is_some_and(is_its_time)
            }
        }
    }
}

/// Plays it; the share of packets of pods that get their name, in percent.
fn play(seed: u64, delay: u64, local: u64) -> u64 {
    let mut cluster = Cluster::new(seed, 2000, delay, local);
    let mut index = Index::default();
    let mut dice = Dice(seed + 1);
    let (mut of_pods, mut named) = (0, 0);
    let mut asked = Vec::new();
    for ((now, _), change) in std::mem::take(&mut cluster.news) {
        index.apply_at(change, now);
        for _ in 0..4 {
            let slot = usize::try_from(dice.below(ADDRESSES as u64)).unwrap();
            let time = now.saturating_sub(dice.below(300 * MS));
            let holder = index.pod_at(address(slot).parse().unwrap(), Span::at(time));
            if let Some(pod) = holder.pod() {
                assert!(cluster.is_right(&pod.uid, What::Address, slot, time, now), "{slot} {time} {now}: {}", pod.uid);
            }
            let netns = index.pod_of_netns(1000 + u32::try_from(slot).unwrap(), Span::at(time));
            if let Some(pod) = netns.pod() {
                assert!(
                    cluster.is_right(&pod.uid, What::Netns, slot, time, now),
                    "netns {slot} {time} {now}: {}",
                    pod.uid
                );
            }
            asked.push((slot, time));
            if cluster.holder(slot, time).is_some() {
                of_pods += 1;
                named += u64::from(holder.pod().is_some());
            }
        }
    }
    // Now that all is told, nothing that is still remembered may be wrong.
    for (slot, time) in asked {
        if let Some(pod) = index.pod_at(address(slot).parse().unwrap(), Span::at(time)).pod() {
            assert!(cluster.is_right(&pod.uid, What::Address, slot, time, u64::MAX), "{slot} {time}: {}", pod.uid);
        }
    }
    assert!(of_pods > 1000);
    named * 100 / of_pods
}

#[test]
fn no_packet_gets_the_name_of_a_pod_that_had_not_its_address() {
    for seed in 0..3 {
        play(seed, 3 * SECOND, 50);
        play(seed, 300 * MS, 50);
        play(seed, 3 * SECOND, 0);
    }
}

#[test]
fn where_news_are_prompt_nearly_all_packets_have_a_name() {
    let shares: Vec<u64> = (0..2).map(|seed| play(seed, 2 * MS, 100)).collect();
    assert!(shares.iter().all(|share| *share >= 97), "of this node: {shares:?}");
    // An address that another one takes at once is nobody's for some seconds where only the API tells of both.
    let shares: Vec<u64> = (0..2).map(|seed| play(seed, 2 * MS, 0)).collect();
    assert!(shares.iter().all(|share| *share >= 40), "of other nodes: {shares:?}");
}
