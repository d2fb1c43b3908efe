//! Containers, as root. Skipped without root, runc and a static busybox.
#![allow(clippy::unwrap_used, reason = "tests")]

mod clients;
mod kills;
mod lives;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nacre_oci::Error;
use nacre_runtime::{
    Boot, Control, Event, Exec, Mount, MountKind, Network, Outcome, Output, RunStatus, Sandbox, Session, Settings, State, Stream,
    container_folder, log_path, remove_container, state,
};
use serde_json::Value;
use support::{Bench, can_run};

/// A store's root with containers.
struct Fleet {
    bench: Bench,
    sandbox: Sandbox,
}

/// What a program has printed, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    stderr: String,
    code: u8,
}

impl Fleet {
    fn new() -> Self {
        let bench = Bench::new();
        let sandbox = Sandbox::open(settings(&bench)).unwrap();
        Self { bench, sandbox }
    }

    fn root(&self) -> PathBuf {
        self.bench.path().join("root")
    }

    /// A container of a shell script, as `create` leaves it. The name becomes its id.
    fn create(&self, name: &str, script: &str) -> Boot {
        let id = format!("{:0<64}", name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>());
        self.bench.container(&id, script)
    }

    #[track_caller]
    fn start(&self, boot: &Boot) -> Session {
        let started = self.sandbox.start(boot, true).unwrap();
        assert!(started.warnings.is_empty(), "{:?}", started.warnings);
        match started.outcome {
            Outcome::Running(Some(session)) => session,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn run(&self, boot: &Boot) -> Said {
        heard(self.start(boot).output)
    }

    #[track_caller]
    fn exec(&self, boot: &Boot, exec: &Exec) -> Said {
        match self.control(boot).exec(exec).unwrap().outcome {
            Outcome::Running(Some(session)) => heard(session.output),
            other => panic!("{other:?}"),
        }
    }

    fn control(&self, boot: &Boot) -> Control {
        Control::connect(&self.root(), &boot.id).unwrap().unwrap()
    }

    fn state(&self, boot: &Boot) -> State {
        state(&self.root(), &boot.id).unwrap()
    }

    fn remove(&self, boot: &Boot) {
        remove_container(settings(&self.bench), &boot.id).unwrap();
        assert!(!container_folder(&self.root(), &boot.id).exists());
    }

    /// What is in the log, as stream and text.
    fn log(&self, boot: &Boot) -> Vec<(String, String)> {
        let log = fs::read_to_string(log_path(&self.root(), &boot.id)).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["stream"].as_str().unwrap().into(), line["log"].as_str().unwrap().into())).collect()
    }

    /// Ends a container's monitor without a word.
    fn kill_monitor(&self, boot: &Boot) {
        let pid = self.state(boot).pid.unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let parent: i32 = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
        let parent = rustix::process::Pid::from_raw(parent).unwrap();
        rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
    }
}

/// A test that fails leaves nothing that runs.
impl Drop for Fleet {
    fn drop(&mut self) {
        kills::kill_sandboxes(self);
    }
}

fn settings(bench: &Bench) -> Settings {
    let (root, program) = (bench.path().join("root"), bench.path().join("program"));
    Settings { program, root, runtime: None, path: "/usr/sbin:/usr/bin:/sbin:/bin".into() }
}

fn heard(mut output: Output) -> Said {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(event) = output.next().unwrap() {
        match event {
            Event::Output(Stream::Stdout, bytes) => stdout.extend(bytes),
            Event::Output(Stream::Stderr, bytes) => stderr.extend(bytes),
            Event::Ended(code) => {
                assert_eq!(output.next().unwrap(), None);
                let text = |bytes| String::from_utf8(bytes).unwrap();
                return Said { stdout: text(stdout), stderr: text(stderr), code };
            }
        }
    }
    panic!("it did not end")
}

/// Reads until this text was printed.
#[track_caller]
fn wait_for(output: &mut Output, text: &str) -> String {
    let mut heard = String::new();
    while !heard.contains(text) {
        match output.next().unwrap() {
            Some(Event::Output(_, bytes)) => heard.push_str(&String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?} after {heard}"),
        }
    }
    heard
}

fn said(stdout: &str, stderr: &str, code: u8) -> Said {
    Said { stdout: stdout.into(), stderr: stderr.into(), code }
}

fn args(words: &[&str]) -> Exec {
    Exec { args: words.iter().map(|word| (*word).into()).collect(), ..Exec::default() }
}

fn mount(target: &str, kind: MountKind) -> Mount {
    Mount { target: target.into(), readonly: false, kind }
}

/// Waits until a container is known to have ended.
fn ended(fleet: &Fleet, boot: &Boot) -> State {
    (0..1000)
        .find_map(|_| {
            thread::sleep(Duration::from_millis(5));
            Some(fleet.state(boot)).filter(|state| state.status == RunStatus::Exited)
        })
        .expect("it ends")
}

/// No process, no mount, no folder of a run, and no control group.
#[track_caller]
fn nothing_is_left(fleet: &Fleet) {
    let root = fleet.bench.path().to_str().unwrap().to_owned();
    let programs = || fs::read_dir("/proc").unwrap().flatten().filter_map(|process| fs::read_link(process.path().join("exe")).ok());
    // Who has told all needs a moment to end.
    let gone = (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(5));
        !programs().any(|program| program.starts_with(&root))
    });
    assert!(gone, "a monitor still runs");
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&root));
    assert_eq!(fleet.bench.left(), Vec::<PathBuf>::new());
}
