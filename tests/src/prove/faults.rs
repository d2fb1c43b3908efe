//! Commands of which one call fails. None says that it succeeded if it did not; the store stays whole, and the next command works.

use nix::errno::Errno;

use super::{
    Dice, Report, Scope,
    stage::{Kept, Stage, Verb, each, expect},
    tracer::{Counted, Traced, Trouble, trace},
};

/// The faults of a sample.
const SAMPLE: usize = 60;

const TROUBLES: [Trouble; 6] = [
    Trouble::Fail(Errno::EIO),
    Trouble::Fail(Errno::ENOSPC),
    Trouble::Fail(Errno::EDQUOT),
    Trouble::Fail(Errno::EMFILE),
    Trouble::Fail(Errno::EINTR),
    Trouble::Short,
];

/// A command and what becomes of one of its calls.
#[derive(Clone, Copy)]
struct Fault {
    verb: Verb,
    at: usize,
    trouble: Trouble,
}

/// Makes calls of commands fail.
pub fn faults(scope: &Scope) -> Report {
    let stages = Stage::two();
    let calls = each(&stages[..1], &Verb::ALL, |stage, verb| calls(stage, *verb));
    let mut faults: Vec<Fault> = Verb::ALL.iter().zip(&calls).flat_map(|(verb, calls)| of_all(*verb, calls)).collect();
    if !scope.full {
        let mut dice = Dice::new(scope.seed);
        faults = (0..SAMPLE).map(|_| faults[dice.below(faults.len() as u64) as usize]).collect();
    }
    let tried = each(&stages, &faults, one);
    let mut report = Report { unit: "faults", ..Report::default() };
    report.tried = tried.iter().filter(|(traced, _)| traced.hit).count() as u64;
    let borne = tried.iter().filter(|(traced, _)| traced.hit && traced.code == Some(0)).count();
    report.notes = vec![format!("{borne} did not keep the command from its result, which was there")];
    report.violations = tried.into_iter().filter_map(|(_, kept)| kept.err()).collect();
    report
}

/// The calls of a command that can fail.
fn calls(stage: &Stage, verb: Verb) -> Vec<String> {
    stage.restore(verb);
    trace(stage.command(verb), Counted::ReadsToo, None).calls
}

/// Everything that may become of each call of a command.
fn of_all(verb: Verb, calls: &[String]) -> Vec<Fault> {
    let of = |(at, call)| TROUBLES.into_iter().filter(move |trouble| may(call, *trouble)).map(move |trouble| Fault { verb, at, trouble });
    calls.iter().map(String::as_str).enumerate().flat_map(of).collect()
}

/// Whether such a thing happens to such a call.
fn may(call: &str, trouble: Trouble) -> bool {
    let of = |names: &[&str]| names.iter().any(|name| call.starts_with(name));
    match trouble {
        Trouble::Fail(Errno::EMFILE) => of(&["open", "creat"]),
        Trouble::Fail(Errno::ENOSPC | Errno::EDQUOT) => !of(&["read", "pread", "getdents", "flock", "unlink", "rmdir"]),
        Trouble::Fail(Errno::EINTR) => of(&["open", "read", "write", "pwrite", "fallocate", "ftruncate", "flock", "fsync"]),
        Trouble::Short => of(&["write ", "pwrite64 "]),
        _ => true,
    }
}

fn one(stage: &Stage, fault: &Fault) -> (Traced, Kept) {
    let Fault { verb, at, trouble } = *fault;
    stage.restore(verb);
    let traced = trace(stage.command(verb), Counted::ReadsToo, Some((at, trouble)));
    let kept = judge(stage, verb, &traced, at, trouble).map_err(|why| {
        let call = traced.calls.get(at).map_or("its end", String::as_str);
        format!("{verb}, {trouble:?} at {at} ({call}), code {:?}: {why}", traced.code)
    });
    (traced, kept)
}

fn judge(stage: &Stage, verb: Verb, traced: &Traced, at: usize, trouble: Trouble) -> Kept {
    expect(!traced.hung, || "it hangs".to_owned())?;
    expect(matches!(traced.code, Some(0..=2 | 125..=127)), || format!("it does not end in order: {}", traced.stderr))?;
    expect(traced.code == Some(0) || !traced.stderr.is_empty(), || "it fails without a word".to_owned())?;
    expect(!lost(traced, at, trouble), || "false success: what was not flushed may be lost".to_owned())?;
    stage.ended(verb, traced.code, true)?;
    stage.tidy()?;
    stage.works(verb)
}

/// Whether a command succeeded though it could not flush something. SQLite flushes the folder of a log that it begins, and goes on
/// by its own decision if that fails; it is the flush of the log itself that counts. Compiled plugins that could not be kept are
/// compiled again.
fn lost(traced: &Traced, at: usize, trouble: Trouble) -> bool {
    let call = traced.calls.get(at).map(String::as_str).unwrap_or_default();
    let flush = ["fsync", "fdatasync", "syncfs"].iter().any(|name| call.starts_with(name)) && !call.ends_with("/root");
    flush && !call.contains("/root/cache/") && trouble == Trouble::Fail(Errno::EIO) && traced.code == Some(0)
}
