//! How many still do something.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Those who still do something.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<(Mutex<usize>, Condvar)>);

/// One of them, until it is dropped.
pub(crate) struct Member(Crowd);

impl Crowd {
    pub(crate) fn enter(&self) -> Member {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Member(self.clone())
    }

    /// Returns when nobody is left.
    pub(crate) fn wait(&self) {
        let count = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(count, |count| *count > 0));
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        *self.0.0.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.0.1.notify_all();
    }
}
