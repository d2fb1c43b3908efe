//! The sandbox process: what nacre is when it has executed itself.
//!
//! [`enter`] leaves the host's namespaces and starts [`first`], the first process of the new ones, which does what the
//! parent asks for. All that is made there is gone with that process, except files below the store's root.

mod accounts;
mod beneath;
mod caches;
mod container;
mod copy;
mod enter;
mod files;
mod first;
mod folder;
mod groups;
mod mounts;
mod network;
mod port;
mod reclaim;
mod root;
mod run;
mod socket;
mod spec;
mod start;
mod stubs;
mod trees;
mod volumes;

use std::{ffi::OsStr, process::ExitCode};

/// The argument of a sandbox process that has root's powers.
pub(crate) const ENTER: &str = "nacre:sandbox";
/// The argument of one that takes them in a user namespace.
pub(crate) const ENTER_AS_USER: &str = "nacre:sandbox-of-user";
/// The arguments of those that do not wait for their first process, which stays when all others are gone.
pub(crate) const LEAVE: &str = "nacre:container";
/// See [`LEAVE`] and [`ENTER_AS_USER`].
pub(crate) const LEAVE_AS_USER: &str = "nacre:container-of-user";
/// The argument of the first process in the namespaces.
const FIRST: &str = "nacre:sandbox-first";

/// What the program that a [`Sandbox`](crate::Sandbox) executes does with its first argument, before anything else and
/// before it has threads. If it returns a code, the program was a sandbox process and ends with it.
pub fn serve(argument: Option<&OsStr>) -> Option<ExitCode> {
    match argument?.to_str()? {
        ENTER => Some(enter::enter(false, true)),
        ENTER_AS_USER => Some(enter::enter(true, true)),
        LEAVE => Some(enter::enter(false, false)),
        LEAVE_AS_USER => Some(enter::enter(true, false)),
        FIRST => Some(first::first()),
        _ => None,
    }
}
