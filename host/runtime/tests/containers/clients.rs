//! What clients do with running containers.

use super::*;

#[test]
fn standard_input_ends_with_the_client_that_it_belongs_to() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let mut boot = fleet.create("a", "cat; echo end");
    assert_eq!(fleet.run(&boot).stdout, "end\n");
    (boot.stdin, boot.stdin_once) = (true, true);
    let session = fleet.start(&boot);
    let text = "line\n".repeat(50_000);
    let writer = thread::spawn({
        let (input, text) = (session.input.clone(), text.clone());
        move || {
            input.write(text.as_bytes()).unwrap();
            input.close_stdin();
        }
    });
    assert_eq!(heard(session.output).stdout, text + "end\n");
    writer.join().unwrap();
    boot.stdin_once = false;
    boot.run.args[2] = "read a; echo read; read b; echo $a $b".into();
    let Session { input, mut output } = fleet.start(&boot);
    input.write(b"one\n").unwrap();
    wait_for(&mut output, "read\n");
    drop((input, output));
    let session = fleet.control(&boot).attach().unwrap();
    session.input.write(b"two\n").unwrap();
    assert_eq!(heard(session.output).stdout, "one two\n");
}

#[test]
fn a_terminal_has_a_size_and_echoes() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let mut boot = fleet
        .create("a", "busybox stty size; trap 'busybox stty size; exit 5' WINCH; read x; echo got $x; while true; do sleep 0.05; done");
    (boot.tty, boot.stdin, boot.stdin_once, boot.size) = (true, true, true, Some((24, 91)));
    let Session { input, mut output } = fleet.start(&boot);
    wait_for(&mut output, "24 91\r\n");
    input.write(b"word\n").unwrap();
    wait_for(&mut output, "got word\r\n");
    input.resize(30, 100).unwrap();
    assert_eq!(heard(output), said("30 100\r\n", "", 5));
    let log = fleet.log(&boot);
    assert!(log.contains(&("stdout".into(), "got word\r\n".into())), "{log:?}");
    assert!(input.resize(1, 1).is_err());
}

#[test]
fn clients_come_and_go() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let boot = fleet.create("a", "trap 'echo bye; exit 9' TERM; while true; do echo tick; sleep 0.02; done");
    assert!(matches!(fleet.sandbox.start(&boot, false).unwrap().outcome, Outcome::Running(None)));
    let state = fleet.state(&boot);
    assert_eq!((state.status, state.code), (RunStatus::Running, None));
    let line = format!("/proc/{}/cmdline", state.pid.unwrap());
    // The OCI runtime is content before it has become the program.
    assert!((0..1000).any(|_| {
        thread::sleep(Duration::from_millis(5));
        fs::read_to_string(&line).unwrap().contains("echo tick")
    }));
    assert!(matches!(fleet.sandbox.start(&boot, true).unwrap().outcome, Outcome::Already));
    assert!(matches!(remove_container(settings(&fleet.bench), &boot.id), Err(Error::Conflict(_))));
    let [mut one, mut other] = [(); 2].map(|()| fleet.control(&boot).attach().unwrap());
    wait_for(&mut one.output, "tick\n");
    drop(one);
    wait_for(&mut other.output, "tick\ntick\n");
    let waiting = [(); 3].map(|()| fleet.control(&boot));
    let waiting = waiting.map(|control| thread::spawn(|| control.wait().unwrap()));
    fleet.control(&boot).signal(15).unwrap();
    assert!(fleet.control(&boot).signal(99).is_err());
    let end = heard(other.output);
    assert_eq!((end.stdout.ends_with("bye\n"), end.code), (true, 9));
    waiting.into_iter().for_each(|waiting| assert_eq!(waiting.join().unwrap(), 9));
    // SIGRTMIN+3 has no name.
    let boot = fleet.create("b", "trap 'exit 6' 37; echo begun; while true; do sleep 0.02; done");
    let mut session = fleet.start(&boot);
    wait_for(&mut session.output, "begun\n");
    session.input.signal(37).unwrap();
    assert_eq!(heard(session.output).code, 6);
}

#[test]
fn a_client_that_does_not_read_is_not_waited_for_at_the_end() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let boot = fleet.create("a", "while true; do echo 0123456789012345678901234567890123456789; done");
    let slow = fleet.start(&boot);
    // Until nothing more is printed, because the client holds it up.
    let size = || fs::metadata(log_path(&fleet.root(), &boot.id)).unwrap().len();
    let mut last = (u64::MAX, 0);
    while last.0 != last.1 {
        thread::sleep(Duration::from_millis(200));
        last = (last.1, size());
    }
    let waiting = fleet.control(&boot);
    fleet.control(&boot).signal(9).unwrap();
    assert_eq!(waiting.wait().unwrap(), 137);
    assert_eq!(fleet.state(&boot).status, RunStatus::Exited);
    fleet.remove(&boot);
    let end = heard(slow.output);
    assert_eq!((end.code, end.stdout.len() > 1 << 20), (137, true));
}

