//! One call of a plugin: a fresh instance, limits, and an error that says what happened.

use std::sync::PoisonError;

use wasmtime::component::{ComponentNamedList, Lift, Lower};
use wasmtime::{Store, Trap, format_err};
use wasmtime_wasi::I32Exit;

use crate::deadline;
use crate::error::{Error, Fault, one_line};
use crate::log::{Level, LogEntry};
use crate::plugin::Plugin;
use crate::types::GuestError;
use crate::wasi::State;

/// Bytes that an answer may have: this much, and a little for each thing that was asked about.
const ANSWER_BASE: usize = 16 << 20;
const ANSWER_EACH: usize = 256;

/// Calls `function` of the exported `interface` about `inputs` things. The answer has at most one
/// part for each of them.
pub(crate) fn call<P, T>(plugin: &Plugin, interface: &str, function: &str, params: P, inputs: usize) -> Result<Vec<T>, Error>
where
    P: ComponentNamedList + Lower + Send,
    T: Lift + Send + 'static,
{
    let answer = run(plugin, interface, function, params, inputs).map_err(|fault| fault.of(plugin.name()))?;
    match answer {
        Err(error) => Err(Fault::Guest(error).of(plugin.name())),
        Ok(parts) if parts.len() > inputs => {
            let flood = format!("{} results for {inputs} inputs", parts.len());
            Err(Fault::Answer(flood).of(plugin.name()))
        }
        Ok(parts) => Ok(parts),
    }
}

fn run<P, T>(plugin: &Plugin, interface: &str, function: &str, params: P, inputs: usize) -> Result<Result<Vec<T>, GuestError>, Fault>
where
    P: ComponentNamedList + Lower + Send,
    T: Lift + Send + 'static,
{
    let component = plugin.component()?;
    let host = plugin.runtime.host()?;
    let settings = serde_json::to_string(&plugin.settings).map_err(|error| Fault::Call(error.to_string()))?;
    let limits = plugin.manifest.limits;
    let mut store = Store::new(&host.engine, State::new(limits, settings));
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(ANSWER_BASE.saturating_add(inputs.saturating_mul(ANSWER_EACH)));
    let outcome = deadline::within(limits.time, &mut store, |store| {
        let instance = host.linker.instantiate(&mut *store, &component)?;
        let missing = || format_err!("{interface} has no function {function}");
        let exports = instance.get_export_index(&mut *store, None, interface).ok_or_else(missing)?;
        let export = instance.get_export_index(&mut *store, Some(&exports), function).ok_or_else(missing)?;
        let function = instance.get_typed_func::<P, (Result<Vec<T>, GuestError>,)>(&mut *store, &export)?;
        Ok(function.call(store, params)?.0)
    });
    let state = store.into_data();
    let answer = outcome.map_err(|error| explain(&error, &state, plugin));
    keep_log(plugin, state);
    answer
}

/// What an error of wasmtime means to the user.
fn explain(error: &wasmtime::Error, state: &State, plugin: &Plugin) -> Fault {
    let limits = plugin.manifest.limits;
    if state.limiter.out_of_memory {
        return Fault::Memory(limits.memory);
    }
    if state.limiter.out_of_table {
        return Fault::Resources("table elements".into());
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Fault::Crash(format!("it called exit({})", exit.0));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Fault::Time(limits.time),
        Some(Trap::StackOverflow) => Fault::Stack,
        // Rust keeps a stack in memory too, which ends below address 0.
        Some(Trap::MemoryOutOfBounds) => Fault::Crash("it used memory that is not there, as recursion without end does".into()),
        Some(trap) => Fault::Crash(last_words(state).unwrap_or_else(|| trap.to_string())),
        None => explain_text(&error.root_cause().to_string()),
    }
}

/// Wasmtime's errors without a type of their own.
fn explain_text(cause: &str) -> Fault {
    if cause.contains("too much data is being copied") {
        Fault::Answer("more data than fits an answer".into())
    } else if cause.contains("resource table") {
        Fault::Resources("handles".into())
    } else if cause.contains("count too high") {
        Fault::Resources("instances, tables or memories".into())
    } else {
        Fault::Call(one_line(cause))
    }
}

/// The last thing that the plugin printed before it crashed, which is usually why.
fn last_words(state: &State) -> Option<String> {
    let text = state.printed.text();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("note: "));
    lines.next_back().map(one_line)
}

fn keep_log(plugin: &Plugin, state: State) {
    let mut log = state.log;
    for line in state.printed.text().lines() {
        log.push(LogEntry { level: Level::Info, message: line.to_owned(), fields: Vec::new() });
    }
    plugin.log.lock().unwrap_or_else(PoisonError::into_inner).append(log);
}
