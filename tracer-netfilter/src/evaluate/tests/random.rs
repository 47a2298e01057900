//! Random rulesets against a plain interpreter that tries every way in which what is unknown can turn out.
//!
//! What it proves: whoever drops the packet in any of the possible worlds is a candidate; and a candidate without anything
//! unknown is met in all of them, unless an earlier one was.

use super::*;

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// A condition or action, as the interpreter sees it.
#[derive(Clone, Debug)]
enum Plain {
    Coin,
    Mark(u32, u32),
    Port(u16),
    Set(u32, u32),
    Verdict(Verdict),
}

type Chains = Vec<Vec<Vec<Plain>>>;

/// Chain and rule where a packet is dropped.
type Place = Option<(usize, usize)>;

const USER: usize = 4;

fn chain(random: &mut Random, index: usize) -> Vec<Vec<Plain>> {
    (0..=random.below(4)).map(|_| rule(random, index)).collect()
}

fn rule(random: &mut Random, index: usize) -> Vec<Plain> {
    let bits = |random: &mut Random| {
        let mask = 1 + random.below(3) as u32;
        (random.below(4) as u32 & mask, mask)
    };
    let mut rule = Vec::new();
    match random.below(6) {
        0 => rule.push(Plain::Coin),
        1 | 2 => {
            let (value, mask) = bits(random);
            rule.push(Plain::Mark(value, mask));
        }
        3 => rule.push(Plain::Port(if random.below(2) == 0 { 22 } else { 23 })),
        _ => {}
    }
    let to = |random: &mut Random| {
        // Only to later chains, as the kernel wants it.
        (index + 1 < USER + 2).then(|| {
            let first = (index + 1).max(2);
            format!("c{}", first as u64 + random.below((USER + 2 - first) as u64))
        })
    };
    match random.below(8) {
        0 => rule.push(Plain::Verdict(Verdict::Drop)),
        1 => rule.push(Plain::Verdict(Verdict::Accept)),
        2 => rule.push(Plain::Verdict(Verdict::Return)),
        3 | 4 => rule.extend(to(random).map(|to| Plain::Verdict(Verdict::Jump(to)))),
        5 => rule.extend(to(random).map(|to| Plain::Verdict(Verdict::Goto(to)))),
        _ => {
            let (value, mask) = bits(random);
            rule.push(Plain::Set(value, mask));
        }
    }
    rule
}

fn expressions(rule: &[Plain]) -> Vec<Expression> {
    rule.iter()
        .flat_map(|plain| match plain {
            Plain::Coin => limit(),
            Plain::Mark(value, bits) => mark(*value, *bits),
            Plain::Port(port) => dport(*port),
            Plain::Set(value, bits) => set_mark(*value, *bits),
            Plain::Verdict(verdict) => does(verdict.clone()),
        })
        .collect()
}

/// One possible world: how each coin falls (by chain and rule), and the mark at the start.
struct Reality<'a> {
    chains: &'a Chains,
    coins: &'a HashMap<(usize, usize), bool>,
    mark: u32,
}

enum Stop {
    Drop(usize, usize),
    Accept,
    Return,
}

impl Reality<'_> {
    fn chain(&mut self, index: usize) -> Stop {
        'rules: for (number, rule) in self.chains[index].iter().enumerate() {
            for plain in rule {
                let holds = match plain {
                    Plain::Coin => self.coins[&(index, number)],
                    Plain::Mark(value, mask) => self.mark & mask == *value,
                    Plain::Port(port) => *port == 22,
                    Plain::Set(value, mask) => {
                        self.mark = self.mark & !mask | value;
                        true
                    }
                    Plain::Verdict(verdict) => match self.verdict(index, number, verdict) {
                        Some(stop) => return stop,
                        None => true,
                    },
                };
                if !holds {
                    continue 'rules;
                }
            }
        }
        Stop::Return
    }

    fn verdict(&mut self, index: usize, number: usize, verdict: &Verdict) -> Option<Stop> {
        let chain = |name: &str| name[1..].parse::<usize>().unwrap();
        match verdict {
            Verdict::Drop => Some(Stop::Drop(index, number + 1)),
            Verdict::Accept => Some(Stop::Accept),
            Verdict::Jump(name) => match self.chain(chain(name)) {
                Stop::Return => None,
                other => Some(other),
            },
            Verdict::Goto(name) => Some(self.chain(chain(name))),
            _ => Some(Stop::Return),
        }
    }

    /// Where it is dropped; chains 0 and 1 are base chains, the first of which drops by policy if `drops`.
    fn run(&mut self, drops: bool) -> Place {
        for base in 0..2 {
            match self.chain(base) {
                Stop::Drop(chain, number) => return Some((chain, number)),
                Stop::Return if base == 0 && drops => return Some((0, 0)),
                Stop::Return | Stop::Accept => {}
            }
        }
        None
    }
}

