//! A context in a git repository: `URL#REFERENCE:FOLDER`, as Docker takes it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use jiff::fmt::rfc2822::DateTimeParser;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// Where a context lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Git<'a> {
    remote: String,
    reference: &'a str,
    folder: &'a str,
}

/// A context that was fetched.
pub(super) struct Cloned {
    /// Its folder.
    pub folder: PathBuf,
    /// When its commit was made, Unix seconds.
    pub time: i64,
}

/// What the text says, if it names a git repository.
pub(super) fn git(text: &str) -> Option<Git<'_>> {
    let (place, fragment) = text.split_once('#').unwrap_or((text, ""));
    let by_http = (place.starts_with("https://") || place.starts_with("http://")) && place.ends_with(".git");
    let by_git = ["git://", "ssh://", "git@"].iter().any(|start| place.starts_with(start));
    let short = place.starts_with("github.com/");
    if !by_http && !by_git && !short {
        return None;
    }
    let remote = if short { format!("https://{place}") } else { place.to_owned() };
    let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
    Some(Git { remote, reference, folder })
}

/// Fetches it below the folder `into`, without its history if the server can do that, as BuildKit does: all files have the
/// commit's time, and the repository itself is left out unless `keep_git_dir`.
pub(super) fn clone(source: &Git<'_>, into: &Path, keep_git_dir: bool) -> Result<Cloned> {
    let top = into.join("context");
    fs::create_dir(&top).with_context(|| format!("cannot create {}", top.display()))?;
    run(&top, &["init", "--quiet"])?;
    fetch(source, &top)?;
    run(&top, &["remote", "add", "origin", &source.remote])?;
    submodules(&top)?;
    let time = run(&top, &["show", "--no-patch", "--format=%ct", "HEAD"])?;
    let time = time.trim().parse().with_context(|| format!("git says '{}' is a commit's time", time.trim()))?;
    tidy(&top, time, keep_git_dir)?;
    Ok(Cloned { folder: subfolder(source, &top)?, time })
}

/// Brings the commit and checks it out. Servers that only serve files know nothing of depth, and some no commits by their id.
fn fetch(source: &Git<'_>, top: &Path) -> Result<()> {
    let reference = if source.reference.is_empty() { "HEAD" } else { source.reference };
    if reference.starts_with('-') {
        bail!("'{reference}' is no reference of git");
    }
    let fetch = ["fetch", "--quiet", "--no-recurse-submodules"];
    let named = ["--no-tags", "--", &source.remote, reference];
    let all = ["--", &source.remote, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
    let by_name = run(top, &[&fetch[..], &["--depth", "1"], &named].concat()).or_else(|_| run(top, &[&fetch[..], &named].concat()));
    let what = match by_name {
        Ok(_) => "FETCH_HEAD",
        Err(_) if is_commit(reference) => {
            run(top, &[&fetch[..], &all].concat()).with_context(|| format!("cannot fetch {}", source.remote))?;
            reference
        }
        Err(error) => return Err(error).with_context(|| format!("cannot fetch {reference} of {}", source.remote)),
    };
    run(top, &["checkout", "--quiet", "--detach", what]).map(drop)
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn submodules(top: &Path) -> Result<()> {
    if !top.join(".gitmodules").exists() {
        return Ok(());
    }
    let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
    run(top, &[&update[..], &["--depth", "1"]].concat()).or_else(|_| run(top, &update)).map(drop)
}

/// Gives all files one time and the modes that git knows, and takes away `.git` of the repository and its submodules.
fn tidy(folder: &Path, time: i64, keep_git_dir: bool) -> Result<()> {
    let doing = |path: &Path| format!("cannot tidy {}", path.display());
    for entry in fs::read_dir(folder).with_context(|| doing(folder))? {
        let entry = entry.with_context(|| doing(folder))?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(|| doing(folder))?);
        if entry.file_name() == ".git" {
            match (keep_git_dir, kind.is_dir()) {
                (true, _) => {}
                (false, true) => nacre_layer::remove_tree(&path)?,
                (false, false) => fs::remove_file(&path).with_context(|| doing(&path))?,
            }
            continue;
        }
        if kind.is_dir() {
            tidy(&path, time, keep_git_dir)?;
        } else if kind.is_file() {
            let runs = entry.metadata().with_context(|| doing(&path))?.permissions().mode() & 0o100 != 0;
            fs::set_permissions(&path, Permissions::from_mode(if runs { 0o755 } else { 0o644 })).with_context(|| doing(&path))?;
        }
        touch(&path, time)?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o755)).with_context(|| doing(folder))?;
    touch(folder, time)
}

/// Seconds since 1970 of a time as HTTP spells it (RFC 9110, 5.6.7).
pub(super) fn seconds(text: &str) -> Option<i64> {
    Some(DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?.as_second())
}

/// When the file below a folder that was changed last was changed, Unix seconds.
pub(super) fn newest(folder: &Path) -> Result<Option<i64>> {
    let doing = || format!("cannot read {}", folder.display());
    let mut newest = None;
    for entry in fs::read_dir(folder).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        let meta = entry.metadata().with_context(doing)?;
        newest = newest.max(Some(meta.mtime()));
        if meta.is_dir() {
            newest = newest.max(self::newest(&entry.path())?);
        }
    }
    Ok(newest)
}

/// Sets the time when something was changed; of a symbolic link its own.
pub(super) fn touch(path: &Path, time: i64) -> Result<()> {
    let time = Timespec { tv_sec: time, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).with_context(|| format!("cannot set the time of {}", path.display()))
}

fn subfolder(source: &Git<'_>, top: &Path) -> Result<PathBuf> {
    let folder = top.join(source.folder.trim_start_matches('/')).canonicalize();
    let folder = folder.with_context(|| format!("{} has no folder {}", source.remote, source.folder))?;
    if !folder.starts_with(top.canonicalize()?) {
        bail!("the folder {} leads out of {}", source.folder, source.remote);
    }
    Ok(folder)
}

/// Runs git as the user, whose credentials it may need, and returns what it prints.
fn run(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "protocol.file.allow=never", "-c", "core.hooksPath=/dev/null"]).args(arguments);
    let output = command.env("GIT_TERMINAL_PROMPT", "0").output().context("cannot run git: install it")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    bail!("git {}: {}", arguments[0], if said.is_empty() { "it failed".to_owned() } else { said.join("; ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_servers() {
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:20 GMT"), Some(1_700_000_000));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn repositories_are_told_by_their_names() {
        let parsed = |remote: &str, reference, folder| Some(Git { remote: remote.to_owned(), reference, folder });
        assert_eq!(git("https://x.example/a.git"), parsed("https://x.example/a.git", "", ""));
        assert_eq!(git("https://x.example/a.git#v1:sub"), parsed("https://x.example/a.git", "v1", "sub"));
        assert_eq!(git("git@x.example:a#:sub"), parsed("git@x.example:a", "", "sub"));
        assert_eq!(git("github.com/a/b"), parsed("https://github.com/a/b", "", ""));
        assert_eq!((git("https://x.example/a.tar"), git("folder")), (None, None));
    }
}
