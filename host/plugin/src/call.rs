//! One call of a plugin: a fresh instance, limits, and an error that says what happened.

use std::sync::PoisonError;

use wasmtime::component::{Component, ComponentNamedList, Lift, Lower};
use wasmtime::{Store, Trap, format_err};
use wasmtime_wasi::I32Exit;

use crate::deadline;
use crate::error::{Error, Fault, join, one_line};
use crate::log::{Level, LogEntry, Stats};
use crate::plugin::Plugin;
use crate::reach::Outside;
use crate::state::State;
use crate::types::{GuestError, Kv};

/// Bytes that an answer may have: this much, and a little for each thing that was asked about. A little
/// more than the largest block that a plugin may pass to nacre.
const ANSWER_BASE: usize = 17 << 20;
const ANSWER_EACH: usize = 256;
/// What a graph may have besides: a graph of 20,000 operations with what they say.
const LARGE: usize = 48 << 20;

/// A function that a plugin exports.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    /// The interface's full name.
    pub(crate) interface: &'static str,
    /// The function's name in it.
    pub(crate) name: &'static str,
}

impl Plugin {
    /// Whether `plugin.toml` lists all these options. `of` says what they are given to.
    pub(crate) fn check_options(&self, opts: &[Kv], of: impl Fn() -> String) -> Result<(), Error> {
        let known = &self.manifest.options;
        match opts.iter().find(|opt| !known.contains_key(&opt.key)) {
            Some(wrong) => Err(Error::UnknownOption { key: wrong.key.clone(), of: of(), known: join(known.keys()) }),
            None => Ok(()),
        }
    }
}

/// Calls `function` about `inputs` things. The answer has at most one part for each of them.
pub(crate) fn call<P, T>(plugin: &Plugin, function: Function, params: P, inputs: usize) -> Result<Vec<T>, Error>
where
    P: ComponentNamedList + Lower + Send,
    T: Lift + Send + 'static,
{
    let answer: Result<Vec<T>, GuestError> = run(plugin, function, inputs, |_| Ok(params))?.1;
    match answer {
        Err(error) => Err(Fault::Guest(error).of(plugin.name())),
        Ok(parts) if parts.len() > inputs => {
            let flood = format!("{} results for {inputs} inputs", parts.len());
            Err(Fault::Answer(flood).of(plugin.name()))
        }
        Ok(parts) => Ok(parts),
    }
}

/// Calls `function`, whose parameters `params` makes: handles are made in the call's own state. What failed on
/// nacre's side ends it, whatever the plugin made of that.
pub(crate) fn call_with<P, T>(
    plugin: &Plugin,
    function: Function,
    params: impl FnOnce(&mut State) -> wasmtime::Result<P> + Send,
) -> Result<T, Error>
where
    P: ComponentNamedList + Lower + Send,
    T: Lift + Send + 'static,
{
    call_sized(plugin, function, 0, params)
}

/// As [`call_with`], with an answer of up to [`LARGE`] more bytes.
pub(crate) fn call_large<P, T>(
    plugin: &Plugin,
    function: Function,
    params: impl FnOnce(&mut State) -> wasmtime::Result<P> + Send,
) -> Result<T, Error>
where
    P: ComponentNamedList + Lower + Send,
    T: Lift + Send + 'static,
{
    call_sized(plugin, function, LARGE / ANSWER_EACH, params)
}

fn call_sized<P, T>(
    plugin: &Plugin,
    function: Function,
    inputs: usize,
    params: impl FnOnce(&mut State) -> wasmtime::Result<P> + Send,
) -> Result<T, Error>
where
    P: ComponentNamedList + Lower + Send,
    T: Lift + Send + 'static,
{
    let (failure, answer): (_, Result<T, GuestError>) = run(plugin, function, inputs, params)?;
    match (failure, answer) {
        (Some(source), _) => Err(Error::Data { plugin: plugin.name().into(), source }),
        (None, Ok(answer)) => Ok(answer),
        (None, Err(error)) => Err(Fault::Guest(error).of(plugin.name())),
    }
}

