//! What reaches the user's eyes: formats, tables, units, filters' grammar, progress, and the escaping of all that
//! comes from outside.

pub(crate) mod escape;
pub(crate) mod filter;
pub(crate) mod format;
mod functions;
mod glob;
pub(crate) mod progress;
mod table;
mod template;
pub(crate) mod time;
pub(crate) mod units;
