//! Tars made by hand for the tests.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Seek, Write};

use ::tar::{EntryType, Header};
use nacre_layer::Codec;
use nacre_oci::{Error, Result, Silent};

use crate::{Archive, tar::Tar};

/// A tar under construction.
#[derive(Clone, Default)]
pub(crate) struct Build(Vec<u8>);

impl Build {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.member(EntryType::Regular, name, "", bytes.as_ref())
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.member(EntryType::Symlink, name, target, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.member(EntryType::Link, name, target, b"")
    }

    pub(crate) fn member(self, kind: EntryType, name: &str, link: &str, bytes: &[u8]) -> Self {
        self.claiming(kind, name, link, bytes.len() as u64, bytes)
    }

    /// A member whose header claims `size` bytes, whatever follows.
    pub(crate) fn claiming(mut self, kind: EntryType, name: &str, link: &str, size: u64, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let text: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.member(EntryType::XHeader, "pax", "", text.as_bytes())
    }

    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = (1..).find(|n: &usize| n.to_string().len() + rest.len() == *n).unwrap();
    format!("{length}{rest}")
}

pub(crate) fn compress(with: Codec, plain: &[u8]) -> Vec<u8> {
    let mut encoder = with.writer(Vec::new()).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// The table of contents of a tar in memory.
pub(crate) fn index(bytes: &[u8]) -> Result<Tar> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    Tar::index(file, "test.tar", &Silent)
}

/// An archive in memory, by way of a stream.
pub(crate) fn open(bytes: &[u8]) -> Result<Archive> {
    Archive::from_reader(bytes, "test.tar", &std::env::temp_dir(), &Silent)
}

/// The text of the error that opening has to end in.
pub(crate) fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Ok(_) => panic!("it was accepted"),
        Err(error @ Error::Io { .. }) => panic!("a refusal should say more than {error}"),
        Err(error) => error.to_string(),
    }
}
