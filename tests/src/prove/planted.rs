//! T15: planted bugs. The store's tests, among them a sample of the other harnesses, run once for each safeguard that can be
//! taken away, and have to miss it: else that they pass proves little.
//!
//! The tests are built with the store's feature `planted-bugs`, by its own package alone. No manifest turns that on, so that
//! no build of `nacre` gets it by the unification of features.

use std::{
    env,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nacre_store::BUGS;
use serde_json::Value;

use super::{Report, Scope};

/// Whoever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a run of the tests ended.
enum Outcome {
    Passed,
    /// The first test that failed.
    Failed(String),
    Hung,
}

/// The harness. There is no sample of it: the tests cannot run themselves.
///
/// # Panics
/// If the tests cannot be built.
pub fn planted(_scope: &Scope) -> Report {
    let binaries = build();
    let mut report = Report { unit: "planted bugs", ..Report::default() };
    if let Some((_, missed)) = miss(&binaries, "none") {
        report.violations.push(format!("without any bug {missed}"));
    }
    for (name, what) in BUGS {
        report.tried += 1;
        match miss(&binaries, name) {
            Some((safeguard, by)) => report.notes.push(format!("{name}: {safeguard} {by}")),
            None => report.violations.push(format!("no test notices {name}: {}", what.trim())),
        }
    }
    report
}

/// Builds the tests of the store and returns their programs.
fn build() -> Vec<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--no-run", "--package", "nacre-store", "--features", "planted-bugs", "--message-format", "json"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let built = cargo.current_dir(root).stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "the tests of the store cannot be built");
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests = messages.filter(|message| message["profile"]["test"] == true);
    tests.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect()
}

/// The program that misses the safeguard, and by which test.
fn miss(binaries: &[PathBuf], bug: &str) -> Option<(String, String)> {
    binaries.iter().find_map(|binary| {
        let name = binary.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.rsplit_once('-').map_or(name.clone(), |(name, _)| name.to_owned());
        match run(binary, bug) {
            Outcome::Passed => None,
            Outcome::Failed(test) => Some((name, test)),
            Outcome::Hung => Some((name, "hangs".into())),
        }
    })
}

fn run(binary: &Path, bug: &str) -> Outcome {
    let mut child = Command::new(binary).env("NACRE_PLANTED_BUG", bug).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        stdout.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    });
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begin.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Outcome::Hung;
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let said = reader.join().unwrap();
    if status.success() {
        return Outcome::Passed;
    }
    let failed = said.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    Outcome::Failed(failed.unwrap_or("(which did not say)").to_owned())
}
