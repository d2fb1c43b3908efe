//! Builds that are killed, interrupted, run out of space, or have others beside them. Nothing may be left of them that the
//! next command does not clear away, and the next build has to make the same image.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use nacre_tests::{
    peers::available,
    sandbox::{Output, Sandbox},
};

use crate::{build_peers::BASE, fixture::assert_whole, trees::shell};

/// A sandbox with the image `base` and a context; none where no program can be run.
#[allow(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn with_base(context: &str) -> Option<Sandbox> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: the test needs root");
        return None;
    }
    if !available("runc") || !available("busybox") {
        return None;
    }
    let sandbox = Sandbox::new();
    shell(&sandbox, BASE);
    sandbox.nacre(["import", "-q", "base.tar", "base"]).ok();
    shell(&sandbox, &format!("mkdir context && cd context && {context}"));
    Some(sandbox)
}

/// Every result of this is the same to the last byte.
const BUILD: [&str; 7] = ["build", "-q", "-o", "type=image,rewrite-timestamp=true", "-f", "Dockerfile", "context"];

const STAGES: &str = "FROM base AS one
RUN echo one > /one && dd if=/dev/zero of=/zeros bs=1M count=20 2>/dev/null
FROM base AS two
RUN --mount=type=cache,target=/scratch echo two > /two && touch /scratch/x && busybox sleep 0.2
FROM base AS three
COPY . /three/
RUN rm /three/1 && mkdir /sub && mv /three/2 /sub
FROM base
COPY --from=one /one /zeros /
COPY --from=two /two /
COPY --from=three /three /three
RUN chown -R 1000:50 /three/3 && echo end > /end
";

const FILES: &str = "for i in $(seq 200); do echo $i > $i; done; head -c 8000000 /dev/urandom > noise";

fn command(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(BUILD);
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

fn build(sandbox: &Sandbox) -> Output {
    sandbox.run(command(sandbox), b"")
}

/// The control groups of the sandboxes of one root, by the names of their runs.
pub(crate) fn groups(runs: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![Path::new("/sys/fs/cgroup").to_owned()];
    for _ in 0..2 {
        let folders = open.drain(..).flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten()).map(|entry| entry.path());
        open = folders.filter(|path| path.is_dir()).collect();
        found.extend(open.iter().filter(|path| runs.contains(&name(path))).map(|path| path.display().to_string()));
    }
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The names of runs that have a folder now.
pub(crate) fn runs(sandbox: &Sandbox) -> BTreeSet<String> {
    let listed = fs::read_dir(sandbox.root().join("trees/root/runs"));
    listed.into_iter().flatten().flatten().map(|entry| name(&entry.path())).collect()
}

/// What of the sandbox's commands still runs or is mounted.
fn alive(sandbox: &Sandbox) -> Vec<String> {
    let root = sandbox.root().display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    // The root itself may be one.
    let below = format!("{root}/");
    let mut found: Vec<String> = mounts.lines().filter(|line| line.contains(&below)).map(str::to_owned).collect();
    for entry in fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.path().join("exe").is_symlink()) {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if String::from_utf8_lossy(&environment).contains(&root) || mounts.contains(&below) {
            found.push(format!("process {}", name(&entry.path())));
        }
    }
    found
}

/// Waits for the end of what the kernel is ending.
#[track_caller]
pub(crate) fn ended(sandbox: &Sandbox) {
    let end = Instant::now() + Duration::from_secs(20);
    while !alive(sandbox).is_empty() {
        assert!(Instant::now() < end, "{:?}", alive(sandbox));
        sleep(Duration::from_millis(10));
    }
}

/// Clears the cache and checks that nothing is left besides the base.
#[track_caller]
fn cleared(sandbox: &Sandbox) {
    sandbox.nacre(["image", "prune", "-f"]).ok();
    sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
    assert_eq!(sandbox.nacre(["system", "check", "--deep"]).ok().stdout, "nothing found\n");
    assert_whole(sandbox);
}

/// Starts a build, sends a signal after some time, and returns how it ended with the runs that it had begun.
fn signalled(sandbox: &Sandbox, signal: &str, after: Duration) -> (Option<i32>, BTreeSet<String>) {
    let mut child = command(sandbox).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (begun, mut seen) = (Instant::now(), BTreeSet::new());
    while begun.elapsed() < after {
        seen.extend(runs(sandbox));
        sleep(Duration::from_millis(5));
    }
    seen.extend(runs(sandbox));
    Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    (child.wait().unwrap().code(), seen)
}

