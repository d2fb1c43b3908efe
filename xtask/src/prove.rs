//! `cargo xtask prove`: the harnesses of `tests/src/prove`, and the file that keeps what came of their full runs.

use std::{env, fs, process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use nacre_tests::prove::{Report, Scope, archives, crowd, full_disk, fuzz, network, planted, power, registries, terminal};
#[cfg(target_arch = "x86_64")]
use nacre_tests::prove::{faults, kills};

use crate::run;

/// A harness: its name, what it tries, and itself.
type Harness = (&'static str, &'static str, fn(&Scope) -> Report);

const HARNESSES: &[Harness] = &[
    ("power", "power loss at any change of the store", power::power),
    ("planted", "safeguards of the store taken away, one at a time: each has to be missed by a test", planted::planted),
    ("network", "a network that resets, stalls, lies and refuses", network::network),
    ("registries", "registries that answer anything", registries::registries),
    #[cfg(target_arch = "x86_64")]
    ("kills", "a command is killed before or after a system call that changes files", kills::kills),
    #[cfg(target_arch = "x86_64")]
    ("faults", "a system call of a command fails or writes less", faults::faults),
    ("full-disk", "commands on disks that are too small", |scope| full_disk::full_disk(scope).unwrap_or_default()),
    ("archives", "hostile archives, layouts and bombs", archives::archives),
    ("crowd", "many processes and kills on one store", crowd::crowd),
    ("terminal", "text that does harm on a terminal, by every command", terminal::terminal),
    ("fuzz", "any bytes, at every parser", fuzz::fuzz),
];

const SEED: u64 = 1;

/// Runs the harness that the arguments name, or all.
pub fn prove(args: &[String]) -> Result<()> {
    let (wanted, scope) = read(args)?;
    let chosen: Vec<&Harness> = HARNESSES.iter().filter(|(name, ..)| wanted.is_none_or(|wanted| wanted == name)).collect();
    if chosen.is_empty() {
        let known: Vec<String> = HARNESSES.iter().map(|(name, what, _)| format!("  {name:<12}{what}")).collect();
        bail!("which harness?\n{}", known.join("\n"));
    }
    if env::var_os("NACRE_BIN").is_none() {
        // What the harnesses stand on finds the binary by its own environment.
        return run::checked(Command::new(env::current_exe()?).arg("prove").args(args).env("NACRE_BIN", run::build(true)?));
    }
    chosen.into_iter().try_for_each(|harness| one(harness, &scope))
}

/// Which harness, and how: `[NAME] [--full] [--seed N]`, in any order.
fn read(args: &[String]) -> Result<(Option<&String>, Scope)> {
    let (mut wanted, mut scope, mut args) = (None, Scope { seed: SEED, full: false }, args.iter());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--full" => scope.full = true,
            "--seed" => scope.seed = args.next().and_then(|text| text.parse().ok()).context("--seed takes a number")?,
            _ if wanted.is_none() => wanted = Some(arg),
            _ => bail!("{arg}: one harness, or all"),
        }
    }
    Ok((wanted, scope))
}

fn one((name, what, harness): &Harness, scope: &Scope) -> Result<()> {
    let begin = Instant::now();
    let report = harness(scope);
    let seconds = begin.elapsed().as_secs();
    if report.tried == 0 {
        bail!("{name}: nothing could be tried here: run it as root, with what 'cargo xtask setup' installs");
    }
    println!("{name}: {} {} in {seconds} s, {} violations (seed {})", report.tried, report.unit, report.violations.len(), scope.seed);
    report.notes.iter().for_each(|note| println!("  {note}"));
    report.violations.iter().for_each(|violation| println!("  VIOLATION {violation}"));
    if scope.full {
        record(name, what, &report, scope.seed, seconds)?;
    }
    if report.violations.is_empty() { Ok(()) } else { bail!("{name}: {} promises were broken", report.violations.len()) }
}

/// Writes the row of a harness into `tests/RESULTS.md`, in the place of the one that is there.
fn record(name: &str, what: &str, report: &Report, seed: u64, seconds: u64) -> Result<()> {
    let path = run::root().join("tests/RESULTS.md");
    let old = fs::read_to_string(&path).context("cannot read tests/RESULTS.md")?;
    let command = format!("`cargo xtask prove {name} --full --seed {seed}`");
    let date = jiff::Timestamp::now().strftime("%F").to_string();
    let notes = report.notes.join("; ");
    let (tried, unit, broken) = (report.tried, report.unit, report.violations.len());
    let row = format!("| {name} | {what} | {tried} {unit} | {broken} | {notes} | {command} | {date}, {seconds} s |");
    let start = format!("| {name} |");
    let mut lines: Vec<&str> = old.lines().filter(|line| !line.starts_with(&start)).collect();
    lines.push(&row);
    fs::write(&path, lines.join("\n") + "\n").context("cannot write tests/RESULTS.md")
}
