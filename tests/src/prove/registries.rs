//! Hostile registries: whatever they answer ends in one clear line, in bounded time and memory, with nothing shown to others,
//! nothing touched outside the store, no control character printed; and the honest image comes into the same store afterwards.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    Dice, Report, Scope,
    behaviours::{BEHAVIOURS, SECRET},
    bounded::{Run, run},
    documents::DOCUMENTS,
    scripted::{Make, Script, Scripted},
};
use crate::sandbox::Sandbox;

/// Registries at a time: they mostly wait.
const AT_A_TIME: usize = 8;
const SAMPLE: usize = 30;
/// What a command is given, and how much longer it may take to end.
const TIME: Duration = Duration::from_secs(8);
const LEEWAY: Duration = Duration::from_secs(5);
const HONEST: Duration = Duration::from_secs(60);
/// The most memory, in KiB.
const MEMORY: u64 = 256 << 10;

/// What is asked of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Pull,
    PullAll,
    Push,
}

/// How that has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Error,
    /// It is harmless.
    Success,
    /// Whether it is harmless may be seen either way.
    Either,
}

/// One hostile registry.
struct Case {
    name: &'static str,
    verb: Verb,
    ends: Ends,
    documents: Option<Make>,
    script: Option<Script>,
}

/// Tries hostile registries: all, or some of them.
pub fn registries(scope: &Scope) -> Report {
    let cases = chosen(scope);
    let (next, most) = (AtomicUsize::new(0), AtomicU64::new(0));
    let violations = Mutex::new(Vec::new());
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = one(case, &most).into_iter().map(|why| format!("{} ({:?}): {why}", case.name, case.verb));
            violations.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    };
    thread::scope(|scope| (0..AT_A_TIME).for_each(|_| _ = scope.spawn(work)));
    let note = format!("at most {} MiB of memory", most.into_inner() >> 10);
    let violations = violations.into_inner().unwrap_or_else(PoisonError::into_inner);
    Report { tried: cases.len() as u64, unit: "hostile registries", notes: vec![note], violations }
}

fn chosen(scope: &Scope) -> Vec<Case> {
    let documents =
        DOCUMENTS.iter().map(|(name, ends, make)| Case { name, verb: Verb::Pull, ends: *ends, documents: Some(*make), script: None });
    let scripts =
        BEHAVIOURS.iter().map(|(name, verb, ends, script)| Case { name, verb: *verb, ends: *ends, documents: None, script: Some(*script) });
    let mut all: Vec<Case> = documents.chain(scripts).collect();
    let mut dice = Dice::new(scope.seed);
    while !scope.full && all.len() > SAMPLE {
        all.swap_remove(usize::try_from(dice.below(all.len() as u64)).unwrap());
    }
    all
}

/// One registry; every promise that was broken.
fn one(case: &Case, most: &AtomicU64) -> Vec<String> {
    let registry = Scripted::start(case.documents, case.script);
    let sandbox = prepared(&registry);
    if case.verb == Verb::Push {
        registry.be_honest(true);
        sandbox.nacre(["pull", "-q", &registry.name()]).ok();
        registry.be_honest(false);
    }
    let before = outside(&sandbox);
    let done = attempt(case.verb, &sandbox, &registry);
    most.fetch_max(done.memory, Ordering::Relaxed);
    let mut broken = complaints(case, &done);
    if outside(&sandbox) != before {
        broken.push("something outside the store was touched".into());
    }
    // A name and password that the registry itself puts into a redirect are nobody's secret.
    let leaked = registry.elsewhere().into_iter().find(|head| head.contains(SECRET) || head.to_ascii_lowercase().contains(": bearer "));
    broken.extend(leaked.map(|head| format!("another host was shown credentials: {head:?}")));
    registry.be_honest(true);
    broken.extend(honest(&sandbox, &registry));
    broken
}

/// A sandbox with a password for the registry.
fn prepared(registry: &Scripted) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), "registries.stall = '600ms'\n").unwrap();
    let login = format!(r#"{{"auths": {{"{}": {{"auth": "{SECRET}"}}}}}}"#, registry.address());
    fs::write(sandbox.path("auth.json"), login).unwrap();
    sandbox
}

fn attempt(verb: Verb, sandbox: &Sandbox, registry: &Scripted) -> Run {
    let (time, name) = (format!("{}s", TIME.as_secs()), registry.name());
    let repository = name.strip_suffix(":1").unwrap_or(&name);
    let words = match verb {
        Verb::Pull => ["pull", "--progress", "quiet", &name].to_vec(),
        Verb::PullAll => ["pull", "--progress", "quiet", "-a", repository].to_vec(),
        Verb::Push => ["push", "--progress", "quiet", &name].to_vec(),
    };
    run(sandbox.command(words.into_iter().chain(["--timeout", &time])), TIME + LEEWAY)
}

fn complaints(case: &Case, done: &Run) -> Vec<String> {
    let mut broken: Vec<String> = done.complaint().into_iter().collect();
    let raw =
        |text: &str| text.chars().any(|c| c != '\n' && (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')));
    if raw(&done.stdout) || raw(&done.stderr) {
        broken.push(format!("a control character was printed: {:?} {:?}", done.stdout, done.stderr));
    }
    if done.memory > MEMORY {
        broken.push(format!("it took {} MiB of memory", done.memory >> 10));
    }
    match (case.ends, done.code) {
        (Ends::Success, Some(1)) => broken.push(format!("it is harmless and failed: {}", done.error())),
        (Ends::Error, Some(0)) => broken.push(format!("it was taken: {}", done.stdout)),
        _ => {}
    }
    broken
}

/// The honest image comes into the store that the hostile one was for, and nothing in it is damaged.
fn honest(sandbox: &Sandbox, registry: &Scripted) -> Option<String> {
    let pulled = run(sandbox.command(["pull", &registry.name()]), HONEST);
    if pulled.code != Some(0) || !pulled.stdout.contains(&registry.digest().to_string()) {
        return Some(format!("the honest image does not come afterwards: {}{}", pulled.stdout, pulled.stderr));
    }
    let checked = run(sandbox.command(["system", "check", "--deep"]), HONEST);
    let damage = checked.stdout.lines().find(|line| *line != "nothing found" && !line.starts_with("left over: "));
    damage.map(|line| format!("the store is damaged: {line}"))
}

/// Every file of the sandbox that is not the store's.
fn outside(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    collect(&sandbox.path(""), sandbox.root(), &mut files);
    files
}

fn collect(folder: &Path, root: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path != root {
            files.insert(path.clone(), Vec::new());
            collect(&path, root, files);
        } else if path.is_file() {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}
