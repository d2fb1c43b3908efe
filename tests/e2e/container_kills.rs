//! Containers in crowds, and containers whose commands, monitors and OCI runtimes are killed. Nothing may be left of them that
//! the next command does not clear away.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use nacre_tests::sandbox::Sandbox;

use crate::{
    build_kills::{ended, groups, runs},
    fixture::{assert_whole, store},
    machine::{Machine, eventually},
};

/// How long a command may take after something of it was killed, to end a test that would hang.
const PATIENCE: Duration = Duration::from_secs(40);
const SLEEP: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

/// Notes the names of all runs while something is done.
fn watched<T>(sandbox: &Sandbox, seen: &mut BTreeSet<String>, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.extend(runs(sandbox));
                sleep(Duration::from_millis(3));
            }
            seen
        });
        let _end = Flag(&over);
        let done = work();
        drop(_end);
        seen.extend(watch.join().unwrap());
        done
    })
}

/// Is set when it goes, by a panic too.
pub(crate) struct Flag<'a>(pub &'a AtomicBool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// No process, mount, folder, control group, row or file that nobody needs.
#[track_caller]
pub(crate) fn nothing_left(machine: &Sandbox, seen: &BTreeSet<String>, after: &str) {
    assert_eq!(machine.nacre(["ps", "-a"]).ok().stdout.lines().count(), 1, "after {after}");
    ended(machine);
    let folders: Vec<PathBuf> =
        fs::read_dir(machine.root().join("containers")).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert!(folders.is_empty(), "after {after}: {folders:?}");
    assert!(runs(machine).is_empty(), "after {after}: {:?}", runs(machine));
    assert_eq!(groups(seen), [""; 0], "after {after}");
    assert_eq!(store(machine).left_over_containers().unwrap(), [""; 0], "after {after}");
    assert_eq!(machine.nacre(["system", "check"]).stdout, "nothing found\n", "after {after}");
}

/// What becomes of one of many.
fn one_of_many(machine: &Machine, number: usize) {
    let called = format!("boat{number}");
    let nacre = |line: &str| machine.nacre(line.split(' ').map(|word| if word == "NAME" { &called } else { word }));
    let waits = ["sea", "sh", "-c", SLEEP];
    let background = |options: &[&str]| machine.nacre([&["run", "-d", "--name", &called][..], options, &waits].concat()).ok();
    match number % 5 {
        0 => {
            background(&[]);
            assert_eq!(nacre("exec NAME echo in").ok().stdout, "in\n");
            nacre("stop NAME").ok();
            assert_eq!(nacre("ps -a --filter name=^NAME$").code, Some(0));
            nacre("rm NAME").ok();
        }
        1 => assert_eq!(nacre("run --rm --name NAME sea echo out").ok().stdout, "out\n"),
        2 => {
            background(&["--rm"]);
            nacre("kill NAME").ok();
        }
        3 => {
            nacre("create --name NAME sea sh -c true").ok();
            nacre("start -a NAME").ok();
            nacre("start NAME").ok();
            assert_eq!(nacre("wait NAME").ok().stdout, "0\n");
            nacre("rm -f NAME").ok();
        }
        _ => {
            background(&[]);
            nacre("rm -f NAME").ok();
        }
    }
}

#[test]
fn a_hundred_at_once_leave_nothing() {
    let Some(machine) = Machine::new() else { return };
    let mut seen = BTreeSet::new();
    for round in ["the first hundred", "as many again"] {
        watched(&machine, &mut seen, || {
            thread::scope(|scope| {
                for lane in 0..10 {
                    let machine = &machine;
                    scope.spawn(move || (0..10).for_each(|number| one_of_many(machine, lane * 10 + number)));
                }
            });
        });
        nothing_left(&machine, &seen, round);
    }
    assert!(seen.len() > 150, "only {} runs were seen", seen.len());
    assert_whole(&machine);
}

/// Numbers that look random and are the same in every run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Client,
    Monitor,
    Runtime,
}

/// The processes below one, and itself.
fn family(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children: Vec<u32> = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|line| line.split_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<_>>())
        .collect();
    [process].into_iter().chain(children.into_iter().flat_map(family)).collect()
}

/// Those who hold the lock of a container of the sandbox's (`proc_locks(5)`).
pub(crate) fn monitors(sandbox: &Sandbox) -> Vec<u32> {
    let folders = fs::read_dir(sandbox.root().join("containers")).into_iter().flatten().flatten();
    let inodes: Vec<String> =
        folders.filter_map(|folder| Some(format!(":{} ", fs::metadata(folder.path().join("lock")).ok()?.ino()))).collect();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let held =
        locks.lines().filter(|line| line.contains("WRITE") && !line.contains("->") && inodes.iter().any(|inode| line.contains(inode)));
    held.filter_map(|line| line.split_whitespace().nth(4)?.parse().ok()).collect()
}

