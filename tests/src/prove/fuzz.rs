//! T11: any bytes, at every parser: the targets of `tests/fuzz` under libFuzzer, each from its committed seeds.
//!
//! libFuzzer is guided by what the code does with an input. Clang and nightly Rust have switches for that; here the same pass
//! of LLVM is asked for by its name, which stable Rust allows.

use std::{
    env, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{Report, Scope};
use crate::mutated::seeds;

/// Counters at every edge, a table of where they are, and what is compared with what.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Named, so that build scripts and macros, which run while building, are built without the counters.
const TRIPLE: &str = if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };
/// Executions of each target.
const SAMPLE: u64 = 20_000;
const FULL: u64 = 10_000_000;
/// The most bytes of an input, and those of the targets that need more to be reached at all, or less to be quick.
const MAX_LEN: usize = 4 << 10;
const LENGTHS: &[(&str, usize)] = &[
    ("archive", 16 << 10),
    ("challenge", 512),
    ("deb", 24 << 10),
    ("ext4", 64 << 10),
    ("link", 512),
    ("ranges", 128),
    ("reference", 512),
    ("squashfs", 16 << 10),
];
/// The most memory of a target, in MiB, and the most seconds for one input.
const MEMORY: u32 = 256;
const TIME: u32 = 20;
/// The most bytes of an input that are shown.
const SHOWN: usize = 1 << 10;

/// Builds the targets and runs each, as many at a time as there are cores.
///
/// # Panics
/// If folders cannot be made.
pub fn fuzz(scope: &Scope) -> Report {
    let mut report = Report { unit: "executions", ..Report::default() };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = targets(&fs::read_to_string(folder.join("Cargo.toml")).unwrap());
    if let Err(why) = build(&folder) {
        report.tried = 1;
        report.violations.push(why);
        return report;
    }
    for ran in run_all(&folder, &names, scope) {
        report.tried += ran.executions;
        report.notes.push(format!("{}: {}, {} edges", ran.name, ran.executions, ran.edges));
        report.violations.extend(ran.violation);
    }
    report
}

/// The names of the programs of a `Cargo.toml`, in its order.
fn targets(manifest: &str) -> Vec<String> {
    let programs = manifest.split("[[bin]]").skip(1);
    let name = |program: &str| Some(program.split_once("name = \"")?.1.split_once('"')?.0.to_owned());
    programs.filter_map(name).collect()
}

fn build(folder: &Path) -> Result<(), String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--bins", "--all-features", "--target", TRIPLE]).current_dir(folder);
    cargo.env("CARGO_TARGET_DIR", folder.join("target")).env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = cargo.status().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the targets cannot be built: {status}")) }
}

/// What came of a target.
#[derive(Debug, Default)]
struct Ran {
    name: String,
    executions: u64,
    /// Of the target's code, those that some input took.
    edges: u64,
    violation: Option<String>,
}

#[allow(clippy::print_stderr, reason = "all of them take an hour or more")]
fn run_all(folder: &Path, names: &[String], scope: &Scope) -> Vec<Ran> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((index, name)) = names.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) {
            let ran = run(folder, name, scope);
            eprintln!("{name}: {} executions, {} edges", ran.executions, ran.edges);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, ran));
        }
    };
    thread::scope(|threads| {
        (0..thread::available_parallelism().map_or(1, usize::from)).for_each(|_| _ = threads.spawn(work));
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, ran)| ran).collect()
}

/// Runs one target. Its log and, if it fails, the input stay in `target/found`.
fn run(folder: &Path, name: &str, scope: &Scope) -> Ran {
    let found = folder.join("target/found").join(name);
    _ = fs::remove_dir_all(&found);
    fs::create_dir_all(&found).unwrap();
    let corpus = tempfile::tempdir().unwrap();
    seeds(name).iter().for_each(|(file, bytes)| fs::write(corpus.path().join(file), bytes).unwrap());
    let log = found.join("log");
    let status = start(folder, name, scope, corpus.path(), &found);
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let executions = number(&text, "stat::number_of_executed_units:").unwrap_or_default();
    let edges = number(&text, " cov:").unwrap_or_default();
    let violation = match status {
        Ok(status) if status.success() => (executions < runs(scope)).then(|| format!("{name}: it stopped early: {}", log.display())),
        Ok(status) => Some(format!("{name}: {status}: {}; {}", reason(&text), input(&found))),
        Err(error) => Some(format!("{name}: it cannot be started: {error}")),
    };
    Ran { name: name.into(), executions, edges, violation }
}

