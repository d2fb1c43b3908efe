//! Commands that are killed before and after each call that changes a file. Whatever was acknowledged is there, names are old or
//! new, the next command works, and one prune leaves nothing over.

use super::{
    Dice, Report, Scope,
    stage::{Kept, Stage, Verb, each, expect},
    tracer::{Counted, Trouble, trace},
};

/// The points of a sample.
const SAMPLE: usize = 40;
/// How often a full run goes through all points, for threads take turns differently each time.
const ROUNDS: usize = 2;

/// Where a command is killed.
struct Point {
    verb: Verb,
    at: usize,
    trouble: Trouble,
    /// Whether the next command comes before anything else has looked at the store.
    at_once: bool,
    /// Where the command before it was killed.
    earlier: usize,
}

/// What came of a point: the call, and what was broken.
type Tried = (bool, Kept);

/// Kills commands.
pub fn kills(scope: &Scope) -> Report {
    let stages = Stage::two();
    let calls = each(&stages[..1], &Verb::ALL, |stage, verb| calls(stage, *verb));
    let points = points(scope, &calls);
    let tried: Vec<Tried> = each(&stages, &points, one);
    let mut report = Report { unit: "kill points", ..Report::default() };
    report.tried = tried.iter().filter(|(hit, _)| *hit).count() as u64;
    report.violations = tried.into_iter().filter_map(|(_, kept)| kept.err()).collect();
    let counts: Vec<String> = Verb::ALL.iter().zip(&calls).map(|(verb, calls)| format!("{verb} {calls}")).collect();
    report.notes = vec![format!("calls that change files: {}", counts.join(", "))];
    report
}

/// How many calls of a command change files.
fn calls(stage: &Stage, verb: Verb) -> usize {
    stage.restore(verb);
    trace(stage.command(verb), Counted::Changes, None).calls.len()
}

fn points(scope: &Scope, calls: &[usize]) -> Vec<Point> {
    let mut dice = Dice::new(scope.seed);
    let pull = calls[0] as u64;
    let each = Verb::ALL.iter().zip(calls).flat_map(|(verb, calls)| (0..*calls).map(move |at| (*verb, at)));
    let both = each.flat_map(|(verb, at)| [(verb, at, Trouble::KillBefore), (verb, at, Trouble::KillAfter)]);
    let mut all: Vec<_> = both.collect();
    if scope.full {
        all = all.repeat(ROUNDS);
    } else {
        all = (0..SAMPLE).map(|_| all[dice.below(all.len() as u64) as usize]).collect();
    }
    let point = |(verb, at, trouble)| {
        let (at_once, earlier) = (dice.below(2) == 0, dice.below(pull) as usize);
        Point { verb, at, trouble, at_once, earlier }
    };
    all.into_iter().map(point).collect()
}

fn one(stage: &Stage, point: &Point) -> Tried {
    let Point { verb, at, trouble, .. } = *point;
    stage.restore(verb);
    if verb == Verb::PullAgain {
        trace(stage.command(verb), Counted::Changes, Some((point.earlier, Trouble::KillAfter)));
    }
    let traced = trace(stage.command(verb), Counted::Changes, Some((at, trouble)));
    let call = traced.calls.get(at).map_or("its end", String::as_str);
    let kept = expect(!traced.hung, || "it hangs".to_owned())
        .and_then(|()| expect(traced.hit || traced.code == Some(0), || format!("it fails undisturbed: {}", traced.stderr)))
        .and_then(|()| if point.at_once { Ok(()) } else { stage.ended(verb, traced.code, true) })
        .and_then(|()| stage.works(verb));
    (traced.hit, kept.map_err(|why| format!("{verb}, {trouble:?} at {at} ({call}), after {}: {why}", point.earlier)))
}
