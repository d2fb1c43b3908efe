//! The index of a layer as it lies on disk: what the layer has and where, sorted, so that it can be searched as it is.
//!
//! It is disposable: what is damaged, or of another version, is made again.

use std::{cmp::Ordering, fs, path::Path};

use super::digests::{checked, checksum, replace};
use nacre_layer::{Entry, Kind, Xattr, path::split};

const MAGIC: &[u8; 16] = b"nacre layer ix 1";
/// Where the rows begin, behind their number, and how long each is.
const ROWS: usize = MAGIC.len() + 8;
const SIZE: usize = 72;
const KINDS: [Kind; 8] = [
    Kind::File,
    Kind::Directory,
    Kind::Symlink,
    Kind::CharDevice,
    Kind::BlockDevice,
    Kind::Fifo,
    Kind::Whiteout,
    // Never stored: what an unknown number would be.
    Kind::Opaque,
];

/// One thing that a layer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Never a hard link; a whiteout if it hides what the layers below have there.
    pub(super) entry: Entry,
    /// A folder that hides what it holds in the layers below.
    pub(super) opaque: bool,
    /// It has several names.
    pub(super) linked: bool,
    /// Which layer of the chain has its content ...
    pub(super) layer: u16,
    /// ... and where, in the uncompressed layer.
    pub(super) offset: u64,
}

/// The records of one layer, sorted by folder and then by name.
pub(super) struct Index {
    bytes: Vec<u8>,
    count: usize,
}

impl Index {
    /// Sorts records, of which no two have one path.
    pub(super) fn new(mut records: Vec<Record>) -> Self {
        records.sort_unstable_by(|one, other| order(&one.entry.path, &other.entry.path));
        let count = records.len();
        let (mut bytes, mut heap) = ([MAGIC, &(count as u64).to_le_bytes()[..]].concat(), Vec::new());
        records.iter().for_each(|record| record.write(&mut bytes, &mut heap));
        bytes.extend(heap);
        Self { bytes, count }
    }

    /// Reads an index; `None` if there is none, or it is damaged.
    pub(super) fn load(file: &Path) -> Option<Self> {
        let bytes = fs::read(file).ok()?;
        let rows = checked(&bytes, MAGIC)?;
        let count = usize::try_from(u64::from_le_bytes(*rows.first_chunk()?)).ok()?;
        (count.checked_mul(SIZE)?.checked_add(8)? <= rows.len()).then_some(Self { bytes, count })
    }

    /// Writes it. It is no error if that cannot be done.
    pub(super) fn save(&self, file: &Path) {
        _ = replace(file, &[&self.bytes[..], &checksum(&self.bytes)].concat());
    }

    /// What has this path.
    pub(super) fn get(&self, path: &[u8]) -> Option<Record> {
        let at = self.lower_bound(|found| order(found, path) == Ordering::Less);
        (at < self.count && self.path(at) == path).then(|| self.record(at))
    }

    /// Whether what has this path, if anything, hides what layers below have beneath it.
    pub(super) fn hides_below(&self, path: &[u8]) -> bool {
        let at = self.lower_bound(|found| order(found, path) == Ordering::Less);
        at < self.count && self.path(at) == path && {
            let row = self.row(at);
            row[8] != 1 || row[9] & 1 != 0
        }
    }

    /// What lies in this folder, by name.
    pub(super) fn list(&self, folder: &[u8]) -> impl Iterator<Item = Record> {
        let parent = |found: &[u8]| split(found).map(|(parent, _)| parent.to_vec());
        let start = self.lower_bound(|found| parent(found).as_deref().cmp(&Some(folder)) == Ordering::Less);
        let own = move |at: &usize| parent(self.path(*at)).as_deref() == Some(folder);
        (start..self.count).take_while(own).map(|at| self.record(at))
    }

