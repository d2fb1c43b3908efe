#![allow(clippy::unwrap_used, reason = "tests")]

mod gnu;
mod hostile;
mod round_trip;

use std::io::Read;

use crate::tar::{Member, TarReader, header::*, padding};

/// A tar under construction, right or wrong.
#[derive(Default)]
pub(super) struct Build(Vec<u8>);

impl Build {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A header that `change` may spoil, and content.
    pub(super) fn raw(mut self, kind: u8, name: &str, content: &[u8], change: impl FnOnce(&mut Header)) -> Self {
        let mut header = Header::zeroed();
        header.set(NAME, name.as_bytes());
        for (field, number) in [(MODE, 0o644), (UID, 0), (GID, 0), (SIZE, content.len() as u64), (MTIME, 0)] {
            header.set_number(field, number);
        }
        change(&mut header);
        header.seal(kind);
        self.0.extend_from_slice(&header.0);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len() + usize::try_from(padding(content.len() as u64)).unwrap(), 0);
        self
    }

    pub(super) fn member(self, kind: u8, name: &str, content: &[u8]) -> Self {
        self.raw(kind, name, content, |_| {})
    }

    pub(super) fn link(self, kind: u8, name: &str, target: &str) -> Self {
        self.raw(kind, name, b"", |header| header.set(LINK, target.as_bytes()))
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        records.iter().for_each(|(key, value)| super::pax::write(&mut bytes, key, value));
        self.member(b'x', "pax", &bytes)
    }

    /// Without an end-of-archive marker.
    pub(super) fn cut(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// All members, each with its content, and that nothing follows the end.
pub(super) fn read(mut tar: TarReader<&[u8]>) -> std::io::Result<Vec<(Member, Vec<u8>)>> {
    let mut members = Vec::new();
    while let Some(member) = tar.next_entry()? {
        let mut content = Vec::new();
        tar.read_to_end(&mut content)?;
        members.push((member, content));
    }
    tar.finish()?;
    Ok(members)
}
