//! T9 and T10: archives and layouts that were made to do harm. Each ends in one line or stays inside the store.

mod bombs;
mod folders;
mod mutation;
mod table;
mod tarball;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use nacre_oci::Digest;
use nix::sys::resource::{UsageWho, getrusage};

use super::{Dice, Report, Scope};
use crate::sandbox::{Output, Sandbox};

/// The most memory that any command may take, in KiB.
const MEMORY: i64 = 256 << 10;
/// The most seconds.
const TIME: &str = "60";
/// What the program `timeout` says of one that it killed.
const KILLED: i32 = 137;
/// A sample looks at the store after so many cases.
const SELDOM: u64 = 20;
/// Archives of the full run that are changed ones of the table.
const MUTATIONS: usize = 2_000;

/// Loads, copies and imports hostile files, and looks at what is left each time.
///
/// # Panics
/// If the sandbox cannot be made.
pub fn archives(scope: &Scope) -> Report {
    let proof = &mut Proof::new(if scope.full { 1 } else { SELDOM });
    let (table, bombs) = (table::table(), bombs::bombs(scope.full));
    table.iter().chain(&bombs).for_each(|(name, bytes)| proof.load(name, bytes));
    table.iter().step_by(if scope.full { 1 } else { 16 }).for_each(|(name, bytes)| proof.import(name, bytes));
    folders::FOLDERS.iter().for_each(|(name, spoil)| proof.copy(name, *spoil));
    let (mut dice, small) = (Dice::new(scope.seed), table.iter().filter(|(_, bytes)| bytes.len() < 64 << 10).collect::<Vec<_>>());
    let mutations = if scope.full { MUTATIONS } else { 0 };
    for n in 0..mutations {
        let (name, bytes) = small[n % small.len()];
        proof.load(&format!("{name}, change {n}"), &mutation::mutate(bytes, &mut dice));
    }
    let last = proof.store_is_whole();
    proof.report.violations.extend(last);
    proof.report.notes.push(format!("at most {} MiB, and {:.1} s by {}", proof.peak >> 10, proof.slowest.0, proof.slowest.1));
    std::mem::take(&mut proof.report)
}

struct Proof {
    sandbox: Sandbox,
    honest: Vec<u8>,
    outside: BTreeMap<PathBuf, Option<Digest>>,
    report: Report,
    /// After so many cases the store is looked at.
    every: u64,
    peak: i64,
    slowest: (f64, String),
}

impl Proof {
    fn new(every: u64) -> Self {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("outside")).unwrap();
        fs::write(sandbox.path("outside/a"), "sentinel").unwrap();
        let honest = table::docker(&table::LIST.replace("hostile", "honest")).finish();
        let report = Report { unit: "archives", ..Report::default() };
        let mut proof = Self { sandbox, honest, outside: BTreeMap::new(), report, every, peak: 0, slowest: Default::default() };
        proof.outside = proof.tree();
        proof
    }

    fn load(&mut self, name: &str, bytes: &[u8]) {
        self.given(name, bytes, &["load", "-q", "-i", "case"]);
    }

    fn import(&mut self, name: &str, bytes: &[u8]) {
        self.given(&format!("import of {name}"), bytes, &["import", "-q", "case", "hostile:1"]);
    }

    fn given(&mut self, name: &str, bytes: &[u8], arguments: &[&str]) {
        let path = self.sandbox.path("case");
        fs::write(&path, bytes).unwrap();
        let output = self.timed(name, arguments);
        fs::remove_file(path).unwrap();
        self.judge(name, &output);
    }

    fn copy(&mut self, name: &str, spoil: fn(&Path)) {
        let folder = self.sandbox.path("case");
        folders::honest(&folder);
        spoil(&folder);
        let output = self.timed(name, &["copy", "-q", "oci:case", "hostile:1"]);
        fs::remove_dir_all(folder).unwrap();
        self.judge(&format!("layout: {name}"), &output);
    }

    fn timed(&mut self, name: &str, arguments: &[&str]) -> Output {
        let nacre = self.sandbox.command(arguments);
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", TIME]).arg(nacre.get_program()).args(arguments).current_dir(self.sandbox.path(""));
        command.env_clear().envs(nacre.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let begin = Instant::now();
        let output = self.sandbox.run(command, b"");
        let took = begin.elapsed().as_secs_f64();
        if took > self.slowest.0 {
            self.slowest = (took, name.to_owned());
        }
        output
    }

    /// What has to hold after every case.
    fn judge(&mut self, name: &str, output: &Output) {
        self.report.tried += 1;
        let mut broken = Vec::new();
        broken.extend(ending(output));
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(i64::MAX, |usage| usage.max_rss());
        if peak > MEMORY.max(self.peak) {
            broken.push(format!("took {} MiB", peak >> 10));
        }
        self.peak = self.peak.max(peak);
        if self.tree() != self.outside {
            broken.push("changed something outside the store".into());
            self.outside = self.tree();
        }
        if self.report.tried.is_multiple_of(self.every) {
            broken.extend(self.store_is_whole());
        }
        self.report.violations.extend(broken.into_iter().map(|why| format!("{name}: {why}")));
    }

    /// A load that fails may leave content that came before the failure, as one of several layers; a prune clears it away.
    fn store_is_whole(&self) -> Option<String> {
        fs::write(self.sandbox.path("case"), &self.honest).unwrap();
        let honest = self.sandbox.nacre(["load", "-q", "-i", "case"]);
        fs::remove_file(self.sandbox.path("case")).unwrap();
        let check = || self.sandbox.nacre(["system", "check", "--deep"]);
        let mut found = check();
        if found.stdout.lines().all(|line| line.starts_with("left over: blob ")) {
            self.sandbox.nacre(["image", "prune", "-f"]);
            found = check();
        }
        let well = honest.stdout == "Loaded image: honest:1\n" && found.stdout == "nothing found\n";
        (!well).then(|| format!("afterwards {:?}{:?} and {:?}{:?}", honest.stdout, honest.stderr, found.stdout, found.stderr))
    }

    /// Everything of the sandbox but the store.
    fn tree(&self) -> BTreeMap<PathBuf, Option<Digest>> {
        let (mut found, mut open) = (BTreeMap::new(), vec![self.sandbox.path("")]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path == self.sandbox.root() {
                    continue;
                }
                let content = path.is_file().then(|| Digest::of(&fs::read(&path).unwrap()));
                if content.is_none() {
                    open.push(path.clone());
                }
                found.insert(path, content);
            }
        }
        found
    }
}

/// What is wrong with how a command ended.
fn ending(output: &Output) -> Option<String> {
    let raw = |text: &str| text.chars().any(|c| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{200b}');
    let Output { code, stdout, stderr, .. } = output;
    if raw(stdout) || raw(stderr) {
        return Some(format!("printed raw control characters: {stdout:?} {stderr:?}"));
    }
    match code {
        Some(0) => None,
        Some(1) if stderr.lines().count() == 1 && stderr.starts_with("nacre: ") && stderr.len() < 2_000 => None,
        Some(1) => Some(format!("ended without one clear line: {:?}", stderr.chars().take(500).collect::<String>())),
        Some(KILLED) => Some(format!("did not end in {TIME} s, or was killed")),
        _ => Some(format!("ended with {code:?}: {stderr:?}")),
    }
}
