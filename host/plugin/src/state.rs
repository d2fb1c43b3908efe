//! The state of one call: what the plugin holds, what it may still use, and what was counted.

use std::sync::Arc;

use nacre_oci::Progress;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::data::Watch;
use crate::deadline::Clock;
use crate::frontend::Session;
use crate::limits::{Limiter, Limits};
use crate::log::{Log, Printed};
use crate::reach::Outside;
use crate::wasi;

/// Handles that a plugin may hold at a time.
const MAX_HANDLES: usize = 1_024;

/// The state of one call.
pub(crate) struct State {
    pub(crate) limiter: Limiter,
    pub(crate) clock: Arc<Clock>,
    pub(crate) log: Log,
    pub(crate) printed: Printed,
    /// The plugin's settings as JSON.
    pub(crate) settings: String,
    /// Everything that the plugin has a handle of.
    pub(crate) handles: ResourceTable,
    /// What crossed so far.
    pub(crate) counts: Counts,
    /// What went wrong on nacre's side first: it says more than what the plugin makes of it.
    pub(crate) failure: Option<nacre_oci::Error>,
    /// Counts what is moved, and tells whether the user wants an end.
    pub(crate) watch: Watch,
    /// What it can reach beside its arguments.
    pub(crate) outside: Outside,
    /// The build that it is asked about, if it is a frontend.
    pub(crate) build: Option<Session>,
    /// The plugin is linked and its function runs: what goes wrong from here on is its own doing.
    pub(crate) called: bool,
    wasi: WasiCtx,
}

/// What host functions count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Calls of nacre's data interfaces.
    pub(crate) calls: u64,
    /// Bytes that went to the plugin.
    pub(crate) bytes_in: u64,
    /// Bytes that came from it.
    pub(crate) bytes_out: u64,
}

impl State {
    pub(crate) fn new(limits: Limits, settings: String, progress: Arc<dyn Progress>) -> State {
        let printed = Printed::default();
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(MAX_HANDLES);
        State {
            limiter: Limiter::new(limits),
            clock: Arc::new(Clock::new(limits.time)),
            log: Log::default(),
            build: None,
            called: false,
            wasi: wasi::inert(&printed),
            printed,
            settings,
            handles,
            counts: Counts::default(),
            failure: None,
            watch: Watch::new(progress),
            outside: Outside::default(),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.handles }
    }
}
