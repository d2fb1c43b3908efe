//! Containers from their start to their removal: lists, logs, signals, and what kills leave.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nacre_tests::sandbox::Output;

use crate::{
    machine::{Machine, eventually, processes},
    support::whole,
};

#[test]
fn lists_show_what_docker_shows() {
    let Some(machine) = Machine::new() else { return };
    let columns = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n";
    assert_eq!(machine.nacre(["ps", "-a"]).ok().stdout, columns);
    let ended = machine.nacre(["run", "--name", "first", "-l", "of=crew", "sea", "sh", "-c", "exit 4"]).fails(4);
    assert_eq!(ended.stdout, "");
    let second = machine.waiting(&["--name", "second"]);
    machine.nacre(["create", "--name", "third", "sea", "echo", "a b", "\u{1b}[2J"]).ok();
    let ps = |arguments: &[&str]| machine.nacre([&["ps"][..], arguments].concat()).ok().stdout;
    let names =
        |arguments: &[&str]| ps(&[&["--format", "{{.Names}}"][..], arguments].concat()).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(names(&[]), "second");
    assert_eq!(names(&["-a"]), "third second first");
    assert_eq!((names(&["-l"]), names(&["-n", "2"])), ("third".into(), "third second".into()));
    assert_eq!(ps(&["-q"]), format!("{}\n", &second[..12]));
    assert_eq!(ps(&["-q", "--no-trunc"]), format!("{second}\n"));
    for (filter, expected) in [
        ("status=exited", "first"),
        ("status=created", "third"),
        ("exited=4", "first"),
        ("name=ir", "third first"),
        ("label=of=crew", "first"),
        ("ancestor=sea", "third second first"),
        ("ancestor=ghost", ""),
        ("before=second", "first"),
        ("since=second", "third"),
        ("network=host", "third second first"),
        ("network=none", ""),
    ] {
        assert_eq!(names(&["-a", "-f", filter]), expected, "{filter}");
    }
    assert_eq!(names(&["-a", "-f", &format!("id={}", &second[..6])]), "second");
    let row = ps(&[
        "-a",
        "-f",
        "name=third",
        "--no-trunc",
        "--format",
        "{{.Image}}|{{.Command}}|{{.State}}|{{.Status}}|{{.Ports}}|{{.Networks}}",
    ]);
    assert_eq!(row, "sea|\"echo 'a b' \\x1b[2J\"|created|Created||host\n");
    assert!(ps(&["-a", "-f", "name=first", "--format", "{{.Status}}"]).starts_with("Exited (4) "));
    let json: serde_json::Value = serde_json::from_str(&ps(&["--format", "json"])).unwrap();
    assert_eq!((&json["Names"], &json["State"], &json["LocalVolumes"]), (&"second".into(), &"running".into(), &"0".into()));
    assert!(machine.nacre(["ps", "-f", "x=1"]).fails(1).stderr.contains("Invalid filter 'x'"));
    assert_eq!(ps(&["-a"]).lines().count(), 4);
    assert_eq!(machine.nacre(["container", "ls", "-aq"]).ok().lines().len(), 3);
}

