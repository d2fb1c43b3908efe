//! The interface `build`: what a frontend can ask while it works.

use std::time::Instant;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

use super::check::{self, Refusal};
use crate::data::{Outcome, Trouble, function, resource};
use crate::graph::{Definition, ImageName};
use crate::reach::{Result, told};
use crate::state::State;
use crate::types::{Diagnostic, GuestError, Platform};

/// The most bytes of a file that a frontend reads.
const MAX_FILE: usize = 4 << 20;
/// The most names of a folder that a frontend lists.
const MAX_NAMES: usize = 100_000;
/// Questions whose answers take no time of the plugin's own. Whoever has more waits at its own cost.
const EXCUSED: u32 = 10_000;
/// Warnings that are passed on.
const MAX_WARNINGS: u32 = 1_000;

/// An image as its registry has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, ComponentType, Lower)]
#[component(record)]
pub struct Resolved {
    /// Of its manifest.
    pub digest: String,
    /// What it is for.
    pub platform: Platform,
    /// Its configuration as JSON.
    pub config: String,
}

/// A build under way, as its frontend sees it. What may be asked for is checked before.
pub trait BuildSession: Send {
    /// A file of a folder context, of at most 4 MiB; none if there is no such file. The folder that the build's own file
    /// lies in is the context `dockerfile`.
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>>;
    /// The image of this name for this platform; not yet its layers.
    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved>;
    /// Builds a part of the graph now.
    fn solve(&mut self, definition: Definition) -> Result<Box<dyn BuiltFiles>>;
    /// Tells the user of something that is no error.
    fn warn(&mut self, diagnostic: Diagnostic);
}

/// A root filesystem that was built.
pub trait BuiltFiles: Send {
    /// A file of it, of at most 4 MiB; none if there is no such file.
    fn read_file(&mut self, path: &str) -> Result<Option<Vec<u8>>>;
    /// The names in a folder of it.
    fn list(&mut self, path: &str) -> Result<Vec<String>>;
}

/// The session of one call.
pub(crate) struct Session {
    inner: Box<dyn BuildSession>,
    excused: u32,
    warnings: u32,
}

impl Session {
    pub(crate) fn new(inner: Box<dyn BuildSession>) -> Session {
        Session { inner, excused: EXCUSED, warnings: MAX_WARNINGS }
    }
}

/// What a handle `snapshot` stands for.
struct Snapshot(Box<dyn BuiltFiles>);

pub(super) fn add(build: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    resource::<Snapshot>(build, "snapshot")?;
    function(build, "read-file", |state, (context, path): (String, String)| {
        state.ask_build(|session| session.read_file(&context, &path)).and_then(|file| sized(state, file))
    })?;
    function(build, "resolve", resolve)?;
    function(build, "solve", solve)?;
    function(build, "[method]snapshot.read-file", |state, (snapshot, path): (Resource<Snapshot>, String)| {
        state.ask_snapshot(&snapshot, |files| files.read_file(&path)).and_then(|file| sized(state, file))
    })?;
    function(build, "[method]snapshot.list", list)?;
    build.func_wrap("warn", |mut store: StoreContextMut<'_, State>, (diagnostic,): (Diagnostic,)| {
        store.data_mut().warn(diagnostic);
        Ok(())
    })
}

fn resolve(state: &mut State, (name, platform): (ImageName, Platform)) -> Outcome<Resolved> {
    check::name(&name, state.outside.granted()).map_err(refused)?;
    state.ask_build(|session| session.resolve(&name, &platform))
}

fn solve(state: &mut State, (definition,): (Definition,)) -> Outcome<Resource<Snapshot>> {
    check::definition(&definition, state.outside.granted()).map_err(refused)?;
    let files = state.ask_build(|session| session.solve(definition))?;
    Ok(state.handles.push(Snapshot(files))?)
}

fn list(state: &mut State, (snapshot, path): (Resource<Snapshot>, String)) -> Outcome<Vec<String>> {
    let mut names = state.ask_snapshot(&snapshot, |files| files.list(&path))?;
    if names.len() > MAX_NAMES {
        return Err(Trouble::limit(format!("{path} has more than {MAX_NAMES} names")));
    }
    names.sort();
    Ok(names)
}

fn refused(refusal: Refusal) -> Trouble {
    Trouble::Guest(match refusal {
        Refusal::Bad(what) => GuestError::invalid("bad-graph", what),
        Refusal::Denied(denied) => GuestError::from(denied),
    })
}

fn sized(state: &mut State, file: Option<Vec<u8>>) -> Outcome<Option<Vec<u8>>> {
    let size = file.as_ref().map_or(0, Vec::len);
    if size > MAX_FILE {
        return Err(Trouble::limit(format!("a file of {size} bytes, more than {} MiB", MAX_FILE >> 20)));
    }
    state.counts.bytes_in += size as u64;
    Ok(file)
}

impl State {
    /// Asks the session. However long that takes, the plugin's clock stands.
    fn ask_build<T>(&mut self, ask: impl FnOnce(&mut dyn BuildSession) -> Result<T>) -> Outcome<T> {
        let session = self.build.as_mut().ok_or_else(|| Trouble::unsupported("there is no build in this call"))?;
        let begun = Instant::now();
        let answer = told(ask(&mut *session.inner));
        self.excuse(begun);
        answer
    }

    fn ask_snapshot<T>(&mut self, snapshot: &Resource<Snapshot>, ask: impl FnOnce(&mut dyn BuiltFiles) -> Result<T>) -> Outcome<T> {
        let begun = Instant::now();
        let answer = told(ask(&mut *self.handles.get_mut(snapshot)?.0));
        self.excuse(begun);
        answer
    }

    /// The time since `begun` was not the plugin's.
    fn excuse(&mut self, begun: Instant) {
        let left = self.build.as_mut().map_or(0, |session| {
            session.excused = session.excused.saturating_sub(1);
            session.excused
        });
        if left > 0 {
            self.clock.stand(begun.elapsed(), u64::MAX);
        }
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        let Some(session) = self.build.as_mut().filter(|session| session.warnings > 0) else { return };
        session.warnings -= 1;
        session.inner.warn(diagnostic.capped());
    }
}
