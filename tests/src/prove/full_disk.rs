//! Commands on disks of every size that is too small. None says that it succeeded if it did not, and room can be made even when not
//! one byte is free.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{
    Report, Scope,
    stage::{Kept, Stage, Verb, each, expect},
};

const VERBS: [Verb; 6] = [Verb::Pull, Verb::PullAgain, Verb::Load, Verb::Import, Verb::Tag, Verb::Prune];
const PAGE: u64 = 4096;

/// A disk that is the store's root for as long as this lives.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn new(root: &'a Path, bytes: u64) -> Self {
        fs::create_dir_all(root).unwrap();
        let options = format!("mode=700,size={bytes}");
        mount(Some("small"), root, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self(root)
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        while ballast.write(&[0; PAGE as usize]).is_ok() {}
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Nothing of the harness's is in it any more.
        _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

/// What came of a command on a disk.
struct Tried {
    fitted: bool,
    kept: Kept,
}

/// Runs commands on small disks; who may not mount them is told so.
#[allow(clippy::print_stderr, reason = "a skipped harness has to say so")]
pub fn full_disk(scope: &Scope) -> Option<Report> {
    if fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() != 0) {
        eprintln!("skipped: small disks need root");
        return None;
    }
    let stages = Stage::two();
    let (sizes, step) = if scope.full { (200, PAGE) } else { (3, 60 * PAGE) };
    let base = stages[0].bytes() + scope.seed % 8 * PAGE;
    let cases: Vec<(Verb, u64)> = VERBS.iter().flat_map(|verb| (0..sizes).map(move |n| (*verb, base + n * step))).collect();
    let tried: Vec<Tried> = each(&stages, &cases, one).into_iter().flatten().collect();
    let mut report = Report { unit: "commands on disks that may be too small", tried: tried.len() as u64, ..Report::default() };
    let fitted = tried.iter().filter(|tried| tried.fitted).count();
    report.notes.push(format!("{sizes} sizes; {fitted} commands had room enough; afterwards room was made twice with no byte free"));
    report.violations = tried.into_iter().filter_map(|tried| tried.kept.err()).collect();
    Some(report)
}

/// Nothing if the disk has not even room for the store.
fn one(stage: &Stage, (verb, bytes): &(Verb, u64)) -> Option<Tried> {
    let disk = Disk::new(stage.root(), *bytes);
    stage.try_restore(*verb).ok()?;
    let output = stage.run(*verb);
    let orderly = matches!(output.code, Some(0 | 1)) && (output.code == Some(0) || !output.stderr.is_empty());
    let ended = expect(orderly, || format!("it does not end in order: {:?} {}", output.code, output.stderr))
        .and_then(|()| stage.ended(*verb, output.code, false));
    let first = if (bytes / PAGE).is_multiple_of(2) { REMOVALS } else { [REMOVALS[1], REMOVALS[0]] };
    let room = ended.and_then(|()| room(stage, &disk, first));
    let kept = room.and_then(|()| stage.nacre(&REMOVALS[1])).and_then(|()| stage.clean());
    let kept = kept.map_err(|why| format!("{verb} on {bytes} bytes, code {:?}: {why}", output.code));
    Some(Tried { fitted: output.code == Some(0), kept })
}

const REMOVALS: [[&str; 3]; 2] = [["rmi", "-f", "gone:1"], ["image", "prune", "-f"]];

/// Checks that room can be made on a disk without a free byte, also when what the first removal has freed is gone again.
fn room(stage: &Stage, disk: &Disk<'_>, removals: [[&str; 3]; 2]) -> Kept {
    for removal in &removals {
        disk.fill();
        stage.nacre(removal).map_err(|why| format!("no room can be made: {why}"))?;
    }
    fs::remove_file(disk.ballast()).map_err(|e| e.to_string())
}