#[test]
fn logs_are_what_the_program_printed() {
    let Some(machine) = Machine::new() else { return };
    machine.nacre(["run", "--name", "talker", "sea", "sh", "-c", "echo 1; echo err >&2; sleep 0.2; echo 2; printf 'no end\\033[m'"]).ok();
    let logs = |arguments: &[&str]| machine.nacre([&["logs"][..], arguments, &["talker"]].concat()).ok();
    let all = logs(&[]);
    assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("1\n2\nno end\x1b[m", "err\n"));
    assert_eq!((logs(&["--tail", "1"]).stdout.as_str(), logs(&["-n", "0"]).stdout.as_str()), ("no end\x1b[m", ""));
    let stamped = logs(&["-t", "--tail", "1"]).stdout;
    let (time, text) = stamped.split_once(' ').unwrap();
    assert!(time.len() > 20 && time.ends_with('Z') && text == "no end\x1b[m", "{stamped}");
    assert_eq!(logs(&["--since", time]).stdout, "no end\x1b[m");
    assert_eq!((logs(&["--since", "1h"]).stdout, logs(&["--until", "1h"]).stdout), (all.stdout.clone(), String::new()));
    assert_eq!(logs(&["-f"]).stdout, all.stdout, "one that has ended is not waited for");
    machine.nacre(["logs", "--since", "soon", "talker"]).fails(1);

    machine.background(&["--name", "slow"], "for i in 1 2 3; do echo $i; sleep 0.2; done");
    assert_eq!(machine.nacre(["logs", "-f", "slow"]).ok().stdout, "1\n2\n3\n");
    machine.background(&["--name", "endless"], "while :; do echo tick; done");
    let mut follow = machine.command(["logs", "-f", "endless"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(follow.stdout.take());
    assert_eq!(follow.wait().unwrap().code(), Some(0), "who goes away ends it");
}

#[test]
fn containers_are_stopped_killed_and_waited_for() {
    let Some(machine) = Machine::new() else { return };
    let polite = machine.background(&["--name", "polite"], "trap 'exit 5' TERM; while :; do sleep 0.02; done");
    let waiting = machine.command(["wait", "polite", "polite"]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(machine.nacre(["stop", "polite"]).ok().stdout, "polite\n");
    assert_eq!(waiting.wait_with_output().unwrap().stdout, b"5\n5\n");
    assert_eq!(machine.nacre(["stop", "polite"]).ok().stdout, "polite\n", "it does not run any more");
    machine.background(&["--name", "stubborn"], "trap '' TERM; while :; do sleep 0.02; done");
    machine.nacre(["stop", "-t", "0", "stubborn"]).ok();
    assert_eq!(machine.field("stubborn", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    machine.background(&["--name", "own", "--stop-signal", "USR1"], "trap 'exit 6' USR1; while :; do sleep 0.02; done");
    machine.nacre(["stop", "own"]).ok();
    assert_eq!(machine.nacre(["wait", "own"]).ok().stdout, "6\n");
    machine.nacre(["start", "own"]).ok();
    assert_eq!(machine.nacre(["kill", "-s", "SIGUSR1", "own"]).ok().stdout, "own\n");
    assert_eq!(machine.nacre(["wait", "own"]).ok().stdout, "6\n");
    machine.nacre(["start", "own"]).ok();
    machine.nacre(["kill", "own"]).ok();
    assert_eq!(machine.field("own", "{{.State.ExitCode}}"), "137");
    assert!(machine.nacre(["kill", "own"]).fails(1).stderr.contains("is not running"));

    machine.nacre(["start", "polite"]).ok();
    let running = machine.nacre(["rm", "polite"]).fails(1).stderr;
    assert!(running.starts_with(&format!("nacre: You cannot remove a running container {polite}. Stop the container")), "{running}");
    let forced = machine.nacre(["rm", "-f", "polite", "ghost"]).ok();
    assert_eq!((forced.stdout.as_str(), forced.stderr.as_str()), ("polite\n", "nacre: No such container: ghost\n"));
    assert_eq!(machine.nacre(["rm", "-v", "own", "ghost"]).fails(1).stdout, "own\n");
    let asked = machine.run(machine.command(["container", "prune"]), b"n\n").ok();
    assert!(asked.stderr.starts_with("WARNING! This will remove all stopped containers.\n"), "{}", asked.stderr);
    machine.waiting(&["--name", "alive"]);
    assert!(machine.nacre(["container", "prune", "-f", "--filter", "label=x"]).ok().stdout.starts_with("Total reclaimed space: 0B"));
    let pruned = machine.nacre(["container", "prune", "-f"]).ok().stdout;
    assert!(pruned.starts_with("Deleted Containers:\n") && pruned.contains("\n\nTotal reclaimed space: "), "{pruned}");
    assert_eq!(machine.nacre(["ps", "-a", "--format", "{{.Names}}"]).ok().stdout, "alive\n");
}

#[test]
fn signals_reach_the_program() {
    let Some(machine) = Machine::new() else { return };
    let traps = "trap 'echo int; exit 9' INT; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.02; done";
    let start = |options: &[&str]| {
        let mut command = machine.command([&["run", "--name", "boat"][..], options, &["sea", "sh", "-c", traps]].concat());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        eventually("it runs", || machine.nacre(["logs", "boat"]).stdout == "ready\n");
        child
    };
    let send = |signal: &str, pid: u32| assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
    let child = start(&["--rm"]);
    send("-USR1", child.id());
    eventually("it heard the first", || machine.nacre(["logs", "boat"]).stdout == "ready\nusr1\n");
    send("-INT", child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(9), &b"ready\nusr1\nint\n"[..]));
    let child = start(&["--sig-proxy=false"]);
    send("-INT", child.id());
    assert!(!child.wait_with_output().unwrap().status.success(), "the client ends");
    assert_eq!(machine.field("boat", "{{.State.Status}}"), "running", "and the program does not");
    // A client that is killed, and one whose reader goes away, leave it alone too.
    let mut attached = machine.command(["start", "-a", "boat"]).stdout(Stdio::piped()).spawn().unwrap();
    attached.kill().unwrap();
    attached.wait().unwrap();
    assert_eq!(machine.field("boat", "{{.State.Status}}"), "running");
}

#[test]
fn a_hundred_leave_nothing_behind() {
    let Some(machine) = Machine::new() else { return };
    let all = |line: &[&str], name: &str| -> Output { machine.nacre(line.iter().copied().chain([name])) };
    let names: Vec<String> = (0..100).map(|number| format!("boat{number}")).collect();
    let in_threads = |what: &(dyn Fn(&str) -> Output + Sync)| {
        thread::scope(|scope| names.chunks(25).for_each(|names| _ = scope.spawn(|| names.iter().for_each(|name| _ = what(name).ok()))));
    };
    in_threads(&|name| machine.nacre(["run", "-d", "--name", name, "sea", "sleep", "1000073"]));
    let ids: Vec<String> = machine.nacre(["ps", "-q", "--no-trunc"]).ok().lines().iter().map(ToString::to_string).collect();
    assert_eq!(ids.len(), 100);
    in_threads(&|name| all(&["stop", "-t", "0"], name));
    assert_eq!(machine.nacre(["ps", "-aq", "-f", "exited=137"]).ok().lines().len(), 100);
    in_threads(&|name| all(&["rm"], name));
    machine.assert_clean(&ids);
    eventually("no program is left", || processes("1000073").is_empty());
    whole(&machine);
}

/// Kills a command after so many milliseconds, if it runs so long.
fn killed_after(mut command: Command, milliseconds: u64) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(milliseconds));
    _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn a_kill_at_any_point_is_repaired_by_the_next_command() {
    let Some(machine) = Machine::new() else { return };
    machine.sh(&[], "true").ok();
    for milliseconds in (0..120).step_by(8) {
        killed_after(machine.command(["run", "--rm", "sea", "sh", "-c", "echo x > /file; exit 0"]), milliseconds);
        killed_after(machine.command(["run", "-d", "--name", "boat", "sea", "sleep", "1000074"]), milliseconds);
        if machine.nacre(["container", "inspect", "boat"]).code == Some(0) {
            killed_after(machine.command(["commit", "boat", "wreck:1"]), milliseconds);
            killed_after(machine.command(["stop", "-t", "0", "boat"]), milliseconds);
            killed_after(machine.command(["rm", "-f", "boat"]), milliseconds);
        }
        machine.nacre(["rm", "-f", "boat"]).ok();
        // The name is free again, and everything works.
        assert_eq!(machine.nacre(["run", "--rm", "--name", "boat", "sea", "echo", "fine"]).ok().stdout, "fine\n", "{milliseconds}");
        whole(&machine);
    }
    // A `run` that was killed before its program ran leaves a container that was never started, as in Docker.
    eventually("what was killed late has ended", || {
        machine.nacre(["container", "prune", "-f"]).ok();
        let folders = fs::read_dir(machine.root().join("containers")).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
        folders == 0 && processes("1000074").is_empty()
    });
    machine.assert_clean(&[]);
}
