//! Proofs that the core holds. A harness tries very many cases of one kind of trouble, drawn from a seed, and reports each that
//! broke a promise. The tests run a sample of each; `cargo xtask prove NAME --full` runs all and writes `tests/RESULTS.md`.

pub mod archives;
mod behaviours;
mod bounded;
pub mod crowd;
mod documents;
#[cfg(target_arch = "x86_64")]
pub mod faults;
pub mod full_disk;
pub mod fuzz;
mod http;
#[cfg(target_arch = "x86_64")]
pub mod kills;
pub mod network;
pub mod planted;
pub mod power;
pub mod registries;
mod scripted;
pub mod stage;
pub mod terminal;
#[cfg(target_arch = "x86_64")]
pub mod tracer;
mod wire;

/// How much a harness does.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// What the cases are drawn from: the same seed makes the same cases.
    pub seed: u64,
    /// Everything, instead of a sample that takes seconds.
    pub full: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The cases that were tried.
    pub tried: u64,
    /// What a case is, such as `kill points`.
    pub unit: &'static str,
    /// What else was measured, a line each.
    pub notes: Vec<String>,
    /// Each broken promise, with all that is needed to see it again.
    pub violations: Vec<String>,
}

impl Report {
    /// Fails a test if any promise was broken, or if nothing was tried.
    ///
    /// # Panics
    /// In those cases.
    #[track_caller]
    pub fn assert_whole(&self) {
        assert!(self.tried > 0, "no {} were tried", self.unit);
        let shown = self.violations.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(self.violations.is_empty(), "{} of {} {} broke a promise:\n{shown}", self.violations.len(), self.tried, self.unit);
    }
}

/// Random numbers that are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// Puts things into a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            let other = usize::try_from(self.below(end as u64 + 1)).unwrap();
            things.swap(end, other);
        }
    }
}
