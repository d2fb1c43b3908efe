//! Files by HTTP, as BuildKit's `http` source gives them.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use jiff::fmt::rfc2822::DateTimeParser;
use nacre_layer::{Bytes, Compression, Entry, Kind, Layer, LayerWriter};
use nacre_oci::{Algorithm, Digest, Error as Data, Hasher, Result as DataResult, Staging};
use nacre_plugin::graph::HttpSource;
use nacre_registry::{Download, Version};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Event, Material, Result, Snapshot, Stacked, key::KeyHasher, solve::Job};

/// The most bytes of a file.
const MAX_SIZE: u64 = 64 << 30;
/// Files are read in pieces of this many bytes.
const PIECE: usize = 128 << 10;
/// The most bytes of what is remembered about a URL.
const MAX_NOTE: u64 = 64 << 10;

/// What was at a URL the last time.
#[derive(Clone, Deserialize, Serialize)]
struct Note {
    etag: Option<String>,
    modified: Option<String>,
    digest: String,
}

/// Fetches a file and makes it the one file of a root filesystem: root's, with mode 0600, and with the time that the server
/// says.
///
/// With a checksum the cache is asked first, and the server only if it has nothing. Otherwise the server is asked whether
/// the file is still the one that was there the last time; what counts is its content.
pub(crate) fn fetch(job: &Job<'_>, source: &HttpSource) -> Result<Snapshot> {
    let url = parse(&source.url)?;
    let checksum = source.checksum.as_deref().map(str::parse::<Digest>).transpose()?;
    let by_checksum = checksum.as_ref().map(|checksum| key(source, checksum, None));
    if let (Some(key), Some(checksum)) = (&by_checksum, &checksum)
        && let Some((added, _)) = job.known(key)?
    {
        job.solver.add_material(Material::new(shown(&url), checksum));
        return Ok(Snapshot::default().with(added));
    }
    let path = note_path(job, &url);
    let known = remembered(&path).filter(|(_, digest)| checksum.as_ref().is_none_or(|checksum| checksum == digest));
    let download = match ask(job, source, &url, known)? {
        Answer::Same(added, digest) => {
            job.solver.add_material(Material::new(shown(&url), &digest));
            return Ok(Snapshot::default().with(added));
        }
        Answer::Content(download) => *download,
    };
    let version = download.version.clone();
    let (content, digest, size) = take(job, &url, download, checksum.as_ref())?;
    remember(&path, &Note { etag: version.etag, modified: version.modified.clone(), digest: digest.to_string() });
    let mtime = version.modified.as_deref().and_then(seconds).unwrap_or(0);
    let key = key(source, &digest, version.modified.as_deref());
    let added = job.cached(&key, by_checksum.as_ref(), || {
        let entry = Entry { mode: 0o600, size, mtime, ..Entry::new(source.name.as_bytes(), Kind::File) };
        Ok(vec![layer(job, &entry, &content)?])
    })?;
    job.solver.add_material(Material::new(shown(&url), &digest));
    Ok(Snapshot::default().with(added))
}

/// What a server has for us.
enum Answer {
    /// What the cache has.
    Same(Vec<Stacked>, Digest),
    Content(Box<Download>),
}

/// Asks the server for the file, or if the cache has what was there the last time, whether it has changed since.
fn ask(job: &Job<'_>, source: &HttpSource, url: &Url, known: Option<(Note, Digest)>) -> Result<Answer> {
    let client = (job.solver.environment.registries)()?;
    let allowed = |url: &Url| job.solver.reach.as_ref().map_or(Ok(()), |reach| reach(url));
    let download = |known: &Version| client.download_changed(url, known, &allowed).map_err(worded);
    let missing = || Data::Transport { doing: format!("fetch {}", shown(url)), why: "the server answered 304 to a plain request".into() };
    let fetch = || Ok(Answer::Content(Box::new(download(&Version::default())?.ok_or_else(missing)?)));
    let Some((note, digest)) = known else { return fetch() };
    let key = key(source, &digest, note.modified.as_deref());
    if job.solver.look_up(&key)?.is_none() {
        return fetch();
    }
    match download(&Version { etag: note.etag, modified: note.modified })? {
        Some(download) => Ok(Answer::Content(Box::new(download))),
        None => match job.known(&key)? {
            Some((added, _)) => Ok(Answer::Same(added, digest)),
            // The user does not want the cache.
            None => fetch(),
        },
    }
}

/// Only what is fetched by HTTP: a plugin's graph may say anything.
fn parse(text: &str) -> DataResult<Url> {
    let bad = |why: String| Data::malformed(format!("the URL {text}"), why);
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(bad("it is neither http nor https".into())) }
}

fn key(source: &HttpSource, digest: &Digest, modified: Option<&str>) -> Digest {
    let mut key = KeyHasher::new("http");
    key.bytes(digest.to_string().as_bytes());
    key.bytes(source.name.as_bytes());
    key.json(&modified);
    key.finish()
}

