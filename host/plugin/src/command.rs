//! Subcommands: the interface `runner` of `wit/command.wit`.

use crate::call::{Function, run};
use crate::discover::Plugins;
use crate::error::{Error, Fault};
use crate::manifest::Command;
use crate::plugin::Plugin;
use crate::reach::Opener;
use crate::terminal::Terminal;
use crate::types::{GuestError, Kv};

/// The interface's full name.
pub(crate) const INTERFACE: &str = "nacre:plugin/runner@0.1.0";
const RUN: Function = Function { interface: INTERFACE, name: "run" };

/// Rows that a command's table may have without being more than fits an answer.
const ROWS: usize = 1 << 20;

impl Plugins {
    /// All commands with their plugins, in the order of precedence. Of several with one name the first is the one
    /// that [`Plugins::command`] finds.
    pub fn commands(&self) -> impl Iterator<Item = (&Plugin, &Command)> {
        self.list().flat_map(|plugin| plugin.manifest.commands.iter().map(move |command| (plugin, command)))
    }

    /// The command `nacre NAME` with its plugin.
    pub fn command(&self, name: &str) -> Option<(&Plugin, &Command)> {
        self.commands().find(|(_, command)| command.name == name)
    }

    /// How calls reach the store, registries and the network, as far as their plugins are granted it. Without it they
    /// reach nothing.
    pub fn reach_by(&self, opener: Opener) {
        for plugin in self.list() {
            plugin.runtime.reach_by(&opener);
        }
    }
}

impl Plugin {
    /// Runs the command `name` with the user's arguments and returns its exit code.
    ///
    /// # Errors
    /// The plugin has no such command, cannot be loaded, breaks a limit, crashes or reports an error; or nacre could
    /// not read or write: [`Error::Data`].
    pub fn run(&self, name: &str, args: &[Kv], terminal: Box<dyn Terminal>) -> Result<u8, Error> {
        if !self.manifest.commands.iter().any(|command| command.name == name) {
            return Err(Fault::Call(format!("it has no command {name}")).of(self.name()));
        }
        let (failure, answer): (_, Result<u8, GuestError>) = run(self, RUN, ROWS, |state| {
            state.outside.terminal = Some(terminal);
            Ok((name, args))
        })?;
        match (failure, answer) {
            (Some(source), _) => Err(Error::Data { plugin: self.name().into(), source }),
            (None, answer) => answer.map_err(|error| Fault::Guest(error).of(self.name())),
        }
    }
}
