//! `-v SOURCE:TARGET[:MODE]` (moby's `volume/mounts/linux_parser.go`).

use std::path::{Path, PathBuf};

use nacre_oci::clean_path;

use crate::{Error, MountSource, Mounting, Result};

/// What a mode may say that changes nothing here: there is no SELinux label to give, and Docker's other words are for macOS
/// and for what is its default.
const IDLE: [&str; 7] = ["z", "Z", "cached", "delegated", "consistent", "rprivate", "private"];

/// Reads `-v`: `SOURCE:TARGET[:ro|rw]`, or a `TARGET` alone for an anonymous volume. `here` is the folder that `.` and `..` at the
/// beginning of a source are relative to.
///
/// # Errors
/// In Docker's words; for a named volume.
pub fn volume(text: &str, here: &Path) -> Result<Mounting> {
    let bad = |why: &str| Error::invalid(format!("invalid volume specification: '{text}'{}{why}", if why.is_empty() { "" } else { ": " }));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] | ["", target] => ("", target, ""),
        // In `/anonymous:ro` the second part is no path.
        [target, mode @ ("ro" | "rw")] => ("", target, mode),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(bad("")),
    };
    let readonly = access(mode)?;
    let invalid = |kind: &str, why: String| bad(&format!("invalid mount config for type \"{kind}\": {why}"));
    let kind = if source.is_empty() { "volume" } else { "bind" };
    if !target.starts_with('/') {
        return Err(invalid(kind, format!("invalid mount path: '{target}' mount path must be absolute")));
    }
    let target = clean_path(target);
    if target == "/" {
        return Err(invalid(kind, "invalid specification: destination can't be '/'".into()));
    }
    let source = if source.is_empty() { MountSource::Anonymous } else { MountSource::Bind { path: folder(source, here)?, create: true } };
    Ok(Mounting { target, readonly, source, mode: mode.to_owned() })
}

/// Whether a mode says that nothing can be written.
fn access(mode: &str) -> Result<bool> {
    let mut words: Vec<&str> = mode.split(',').filter(|word| !word.is_empty()).collect();
    words.retain(|word| !IDLE.contains(word));
    match words[..] {
        [] | ["rw"] => Ok(false),
        ["ro"] => Ok(true),
        _ => Err(Error::invalid(format!("invalid mode: {mode}"))),
    }
}

/// A source on the host, absolute.
pub(super) fn folder(source: &str, here: &Path) -> Result<PathBuf> {
    if source.starts_with('/') {
        return Ok(clean_path(source).into());
    }
    if source == "." || source == ".." || source.starts_with("./") || source.starts_with("../") {
        return Ok(clean_path(&here.join(source).to_string_lossy()).into());
    }
    Err(Error::invalid(format!("named volumes are not supported: '{source}' is one; write a path of the host's that begins with / or ./")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn read(text: &str) -> Result<(String, String, bool)> {
        let read = volume(text, Path::new("/here/now"))?;
        let source = match read.source {
            MountSource::Bind { path, create: true } => path.display().to_string(),
            MountSource::Anonymous => String::new(),
            other => panic!("{other:?}"),
        };
        Ok((source, read.target, read.readonly))
    }

    #[test]
    fn sources_targets_and_modes() {
        for (text, source, target, readonly) in [
            ("/a:/b", "/a", "/b", false),
            ("/a/../c/:/b//d/", "/c", "/b/d", false),
            ("/a:/b:ro", "/a", "/b", true),
            ("/a:/b:rw,z", "/a", "/b", false),
            ("./x:/b", "/here/now/x", "/b", false),
            ("..:/b", "/here", "/b", false),
            ("/data", "", "/data", false),
            (":/data", "", "/data", false),
        ] {
            assert_eq!(read(text).unwrap(), (source.into(), target.into(), readonly), "{text}");
        }
    }

    /// The words are those of dockerd 20.10.
    #[test]
    fn what_is_wrong_is_told_as_docker_does() {
        let absolute = "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute";
        let root = "invalid mount config for type \"bind\": invalid specification: destination can't be '/'";
        for (text, why) in [
            ("/a:/b:c:d", "invalid volume specification: '/a:/b:c:d'".to_owned()),
            ("/a:/b:xx", "invalid mode: xx".into()),
            ("/a:/b:ro,rw", "invalid mode: ro,rw".into()),
            ("/a:rel", format!("invalid volume specification: '/a:rel': {absolute}")),
            ("/a:/", format!("invalid volume specification: '/a:/': {root}")),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), why);
        }
        assert!(read("data:/b").unwrap_err().to_string().starts_with("named volumes are not supported: 'data' is one"));
        assert!(read("a/b:/x").is_err());
        assert!(read("").is_err());
    }
}
