//! What a container has printed, kept as Docker keeps it (the `json-file` driver): a JSON object per line.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    str,
};

use jiff::Timestamp;
use nacre_oci::{Error, Result};
use serde::Serialize;

use crate::{sandbox::Stream, state::text};

/// A longer line is kept in pieces, as in Docker.
const MAX_LINE: usize = 16 << 10;

#[derive(Serialize)]
struct Line<'a> {
    log: &'a str,
    stream: &'a str,
    time: &'a str,
}

/// One of a program's streams on its way into the log.
pub(crate) struct Log {
    file: File,
    stream: Stream,
    /// What came after the last end of a line.
    rest: Vec<u8>,
}

impl Log {
    /// The file of a container, with what earlier starts have printed.
    pub(crate) fn open(path: &Path) -> Result<File> {
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        opened.map_err(Error::io(format!("open {}", path.display())))
    }

    pub(crate) fn new(file: File, stream: Stream) -> Self {
        Self { file, stream, rest: Vec::new() }
    }

    /// Adds what was printed. A full disk loses it, but does not stop the program.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        let mut lines = Vec::new();
        let time = text(Timestamp::now());
        let mut from = 0;
        while let Some(length) = piece(&self.rest[from..]) {
            self.line(from..from + length, &time, &mut lines);
            from += length;
        }
        self.rest.drain(..from);
        let _ = self.file.write_all(&lines);
    }

    /// Adds the last line, which may have no end.
    pub(crate) fn end(&mut self) {
        let mut lines = Vec::new();
        if !self.rest.is_empty() {
            self.line(0..self.rest.len(), &text(Timestamp::now()), &mut lines);
        }
        let _ = self.file.write_all(&lines);
    }

    fn line(&self, range: std::ops::Range<usize>, time: &str, out: &mut Vec<u8>) {
        let stream = if self.stream == Stream::Stdout { "stdout" } else { "stderr" };
        let log = String::from_utf8_lossy(&self.rest[range]);
        out.extend(serde_json::to_vec(&Line { log: &log, stream, time }).unwrap_or_default());
        out.push(b'\n');
    }
}

/// The length of the first line, with its end; or of as much of it as is kept at once, without cutting a character.
fn piece(bytes: &[u8]) -> Option<usize> {
    let head = &bytes[..bytes.len().min(MAX_LINE)];
    if let Some(end) = head.iter().position(|byte| *byte == b'\n') {
        return Some(end + 1);
    }
    (bytes.len() >= MAX_LINE).then(|| match str::from_utf8(head) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => MAX_LINE,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use serde_json::Value;

    use super::*;

    fn logged(pieces: &[&[u8]]) -> Vec<Value> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::new(Log::open(&path).unwrap(), Stream::Stderr);
        pieces.iter().for_each(|piece| log.add(piece));
        log.end();
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_are_whole_whatever_the_pieces_were() {
        let lines = logged(&[b"a", b"b\nc\r\n\n", b"no end"]);
        let texts: Vec<_> = lines.iter().map(|line| line["log"].as_str().unwrap()).collect();
        assert_eq!(texts, ["ab\n", "c\r\n", "\n", "no end"]);
        assert!(lines.iter().all(|line| line["stream"] == "stderr"));
        let time = lines[0]["time"].as_str().unwrap();
        assert!(time.parse::<Timestamp>().is_ok() && time.len() == "2026-01-01T00:00:00.000000000Z".len(), "{time}");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let mut long = vec![b'x'; MAX_LINE - 1];
        long.extend("é\n".as_bytes());
        let lines = logged(&[&long]);
        assert_eq!(lines[0]["log"].as_str().unwrap().len(), MAX_LINE - 1);
        assert_eq!(lines[1]["log"], "é\n");
        assert_eq!(logged(&[&vec![0xff; MAX_LINE + 1]]).len(), 2);
    }
}
