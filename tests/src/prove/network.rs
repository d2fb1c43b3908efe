//! Pulls and pushes over a wire on which things go wrong: each ends with the right digest or with a failure, in time; the store
//! is whole then; and over an honest wire everything works again. A reset near the end of a blob costs its end again, not all.

use std::{
    fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use nacre_oci::{Digest, Memory};

use super::{
    Dice, Report, Scope,
    bounded::{Run, run},
    wire::{Plan, TROUBLES, Wire},
};
use crate::{
    images::{self, Recipe, layer, noise},
    peers::{Options, Registry},
    sandbox::{Sandbox, Server},
};

/// Pulls and pushes at a time: they mostly wait.
const AT_A_TIME: usize = 8;
const SAMPLE: u64 = 25;
const FULL: u64 = 1000;
/// What a command is given, and how much longer it may take to end.
const TIME: Duration = Duration::from_secs(6);
const LEEWAY: Duration = Duration::from_secs(5);
/// A command on an honest wire.
const HONEST: Duration = Duration::from_secs(60);
/// The blob whose end is fetched again.
const LARGE: usize = 16 << 20;
/// Of it, in percent, at most so much may be fetched more than once.
const TWICE: usize = 15;

/// A real registry with an image in it.
struct Peer {
    registry: Option<Registry>,
    server: Option<Server>,
    origin: Sandbox,
    digest: Digest,
}

/// Tries pulls and pushes over troubled wires.
pub fn network(scope: &Scope) -> Report {
    let peer = Peer::start();
    let cases = if scope.full { FULL } else { SAMPLE };
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let violations = Mutex::new(Vec::new());
    let work = || {
        loop {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= cases {
                return;
            }
            if let Err(why) = one(&peer, scope.seed, case, &failed) {
                violations.lock().unwrap_or_else(PoisonError::into_inner).push(why);
            }
        }
    };
    thread::scope(|scope| (0..AT_A_TIME).for_each(|_| _ = scope.spawn(work)));
    let mut violations = violations.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (note, more) = near_the_end();
    violations.extend(more);
    let ended = format!("{} ended with the right digest, {} with an error", cases - failed.load(Ordering::Relaxed), failed.into_inner());
    Report { tried: cases, unit: "pulls and pushes", notes: vec![ended, note], violations }
}

impl Peer {
    fn start() -> Self {
        let origin = impatient();
        let layers = vec![layer("large", &noise(700_000, 3)), layer("middle", &noise(90_000, 4)), layer("small", b"small")];
        let digest = give(&origin, layers);
        let registry = Registry::start(&Options::default());
        let server = if registry.is_some() { None } else { Some(Sandbox::serve(&origin)) };
        let peer = Self { registry, server, origin, digest };
        peer.honest_push("pulled/app:1").unwrap();
        peer
    }

    fn address(&self) -> String {
        let server = || self.server.as_ref().map(|server| server.address().to_owned());
        self.registry.as_ref().map(Registry::address).or_else(server).unwrap()
    }

    /// Pushes the image over no wire.
    fn honest_push(&self, name: &str) -> Result<(), String> {
        let name = format!("{}/{name}", self.address());
        self.origin.nacre(["tag", "app:1", &name]).ok();
        honest(run(self.origin.command(["push", "-q", &name]), HONEST), "the honest push")
    }

    /// Pulls over no wire, and checks what came.
    fn honest_pull(&self, sandbox: &Sandbox, name: &str) -> Result<(), String> {
        let pulled = run(sandbox.command(["pull", &format!("{}/{name}", self.address())]), HONEST);
        self.right(&pulled, "the honest pull")?;
        honest(pulled, "the honest pull")?;
        whole(sandbox)
    }

    fn right(&self, pulled: &Run, what: &str) -> Result<(), String> {
        let right = pulled.code != Some(0) || pulled.stdout.contains(&format!("Digest: {}\n", self.digest));
        if right { Ok(()) } else { Err(format!("{what} brought something else: {}", pulled.stdout)) }
    }
}

/// A sandbox that waits for no bytes for long.
fn impatient() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), "registries.stall = '600ms'\n").unwrap();
    sandbox
}

/// Puts an image of these layers into a sandbox's store, as `app:1`.
fn give(sandbox: &Sandbox, layers: Vec<Vec<u8>>) -> Digest {
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe { layers, ..Recipe::default() });
    images::layout(&memory, &root, &sandbox.path("layout"));
    sandbox.nacre(["copy", "-q", "oci:layout", "app:1"]).ok();
    root.digest
}

