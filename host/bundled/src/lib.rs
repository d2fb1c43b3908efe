//! The bundled plugins, compiled from `plugins/` to components by this crate's build script and
//! embedded; and how guests are built, for whoever else builds some.

pub mod guests;

include!(concat!(env!("OUT_DIR"), "/plugins.rs"));
