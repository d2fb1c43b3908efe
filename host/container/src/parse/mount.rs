//! `--mount type=bind|tmpfs,…` (docker/cli's `opts/mount.go`, moby's `volume/mounts/validate.go`).

use std::path::{Path, PathBuf};

use nacre_oci::clean_path;

use super::{csv, volume::folder};
use crate::{Error, MountSource, Mounting, Result};

/// What the fields say.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    readonly: bool,
    size: Option<u64>,
    /// The first option that only one type has: its family and name.
    special: Vec<&'static str>,
}

/// Reads `--mount`. `here` is the folder that a source which begins with `.` is relative to.
///
/// # Errors
/// In Docker's words; for other types than `bind` and `tmpfs`, and options that have no meaning here.
pub fn mount(text: &str, here: &Path) -> Result<Mounting> {
    let argument = |why: String| Error::invalid(format!("invalid argument {text:?} for \"--mount\" flag: {why}"));
    let fields = Fields::read(text).map_err(argument)?;
    let kind = fields.kind.clone().unwrap_or_else(|| "volume".into());
    let target = fields.target.clone().ok_or_else(|| argument("target is required".into()))?;
    if let Some(family) = fields.special.iter().find(|family| **family != kind) {
        return Err(argument(format!("cannot mix '{family}-*' options with mount type '{kind}'")));
    }
    let invalid = |why: &str| Error::invalid(format!("invalid mount config for type \"{kind}\": {why}"));
    let source = match (kind.as_str(), fields.source.as_deref()) {
        ("bind", None | Some("")) => return Err(invalid("field Source must not be empty")),
        ("bind", Some(source)) => MountSource::Bind { path: bound(source, here).ok_or_else(|| relative(&kind, source))?, create: false },
        ("tmpfs", None) => MountSource::Tmpfs(fields.size.unwrap_or(0)),
        ("tmpfs", Some(_)) => return Err(invalid("field Source must not be specified")),
        ("volume", None | Some("")) => MountSource::Anonymous,
        ("volume", Some(name)) => {
            let why = "named volumes are not supported";
            return Err(Error::invalid(format!(
                "{why}: '{name}' is one; write type=bind and a path of the host's, or leave the source out"
            )));
        }
        _ => return Err(invalid("mount type unknown")),
    };
    if !target.starts_with('/') {
        return Err(relative(&kind, &target));
    }
    let target = clean_path(&target);
    if target == "/" {
        return Err(invalid("invalid specification: destination can't be '/'"));
    }
    Ok(Mounting { target, readonly: fields.readonly, source, mode: String::new() })
}

fn relative(kind: &str, path: &str) -> Error {
    Error::invalid(format!("invalid mount config for type \"{kind}\": invalid mount path: '{path}' mount path must be absolute"))
}

fn bound(source: &str, here: &Path) -> Option<PathBuf> {
    (source.starts_with(['/', '.'])).then(|| folder(source, here).ok()).flatten()
}

impl Fields {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("value is empty".into());
        }
        let mut read = Self::default();
        for field in csv::fields(text)? {
            let (key, value) = field.split_once('=').map_or((field.as_str(), None), |(key, value)| (key, Some(value)));
            let key = key.to_ascii_lowercase();
            match (key.as_str(), value) {
                ("readonly" | "ro", None) => read.readonly = true,
                (_, None) => return Err(format!("invalid field '{field}' must be a key=value pair")),
                (_, Some(value)) => read.one(&key, value, &field)?,
            }
        }
        Ok(read)
    }

    fn one(&mut self, key: &str, value: &str, field: &str) -> Result<(), String> {
        match key {
            "type" => self.kind = Some(value.to_lowercase()),
            "source" | "src" => self.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => self.target = Some(value.to_owned()),
            "readonly" | "ro" => self.readonly = boolean(key, value)?,
            // Only Docker for macOS ever looked at it.
            "consistency" => {}
            "bind-propagation" => {
                self.special.push("bind");
                if !matches!(value, "rprivate" | "private") {
                    return Err(format!("{field} is not supported: mounts are private"));
                }
            }
            "bind-nonrecursive" => {
                self.special.push("bind");
                if boolean(key, value)? {
                    return Err(format!("{field} is not supported: what is mounted below the source is bound too"));
                }
            }
            "tmpfs-size" => {
                self.special.push("tmpfs");
                self.size = Some(size(value).ok_or_else(|| format!("invalid value for {key}: {value}"))?);
            }
            "tmpfs-mode" => {
                self.special.push("tmpfs");
                let mode = u32::from_str_radix(value, 8).map_err(|_| format!("invalid value for {key}: {value}"))?;
                if mode != 0o1777 {
                    return Err(format!("{field} is not supported: a tmpfs has mode 1777"));
                }
            }
            key if key.starts_with("volume-") => {
                self.special.push("volume");
                return Err(format!("{field} is not supported: volumes are folders of the container's"));
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }
}

/// Go's `strconv.ParseBool`.
fn boolean(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("invalid value for {key}: {value}")),
    }
}