fn honest(run: Run, what: &str) -> Result<(), String> {
    if run.code == Some(0) { Ok(()) } else { Err(format!("{what} failed: {}", run.stderr)) }
}

/// Nothing is damaged. What ended commands have left is no damage: the next goes on with it, or prune takes it away.
fn whole(sandbox: &Sandbox) -> Result<(), String> {
    let checked = run(sandbox.command(["system", "check", "--deep"]), HONEST);
    let harmless = |line: &str| line == "nothing found" || line.starts_with("left over: ");
    match checked.stdout.lines().find(|line| !harmless(line)) {
        None if !checked.stdout.is_empty() => Ok(()),
        _ => Err(format!("the store is damaged: {}{}", checked.stdout, checked.stderr)),
    }
}

/// One pull or push; the error is the promise that was broken.
fn one(peer: &Peer, seed: u64, case: u64, failed: &AtomicU64) -> Result<(), String> {
    let mut dice = Dice::new(seed ^ (case << 32));
    let trouble = TROUBLES[usize::try_from(case).unwrap() % TROUBLES.len()];
    let plan = Plan { seed: dice.roll(), trouble, rate: [10, 30, 60, 100][usize::try_from(dice.below(4)).unwrap()] };
    let pushes = dice.below(3) == 0;
    let wire = Wire::start(&peer.address(), Some(plan), None);
    let run = if pushes { push(peer, &wire, case) } else { pull(peer, &wire) };
    let run =
        run.map_err(|why| format!("case {case} of seed {seed}, {} with {plan:?}: {why}", if pushes { "a push" } else { "a pull" }))?;
    failed.fetch_add(u64::from(run.code != Some(0)), Ordering::Relaxed);
    Ok(())
}

fn pull(peer: &Peer, wire: &Wire) -> Result<Run, String> {
    let sandbox = impatient();
    let pulled = limited(&sandbox, "pull", &format!("{}/pulled/app:1", wire.address()))?;
    peer.right(&pulled, "the pull")?;
    whole(&sandbox)?;
    peer.honest_pull(&sandbox, "pulled/app:1").map_err(|why| format!("{why}; before: {}", pulled.stderr))?;
    Ok(pulled)
}

fn push(peer: &Peer, wire: &Wire, case: u64) -> Result<Run, String> {
    let repository = format!("pushed/app{case}:1");
    let name = format!("{}/{repository}", wire.address());
    peer.origin.nacre(["tag", "app:1", &name]).ok();
    let pushed = limited(&peer.origin, "push", &name)?;
    if pushed.code != Some(0) {
        peer.honest_push(&repository).map_err(|why| format!("{why}; before: {}", pushed.stderr))?;
    }
    peer.honest_pull(&Sandbox::new(), &repository).map_err(|why| format!("{why}; the push said: {}", pushed.stderr))?;
    Ok(pushed)
}

/// Runs a command that has to end in time, in good order.
fn limited(sandbox: &Sandbox, verb: &str, name: &str) -> Result<Run, String> {
    let time = format!("{}s", TIME.as_secs());
    let run = run(sandbox.command([verb, "--timeout", &time, "--progress", "quiet", name]), TIME + LEEWAY);
    run.complaint().map_or(Ok(run), Err)
}

/// A reset at 90 % of a large blob: how much of it is fetched again, and whether that is too much.
fn near_the_end() -> (String, Option<String>) {
    let peer = Peer::start();
    give(&peer.origin, vec![layer("huge", &noise(LARGE, 5))]);
    peer.honest_push("huge:1").unwrap();
    let wire = Wire::start(&peer.address(), None, Some(90));
    let sandbox = Sandbox::new();
    let pulled = run(sandbox.command(["pull", "-q", &format!("{}/huge:1", wire.address())]), HONEST);
    let more = wire.answered().saturating_sub(LARGE);
    let twice = more * 100 / LARGE;
    let note = format!("a reset at 90 % of {} MiB had {} KiB ({twice} %) fetched again", LARGE >> 20, more >> 10);
    let broken = match honest(pulled, "a pull with one reset").and_then(|()| whole(&sandbox)) {
        Ok(()) if wire.answered() > LARGE && twice <= TWICE => None,
        Ok(()) => Some(format!("{note}: {} bytes were answered", wire.answered())),
        Err(why) => Some(why),
    };
    (note, broken)
}
