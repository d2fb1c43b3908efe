//! Whether a file is the one that was looked at before, without reading it again.
//!
//! Hashing an interpreter of 20 MB takes longer than a call of it. So what is known about a file's content is kept with its
//! stamp, and is as good as new while the stamp is the same. The time of the last change (`ctime`) cannot be set
//! by a program, so whoever writes to the file changes its stamp.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A file system's clock may stand still for a moment: what was changed just before it was looked at may be changed again
/// and have the same stamp.
const SETTLED: Duration = Duration::from_millis(100);

/// Which file it is and when it was changed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(found: &Metadata) -> Stamp {
        Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Whether the last change lies far enough before now that the next one cannot have the same stamp.
    pub(crate) fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1)) else { return false };
        now.checked_sub(Duration::new(seconds, nanos)).is_some_and(|age| age > SETTLED)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn a_change_that_hides_its_time_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "one").unwrap();
        let before = fs::metadata(&path).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.size(), after.mtime_nsec()), (before.size(), before.mtime_nsec()));
        assert_ne!(Stamp::of(&after), Stamp::of(&before));
    }

    #[test]
    fn what_was_changed_just_now_is_not_settled() {
        let just = Stamp::of(&tempfile::tempfile().unwrap().metadata().unwrap());
        assert!(!just.is_settled());
        assert!(Stamp { changed: (just.changed.0 - 1, just.changed.1), ..just }.is_settled());
        assert!(!Stamp { changed: (just.changed.0 + 60, 0), ..just }.is_settled(), "a clock that was set back proves nothing");
    }
}
