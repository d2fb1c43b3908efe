//! T6: many processes use one store at once, and some are killed. What a command acknowledged stays true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use super::{Dice, Report, Scope};
use crate::{
    images,
    sandbox::{Output, Sandbox, Server},
};

/// The images of the registry, which share layers.
const IMAGES: u64 = 8;
/// Names that a member of the crowd has for itself.
const NAMES: u64 = 4;
/// Pulls of one image at once.
const AT_ONCE: usize = 20;

/// Lets a crowd loose on a store, looks at what is left, and pulls one image many times at once.
///
/// # Panics
/// If the sandboxes or the registry cannot be made.
pub fn crowd(scope: &Scope) -> Report {
    let (members, time) = if scope.full { (32, Duration::from_mins(10)) } else { (8, Duration::from_secs(8)) };
    let (origin, sandbox) = (Sandbox::new(), Sandbox::new());
    let server = registry(&origin);
    sandbox.nacre(["images"]).ok();
    let end = Instant::now() + time;
    let lives: Vec<Member<'_>> = thread::scope(|scope_| {
        let start = |number| Member::new(number, scope.seed, &sandbox, &server);
        let crowd: Vec<_> = (0..members).map(|number| scope_.spawn(move || start(number).live(end))).collect();
        crowd.into_iter().map(|member| member.join().expect("a member only reports")).collect()
    });
    let mut report = Report { unit: "operations", ..Report::default() };
    report.notes.push(format!("{members} at once, {} killed", lives.iter().map(|member| member.killed).sum::<u64>()));
    for member in &lives {
        report.tried += member.done;
        report.violations.extend(member.violations.iter().cloned());
        report.violations.extend(member.untrue());
    }
    report.violations.extend(leftovers(&sandbox));
    report.violations.extend(fetched_once(&mut report.notes));
    report
}

/// A registry with images of a shared layer and an own one.
fn registry(origin: &Sandbox) -> Server {
    let shared = images::layer("shared", &images::noise(300_000, 1));
    for number in 0..IMAGES {
        let own = images::layer("own", &images::noise(40_000, 100 + number));
        fs::write(origin.path("image"), images::docker_archive(&format!("crowd{number}:1"), &[shared.clone(), own])).unwrap();
        origin.nacre(["load", "-q", "-i", "image"]).ok();
    }
    origin.serve()
}

/// One of the crowd, with names that nobody else touches.
struct Member<'a> {
    number: u64,
    dice: Dice,
    sandbox: &'a Sandbox,
    server: &'a Server,
    /// The own names whose existence is known, and the image's id if it exists.
    known: BTreeMap<String, Option<String>>,
    done: u64,
    killed: u64,
    violations: Vec<String>,
}

impl<'a> Member<'a> {
    fn new(number: u64, seed: u64, sandbox: &'a Sandbox, server: &'a Server) -> Self {
        let dice = Dice::new(seed.wrapping_mul(1_000).wrapping_add(number));
        Self { number, dice, sandbox, server, known: BTreeMap::new(), done: 0, killed: 0, violations: Vec::new() }
    }

    fn live(mut self, end: Instant) -> Self {
        while Instant::now() < end {
            self.act();
            self.done += 1;
        }
        self
    }

    fn act(&mut self) {
        let image = self.server.name(&format!("crowd{}:1", self.dice.below(IMAGES)));
        let name = format!("mine{}:{}", self.number, self.dice.below(NAMES));
        let file = format!("{}.tar", self.number);
        match self.dice.below(9) {
            0 | 1 => _ = self.has_to(&["pull", "-q", &image]),
            2 | 3 => self.tag(&image, &name),
            4 => self.remove(&name),
            5 => self.save_and_load(&name, &file),
            6 => _ = self.has_to(&["image", "prune", "-f"]),
            7 => _ = self.has_to(&["images", "-a"]),
            // Others may need the name, and then have to live without.
            _ => _ = self.run(&["rmi", &image]),
        }
    }

    fn tag(&mut self, image: &str, name: &str) {
        match self.run(&["tag", image, name]) {
            None => _ = self.known.remove(name),
            Some(output) if output.code == Some(0) => {
                let found = self.id(name);
                if found.is_none() {
                    self.violations.push(format!("{name} was tagged and is not there"));
                }
                self.known.insert(name.to_owned(), found);
            }
            Some(output) if output.stderr.contains("No such image") || output.stderr.contains("not found") => {}
            Some(output) => self.complain(&output),
        }
    }

