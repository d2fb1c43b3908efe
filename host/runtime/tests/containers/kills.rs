//! Containers that are killed, and many at once.

use super::*;

#[test]
fn a_killed_monitor_is_a_killed_container() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let mut boot = fleet.create("a", "cat /srv/n; echo kept >> /srv/n; echo begun; sleep 1000");
    for round in 0..std::env::var("ROUNDS").map_or(3, |n| n.parse().unwrap()) {
        let mut session = fleet.start(&boot);
        wait_for(&mut session.output, "begun\n");
        let waiting = fleet.control(&boot);
        let waiting = thread::spawn(|| waiting.wait().unwrap());
        fleet.kill_monitor(&boot);
        assert_eq!(heard(session.output).code, 137, "{round}");
        assert_eq!(waiting.join().unwrap(), 137);
        let state = fleet.state(&boot);
        assert_eq!((state.status, state.code), (RunStatus::Exited, Some(137)));
        assert!(Control::connect(&fleet.root(), &boot.id).unwrap().is_none());
    }
    boot.run.args[2] = "cat /srv/n".into();
    assert_eq!(fleet.run(&boot).stdout, "kept\n".repeat(3));
    nothing_is_left(&fleet);
    fleet.remove(&boot);
}

#[test]
fn a_start_that_is_killed_anywhere_can_be_done_again() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let boot = fleet.create("a", "echo begun; sleep 1000");
    fleet.bench.run("before", &fleet.bench.script("true")).text();
    for delay in (0..120).step_by(7) {
        let mut starter = fleet.bench.lives(&format!("job{delay}"), &boot, None).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(delay));
        starter.kill().unwrap();
        starter.wait().unwrap();
        if let Some(mut control) = Control::connect(&fleet.root(), &boot.id).unwrap() {
            assert!(control.signal(9).is_ok() || Control::connect(&fleet.root(), &boot.id).unwrap().is_none());
        }
    }
    let session = loop {
        match fleet.sandbox.start(&boot, true).unwrap().outcome {
            Outcome::Running(Some(session)) => break session,
            // What another start left running may be over by now.
            Outcome::Already => drop(Control::connect(&fleet.root(), &boot.id).unwrap().map(|mut control| control.signal(9))),
            other => panic!("{other:?}"),
        }
    };
    session.input.signal(9).unwrap();
    assert_eq!(heard(session.output).stdout, "begun\n");
    fleet.remove(&boot);
    nothing_is_left(&fleet);
}

#[test]
fn a_monitor_that_is_killed_anywhere_leaves_what_can_be_started_and_removed() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    fleet.bench.run("before", &fleet.bench.script("true")).text();
    let mut left = Vec::new();
    for delay in (0..150).step_by(10) {
        let boot = fleet.create(&format!("a{delay}"), "echo x >> /srv/n; exit 4");
        let started = thread::scope(|scope| {
            let start = scope.spawn(|| fleet.sandbox.start(&boot, true));
            thread::sleep(Duration::from_millis(delay));
            kill_sandboxes(&fleet);
            start.join().unwrap()
        });
        if let Ok(Outcome::Running(Some(session))) = started.map(|started| started.outcome) {
            let code = heard(session.output).code;
            assert_eq!(fleet.state(&boot).code, Some(code));
            assert!(code == 137 || code == 4, "{code}");
        }
        assert!(matches!(fleet.state(&boot).status, RunStatus::Created | RunStatus::Exited));
        left.extend(fleet.bench.left());
        assert_eq!(fleet.run(&boot).code, 4, "after {delay} ms");
        fleet.remove(&boot);
    }
    nothing_is_left(&fleet);
    for run in left {
        let found =
            Command::new("find").args(["/sys/fs/cgroup", "-maxdepth", "6", "-name"]).arg(run.file_name().unwrap()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    }
}

/// Ends all sandbox processes without a word.
pub(super) fn kill_sandboxes(fleet: &Fleet) {
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let program = fs::read_link(process.path().join("exe")).unwrap_or_default();
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| program.starts_with(fleet.bench.path())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn of_two_starts_at_once_one_starts() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let boot = fleet.create("a", "sleep 1000");
    for _ in 0..5 {
        let outcomes: Vec<Outcome> = thread::scope(|scope| {
            let starts = [(); 3].map(|()| scope.spawn(|| fleet.sandbox.start(&boot, true).unwrap().outcome));
            starts.map(|start| start.join().unwrap()).into()
        });
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Already)).count(), 2, "{outcomes:?}");
        let running = outcomes.into_iter().find_map(|outcome| if let Outcome::Running(session) = outcome { session } else { None });
        let session = running.unwrap();
        session.input.signal(9).unwrap();
        assert_eq!(heard(session.output).code, 137);
    }
}

#[test]
fn a_hundred_leave_nothing() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let boots: Vec<Boot> = (0..100).map(|number| fleet.create(&number.to_string(), "echo begun; sleep 1000")).collect();
    thread::scope(|scope| {
        for part in boots.chunks(25) {
            let fleet = &fleet;
            scope.spawn(move || {
                let sessions: Vec<Session> = part.iter().map(|boot| fleet.start(boot)).collect();
                sessions.iter().for_each(|session| session.input.signal(9).unwrap());
                sessions.into_iter().for_each(|session| assert_eq!(heard(session.output).code, 137));
                part.iter().for_each(|boot| fleet.remove(boot));
            });
        }
    });
    assert_eq!(fs::read_dir(fleet.root().join("containers")).unwrap().count(), 0);
    nothing_is_left(&fleet);
}
