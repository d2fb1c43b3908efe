//! The distribution specification over a temporary store: each end point with its error codes, in the groups of the
//! official conformance suite, and then with real peers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod conformance;
mod discovery;
mod harness;
mod load;
mod management;
mod peers;
mod pull;
mod push;
mod samples;
