//! Chance that repeats itself: everything made here follows from one number.

/// splitmix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of one case of a run.
    pub(crate) fn of(seed: u64, case: u64) -> Self {
        let mut random = Self(seed ^ case.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: u32, last: u32) -> u32 {
        first + self.below((last - first + 1) as usize) as u32
    }

    /// True in so many of a hundred.
    pub(crate) fn percent(&mut self, chance: u32) -> bool {
        self.between(1, 100) <= chance
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// `! ` in one of four.
    pub(crate) fn not(&mut self) -> &'static str {
        if self.percent(25) { "! " } else { "" }
    }

    /// Two of them in order.
    pub(crate) fn ordered(&mut self, all: &[u32]) -> (u32, u32) {
        let (one, other) = (*self.pick(all), *self.pick(all));
        (one.min(other), one.max(other))
    }

    /// One to `most` different ones, in the order of `all`.
    pub(crate) fn some<T: Clone>(&mut self, all: &[T], most: usize) -> Vec<T> {
        let wanted = 1 + self.below(most.min(all.len()));
        let mut left: Vec<usize> = (0..all.len()).collect();
        while left.len() > wanted {
            let at = self.below(left.len());
            left.remove(at);
        }
        left.into_iter().map(|index| all[index].clone()).collect()
    }
}
