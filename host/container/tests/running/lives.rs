//! From start to removal.

use std::time::Instant;

use nacre_container::{Error, LogOptions, Options};
use nacre_runtime::RunStatus;

use crate::support::{Bench, can_run};

#[test]
fn a_container_runs_ends_and_is_removed() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "echo out; echo $A $HOSTNAME; exit 3");
    assert_eq!(bench.engine.wait(&container.id).unwrap(), 0, "it never ran");
    let (text, code) = bench.run(&container);
    assert_eq!((text, code), (format!("out\nimage {}\n", container.record.hostname), 3));
    assert_eq!(bench.engine.wait(&container.id).unwrap(), 3);
    assert_eq!(bench.engine.state(&container).unwrap().status, RunStatus::Exited);
    let mut lines = Vec::new();
    bench
        .engine
        .logs(&container.id, &LogOptions::default(), &mut |line| {
            lines.push(line.text);
            Ok(true)
        })
        .unwrap();
    assert_eq!(lines[0], "out\n");
    // What it wrote is there when it is started again.
    bench.run(&container);
    assert_eq!(bench.engine.remove(&container.name, false).unwrap(), container.id);
    assert!(bench.engine.find(&container.id).is_err());
    assert_eq!(bench.folders(), 0);
}

#[test]
fn what_runs_is_not_removed_without_force() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "echo here; sleep 1000");
    let mut session = bench.start(&container);
    Bench::until(&mut session, "here");
    let why = bench.engine.remove(&container.name, false).unwrap_err().to_string();
    let expected =
        format!("You cannot remove a running container {}. Stop the container before attempting removal or force remove", container.id);
    assert_eq!(why, expected);
    assert!(bench.engine.prune(&|_| true).unwrap().ids.is_empty());
    bench.engine.remove(&container.name, true).unwrap();
    assert_eq!(bench.folders(), 0);
}

#[test]
fn stop_asks_before_it_kills() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let polite = bench.script("base", "trap 'exit 7' TERM; echo here; while :; do sleep 0.01; done");
    let deaf = bench.script("base", "trap '' TERM; echo here; while :; do sleep 0.01; done");
    let mut sessions = [bench.start(&polite), bench.start(&deaf)];
    sessions.iter_mut().for_each(|session| Bench::until(session, "here"));
    let begun = Instant::now();
    bench.engine.stop(&polite.name, Some(60)).unwrap();
    assert!(begun.elapsed().as_secs() < 30);
    assert_eq!(bench.engine.wait(&polite.name).unwrap(), 7);
    bench.engine.stop(&deaf.name, Some(0)).unwrap();
    assert_eq!(bench.engine.wait(&deaf.name).unwrap(), 137);
    bench.engine.stop(&deaf.name, None).unwrap();
    let why = bench.engine.kill(&deaf.name, 9).unwrap_err().to_string();
    assert_eq!(why, format!("Cannot kill container: {}: Container {} is not running", deaf.name, deaf.id));
    let why = bench.engine.kill("nosuch", 9).unwrap_err().to_string();
    assert_eq!(why, "Cannot kill container: nosuch: No such container: nosuch");
}

#[test]
fn a_killed_container_has_its_signals_code() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "echo here; exec sleep 1000");
    let mut session = bench.start(&container);
    Bench::until(&mut session, "here");
    bench.engine.kill(&container.name, 9).unwrap();
    assert_eq!(bench.engine.wait(&container.name).unwrap(), 137);
    assert_eq!(bench.engine.list().unwrap()[0].state(), "exited");
}

#[test]
fn logs_are_followed_to_the_end() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "echo one; sleep 0.3; echo two; sleep 0.3; printf three");
    let session = bench.start(&container);
    let mut lines = Vec::new();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    bench
        .engine
        .logs(&container.name, &options, &mut |line| {
            lines.push(line.text);
            Ok(true)
        })
        .unwrap();
    drop(session);
    assert_eq!(lines, ["one\n", "two\n", "three"]);
}

#[test]
fn what_is_not_running_is_pruned() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let ended = bench.script("base", "echo 123456789 > /file");
    bench.run(&ended);
    let created = bench.script("base", "true");
    let chosen = bench.engine.prune(&|listed| listed.container.id == created.id).unwrap();
    assert_eq!(chosen.ids, [created.id]);
    let all = bench.engine.prune(&|_| true).unwrap();
    assert_eq!(all.ids, [ended.id]);
    assert!(all.bytes > 0, "what it wrote counts");
    assert_eq!(bench.folders(), 0);
}

#[test]
fn what_is_to_be_removed_goes_when_it_ends_and_its_name_is_free() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let options = Options { name: Some("once".into()), args: vec!["true".into()], remove: true, ..Options::default() };
    let container = bench.create("base", &options);
    assert_eq!(bench.run(&container).1, 0);
    assert!(matches!(bench.engine.find("once"), Err(Error::NoSuchContainer(_))));
    bench.create("base", &options);
    bench.engine.sweep().unwrap();
    assert_eq!(bench.folders(), 1, "only the new one is left");
}