/// Bytes with a unit of 1024 (go-units' `RAMInBytes`): `64m`, `1GiB`, `4096`.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let number: f64 = digits.trim_end().parse().ok()?;
    let bytes = number * (1u64 << power) as f64;
    (bytes >= 0.0 && bytes < i64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn read(text: &str) -> Result<Mounting> {
        mount(text, Path::new("/here"))
    }

    #[test]
    fn binds_and_memory() {
        let bind = |path: &str, target: &str, readonly| Mounting {
            target: target.into(),
            readonly,
            source: MountSource::Bind { path: path.into(), create: false },
            mode: String::new(),
        };
        assert_eq!(read("type=bind,src=/a,dst=/b").unwrap(), bind("/a", "/b", false));
        assert_eq!(read("type=bind,source=./a,target=/b/,readonly").unwrap(), bind("/here/a", "/b", true));
        assert_eq!(read("TYPE=bind,\"src=/a,b\",destination=/b,ro=1").unwrap(), bind("/a,b", "/b", true));
        assert_eq!(read("type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1777").unwrap().source, MountSource::Tmpfs(64 << 20));
        assert_eq!(read("type=tmpfs,dst=/t").unwrap().source, MountSource::Tmpfs(0));
        assert_eq!(read("dst=/t").unwrap().source, MountSource::Anonymous);
    }

    /// The words are those of docker 20.10 where it has some.
    #[test]
    fn what_is_wrong_is_told_as_docker_does() {
        for (text, why) in [
            ("type=bind,src=/tmp", "target is required"),
            ("src=/tmp", "target is required"),
            ("type=tmpfs,dst=/x,tmpfs-size=1x", "invalid value for tmpfs-size: 1x"),
            ("type=tmpfs,dst=/x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
            ("type=bind,src=/tmp,dst=/x,readonly=maybe", "invalid value for readonly: maybe"),
            ("type=bind,src=/tmp,dst=/x,foo", "invalid field 'foo' must be a key=value pair"),
            ("type=bind,src=/tmp,dst=/x,foo=1", "unexpected key 'foo' in 'foo=1'"),
            ("type=tmpfs,dst=/x,bind-propagation=private", "cannot mix 'bind-*' options with mount type 'tmpfs'"),
            ("type=bind,src=/a,dst=/x,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), format!("invalid argument {text:?} for \"--mount\" flag: {why}"));
        }
        for (text, kind, why) in [
            ("type=bind,dst=/x", "bind", "field Source must not be empty"),
            ("type=foo,src=/tmp,dst=/x", "foo", "mount type unknown"),
            ("type=bind,src=/tmp,dst=x", "bind", "invalid mount path: 'x' mount path must be absolute"),
            ("type=tmpfs,dst=x", "tmpfs", "invalid mount path: 'x' mount path must be absolute"),
            ("type=tmpfs,src=/a,dst=/x", "tmpfs", "field Source must not be specified"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), format!("invalid mount config for type \"{kind}\": {why}"));
        }
        assert!(read("type=volume,src=data,dst=/x").unwrap_err().to_string().starts_with("named volumes are not supported"));
        assert!(read("").is_err() && read("type=bind,\"src=/a").is_err());
    }

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("1k", 1024), ("1.5m", 3 << 19), ("2GiB", 2 << 30), ("3kb", 3072)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "x", "1x", "-1", "1 2", "99999999999p"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