    /// The first row for which `less` does not hold.
    fn lower_bound(&self, less: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if less(self.path(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn row(&self, at: usize) -> &[u8; SIZE] {
        self.bytes[ROWS + at * SIZE..].first_chunk().expect("checked when it was loaded")
    }

    fn path(&self, at: usize) -> &[u8] {
        let row = self.row(at);
        self.text(word(row, 0), usize::from(half(row, 4)))
    }

    fn text(&self, offset: u32, length: usize) -> &[u8] {
        let begin = ROWS + self.count * SIZE + offset as usize;
        self.bytes.get(begin..begin.saturating_add(length)).unwrap_or_default()
    }

    fn record(&self, at: usize) -> Record {
        let row = self.row(at);
        let kind = KINDS[usize::from(row[8]).min(KINDS.len() - 1)];
        let device = matches!(kind, Kind::CharDevice | Kind::BlockDevice).then(|| (word(row, 52), word(row, 56)));
        let link = (kind == Kind::Symlink).then(|| self.text(word(row, 48), usize::from(half(row, 6))).to_vec());
        let entry = Entry {
            mode: u32::from(half(row, 10)),
            uid: word(row, 12),
            gid: word(row, 16),
            nanos: word(row, 20),
            size: long(row, 24),
            mtime: long(row, 32).cast_signed(),
            link,
            device,
            xattrs: xattrs(self.text(word(row, 60), word(row, 64) as usize)),
            ..Entry::new(self.path(at), kind)
        };
        Record { entry, opaque: row[9] & 1 != 0, linked: row[9] & 2 != 0, layer: half(row, 68), offset: long(row, 40) }
    }
}

impl Record {
    fn write(&self, rows: &mut Vec<u8>, heap: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| {
            let at = u32::try_from(heap.len()).unwrap_or(u32::MAX);
            heap.extend_from_slice(bytes);
            at
        };
        let entry = &self.entry;
        let link = entry.link.as_deref().filter(|_| entry.kind == Kind::Symlink).unwrap_or_default();
        let (xattrs, device) = (spell(&entry.xattrs), entry.device.unwrap_or_default());
        let kind = KINDS.iter().position(|kind| *kind == entry.kind).unwrap_or_default();
        let short = |length: usize| u16::try_from(length).expect("paths and links have at most 4096 bytes");
        rows.extend(put(&entry.path).to_le_bytes());
        rows.extend(short(entry.path.len()).to_le_bytes());
        rows.extend(short(link.len()).to_le_bytes());
        rows.extend([u8::try_from(kind).unwrap_or_default(), u8::from(self.opaque) | u8::from(self.linked) << 1]);
        rows.extend(short((entry.mode & 0o7777) as usize).to_le_bytes());
        [entry.uid, entry.gid, entry.nanos].iter().for_each(|number| rows.extend(number.to_le_bytes()));
        [entry.size, entry.mtime.cast_unsigned(), self.offset].iter().for_each(|number| rows.extend(number.to_le_bytes()));
        let words = [put(link), device.0, device.1, put(&xattrs), u32::try_from(xattrs.len()).unwrap_or_default()];
        words.iter().for_each(|number| rows.extend(number.to_le_bytes()));
        rows.extend(self.layer.to_le_bytes());
        rows.extend([0; 2]);
    }
}

/// By folder, then by name: what lies in one folder stands together.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    split(one).cmp(&split(other))
}

fn half(row: &[u8; SIZE], at: usize) -> u16 {
    u16::from_le_bytes([row[at], row[at + 1]])
}

fn word(row: &[u8; SIZE], at: usize) -> u32 {
    u32::from_le_bytes(row[at..at + 4].try_into().expect("four bytes"))
}

fn long(row: &[u8; SIZE], at: usize) -> u64 {
    u64::from_le_bytes(row[at..at + 8].try_into().expect("eight bytes"))
}

/// Each attribute as two lengths, its name and its value.
fn spell(xattrs: &[Xattr]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for xattr in xattrs {
        for part in [xattr.name.as_bytes(), &xattr.value] {
            bytes.extend(u32::try_from(part.len()).unwrap_or_default().to_le_bytes());
            bytes.extend(part);
        }
    }
    bytes
}

fn xattrs(mut bytes: &[u8]) -> Vec<Xattr> {
    let mut found = Vec::new();
    let mut part = || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bytes = rest;
        Some(part.to_vec())
    };
    while let Some(name) = part() {
        let Some(value) = part() else { break };
        found.push(Xattr { name: String::from_utf8_lossy(&name).into_owned(), value });
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn record(path: &str, kind: Kind) -> Record {
        Record { entry: Entry::new(path, kind), opaque: false, linked: false, layer: 0, offset: 0 }
    }

    fn sample() -> Vec<Record> {
        let link = Entry { link: Some(b"to".into()), mode: 0o777, mtime: -5, nanos: 7, ..Entry::new("a/l", Kind::Symlink) };
        let xattr = |name: &str, value: &[u8]| Xattr { name: name.into(), value: value.into() };
        let xattrs = vec![xattr("security.capability", b"\0\x01"), xattr("user.x", b"")];
        let file = Entry { size: 1 << 40, mode: 0o6755, uid: 1, gid: 2, mtime: 1 << 33, xattrs, ..Entry::new("a/f", Kind::File) };
        vec![
            record("a", Kind::Directory),
            record("a-b", Kind::Directory),
            Record { entry: link, ..record("a/l", Kind::Symlink) },
            Record { entry: file, linked: true, layer: 3, offset: 1 << 41, ..record("a/f", Kind::File) },
            Record { opaque: true, ..record("a/d", Kind::Directory) },
            record("a/d/x", Kind::Whiteout),
            Record { entry: Entry { device: Some((1, 3)), ..Entry::new("null", Kind::CharDevice) }, ..record("null", Kind::File) },
        ]
    }

    #[test]
    fn what_was_written_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/index");
        Index::new(sample()).save(&file);
        let index = Index::load(&file).unwrap();
        for record in sample() {
            assert_eq!(index.get(&record.entry.path), Some(record));
        }
        assert!(["", "a/", "b", "a/d/y", "zz"].iter().all(|path| index.get(path.as_bytes()).is_none()));
        let list = |folder: &str| index.list(folder.as_bytes()).map(|record| record.entry.name()).collect::<Vec<_>>();
        assert_eq!(list(""), ["a", "a-b", "null"]);
        assert_eq!(list("a"), ["a/d", "a/f", "a/l"]);
        assert!(list("a-b").is_empty() && list("none").is_empty());
        assert!(index.hides_below(b"a/d") && index.hides_below(b"a/f") && !index.hides_below(b"a") && !index.hides_below(b"b"));
    }

    #[test]
    fn a_damaged_index_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("index");
        Index::new(sample()).save(&file);
        let good = fs::read(&file).unwrap();
        for at in [0, 17, 100, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, bad).unwrap();
            assert!(Index::load(&file).is_none());
        }
        fs::write(&file, &good[..good.len() / 2]).unwrap();
        assert!(Index::load(&file).is_none() && Index::load(dir.path()).is_none());
    }
}