/// Reads all of a download, checks it, and keeps it where it can be read again.
fn take(job: &Job<'_>, url: &Url, download: Download, checksum: Option<&Digest>) -> Result<(Bytes, Digest, u64)> {
    let total = download.size.unwrap_or(0);
    let too_large = || Data::TooLarge { what: shown(url), limit: format!("{} GiB", MAX_SIZE >> 30) };
    if total > MAX_SIZE {
        return Err(too_large().into());
    }
    let label = shown(url);
    let content = Bytes::from_reader(Box::new(download), &job.solver.environment.spool);
    let reading = || Data::io(format!("fetch {label}"));
    let mut reader = content.reader_from_start().map_err(reading())?;
    let mut hash = Hasher::new(checksum.map_or(Algorithm::Sha256, Digest::algorithm));
    let (mut buffer, mut done) = (vec![0; PIECE], 0);
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading()(error).into()),
        };
        hash.update(&buffer[..count]);
        done += count as u64;
        if done > MAX_SIZE {
            return Err(too_large().into());
        }
        if job.solver.cancelled() {
            return Err(Data::Cancelled.into());
        }
        job.tell(Event::Moved { id: job.id, label: &label, done, total });
    }
    let digest = hash.digest();
    match checksum {
        // BuildKit's words.
        Some(checksum) if *checksum != digest => Err(Data::Other(format!("digest mismatch {digest}: {checksum} ({label})").into()).into()),
        _ => Ok((content, digest, done)),
    }
}

fn layer(job: &Job<'_>, entry: &Entry, content: &Bytes) -> Result<Layer> {
    let mut writer = LayerWriter::new(job.solver.session().stage()?, Compression::None);
    let mut reader = content.reader_from_start().map_err(Data::io("read what was fetched"))?;
    writer.add(entry, &mut reader)?;
    Ok(writer.finish()?)
}

/// What the server says of a file that is not there, in BuildKit's words.
fn worded(error: Data) -> Data {
    match error {
        Data::NotFound { what } => Data::Transport { doing: format!("fetch {what}"), why: "invalid response status 404".into() },
        error => error,
    }
}

/// Seconds since 1970 of a time as HTTP spells it (RFC 9110, 5.6.7).
fn seconds(text: &str) -> Option<i64> {
    Some(DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?.as_second())
}

/// A URL without what may be a secret in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // An error only says that such a URL cannot have them.
    _ = url.set_username("");
    _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn note_path(job: &Job<'_>, url: &Url) -> PathBuf {
    job.solver.environment.cache.join("http").join(Digest::of(url.as_str().as_bytes()).hex())
}

/// What was noted of a URL. What cannot be read is as good as nothing.
fn remembered(path: &PathBuf) -> Option<(Note, Digest)> {
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(MAX_NOTE).read_to_end(&mut text).ok()?;
    let note: Note = serde_json::from_slice(&text).ok()?;
    let digest = note.digest.parse().ok()?;
    // Without either the server could not tell.
    (note.etag.is_some() || note.modified.is_some()).then_some((note, digest))
}

/// Notes what a URL gave. A note that is lost only costs a download.
fn remember(path: &PathBuf, note: &Note) {
    let write = || -> io::Result<()> {
        let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
        fs::create_dir_all(folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&file, note)?;
        file.persist(path)?;
        Ok(())
    };
    _ = write();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_of_servers() {
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:20 GMT"), Some(1_700_000_000));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn only_http_is_fetched_and_secrets_are_not_shown() {
        for bad in ["file:///etc/passwd", "ftp://h/x", "/x", "git://h/x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(shown(&parse("https://user:word@h:8443/a/b?token=1#f").unwrap()), "https://h:8443/a/b");
    }

    #[test]
    fn notes_are_kept_and_bad_ones_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http/note");
        assert!(remembered(&path).is_none());
        let note = Note { etag: Some("\"1\"".into()), modified: None, digest: Digest::of(b"x").to_string() };
        remember(&path, &note);
        assert_eq!(remembered(&path).unwrap().1, Digest::of(b"x"));
        fs::write(&path, "{").unwrap();
        assert!(remembered(&path).is_none());
        remember(&path, &Note { etag: None, ..note });
        assert!(remembered(&path).is_none(), "there is nothing to ask the server by");
    }

    #[test]
    fn what_tells_files_apart_tells_keys_apart() {
        let source = |name: &str| HttpSource { url: "http://h/".into(), checksum: None, name: name.into() };
        let keys = [
            key(&source("a"), &Digest::of(b"1"), None),
            key(&source("b"), &Digest::of(b"1"), None),
            key(&source("a"), &Digest::of(b"2"), None),
            key(&source("a"), &Digest::of(b"1"), Some("Tue, 14 Nov 2023 22:13:20 GMT")),
        ];
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        let elsewhere = HttpSource { url: "http://other/".into(), ..source("a") };
        assert_eq!(key(&elsewhere, &Digest::of(b"1"), None), keys[0], "the content is what counts");
    }
}
