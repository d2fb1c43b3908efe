//! What the configuration says about all plugins.

use std::path::PathBuf;

use crate::ceiling::Ceiling;
use crate::lifecycle::Trust;

/// The rules that bind every plugin, the bundled ones too.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What no plugin gets more than.
    pub ceiling: Ceiling,
    /// Who may sign plugins.
    pub trust: Trust,
    /// Plugins folders that only the organisation can write: what lies there needs no signature.
    pub trusted: Vec<PathBuf>,
}
