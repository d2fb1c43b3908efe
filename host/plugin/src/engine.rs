//! The one engine of the process, made when the first plugin is called.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nacre_oci::{Progress, Silent};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine, Strategy};

use crate::error::{Fault, one_line};
use crate::log::{Level, LogEntry};
use crate::reach::{self, Opener};
use crate::state::State;
use crate::types::Kv;
use crate::{data, frontend, terminal, wasi};

/// Bytes of stack that a plugin may use: a quarter of what the smallest thread that calls one has.
const MAX_STACK: usize = 512 << 10;

/// All of wasmtime's configuration. Every setting that touches the generated code is part of the
/// engine's compatibility hash, and so of the cache's keys.
fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_STACK)
        // The same input gives the same output on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}

/// The engine and what is linked to every plugin.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    /// Changes with everything that makes compiled code incompatible.
    pub(crate) compatibility: u64,
}

impl Host {
    fn new() -> wasmtime::Result<Host> {
        let engine = Engine::new(&config())?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker)?;
        add_host(&mut linker)?;
        data::add_to_linker(&mut linker)?;
        reach::add_to_linker(&mut linker)?;
        terminal::add_to_linker(&mut linker)?;
        frontend::add_to_linker(&mut linker)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Host { engine, linker, compatibility: hasher.finish() })
    }
}

/// Adds the interface `host` of `wit/host.wit`.
fn add_host(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut host = linker.instance("nacre:plugin/host@0.1.0")?;
    host.func_wrap("log", |mut store, (level, message, fields): (Level, String, Vec<Kv>)| {
        store.data_mut().log.push(LogEntry { level, message, fields });
        Ok(())
    })?;
    host.func_wrap("settings", |store, ()| Ok((store.data().settings.clone(),)))
}

/// Where compiled plugins are kept, and the engine once it is needed.
pub(crate) struct Runtime {
    pub(crate) cache: PathBuf,
    host: OnceLock<Result<Host, String>>,
    progress: Mutex<Arc<dyn Progress>>,
    opener: OnceLock<Opener>,
    recording: OnceLock<PathBuf>,
}

impl Runtime {
    pub(crate) fn new(cache: PathBuf) -> Runtime {
        Runtime {
            cache,
            host: OnceLock::new(),
            progress: Mutex::new(Arc::new(Silent)),
            opener: OnceLock::new(),
            recording: OnceLock::new(),
        }
    }

    /// What tells calls that the user wants an end.
    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How calls reach what they were granted.
    pub(crate) fn opener(&self) -> Option<Opener> {
        self.opener.get().cloned()
    }

    /// Tells how, once.
    pub(crate) fn reach_by(&self, opener: &Opener) {
        let _ = self.opener.set(Arc::clone(opener));
    }

    /// Where calls are recorded, if they are.
    pub(crate) fn recording(&self) -> Option<&Path> {
        self.recording.get().map(PathBuf::as_path)
    }

    /// Tells where, once.
    pub(crate) fn record(&self, folder: &Path) {
        let _ = self.recording.set(folder.to_owned());
    }

    /// Takes another for the calls to come.
    pub(crate) fn watch(&self, progress: Arc<dyn Progress>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// The engine, made at the first call.
    pub(crate) fn host(&self) -> Result<&Host, Fault> {
        let made = self.host.get_or_init(|| Host::new().map_err(|error| one_line(&format!("{error:#}"))));
        made.as_ref().map_err(|error| Fault::Call(format!("no WebAssembly engine: {error}")))
    }
}