/// Sends a signal at points in time that are spread over a whole build.
fn at_any_time(signal: &str, points: u32) {
    let Some(sandbox) = with_base(FILES) else { return };
    fs::write(sandbox.path("Dockerfile"), STAGES).unwrap();
    // The first one is longer than the others: it also unpacks the base.
    build(&sandbox).ok();
    sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
    let begun = Instant::now();
    let image = build(&sandbox).ok().stdout;
    let whole = begun.elapsed();
    let mut interrupted = 0;
    for point in 0..points {
        sandbox.nacre(["image", "prune", "-f"]).ok();
        sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
        let (code, seen) = signalled(&sandbox, signal, whole * point / points);
        ended(&sandbox);
        interrupted += u32::from(code != Some(0));
        if signal != "KILL" {
            let early = point * 10 < points;
            assert!(matches!(code, Some(0 | 1)) || early, "{signal} at {point}: {code:?}");
            assert!(early || (runs(&sandbox).is_empty() && groups(&seen).is_empty()), "{signal} at {point}: {:?}", groups(&seen));
            assert!(early || sandbox.nacre(["system", "check"]).ok().stdout == "nothing found\n", "{signal} at {point}");
        }
        assert_eq!(build(&sandbox).ok().stdout, image, "after {signal} at {point} of {points}");
        assert!(runs(&sandbox).is_empty() && groups(&seen).is_empty(), "{signal} at {point}: {:?}", groups(&seen));
        let checked = sandbox.nacre(["system", "check", "--deep"]);
        assert_eq!(checked.stdout, "nothing found\n", "after {signal} at {point} of {points}, and another build");
    }
    assert!(interrupted * 2 > points, "only {interrupted} of {points} builds were interrupted");
    cleared(&sandbox);
}

#[test]
fn a_build_that_is_killed_leaves_nothing_that_stays() {
    at_any_time("KILL", 20);
}

#[test]
fn a_build_that_is_told_to_end_leaves_nothing() {
    at_any_time("TERM", 12);
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing() {
    at_any_time("INT", 12);
}

/// A root folder of a few megabytes, for as long as this lives.
pub(crate) struct Small<'a>(&'a Sandbox);

impl<'a> Small<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, megabytes: u32) -> Self {
        fs::create_dir_all(sandbox.root()).unwrap();
        shell(sandbox, &format!("mount -t tmpfs -o mode=700,size={megabytes}m small root"));
        sandbox.nacre(["import", "-q", "base.tar", "base"]).ok();
        Self(sandbox)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Nothing of the test's is in it any more.
        _ = Command::new("umount").arg("-l").arg(self.0.root()).status();
    }
}

const LARGE: [(&str, &str); 3] = [
    ("FROM base\nCOPY noise /noise\nCOPY noise /again\nCOPY noise /third\n", "No space left on device"),
    ("FROM base\nRUN dd if=/dev/zero of=/zeros bs=1M count=40\n", "did not complete successfully: exit code: 1"),
    ("FROM base\nRUN dd if=/dev/zero of=/zeros bs=1M count=40 || true\n", "No space left on device"),
];

#[test]
fn a_full_disk_ends_a_build_and_clearing_up_works() {
    let Some(sandbox) = with_base("head -c 8000000 /dev/urandom > noise; echo x > x") else { return };
    let _small = Small::new(&sandbox, 20);
    for (text, why) in LARGE {
        fs::write(sandbox.path("Dockerfile"), text).unwrap();
        let said = build(&sandbox).fails(1).stderr;
        assert!(said.contains(why) && said.contains("Dockerfile:"), "{text}: {said}");
        ended(&sandbox);
        assert!(runs(&sandbox).is_empty(), "{text}");
        fs::write(sandbox.path("Dockerfile"), "FROM base\nCOPY x /x\nRUN cat /x > /y\n").unwrap();
        // Not even one more byte fits, and the caches are there from which room is made.
        let image = build(&sandbox).ok().stdout;
        shell(&sandbox, "cat /dev/zero > root/ballast 2>/dev/null || true");
        sandbox.nacre(["rmi", "--force", image.trim_end()]).ok();
        shell(&sandbox, "cat /dev/zero >> root/ballast 2>/dev/null || true");
        sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
        fs::remove_file(sandbox.root().join("ballast")).unwrap();
        build(&sandbox).ok();
        cleared(&sandbox);
    }
}

#[test]
fn two_builds_at_once_share_what_they_can() {
    let Some(sandbox) = with_base(FILES) else { return };
    fs::write(sandbox.path("Dockerfile"), STAGES).unwrap();
    fs::write(sandbox.path("Other"), STAGES.replace("echo end", "echo other")).unwrap();
    let other = || {
        let arguments = BUILD.map(|word| if word == "Dockerfile" { "Other" } else { word });
        let mut command = sandbox.command(arguments);
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        sandbox.run(command, b"").ok().stdout
    };
    let (same, others): (BTreeSet<String>, BTreeSet<String>) = thread::scope(|scope| {
        let same: Vec<_> = (0..3).map(|_| scope.spawn(|| build(&sandbox).ok().stdout)).collect();
        let others: Vec<_> = (0..2).map(|_| scope.spawn(other)).collect();
        let all = |threads: Vec<thread::ScopedJoinHandle<'_, String>>| threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        (all(same), all(others))
    });
    assert!(same.len() == 1 && others.len() == 1 && same != others, "{same:?} {others:?}");
    assert!(runs(&sandbox).is_empty());
    cleared(&sandbox);
}

#[test]
fn pruning_takes_nothing_from_a_build() {
    let Some(sandbox) = with_base(FILES) else { return };
    fs::write(sandbox.path("Dockerfile"), STAGES).unwrap();
    let image = build(&sandbox).ok().stdout;
    for _ in 0..4 {
        sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
        let built = thread::scope(|scope| {
            let building = scope.spawn(|| build(&sandbox).ok().stdout);
            while !building.is_finished() {
                sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
                // The base has a name, so this is about what the build makes and reads.
                sandbox.nacre(["image", "prune", "-f"]).ok();
            }
            building.join().unwrap()
        });
        assert_eq!(built, image);
    }
    cleared(&sandbox);
}
