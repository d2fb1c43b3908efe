//! Trying again: what is worth it, and how long to wait.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use http::{HeaderMap, header::RETRY_AFTER};
use jiff::Timestamp;
use nacre_oci::Error;

use crate::Retry;

/// Why one attempt failed, and whether another may do better.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) again: Again,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Soon,
    /// The server said when.
    After(Duration),
}

impl Failure {
    pub(crate) fn passing(error: Error) -> Self {
        Self { error, again: Again::Soon }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, again: Again::Never }
    }
}

/// Counts failures since the last progress.
pub(crate) struct Backoff {
    policy: Retry,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(policy: Retry) -> Self {
        Self { policy, failures: 0 }
    }

    /// Something came through: start counting anew.
    pub(crate) fn progress(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before the next attempt; the failure's error if there should be none.
    pub(crate) fn next(&mut self, failure: Failure) -> Result<(Duration, Error), Error> {
        self.failures += 1;
        if failure.again == Again::Never || self.failures >= self.policy.tries {
            return Err(failure.error);
        }
        match failure.again {
            Again::After(wait) if wait > self.policy.patience => Err(failure.error),
            Again::After(wait) => Ok((wait, failure.error)),
            _ => Ok((self.pause(), failure.error)),
        }
    }

    /// Doubling pauses, each between half and all of its length.
    fn pause(&self) -> Duration {
        let full = self.policy.pause.saturating_mul(1 << (self.failures - 1).min(16)).min(self.policy.longest);
        let random = RandomState::new().build_hasher().finish() % 1000;
        full.mul_f64(0.5 + random as f64 / 2000.0)
    }
}

/// `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn passing() -> Failure {
        Failure::passing(Error::Conflict("x".into()))
    }

    #[test]
    fn pauses_grow_and_end() {
        let policy = Retry { tries: 4, pause: Duration::from_millis(100), longest: Duration::from_millis(150), ..Retry::default() };
        let mut backoff = Backoff::new(policy);
        let waits: Vec<_> = (0..3).map(|_| backoff.next(passing()).unwrap().0.as_millis()).collect();
        assert!((50..=100).contains(&waits[0]) && (75..=150).contains(&waits[1]) && (75..=150).contains(&waits[2]), "{waits:?}");
        assert!(backoff.next(passing()).is_err());
        backoff.progress();
        assert!(backoff.next(passing()).is_ok());
        assert!(backoff.next(Error::Cancelled.into()).is_err(), "what cannot get better is not tried again");
    }

    #[test]
    fn waits_as_long_as_the_server_says_within_reason() {
        let now: Timestamp = "2015-10-21T07:27:50Z".parse().unwrap();
        let header = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
        assert_eq!(header("7"), Some(Duration::from_secs(7)));
        assert_eq!(header("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(header("Wed, 21 Oct 2015 07:27:00 GMT"), Some(Duration::ZERO));
        assert_eq!((header("soon"), header("-1")), (None, None));
        let after = |seconds| Failure { error: Error::Cancelled, again: Again::After(Duration::from_secs(seconds)) };
        assert_eq!(Backoff::new(Retry::default()).next(after(3)).unwrap().0, Duration::from_secs(3));
        assert!(Backoff::new(Retry::default()).next(after(100_000)).is_err());
    }
}