#[test]
fn other_programs_run_in_it() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let mut boot = fleet.create("a", "echo begun; while true; do sleep 0.05; done");
    boot.run.env.push(("OWN".into(), "1".into()));
    let mut session = fleet.start(&boot);
    wait_for(&mut session.output, "begun\n");
    assert_eq!(fleet.exec(&boot, &args(&["sh", "-c", "echo $OWN $HOME; pwd; ps >&2; id -u; exit 4"])).stdout, "1 /root\n/\n0\n");
    let other = Exec {
        env: vec![("OWN".into(), "2".into())],
        cwd: Some("/srv".into()),
        user: Some("diver".into()),
        ..args(&["sh", "-c", "echo $OWN; pwd; id; exit 4"])
    };
    assert_eq!(fleet.exec(&boot, &other), said("2\n/srv\nuid=1000(diver) gid=1000(diver) groups=33(web),1000(diver)\n", "", 4));
    let not_started = |exec: &Exec| match fleet.control(&boot).exec(exec).unwrap().outcome {
        Outcome::NotStarted { code, why } => (code, why),
        other => panic!("{other:?}"),
    };
    assert_eq!(not_started(&args(&["/no/such"])).0, 127);
    assert_eq!(
        not_started(&Exec { user: Some("stranger".into()), ..args(&["true"]) }),
        (126, "unable to find user stranger: no matching entries in passwd file".into())
    );
    let Outcome::Running(Some(cat)) = fleet.control(&boot).exec(&Exec { stdin: true, ..args(&["cat"]) }).unwrap().outcome else { panic!() };
    cat.input.write(b"through").unwrap();
    cat.input.close_stdin();
    assert_eq!(heard(cat.output), said("through", "", 0));
    let tty = Exec {
        tty: true,
        stdin: true,
        size: Some((7, 8)),
        ..args(&[
            "sh",
            "-c",
            "trap 'busybox stty size; exit 0' WINCH; busybox stty size; read x; echo got $x; while true; do sleep 0.02; done",
        ])
    };
    let Outcome::Running(Some(mut tty)) = fleet.control(&boot).exec(&tty).unwrap().outcome else { panic!() };
    wait_for(&mut tty.output, "7 8\r\n");
    tty.input.write(b"x\n").unwrap();
    wait_for(&mut tty.output, "got x\r\n");
    tty.input.resize(9, 10).unwrap();
    assert_eq!(heard(tty.output), said("9 10\r\n", "", 0));
    let Outcome::Running(Some(killed)) = fleet.control(&boot).exec(&args(&["sleep", "1000"])).unwrap().outcome else { panic!() };
    killed.input.signal(9).unwrap();
    assert_eq!(heard(killed.output).code, 137);
    let detached = Exec { detach: true, ..args(&["sh", "-c", "echo there > /srv/there"]) };
    assert!(matches!(fleet.control(&boot).exec(&detached).unwrap().outcome, Outcome::Running(None)));
    fleet.exec(&boot, &args(&["sh", "-c", "until test -s /srv/there; do sleep 0.02; done"]));
    // With the container all of them end.
    let Outcome::Running(Some(late)) = fleet.control(&boot).exec(&args(&["sleep", "1000"])).unwrap().outcome else { panic!() };
    session.input.signal(9).unwrap();
    assert_eq!(heard(late.output).code, 137);
    assert_eq!(heard(session.output).code, 137);
    assert_eq!(fleet.bench.left().len(), 0);
    assert_eq!(fleet.log(&boot), [("stdout".into(), "begun\n".into())]);
}

#[test]
fn a_paused_container_goes_on_when_its_client_is_gone() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let boot = fleet.create("a", "i=0; while true; do i=$((i+1)); echo $i > /srv/n; sleep 0.01; done");
    fleet.sandbox.start(&boot, false).unwrap();
    let path = container_folder(&fleet.root(), &boot.id).join("upper/srv/n");
    let moves = || {
        let before = fs::read(&path).unwrap_or_default();
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(5));
            fs::read(&path).unwrap_or_default() != before
        })
    };
    assert!(moves());
    let mut control = fleet.control(&boot);
    control.pause().unwrap();
    control.pause().unwrap();
    assert_eq!(fleet.state(&boot).status, RunStatus::Paused);
    assert!(!moves());
    assert!(fleet.control(&boot).exec(&args(&["true"])).unwrap_err().to_string().contains("paused"));
    control.resume().unwrap();
    assert_eq!(fleet.state(&boot).status, RunStatus::Running);
    assert!(moves());
    let mut another = fleet.control(&boot);
    control.pause().unwrap();
    another.pause().unwrap();
    drop(control);
    thread::sleep(Duration::from_millis(20));
    assert!(!moves());
    drop(another);
    assert!((0..200).any(|_| moves()));
    // A monitor that is killed meanwhile leaves nothing that is paused for ever.
    fleet.control(&boot).pause().unwrap();
    fleet.control(&boot).signal(9).unwrap();
    let mut control = fleet.control(&boot);
    if control.pause().is_ok() {
        fleet.kill_monitor(&boot);
        drop(control);
    }
    ended(&fleet, &boot);
    fleet.remove(&boot);
    fleet.bench.run("after", &fleet.bench.script("true")).text();
    nothing_is_left(&fleet);
}
