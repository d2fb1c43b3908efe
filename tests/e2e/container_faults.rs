//! Containers in trouble: monitors that hang, folders that are damaged or missing, trees of another boot, full disks, and images
//! that are pruned meanwhile. What is wrong is told, nothing hangs, and every container can be removed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use nacre_tests::sandbox::Output;

use crate::{
    build_kills::Small,
    container_kills::{Flag, monitors, nothing_left},
    fixture::assert_whole,
    machine::{Machine, eventually},
    trees::shell,
};

/// A command that is ended, and fails, if it hangs.
fn bounded(machine: &Machine, line: &str) -> Output {
    let output = wrapped(machine, &["timeout", "--signal=KILL", "45"], line);
    assert!(!matches!(output.code, None | Some(137)), "it hangs: {line}");
    output
}

/// A command run by another program.
fn wrapped(machine: &Machine, by: &[&str], line: &str) -> Output {
    let command = machine.command(line.split(' '));
    let mut wrapped = Command::new(by[0]);
    wrapped.args(&by[1..]).arg(command.get_program()).args(command.get_args());
    wrapped.current_dir(machine.path("")).env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    machine.run(wrapped, b"")
}

#[test]
fn a_monitor_that_hangs_holds_up_nobody() {
    let Some(machine) = Machine::new() else { return };
    for name in ["one", "two", "three", "four"] {
        machine.waiting(&["--name", name]);
    }
    let hung = monitors(&machine);
    assert_eq!(hung.len(), 4);
    for monitor in &hung {
        Command::new("kill").args(["-STOP", &monitor.to_string()]).status().unwrap();
    }
    assert_eq!(bounded(&machine, "ps").ok().stdout.matches("Up ").count(), 4);
    bounded(&machine, "images").ok();
    bounded(&machine, "system df").ok();
    bounded(&machine, "container prune -f").ok();
    bounded(&machine, "image prune -af").ok();
    assert!(bounded(&machine, "rmi sea").fails(1).stderr.contains("container"));
    thread::scope(|scope| {
        let told = scope.spawn(|| bounded(&machine, "kill -s TERM four").fails(1).stderr);
        for line in ["stop -t 1 one", "kill two", "rm -f three"] {
            let machine = &machine;
            scope.spawn(move || bounded(machine, line).ok());
        }
        let told = told.join().unwrap();
        assert!(told.contains("does not answer: 'nacre rm -f ") && told.lines().count() == 1, "{told}");
    });
    assert_eq!(bounded(&machine, "ps -q").ok().stdout.lines().count(), 1);
    assert_eq!(machine.field("one", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    bounded(&machine, "start two").ok();
    bounded(&machine, "rm -f one two four").ok();
    nothing_left(&machine, &BTreeSet::new(), "monitors that hung");
}

#[test]
fn what_is_committed_is_of_one_moment() {
    let Some(machine) = Machine::new() else { return };
    machine.background(&["--name", "boat"], "i=0; while :; do i=$((i+1)); echo $i >> /one; echo $i >> /two; done");
    for round in 0..6 {
        let image = format!("port{round}");
        let options: &[&str] = if round < 4 { &[] } else { &["--no-pause"] };
        machine.nacre([&["commit"][..], options, &["boat", &image]].concat()).ok();
        let counted = machine.nacre(["run", "--rm", &image, "sh", "-c", "wc -l < /one; wc -l < /two"]).ok();
        let lines: Vec<u64> = counted.lines().iter().map(|line| line.trim().parse().unwrap()).collect();
        assert!(lines[0] > 0 && (round >= 4 || lines[0] == lines[1] || lines[0] == lines[1] + 1), "{round}: {lines:?}");
        assert_eq!(machine.field("boat", "{{.State.Status}}"), "running");
        // It goes on.
        let before = lines[1];
        eventually("it writes again", || {
            machine.nacre(["exec", "boat", "sh", "-c", "wc -l < /two"]).ok().stdout.trim().parse::<u64>().unwrap() > before
        });
    }
    assert_whole(&machine);
}

#[test]
fn pruning_takes_nothing_from_runs_and_commits() {
    let Some(machine) = Machine::new() else { return };
    machine.waiting(&["--name", "boat"]);
    machine.nacre(["exec", "boat", "sh", "-c", "echo new > /new"]).ok();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                machine.nacre(["image", "prune", "-af"]).ok();
                machine.nacre(["rmi", "sea"]).fails(1);
            }
        });
        let end = Flag(&over);
        for _ in 0..12 {
            assert_eq!(machine.nacre(["run", "--rm", "sea", "cat", "/data/gone"]).ok().stdout, "gone\n");
            let image = machine.nacre(["commit", "boat"]).ok().stdout;
            // Between the two commands it is anybody's.
            let ran = machine.nacre(["run", "--rm", "--pull", "never", image.trim_end(), "cat", "/new"]);
            assert!(ran.stdout == "new\n" || ["was not found", "No such image"].iter().any(|gone| ran.stderr.contains(gone)), "{ran:?}");
        }
        drop(end);
        pruning.join().unwrap();
    });
    assert_whole(&machine);
}