    fn remove(&mut self, name: &str) {
        let there = self.known.get(name).cloned();
        match self.run(&["rmi", name]) {
            None => _ = self.known.remove(name),
            Some(output) => {
                if there.is_some_and(|id| id.is_some() != (output.code == Some(0))) {
                    self.complain(&output);
                }
                self.known.insert(name.to_owned(), None);
            }
        }
    }

    /// Saves what is known to be there and loads it again, which changes nothing.
    fn save_and_load(&mut self, name: &str, file: &str) {
        if !matches!(self.known.get(name), Some(Some(_))) || !self.has_to(&["save", "-o", file, name]) {
            return;
        }
        self.has_to(&["load", "-q", "-i", file]);
    }

    /// Runs what cannot fail; whether it ended by itself, and well.
    fn has_to(&mut self, arguments: &[&str]) -> bool {
        let Some(output) = self.run(arguments) else { return false };
        if output.code != Some(0) {
            self.complain(&output);
        }
        output.code == Some(0)
    }

    fn complain(&mut self, output: &Output) {
        self.violations.push(format!("{} ended with {:?}: {}", output.command, output.code, output.stderr.trim_end()));
    }

    /// Runs a command, or kills it after a while and returns nothing.
    fn run(&mut self, arguments: &[&str]) -> Option<Output> {
        if self.dice.below(6) > 0 {
            return Some(self.sandbox.nacre(arguments));
        }
        let mut command = self.sandbox.command(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(self.dice.below(60_000)));
        // It may have ended by itself.
        _ = child.kill();
        child.wait().unwrap();
        self.killed += 1;
        None
    }

    fn id(&self, name: &str) -> Option<String> {
        let output = self.sandbox.nacre(["inspect", "-f", "{{.Id}}", name]);
        (output.code == Some(0)).then_some(output.stdout)
    }

    /// What was acknowledged and is not so.
    fn untrue(&self) -> Vec<String> {
        let wrong = self.known.iter().filter(|(name, id)| self.id(name) != **id);
        wrong.map(|(name, id)| format!("{name} is {:?}, not {id:?}", self.id(name))).collect()
    }
}

/// What is damaged, or left after a prune, and after everything was removed.
fn leftovers(sandbox: &Sandbox) -> Vec<String> {
    let mut found = Vec::new();
    let before = sandbox.nacre(["system", "check", "--deep"]);
    if before.stdout.contains("damaged") || !matches!(before.code, Some(0 | 1)) {
        found.push(format!("damage: {}{}", before.stdout, before.stderr));
    }
    for prune in [&["image", "prune", "-f"][..], &["image", "prune", "-af"]] {
        sandbox.nacre(prune).ok();
        let after = sandbox.nacre(["system", "check", "--deep"]);
        if after.stdout != "nothing found\n" {
            found.push(format!("after {}: {}{}", prune.join(" "), after.stdout, after.stderr));
        }
    }
    let mut open: Vec<_> = ["blobs", "ingest"].map(|name| sandbox.root().join(name)).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(format!("{} is left", path.display())) }
        }
    }
    found
}

/// Pulls one image many times at once; each blob has to be asked for once.
fn fetched_once(notes: &mut Vec<String>) -> Vec<String> {
    let (origin, sandbox) = (Sandbox::new(), Sandbox::new());
    let layers: Vec<Vec<u8>> = (0..5).map(|seed| images::layer("file", &images::noise(1 << 20, seed))).collect();
    fs::write(origin.path("image"), images::docker_archive("one:1", &layers)).unwrap();
    origin.nacre(["load", "-q", "-i", "image"]).ok();
    let server = origin.serve();
    let pull = || sandbox.nacre(["pull", "-q", &server.name("one:1")]);
    let pulls: Vec<Output> = thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(pull)).collect();
        all.into_iter().map(|one| one.join().expect("it only runs")).collect()
    });
    let failed = pulls.iter().filter(|output| output.code != Some(0)).map(|output| format!("a pull of {AT_ONCE}: {}", output.stderr));
    let log = server.log();
    let asked: Vec<&str> = log.lines().filter_map(|line| line.split_once("GET ")?.1.split_once(' ')).map(|(path, _)| path).collect();
    let blobs: Vec<&str> = asked.into_iter().filter(|path| path.contains("/blobs/")).collect();
    let different: BTreeSet<&str> = blobs.iter().copied().collect();
    notes.push(format!("{AT_ONCE} pulls of one image: {} blobs by {} requests", different.len(), blobs.len()));
    let mut wrong: Vec<String> = failed.collect();
    if different.len() != layers.len() + 1 || blobs.len() != different.len() {
        wrong.push(format!("{AT_ONCE} pulls asked {} times for {} blobs", blobs.len(), different.len()));
    }
    wrong
}