fn build(chains: &Chains, drops: bool) -> Firewall {
    let policy = if drops { Policy::Drop } else { Policy::Accept };
    let mut firewall = Firewall::nft();
    for (index, rules) in chains.iter().enumerate() {
        let name = format!("c{index}");
        firewall = match index {
            0 => firewall.base(&name, Hook::Input, 0, policy),
            1 => firewall.base(&name, Hook::Input, 10, Policy::Accept),
            _ => firewall.chain(&name),
        };
        for rule in rules {
            firewall = firewall.rule(&[&expressions(rule)]);
        }
    }
    firewall
}

/// All places where the packet is dropped, with the mark at the start and at the end.
fn realities(chains: &Chains, drops: bool) -> Vec<(Place, u32, u32)> {
    let mut coins = Vec::new();
    for (chain, rules) in chains.iter().enumerate() {
        for (number, rule) in rules.iter().enumerate() {
            if matches!(rule.first(), Some(Plain::Coin)) {
                coins.push((chain, number));
            }
        }
    }
    coins.truncate(8);
    let mut all = Vec::new();
    for fall in 0..1_u32 << coins.len() {
        let coins: HashMap<_, _> =
            coins.iter().enumerate().map(|(bit, place)| (*place, fall >> bit & 1 != 0)).collect();
        for start in 0..4 {
            let mut reality = Reality { chains, coins: &coins, mark: start };
            let place = reality.run(drops);
            all.push((place, start, reality.mark));
        }
    }
    all
}

fn check(firewall: &Firewall, mark: Mark, worlds: &[Place], round: u64) -> (usize, usize) {
    let walk = firewall.ask(&with_mark(mark), Hook::Input);
    let context = || format!("round {round}, {mark:?}: {}\n{:?}\n{:#?}", firewall.words(&walk), worlds, walk.steps);
    let index_of = |place: (usize, usize)| {
        walk.candidates.iter().position(|it| (it.place.chain, it.place.number as usize) == place)
    };
    for world in worlds {
        let Some(place) = world else {
            assert_ne!(walk.outcome, Outcome::Dropped, "{}", context());
            continue;
        };
        assert_ne!(walk.outcome, Outcome::Accepted, "{}", context());
        let Some(index) = index_of(*place) else { panic!("no candidate {place:?} in {}", context()) };
        if let Some(sure) = walk.candidates.iter().position(|it| it.unknown.is_empty()) {
            assert!(index <= sure, "{place:?} behind a sure one in {}", context());
        }
    }
    let sure = walk.candidates.iter().filter(|it| it.unknown.is_empty()).count();
    (usize::from(walk.candidates.len() == 1 && sure == 1), usize::from(!worlds.is_empty()))
}

#[test]
fn every_possible_end_is_a_candidate_and_a_sure_one_is_sure() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut sure, mut asked) = (0, 0);
    for round in 0..4_000 {
        let chains: Chains = (0..USER + 2).map(|index| chain(&mut random, index)).collect();
        if chains.iter().flatten().filter(|rule| matches!(rule.first(), Some(Plain::Coin))).count() > 8 {
            continue;
        }
        let drops = random.below(2) == 0;
        let firewall = build(&chains, drops);
        let worlds = realities(&chains, drops);
        for mark in 0..4 {
            let starting: Vec<_> = worlds.iter().filter(|it| it.1 == mark).map(|it| it.0).collect();
            check(&firewall, Mark::Before(mark), &starting, round);
            // An event: the packet was dropped, and this was its mark.
            let ending: Vec<_> = worlds.iter().filter(|it| it.2 == mark && it.0.is_some()).map(|it| it.0).collect();
            let (is_sure, has_worlds) = check(&firewall, Mark::After(mark), &ending, round);
            sure += is_sure & has_worlds;
            asked += has_worlds;
        }
    }
    // Sound is easy for who never is sure: more than half of all drops are told without a doubt.
    assert!(sure * 2 > asked, "{sure} of {asked} are told for sure");
    println!("{sure} of {asked} are told for sure");
}
