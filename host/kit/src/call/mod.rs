//! Calling a plugin with a case's input, and its answer as JSON.

mod command;
mod export;
mod frontend;
mod import;
mod outside;
mod plain;
mod tree;

use std::path::Path;
use std::sync::Arc;

use nacre_oci::Memory;
use nacre_plugin::{Fault, Plugins, Stats};
use serde_json::{Value, json};

use crate::case::Case;
use crate::{Error, World};

/// What came of one call.
#[derive(Debug)]
pub struct Outcome {
    /// `{"ok": …}`, or `{"err": …}` if the plugin refused.
    pub answer: Value,
    /// What the calls used that were made, in their order: `probe` and `convert` are two.
    pub stats: Vec<Stats>,
}

/// A plugin that is ready to be called.
pub struct Subject {
    plugins: Plugins,
    name: String,
    worlds: Vec<World>,
}

impl Subject {
    /// The plugin in `folder` with a case's settings. Compiled code is kept in `cache`.
    ///
    /// # Errors
    /// Its manifest cannot be read or is wrong.
    pub fn open(folder: &Path, cache: &Path, case: &Case) -> Result<Subject, Error> {
        let plugins = Plugins::open(folder, cache, &case.settings)?;
        let name = plugins.list().map(|plugin| plugin.name().to_owned()).collect();
        Subject::of(plugins, name)
    }

    /// The plugin `name` of those that there are, with its own settings.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn of(plugins: Plugins, name: String) -> Result<Subject, Error> {
        let worlds = World::of(&plugins.get(&name)?.manifest);
        Ok(Subject { plugins, name, worlds })
    }

    /// Has all cases call `world`, whatever their inputs look like.
    ///
    /// # Errors
    /// The plugin does not provide it.
    pub fn only(&mut self, world: World) -> Result<(), Error> {
        if !self.worlds.contains(&world) {
            return Err(Error::Project(format!("{} provides no {}", self.name, world.name())));
        }
        self.worlds = vec![world];
        Ok(())
    }

    /// Makes the case's call.
    ///
    /// # Errors
    /// The input does not fit the world; the plugin cannot be loaded, breaks a limit, crashes, or answers what nacre
    /// would not use.
    pub fn call(&self, case: &Case) -> Result<Outcome, Error> {
        let plugin = self.plugins.get(&self.name)?;
        let answer = match self.world(case)? {
            World::SearchFilter => plain::search(plugin, case),
            World::PrunePolicy => plain::prune(plugin, case),
            World::Admission => plain::admission(plugin, case),
            World::ImportFormat => import::call(plugin, case),
            World::ExportFormat => export::call(plugin, case),
            World::BuildFrontend => frontend::call(plugin, case),
            World::Command => command::call(&self.plugins, plugin, case),
        };
        let stats = plugin.take_log().stats;
        let answer = match answer {
            Ok(answer) => json!({ "ok": answer }),
            Err(Error::Plugin(nacre_plugin::Error::Plugin { fault: Fault::Guest(error), .. })) => json!({ "err": error }),
            Err(error) => return Err(error),
        };
        Ok(Outcome { answer, stats })
    }

    /// What the case calls: the plugin's world, or of several the one whose parameters the input has.
    fn world(&self, case: &Case) -> Result<World, Error> {
        if let [world] = self.worlds[..] {
            return Ok(world);
        }
        let has = |key: &str| case.input.get(key).is_some();
        let fits = |world: &World| match world {
            World::SearchFilter => has("hits"),
            World::PrunePolicy => has("candidates"),
            World::Admission => has("operation"),
            World::ImportFormat => has("sources"),
            World::ExportFormat => has("image"),
            World::BuildFrontend => has("frontend"),
            World::Command => has("command"),
        };
        self.worlds.iter().copied().find(fits).ok_or_else(|| case.wrong("input.json fits nothing that plugin.toml provides"))
    }
}

/// Where images lie during a call: small ones, in memory.
fn memory() -> Arc<Memory> {
    Arc::new(Memory::new())
}