/// The only folder that a folder has.
fn only(folder: &Path) -> PathBuf {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap()
}

#[test]
fn a_boot_takes_nothing_from_a_stopped_container() {
    let Some(machine) = Machine::new() else { return };
    machine.background(&["--name", "boat"], "cat /kept; cat /data/gone; echo on >> /kept; rm -f /data/gone");
    machine.nacre(["wait", "boat"]).ok();
    eventually("its monitor has ended", || monitors(&machine).is_empty());
    let trees = machine.root().join("trees/root");
    let boot = only(&trees.join("layers"));
    let other = boot.with_file_name("another-boot");
    fs::rename(&boot, &other).unwrap();
    let known = format!("overlay-{}", boot.file_name().unwrap().to_str().unwrap());
    fs::rename(trees.join(known), trees.join("overlay-another-boot")).unwrap();
    let state = only(&machine.root().join("containers")).join("state.json");
    fs::write(&state, r#"{"status":"running","pid":1,"started":"2026-01-01T00:00:00.000000000Z"}"#).unwrap();
    let shown = machine.nacre(["ps", "-a", "--format", "{{.Status}}"]).ok().stdout;
    assert!(shown.starts_with("Exited (137) "), "{shown}");
    assert_eq!(machine.nacre(["start", "-a", "boat"]).ok().stdout, "on\n");
    assert!(boot.is_dir() && !other.exists() && !trees.join("overlay-another-boot").exists());
    machine.nacre(["rm", "boat"]).ok();
    nothing_left(&machine, &BTreeSet::new(), "another boot");
}

/// What happens to a container's folder, whether it can be started then, and whether it is still there at all.
const DAMAGES: [(&str, bool, bool); 12] = [
    (": > state.json", true, true),
    ("echo '{\"status\":\"ru' > state.json", true, true),
    ("rm state.json", true, true),
    ("rm log", true, true),
    ("head -c 1000 /dev/urandom > log", true, true),
    ("rm -r upper work", true, true),
    ("rm -f hosts hostname resolv.conf control; mkdir control", true, true),
    ("rm -r upper; echo x > upper", false, true),
    ("rm state.json; mkdir state.json", false, true),
    ("rm log; mkdir log", false, true),
    ("rm lock", false, false),
    ("rm -r ../*", false, false),
];

#[test]
fn a_damaged_container_can_be_removed() {
    let Some(machine) = Machine::new() else { return };
    for (damage, starts, there) in DAMAGES {
        machine.nacre(["create", "--name", "boat", "sea", "echo", "on"]).ok();
        machine.nacre(["start", "-a", "boat"]).ok();
        let folder = only(&machine.root().join("containers"));
        shell(&machine, &format!("cd {} && {damage}", folder.display()));
        let count = machine.nacre(["ps", "-aq"]).ok().stdout.lines().count();
        assert_eq!(count, usize::from(there), "{damage}");
        bounded(&machine, "logs boat");
        bounded(&machine, "container inspect boat");
        let started = bounded(&machine, "start -a boat");
        assert_eq!(started.code == Some(0), starts, "{damage}: {started:?}");
        if !starts {
            assert!(started.stderr.lines().count() == 1 && started.stderr.starts_with("nacre: "), "{damage}: {}", started.stderr);
        }
        bounded(&machine, "rm -f boat").ok();
        nothing_left(&machine, &BTreeSet::new(), damage);
    }
}

#[test]
fn containers_in_a_read_only_folder_are_told_of() {
    let Some(machine) = Machine::new() else { return };
    machine.nacre(["create", "--name", "boat", "sea", "echo", "on"]).ok();
    // In a mount namespace of its own: other tests' containers would keep a copy of the mount.
    let fixed = "mount --bind root/containers root/containers && mount -o remount,bind,ro root/containers && exec \"$@\"";
    for line in ["run --rm sea true", "start boat", "rm boat", "rm -f boat"] {
        let said = wrapped(&machine, &["unshare", "--mount", "sh", "-c", fixed, "sh"], line);
        assert!(said.code != Some(0) && said.stderr.contains("Read-only file system"), "{line}: {said:?}");
    }
    machine.nacre(["ps", "-a"]).ok();
    assert_eq!(machine.nacre(["start", "-a", "boat"]).ok().stdout, "on\n");
    machine.nacre(["rm", "boat"]).ok();
    nothing_left(&machine, &BTreeSet::new(), "a read-only folder");
}

#[test]
fn a_full_disk_keeps_nobody_from_removing() {
    let Some(machine) = Machine::new() else { return };
    let _small = Small::new(&machine, 24);
    let talks = "trap 'exit 7' TERM; while :; do echo a line of some length; sleep 0.01; done";
    for removal in ["stop -t 5 boat", "rm -f boat", "kill boat"] {
        machine.nacre(["create", "--name", "new", "base", "true"]).ok();
        machine.nacre(["run", "-d", "--name", "boat", "base", "sh", "-c", talks]).ok();
        machine.nacre(["exec", "boat", "sh", "-c", "echo x > /before"]).ok();
        shell(&machine, "cat /dev/zero > root/ballast 2>/dev/null || true");
        eventually("not a byte is free", || {
            shell(&machine, "cat /dev/zero >> root/ballast 2>/dev/null || true");
            !bounded(&machine, "exec boat sh -c true>/x").stdout.contains("never")
        });
        let inside = bounded(&machine, "exec boat cp /bin/busybox /more").fails(1).stderr;
        assert!(inside.contains("No space left on device"), "{inside}");
        for (line, code) in [("commit boat port", 1), ("run --rm base true", 125), ("start new", 1)] {
            let output = bounded(&machine, line);
            assert!(output.code == Some(code) && output.stderr.contains("No space left on device"), "{line}: {output:?}");
        }
        assert!(bounded(&machine, "ps").ok().stdout.contains("Up "));
        assert!(bounded(&machine, "logs boat").ok().stdout.starts_with("a line of some length\n"));
        bounded(&machine, removal).ok();
        if removal.starts_with("stop") {
            assert_eq!(machine.field("boat", "{{.State.Status}} {{.State.ExitCode}}"), "exited 7");
        }
        bounded(&machine, "rm -f boat new").ok();
        fs::remove_file(machine.root().join("ballast")).unwrap();
        machine.nacre(["run", "--rm", "base", "true"]).ok();
        machine.nacre(["image", "prune", "-f"]).ok();
        nothing_left(&machine, &BTreeSet::new(), removal);
    }
}
