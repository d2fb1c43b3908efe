//! Tars made block by block, so that they can say what no tool would write.

use serde_json::Value;
use tar::{EntryType, Header};

/// A tar under construction.
#[derive(Clone, Default)]
pub(super) struct Tarball(Vec<u8>);

impl Tarball {
    pub(super) fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.member(EntryType::Regular, name, "", bytes)
    }

    pub(super) fn json(self, name: &str, value: &Value) -> Self {
        self.file(name, value.to_string().as_bytes())
    }

    pub(super) fn member(self, kind: EntryType, name: &str, link: &str, bytes: &[u8]) -> Self {
        self.claiming(kind, name, link, bytes.len() as u64, bytes)
    }

    /// A member whose header claims `size` bytes, whatever follows. Names longer than a header's field are cut.
    pub(super) fn claiming(mut self, kind: EntryType, name: &str, link: &str, size: u64, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        fill(&mut header.as_old_mut().name, name);
        fill(&mut header.as_old_mut().linkname, link);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.raw(bytes)
    }

    /// Bytes as they are, filled up to a block.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Records of PAX for the next member.
    pub(super) fn pax(self, records: &[(&str, &str)]) -> Self {
        let text: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.member(EntryType::XHeader, "pax", "", text.as_bytes())
    }

    /// Without the blocks that end a tar.
    pub(super) fn unfinished(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn fill(field: &mut [u8], text: &str) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = (1..).find(|n: &usize| n.to_string().len() + rest.len() == *n).expect("some number counts itself");
    format!("{length}{rest}")
}
