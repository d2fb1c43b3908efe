//! Work that stands in an order, done by a few threads.

use std::{
    collections::BTreeSet,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{Error, Result};

/// What was made so far, by position.
pub(crate) type Values<T> = [OnceLock<T>];

/// Does `work` for each position, once all of its `inputs`, which are smaller, are there; `parallel` at a time, smaller ones
/// first. The first failure sets `stop`, which those that run should look at, and begins nothing more.
pub(crate) fn run<T, W>(inputs: &[&[usize]], parallel: usize, stop: &AtomicBool, work: W) -> Result<Vec<T>>
where
    T: Send + Sync,
    W: Fn(usize, &Values<T>) -> Result<T> + Sync,
{
    let values: Vec<OnceLock<T>> = inputs.iter().map(|_| OnceLock::new()).collect();
    let pool = Pool { state: Mutex::new(State::new(inputs)), changed: Condvar::new(), later: later(inputs), stop };
    let threads = parallel.clamp(1, inputs.len().max(1));
    thread::scope(|scope| {
        let worker = || pool.work(|index| work(index, &values).map(|value| _ = values[index].set(value)));
        (1..threads).for_each(|_| _ = scope.spawn(worker));
        worker();
    });
    match pool.state.into_inner().unwrap_or_else(PoisonError::into_inner).failure {
        Some(error) => Err(error),
        None => Ok(values.into_iter().map(|value| value.into_inner().expect("without a failure all is done")).collect()),
    }
}

/// Which positions wait for each.
fn later(inputs: &[&[usize]]) -> Vec<Vec<usize>> {
    let mut later = vec![Vec::new(); inputs.len()];
    for (index, inputs) in inputs.iter().enumerate() {
        inputs.iter().for_each(|input| later[*input].push(index));
    }
    later
}

struct Pool<'a> {
    state: Mutex<State>,
    changed: Condvar,
    later: Vec<Vec<usize>>,
    stop: &'a AtomicBool,
}

struct State {
    ready: BTreeSet<usize>,
    /// How many inputs each position still waits for.
    waiting: Vec<usize>,
    /// How many positions are not done.
    left: usize,
    failure: Option<Error>,
}

impl State {
    fn new(inputs: &[&[usize]]) -> Self {
        let waiting: Vec<usize> = inputs.iter().map(|inputs| inputs.len()).collect();
        let ready = waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(index, _)| index).collect();
        Self { ready, left: waiting.len(), waiting, failure: None }
    }

    /// The failure that came first: the others were only told to stop.
    fn fail(&mut self, error: Error) {
        if self.failure.as_ref().is_none_or(|held| held.is_cancelled() && !error.is_cancelled()) {
            self.failure = Some(error);
        }
    }
}

impl Pool<'_> {
    fn work(&self, work: impl Fn(usize) -> Result<()>) {
        while let Some(index) = self.next() {
            // A panic must not leave the others waiting.
            let guard = Unwinding(self);
            let done = work(index);
            std::mem::forget(guard);
            self.end(index, done);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.left == 0 || self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(index) = state.ready.pop_first() {
                return Some(index);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self, index: usize, done: Result<()>) {
        let mut state = self.lock();
        state.left -= 1;
        match done {
            Ok(()) => {
                for later in &self.later[index] {
                    state.waiting[*later] -= 1;
                    if state.waiting[*later] == 0 {
                        state.ready.insert(*later);
                    }
                }
            }
            Err(error) => {
                self.stop.store(true, Ordering::Relaxed);
                state.fail(error);
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

struct Unwinding<'a, 'b>(&'a Pool<'b>);

impl Drop for Unwinding<'_, '_> {
    fn drop(&mut self) {
        let _nobody_between_looking_and_waiting = self.0.lock();
        self.0.stop.store(true, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, atomic::AtomicUsize};

    use super::*;

    #[test]
    fn does_all_in_an_order_that_fits() {
        let inputs: [&[usize]; 5] = [&[], &[0], &[0], &[1, 2], &[]];
        let stop = AtomicBool::new(false);
        for parallel in [1, 2, 8] {
            let sums = run(&inputs, parallel, &stop, |index, values| {
                Ok(1 + inputs[index].iter().map(|input| values[*input].get().copied().expect("it was waited for")).sum::<usize>())
            });
            assert_eq!(sums.expect("nothing fails"), [1, 2, 2, 5, 1]);
        }
        assert!(run::<(), _>(&[], 4, &stop, |_, _| Ok(())).expect("nothing to do").is_empty());
    }

    #[test]
    fn what_is_independent_runs_at_once() {
        // Each waits for the other: in turn they would wait for ever.
        let both = Barrier::new(2);
        let stop = AtomicBool::new(false);
        run(&[&[], &[]], 2, &stop, |_, _| {
            both.wait();
            Ok(())
        })
        .expect("nothing fails");
    }

    #[test]
    fn the_first_failure_ends_the_rest_and_is_the_one_that_is_told() {
        let (started, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let both = Barrier::new(2);
        let failed = run::<(), _>(&[&[], &[], &[0], &[]], 2, &stop, |index, _| {
            started.fetch_add(1, Ordering::Relaxed);
            both.wait();
            if index == 0 {
                return Err(nacre_oci::Error::not_found("the real reason").into());
            }
            while !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            Err(nacre_oci::Error::Cancelled.into())
        });
        assert!(failed.expect_err("one fails").to_string().contains("the real reason"));
        assert_eq!(started.into_inner(), 2);
    }
}
