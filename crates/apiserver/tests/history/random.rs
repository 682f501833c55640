//! Choices that follow from a seed.

use okra_apiserver::clock::{Chance, SeededChance};

/// The seed of this run.
pub fn seed() -> u64 {
    let given = std::env::var("OKRA_HISTORY_SEED").ok();
    given.map_or(1, |text| text.parse().expect("OKRA_HISTORY_SEED is a number"))
}

pub struct Random(SeededChance);

impl Random {
    /// The sequence of one actor in the run of a seed.
    pub fn new(seed: u64, actor: u64) -> Self {
        Self(SeededChance::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(actor)))
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }

    pub fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).expect("it is below a length")]
    }
}