fn words(process: u32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default()).replace('\0', " ")
}

/// Those who are to be killed now: of the command's own processes and of those of the sandbox's containers only.
fn victims(machine: &Machine, client: &Child, victim: Victim) -> Vec<u32> {
    let monitors = monitors(machine);
    let all: BTreeSet<u32> = monitors.iter().copied().chain([client.id()]).flat_map(family).collect();
    let chosen = |number: &&u32| match victim {
        Victim::Client => **number == client.id(),
        Victim::Monitor => words(**number).contains("nacre:sandbox"),
        Victim::Runtime => words(**number).contains("runc "),
    };
    all.iter().filter(chosen).copied().collect()
}

/// Runs a command and kills somebody after a while; says whether there was anybody. The command has to end then.
fn killed(machine: &Machine, arguments: &[&str], victim: Victim, after: Duration) -> bool {
    let mut child = machine.command(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    // An OCI runtime comes late and lives for some milliseconds only.
    while matches!(victim, Victim::Runtime) && victims(machine, &child, victim).is_empty() && child.try_wait().unwrap().is_none() {}
    sleep(after);
    let found = victims(machine, &child, victim);
    for number in &found {
        Command::new("kill").args(["-KILL", &number.to_string()]).stderr(Stdio::null()).status().unwrap();
    }
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{arguments:?} hangs after the {victim:?} was killed after {after:?}");
        }
        sleep(Duration::from_millis(5));
    }
    !found.is_empty()
}

/// What is killed; the container `boat` waits, and `new` is not there. None runs that the command itself has not started, if
/// the container has to be stopped before.
const COMMANDS: [(&str, bool); 9] = [
    ("run -d --name new sea sleep 1000", true),
    ("run --rm --name new sea sleep 0.1", true),
    ("run -d --rm --name new sea sleep 0.1", true),
    ("start boat", true),
    ("stop -t 1 boat", false),
    ("rm -f boat", false),
    ("commit boat port", false),
    ("exec boat sleep 0.1", false),
    ("cp base.tar boat:/tmp/", false),
];

/// What every user can do next, whatever was killed.
fn repaired(machine: &Machine, what: &str) {
    let shown = machine.nacre(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok().stdout;
    for line in shown.lines() {
        let (container, status) = line.split_once(' ').unwrap();
        assert!(["Up ", "Created", "Exited ("].iter().any(|it| status.starts_with(it)), "{what}: {line}");
        assert!(!status.contains("Paused"), "{what}: {line}");
        // One that is to be removed may be gone by now, or go while it is looked at.
        let started = machine.nacre(["start", container]);
        let gone = container == "new" && ["No such container", "was not found"].iter().any(|why| started.stderr.contains(why));
        assert!(gone || started.code == Some(0), "{what}: {line}: {}", started.stderr);
        if !gone && container == "boat" {
            // A killed stop may have told it to end before.
            eventually(what, || {
                machine.nacre(["start", container]).ok();
                machine.nacre(["exec", "boat", "echo", "on"]).stdout == "on\n"
            });
        }
        machine.nacre(["rm", "-f", container]).ok();
    }
    machine.nacre(["run", "--rm", "--name", "new", "sea", "true"]).ok();
}

#[test]
fn whatever_is_killed_is_repaired_by_the_next_command() {
    let Some(machine) = Machine::new() else { return };
    let (mut random, mut seen, mut hit) = (Random(0x6e61_6372_6505), BTreeSet::new(), [0; 3]);
    for point in 0..45 {
        let (line, stopped) = COMMANDS[point % COMMANDS.len()];
        let victim = [Victim::Client, Victim::Monitor, Victim::Runtime][point / COMMANDS.len() % 3];
        let after = Duration::from_millis(random.below(if matches!(victim, Victim::Runtime) { 25 } else { 120 }));
        let what = format!("{line}: {victim:?} killed after {after:?}");
        watched(&machine, &mut seen, || {
            machine.nacre(["create", "--name", "boat", "sea", "sh", "-c", SLEEP]).ok();
            if !stopped {
                machine.nacre(["start", "boat"]).ok();
            }
            let arguments: Vec<&str> = line.split(' ').collect();
            hit[victim as usize] += usize::from(killed(&machine, &arguments, victim, after));
            repaired(&machine, &what);
        });
        machine.nacre(["image", "prune", "-f"]).ok();
        nothing_left(&machine, &seen, &what);
    }
    // A busy machine is often too late for some.
    assert!(hit.iter().all(|count| *count >= 2), "{hit:?}");
    machine.nacre(["run", "--rm", "sea", "true"]).ok();
    assert_whole(&machine);
}
