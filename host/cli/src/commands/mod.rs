//! One file per verb: its arguments and one short function.

pub(crate) mod completion;
pub(crate) mod copy;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod pin;
pub(crate) mod plugin;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rmi;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod system;
pub(crate) mod tag;
