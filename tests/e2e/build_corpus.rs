//! The conformance corpus for Dockerfiles, where it is present: `NACRE_CORPUS` names the folder that holds `run.py` and
//! `dockerfile/`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use nacre_tests::{peers::available, sandbox::Sandbox};

/// What is run here is what others built and recorded: each case that differs is a mistake.
#[test]
#[allow(clippy::print_stderr, reason = "a skipped test has to say so")]
fn every_dockerfile_means_what_it_means_to_buildkit() {
    let Some(corpus) = env::var_os("NACRE_CORPUS").map(PathBuf::from) else {
        return eprintln!("skipped: NACRE_CORPUS names no corpus");
    };
    if !available("python3") {
        return eprintln!("skipped: there is no python3");
    }
    let sandbox = Sandbox::new();
    let nacre = sandbox.command(["build"]);
    let mut command = Command::new("python3");
    command.arg(corpus.join("run.py")).arg(corpus.join("dockerfile"));
    command.args(["--builder", &format!("{} build", nacre.get_program().display())]);
    for (name, value) in nacre.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = command.output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().last().is_some_and(|line| line.contains(" passed, ")), "{said}{errors}");
    let (lost, failed): (Vec<&str>, Vec<&str>) =
        said.lines().filter(|line| line.starts_with("FAIL ")).partition(|line| line.contains("symlink") && !holds_symlink(&corpus));
    for line in lost {
        eprintln!("skipped: {line} (this copy of the corpus has lost its symlinks)");
    }
    assert!(failed.is_empty(), "{}\n{said}{errors}", failed.join("\n"));
}

/// Whether there is any symlink at or below a folder.
fn holds_symlink(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| {
        let kind = entry.file_type().unwrap();
        kind.is_symlink() || (kind.is_dir() && holds_symlink(&entry.path()))
    })
}
