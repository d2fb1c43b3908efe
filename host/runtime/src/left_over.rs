//! What killed sandboxes have left.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The folders of runs below a store's root whose sandbox process is gone. The next sandbox with the same ids sweeps them.
pub fn left_over(root: &Path) -> Vec<PathBuf> {
    let mut dead = Vec::new();
    for ids in folders(&root.join("trees")) {
        // Held while a run begins; what begins then is not looked at.
        let beginning = File::open(ids.join("lock"));
        if beginning.as_ref().is_ok_and(|lock| lock.try_lock().is_ok()) {
            dead.extend(folders(&ids.join("runs")).into_iter().filter(|run| is_dead(run)));
        }
    }
    dead
}

fn is_dead(run: &Path) -> bool {
    match File::open(run.join("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound && run.exists(),
    }
}

/// What a folder holds; one that cannot be read is another user's.
fn folders(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_runs_without_a_process_are_left_over() {
        let root = tempfile::tempdir().unwrap();
        assert!(left_over(root.path()).is_empty());
        let runs = root.path().join("trees/root/runs");
        let run = |name: &str| {
            fs::create_dir_all(runs.join(name)).unwrap();
            File::create(runs.join(name).join("lock")).unwrap()
        };
        let (living, dead) = (run("living"), run("dead"));
        living.lock().unwrap();
        drop(dead);
        let beginning = File::create(root.path().join("trees/root/lock")).unwrap();
        assert_eq!(left_over(root.path()), [runs.join("dead")]);
        beginning.lock_shared().unwrap();
        assert!(left_over(root.path()).is_empty(), "it may be one that begins");
    }
}