/// Calls `function` in a fresh instance. Returns with its answer what failed on nacre's side meanwhile.
pub(crate) fn run<P, R>(
    plugin: &Plugin,
    function: Function,
    inputs: usize,
    params: impl FnOnce(&mut State) -> wasmtime::Result<P> + Send,
) -> Result<(Option<nacre_oci::Error>, R), Error>
where
    P: ComponentNamedList + Lower + Send,
    R: Lift + Send + 'static,
{
    let (mut store, component) = prepare(plugin).map_err(|fault| fault.of(plugin.name()))?;
    store.set_hostcall_fuel(ANSWER_BASE.saturating_add(inputs.saturating_mul(ANSWER_EACH)));
    let outcome = deadline::within(&mut store, |store| enter(plugin, &component, function, store, params));
    let mut state = store.into_data();
    let failure = state.failure.take();
    let answer = match (outcome, failure) {
        (Ok(answer), failure) => Ok((failure, answer)),
        (Err(_), Some(source)) => Err(Error::Data { plugin: plugin.name().into(), source }),
        (Err(_), None) if state.watch.cancelled() => Err(Error::Data { plugin: plugin.name().into(), source: nacre_oci::Error::Cancelled }),
        (Err(error), None) => Err(explain(&error, &state, plugin).of(plugin.name())),
    };
    let failure = answer.as_ref().err().map(|error| format!("{} failed: {error}", function.name));
    keep_log(plugin, function, state, failure);
    answer
}

fn prepare(plugin: &Plugin) -> Result<(Store<State>, Component), Fault> {
    let component = plugin.component()?;
    let host = plugin.runtime.host()?;
    let settings = serde_json::to_string(&plugin.settings).map_err(|error| Fault::Call(error.to_string()))?;
    let mut store = Store::new(&host.engine, State::new(plugin.manifest.limits, settings, plugin.runtime.progress()));
    store.limiter(|state| &mut state.limiter);
    store.data_mut().outside = Outside::new(plugin.granted.clone(), plugin.runtime.opener());
    Ok((store, component))
}

fn enter<P, R>(
    plugin: &Plugin,
    component: &Component,
    function: Function,
    store: &mut Store<State>,
    params: impl FnOnce(&mut State) -> wasmtime::Result<P>,
) -> wasmtime::Result<R>
where
    P: ComponentNamedList + Lower,
    R: Lift + 'static,
{
    let Function { interface, name } = function;
    let params = params(store.data_mut())?;
    let host = plugin.runtime.host().map_err(|fault| format_err!("{fault}"))?;
    let instance = host.linker.instantiate(&mut *store, component)?;
    let missing = || format_err!("{interface} has no function {name}");
    let exports = instance.get_export_index(&mut *store, None, interface).ok_or_else(missing)?;
    let export = instance.get_export_index(&mut *store, Some(&exports), name).ok_or_else(missing)?;
    let function = instance.get_typed_func::<P, (R,)>(&mut *store, &export)?;
    store.data_mut().called = true;
    Ok(function.call(store, params)?.0)
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
        None => explain_text(&error.root_cause().to_string(), state.called),
    }
}

/// Wasmtime's errors without a type of their own. Once the plugin is `called` they say how its data is none.
fn explain_text(cause: &str, called: bool) -> Fault {
    if cause.contains("too much data is being copied") {
        Fault::Answer("more data than fits an answer".into())
    } else if cause.contains("resource table") {
        Fault::Resources("handles".into())
    } else if cause.contains("count too high") {
        Fault::Resources("instances, tables or memories".into())
    } else if called {
        Fault::Rules(one_line(cause))
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

fn keep_log(plugin: &Plugin, function: Function, state: State, failure: Option<String>) {
    let mut log = state.log;
    for line in state.printed.text().lines() {
        log.push(LogEntry { level: Level::Info, message: line.to_owned(), fields: Vec::new() });
    }
    let failed = |message| LogEntry { level: Level::Error, message, fields: Vec::new() };
    log.entries.extend(failure.map(failed));
    log.stats.push(Stats {
        plugin: plugin.name().to_owned(),
        call: function.name,
        // Read first, so that it is never more than all the time.
        guest: state.clock.own(),
        wall: state.clock.wall(),
        memory: state.limiter.used(),
        host_calls: state.counts.calls,
        bytes_in: state.counts.bytes_in,
        bytes_out: state.counts.bytes_out,
    });
    plugin.log.lock().unwrap_or_else(PoisonError::into_inner).append(log);
}
