//! Containers: what they are made of, their lives, their logs, and the images that are committed of them.
//!
//! [`Base::find`] finds an image, [`Engine::create`] makes a container of it by Docker's rules, and [`Engine`] does all else
//! that commands ask for. [`parse`] reads the texts of flags. Nothing here knows a terminal.
//!
//! A container is a row in the store, which has its [`Record`], and the folder `ROOT/containers/ID`. The row is added after
//! the folder and deleted after it, so what a kill leaves is known for what it is, and [`Engine::sweep`] removes it.

mod base;
mod boot;
mod commit;
mod create;
mod engine;
mod error;
mod inspect;
mod life;
mod list;
mod logs;
mod merge;
mod options;
pub mod parse;
mod query;
mod record;
mod signal;
mod size;
mod words;

pub use base::Base;
pub use commit::{CommitOptions, Committed, Draft};
pub use create::Created;
pub use engine::{Container, Engine};
pub use error::{Error, Result};
pub use inspect::{Inspected, Section};
pub use life::Pruned;
pub use list::{Listed, in_words};
pub use logs::{LogLine, LogOptions};
pub use options::{MountSource, Mounting, Options};
pub use query::Query;
pub use record::Record;
pub use signal::signal;
