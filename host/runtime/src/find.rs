//! The programs that running needs.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// OCI runtimes, best first: crun before 1.9 fails on hosts with cgroup versions 1 and 2 beside each other.
const RUNTIMES: [&str; 3] = ["runc", "crun", "youki"];
/// Where distributions put runtimes, which is not on every user's path.
const SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The OCI runtime: the configured one, a path or a name, or the first that is installed.
///
/// # Errors
/// In words, with what installs one.
pub(crate) fn runtime(configured: Option<&Path>, path: &OsStr) -> Result<PathBuf, String> {
    let Some(configured) = configured else {
        let found = RUNTIMES.iter().find_map(|name| program(name, path));
        return found.ok_or_else(|| {
            "an OCI runtime (runc, crun or youki) is not installed: install one, such as by 'apt install runc' or 'dnf install crun'".into()
        });
    };
    let found = match configured.to_str() {
        Some(name) if !name.contains('/') => program(name, path),
        _ => executable(configured).then(|| configured.to_owned()),
    };
    found.ok_or_else(|| {
        format!("the configured OCI runtime '{}' is no program that can be executed: correct its path", configured.display())
    })
}

/// A program on the path, or where the system has its programs.
pub(crate) fn program(name: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = path.as_bytes().split(|byte| *byte == b':').chain(SYSTEM.as_bytes().split(|byte| *byte == b':'));
    folders
        .map(|folder| Path::new(OsStr::from_bytes(folder)))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| executable(program))
}

fn executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn the_path_goes_before_the_system_and_only_programs_count() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        for (folder, mode) in [(&first, 0o644), (&second, 0o755)] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("runc"), "").unwrap();
            fs::set_permissions(folder.join("runc"), fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = format!("relative:{}:{}", first.display(), second.display());
        assert_eq!(runtime(None, path.as_ref()).unwrap(), second.join("runc"));
        assert_eq!(runtime(Some(Path::new("runc")), path.as_ref()).unwrap(), second.join("runc"));
        assert_eq!(program("sh", OsStr::new("")).unwrap().file_name().unwrap(), "sh");
    }

    #[test]
    fn a_runtime_that_is_not_there_is_named() {
        let error = runtime(Some(Path::new("/no/such/runtime")), OsStr::new("")).unwrap_err();
        assert!(error.contains("/no/such/runtime"), "{error}");
    }
}
