//! Reading and writing auth files without losing what others keep in them.

use std::{
    fs, io,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use nacre_oci::{Error, Result};
use serde_json::{Map, Value};

/// Far above any auth file.
const MAX_FILE: u64 = 4 << 20;

/// The file's content; `None` if there is no file or nothing in it.
pub(crate) fn read(file: &Path) -> Result<Option<Map<String, Value>>> {
    let opened = match fs::File::open(file) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        other => other.map_err(Error::io(format!("open {}", file.display())))?,
    };
    let mut bytes = Vec::new();
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(Error::io(format!("read {}", file.display())))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::TooLarge { what: file.display().to_string(), limit: format!("{} MiB", MAX_FILE >> 20) });
    }
    parse(&bytes).map_err(|e| Error::malformed(format!("auth file {}", file.display()), e))
}

/// What a file's bytes say; `None` if there is nothing in them.
pub(crate) fn parse(bytes: &[u8]) -> serde_json::Result<Option<Map<String, Value>>> {
    if bytes.trim_ascii().is_empty() { Ok(None) } else { serde_json::from_slice(bytes).map(Some) }
}

/// Replaces the file in one step, for the owner's eyes only. A symbolic link stays one.
pub(crate) fn write(file: &Path, content: &Map<String, Value>) -> Result<()> {
    let failed = |error| Error::io(format!("write {}", file.display()))(error);
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut bytes = serde_json::to_vec_pretty(content).expect("a map with string keys is always JSON");
    bytes.push(b'\n');
    let staged = staged(&file);
    let written = write_new(&staged, &bytes).and_then(|()| fs::rename(&staged, &file));
    written.inspect_err(|_| drop(fs::remove_file(&staged))).map_err(failed)
}

fn staged(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.{}", std::process::id()))
}

fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    opened.write_all(bytes)?;
    opened.sync_all()
}

/// `auth`: `user:password` in base64.
pub(crate) fn encode(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}
