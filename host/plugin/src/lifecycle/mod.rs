//! A plugin's life: packed, signed, fetched, installed, checked, removed.
//!
//! What is installed lies in the hidden folder `.installed` of a plugins folder and counts only as far as the
//! lock file beside it says so: see [`Lock`]. One rename of that file is what installs, updates or removes.

pub mod artifact;
pub mod componentize;
pub mod embed;
mod install;
mod lock;
mod package;
mod trust;

pub use install::{Installation, Leftover, check_cache, compile, install, leftovers, remove, set_enabled};
pub use lock::{LOCK_FILE, Lock, Locked};
pub(crate) use package::MAX_SIGNATURE;
pub use package::Package;
pub use trust::{Signatures, Trust};
