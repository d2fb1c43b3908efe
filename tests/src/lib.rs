//! What the end-to-end tests stand on: generated images, and the suite that every source and sink has to pass.
#![allow(clippy::unwrap_used, reason = "test support: a broken precondition is a failed test")]

pub mod conformance;
pub mod dockerd;
pub mod images;
pub mod mutated;
pub mod peers;
pub mod prove;
pub mod sandbox;
