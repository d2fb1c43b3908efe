//! T2: power loss. A store does a random sequence of things while all its changes are recorded; then each state that a power
//! loss could have left is made real, opened, and held to what was promised.
//!
//! A state is a prefix of the changes of which some that were not flushed are lost or torn: none; all; every single one;
//! and random pairs. What is durable when, `model` says. SQLite's files are a part of it: at each commit the log is
//! compared with what it was before, and the difference counts as one write for each page, flushed if SQLite was told to;
//! copying the log back likewise. The order of those writes within one commit is SQLite's documented one, not observed.
//! The shared-memory index is never on the disk, because SQLite makes it anew; the making of the first page of `meta.db`,
//! which a rollback journal protects, counts as one indivisible write.

mod history;
mod journal;
mod model;
mod promises;

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    thread,
};

use self::{
    history::{History, Promise, record},
    model::{Disk, Fate, durable_at},
};
use super::{Dice, Report, Scope};

/// How many states each sequence gives, and how many things each store does.
const STATES: usize = 2_500;
const STEPS: usize = 12;

/// The states to try in full, and in a sample.
const FULL: usize = 50_000;
const SAMPLE: usize = 500;

/// The harness.
pub fn power(scope: &Scope) -> Report {
    let (states, each) = if scope.full { (FULL, STATES) } else { (SAMPLE, SAMPLE / 4) };
    let mut dice = Dice::new(scope.seed);
    let seeds: Vec<u64> = (0..states.div_ceil(each)).map(|_| dice.roll()).collect();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut report = Report { unit: "power-loss states", ..Report::default() };
    let mut changes = 0;
    thread::scope(|scope| {
        let of = |worker: usize| seeds.iter().copied().skip(worker).step_by(workers).collect::<Vec<_>>();
        let run = |seeds: Vec<u64>| seeds.into_iter().map(|seed| sequence(seed, each)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || run(of(worker)))).collect();
        for (tried, count, violations) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            report.tried += tried;
            changes += count;
            report.violations.extend(violations);
        }
    });
    report.notes.push(format!("{changes} changes in {} sequences", seeds.len()));
    report
}

/// A folder that lives in memory, where there is one: a flush costs nothing there.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The states that one sequence leaves: how many were tried, the number of changes, and what was broken.
fn sequence(seed: u64, states: usize) -> (u64, usize, Vec<String>) {
    let mut dice = Dice::new(seed);
    let history = record(folder().path(), &mut dice, STEPS);
    let mut trial = Trial { durable: durable_at(&history.ops), history, seen: HashSet::new(), violations: Vec::new() };
    let count = trial.history.ops.len();
    let mut cases = trial.simple();
    dice.shuffle(&mut cases);
    cases.truncate(states / 2);
    for (end, fates) in cases {
        trial.attempt(seed, end, &fates);
    }
    // Pairs; of many tries some are states that were seen before.
    for _ in 0..states * 4 {
        if trial.seen.len() >= states {
            break;
        }
        let end = usize::try_from(dice.below(count as u64 + 1)).unwrap();
        let fates = trial.pair(end, &mut dice);
        trial.attempt(seed, end, &fates);
    }
    (trial.seen.len() as u64, count, trial.violations)
}

type Fates = BTreeMap<usize, Fate>;

struct Trial {
    history: History,
    durable: Vec<usize>,
    seen: HashSet<(u64, usize)>,
    violations: Vec<String>,
}

impl Trial {
    /// The changes before `end` that a power loss then may take back.
    fn pending(&self, end: usize) -> Vec<usize> {
        (0..end).filter(|at| self.durable[*at] > end && !self.history.ops[*at].fates().is_empty()).collect()
    }

    /// Every prefix: whole, without all that is not durable, and with each single loss.
    fn simple(&self) -> Vec<(usize, Fates)> {
        let mut cases = Vec::new();
        for end in 0..=self.history.ops.len() {
            let pending = self.pending(end);
            cases.push((end, Fates::new()));
            cases.push((end, pending.iter().map(|at| (*at, Fate::Dropped)).collect()));
            // What is lost long before is tried with the prefixes of that time.
            for at in pending.iter().rev().take(12) {
                cases.extend(self.history.ops[*at].fates().iter().map(|fate| (end, Fates::from([(*at, *fate)]))));
            }
        }
        cases
    }

    fn pair(&self, end: usize, dice: &mut Dice) -> Fates {
        let pending = self.pending(end);
        let mut fates = Fates::new();
        for _ in 0..2_usize.min(pending.len()) {
            let at = pending[usize::try_from(dice.below(pending.len() as u64)).unwrap()];
            let possible = self.history.ops[at].fates();
            fates.insert(at, possible[usize::try_from(dice.below(possible.len() as u64)).unwrap()]);
        }
        fates
    }

    fn attempt(&mut self, seed: u64, end: usize, fates: &Fates) {
        let disk = Disk::after(&self.history.ops[..end], fates);
        let steps = &self.history.steps;
        let done = steps.iter().take_while(|step| step.end <= end).count();
        if !self.seen.insert((disk.fingerprint(), done)) {
            return;
        }
        let nothing = Promise::default();
        let before = done.checked_sub(1).map_or(&nothing, |last| &steps[last].promise);
        let whole = done.checked_sub(1).is_some_and(|last| steps[last].end == end);
        let running = steps.get(done).filter(|_| !whole);
        let after = running.map_or(before, |step| &step.promise);
        let folder = folder();
        disk.write_to(folder.path());
        if let Some(what) = promises::broken(folder.path(), before, after) {
            let doing = running.map_or("nothing", |step| &step.what);
            let lost: Vec<String> = fates.iter().map(|(at, fate)| format!("{fate:?} {}", self.history.ops[*at].told())).collect();
            self.violations.push(format!("{what} (sequence {seed}, after change {end}, during {doing}; lost: {})", lost.join(", ")));
        }
    }
}