fn runs(scope: &Scope) -> u64 {
    if scope.full { FULL } else { SAMPLE }
}

fn start(folder: &Path, name: &str, scope: &Scope, corpus: &Path, found: &Path) -> io::Result<ExitStatus> {
    let log = File::create(found.join("log"))?;
    let max_len = LENGTHS.iter().find(|(known, _)| *known == name).map_or(MAX_LEN, |(_, max_len)| *max_len);
    let mut target = Command::new(folder.join("target").join(TRIPLE).join("release").join(name));
    target.args([
        format!("-seed={}", u32::try_from(scope.seed).unwrap_or(u32::MAX)),
        format!("-runs={}", runs(scope)),
        format!("-max_len={max_len}"),
        format!("-rss_limit_mb={MEMORY}"),
        format!("-timeout={TIME}"),
        format!("-artifact_prefix={}/", found.display()),
        "-print_final_stats=1".into(),
    ]);
    // Some make files for every input.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        target.env("TMPDIR", memory);
    }
    // What a target frees it soon wants again; else glibc would have the kernel zero it anew each time.
    ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"].iter().for_each(|kept| _ = target.env(kept, "1073741824"));
    target.arg(corpus).env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status()
}

/// The last number behind `key` in a log.
fn number(log: &str, key: &str) -> Option<u64> {
    let digits = log.rsplit_once(key)?.1.trim_start();
    digits.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// What a target said when it failed: its panic, or libFuzzer's error.
fn reason(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let panic = lines.iter().position(|line| line.contains("panicked at"));
    let error = || lines.iter().position(|line| line.contains("ERROR: libFuzzer"));
    panic.or_else(error).map_or_else(String::new, |at| lines[at..].iter().take(4).copied().collect::<Vec<_>>().join(" | "))
}

/// The input that a target failed at.
fn input(found: &Path) -> String {
    let failed = |file: &PathBuf| ["crash-", "timeout-", "oom-"].iter().any(|kind| file_name(file).starts_with(kind));
    let files = fs::read_dir(found).into_iter().flatten().flatten().map(|entry| entry.path());
    let Some(file) = files.into_iter().find(failed) else { return "it left no input".into() };
    let bytes = fs::read(&file).unwrap_or_default();
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    format!("{} bytes in {}: {shown}", bytes.len(), file.display())
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_known_and_has_seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let names = targets(&fs::read_to_string(folder.join("Cargo.toml")).unwrap());
        let files = fs::read_dir(folder.join("fuzz_targets")).unwrap().map(|entry| entry.unwrap().path());
        let programs = files.filter(|file| fs::read_to_string(file).unwrap().contains("fuzz_target!("));
        let mut programs: Vec<String> = programs.map(|file| file_name(&file).trim_end_matches(".rs").to_owned()).collect();
        let mut sorted = names.clone();
        programs.sort_unstable();
        sorted.sort_unstable();
        assert_eq!(sorted, programs);
        assert!(names.iter().all(|name| !seeds(name).is_empty()));
    }

    #[test]
    fn the_last_lines_of_a_log_are_read() {
        let log = "#2\tINITED cov: 12 ft: 1\n#8\tNEW    cov: 137 ft: 2 corp: 1/1b\nDone\nstat::number_of_executed_units: 20000\n";
        assert_eq!((number(log, " cov:"), number(log, "stat::number_of_executed_units:")), (Some(137), Some(20_000)));
        assert_eq!(number("", " cov:"), None);
        let log = "#1\nthread '<unnamed>' panicked at a.rs:1:2:\nwhy\n==1== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(reason(log), "thread '<unnamed>' panicked at a.rs:1:2: | why | ==1== ERROR: libFuzzer: deadly signal");
    }
}
