//! What a plugin sees of the world: nothing.
//!
//! Every language's standard library imports a dozen WASI interfaces, so they must be there. Here there
//! are no files, no arguments, an empty environment and closed input; clocks stand at zero, random
//! numbers are always the same, and waiting is over at once. So a call has no input but its
//! arguments and settings, and no way to wait inside the host where its deadline cannot reach it.
//! Sockets are linked but useless: `check` refuses a component that imports them.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{Deterministic, HostWallClock, WasiCtx, async_trait};

use crate::log::Printed;
use crate::state::State;

/// Random bytes in one request.
const MAX_RANDOM: u64 = 1 << 20;

/// WASI without a world behind it; what is printed is kept.
pub(crate) fn inert(printed: &Printed) -> WasiCtx {
    WasiCtx::builder()
        .stdout(printed.clone())
        .stderr(printed.clone())
        .wall_clock(Stopped)
        .secure_random(Deterministic::new(vec![0x5a, 0xc3, 0x96, 0x0f]))
        .insecure_random(Deterministic::new(vec![0xa5, 0x3c, 0x69, 0xf0]))
        .insecure_random_seed(0x006e_6163_7265)
        .max_random_size(MAX_RANDOM)
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

/// Adds WASI to a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// A clock that stands at the beginning of 1970.
struct Stopped;

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// A clock that stands, with timers that have always rung.
impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.handles.push(Ready)?;
        subscribe(&mut self.handles, timer)
    }

    fn subscribe_duration(&mut self, _duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}

/// Something that never has to be waited for.
struct Ready;

#[async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {}
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// For WASI 0.3, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(MemoryOutputPipe::new(0))
    }
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Printed::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}