#[test]
fn a_program_that_is_not_there_is_told_of() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.create("base", &Options { args: vec!["nosuchprogram".into()], ..Options::default() });
    let outcome = bench.engine.start(&container, true, None).unwrap().outcome;
    assert!(matches!(&outcome, nacre_runtime::Outcome::NotStarted { code: 127, .. }), "{outcome:?}");
    assert_eq!(bench.engine.state(&container).unwrap().code, Some(127));
    bench.engine.remove(&container.id, false).unwrap();
}

#[test]
fn what_killed_commands_left_is_swept() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let folder = |container: &nacre_container::Container| nacre_runtime::container_folder(bench.store().root(), &container.id);
    let (half, gone) = (bench.script("base", "true"), bench.script("base", "true"));
    let once = bench.create("base", &Options { args: vec!["true".into()], remove: true, ..Options::default() });
    let stays = bench.script("base", "true");
    // A create that was killed before the row was there, a removal killed after it was half done and one killed at its end, and a
    // container to be removed whose monitor was killed.
    drop(bench.store().claim_container(&"0".repeat(64)).unwrap());
    std::fs::write(folder(&half).join("state.json"), r#"{"status":"dead"}"#).unwrap();
    std::fs::create_dir(folder(&half).join("upper")).unwrap();
    std::fs::remove_dir_all(folder(&gone)).unwrap();
    std::fs::write(folder(&once).join("state.json"), r#"{"status":"running","pid":1}"#).unwrap();
    assert_eq!(bench.folders(), 4);
    let list = bench.engine.list().unwrap();
    assert_eq!(list.iter().map(|listed| &listed.container.id).collect::<Vec<_>>(), [&stays.id]);
    bench.engine.sweep().unwrap();
    assert_eq!(bench.folders(), 1);
    assert!(bench.store().left_over_containers().unwrap().is_empty());
    assert_eq!(bench.run(&stays).1, 0);
}

#[test]
fn many_live_at_once_and_leave_nothing() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let whole_life = |number: usize| {
        let options = Options {
            args: ["sh", "-c", "echo here; exec sleep 1000"].map(str::to_owned).to_vec(),
            remove: number.is_multiple_of(2),
            ..Options::default()
        };
        let container = bench.create("base", &options);
        let mut session = bench.start(&container);
        Bench::until(&mut session, "here");
        match number % 3 {
            0 => bench.engine.stop(&container.id, Some(0)).unwrap(),
            1 => bench.engine.kill(&container.id, 9).unwrap(),
            _ => _ = bench.engine.remove(&container.id, true).unwrap(),
        }
        match bench.engine.remove(&container.id, true) {
            Ok(_) | Err(Error::NoSuchContainer(_)) => {}
            Err(error) => panic!("{number}: {error}"),
        }
    };
    std::thread::scope(|scope| {
        (0..12).for_each(|number| {
            _ = scope.spawn({
                let whole_life = &whole_life;
                move || whole_life(number)
            })
        })
    });
    bench.engine.sweep().unwrap();
    assert!(bench.engine.list().unwrap().is_empty());
    assert_eq!(bench.folders(), 0);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&bench.store().root().display().to_string()), "a mount is left");
}

/// The process that holds a container's lock, which is this test's own.
fn monitor(bench: &Bench, container: &nacre_container::Container) -> rustix::process::Pid {
    use std::os::unix::fs::MetadataExt;
    let lock = nacre_runtime::container_folder(bench.store().root(), &container.id).join("lock");
    let inode = format!(":{}", std::fs::metadata(&lock).unwrap().ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let words = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let holders = words.filter(|words| words[1] == "FLOCK" && words[5].ends_with(&inode)).map(|words| words[4].parse::<i32>().unwrap());
    // Inodes are unique on one device only: the process must have this very file open.
    let has_it = |pid: &i32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path == lock))
    };
    let holders: Vec<i32> = holders.filter(has_it).collect();
    assert_eq!(holders.len(), 1, "{holders:?}");
    rustix::process::Pid::from_raw(holders[0]).unwrap()
}

#[test]
fn a_killed_monitor_ends_the_container_and_all_who_wait() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "echo here; sleep 1000");
    let mut session = bench.start(&container);
    Bench::until(&mut session, "here");
    let pid = monitor(&bench, &container);
    std::thread::scope(|scope| {
        let engine = &bench.engine;
        let waiting = scope.spawn(|| engine.wait(&container.id));
        let following = scope.spawn(|| {
            let mut lines = Vec::new();
            let options = LogOptions { follow: true, ..LogOptions::default() };
            let read = engine.logs(&container.id, &options, &mut |line| {
                lines.push(line.text);
                // What is killed is killed while this reads.
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
                Ok(true)
            });
            read.map(|()| lines)
        });
        assert_eq!(waiting.join().unwrap().unwrap(), 137);
        assert_eq!(following.join().unwrap().unwrap(), ["here\n"]);
    });
    assert_eq!(bench.engine.list().unwrap()[0].state(), "exited");
    bench.engine.remove(&container.id, false).unwrap();
    assert_eq!(bench.folders(), 0);
}
