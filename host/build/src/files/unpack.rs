//! Archives that are unpacked by a copy, as Docker's archive library unpacks them.

use std::io::Read;

use nacre_layer::{Bytes, Entry, Kind, Member, Reader, TarReader, path::join};
use nacre_oci::{Error, Result};

use super::{
    FileTree, Item, Names, Time,
    actions::{Ids, make_all},
    draft::{Content, Draft},
    fail,
    resolve::{folder_of, name_of, resolve, resolve_by},
    shown,
};

/// Of a header: where its checksum lies.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Whether a file is a tar archive with at least one member, plain or compressed. Its name does not matter.
///
/// # Errors
/// If it cannot be opened.
pub(super) fn is_archive(tree: &dyn FileTree, item: &Item) -> Result<bool> {
    if item.entry.kind != Kind::File || item.entry.size == 0 {
        return Ok(false);
    }
    let bytes = tree.bytes(&item.entry.path)?;
    let mut head = Vec::new();
    let plain = bytes.decompress(None).and_then(|plain| plain.reader_from_start());
    // What is damaged is no archive.
    let read = plain.and_then(|reader| reader.take(512).read_to_end(&mut head));
    Ok(read.is_ok() && is_header(&head))
}

/// Whether a block is a tar header: by its checksum, like all readers.
fn is_header(block: &[u8]) -> bool {
    let Some(block) = block.first_chunk::<512>() else { return false };
    let digits = String::from_utf8_lossy(&block[CHECKSUM]);
    let digits = digits.trim_matches([' ', '\0']).split('\0').next().unwrap_or_default();
    let Ok(stated) = i64::from_str_radix(digits.trim(), 8) else { return false };
    let blanked = |at: usize| if CHECKSUM.contains(&at) { b' ' } else { block[at] };
    let unsigned: i64 = (0..512).map(|at| i64::from(blanked(at))).sum();
    let signed: i64 = (0..512).map(|at| i64::from(blanked(at).cast_signed())).sum();
    block.iter().any(|byte| *byte != 0) && (stated == unsigned || stated == signed)
}

/// One archive being unpacked.
pub(super) struct Unpacking<'a, 'b> {
    draft: &'a mut Draft<'b>,
    ids: Ids,
    made: Time,
    cancelled: &'a (dyn Fn() -> bool + Sync),
    /// The folder that it is unpacked in: its links lead nowhere else.
    root: Vec<u8>,
}

impl<'a, 'b> Unpacking<'a, 'b> {
    pub(super) fn new(draft: &'a mut Draft<'b>, ids: Ids, made: Time, cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { draft, ids, made, cancelled, root: Vec::new() }
    }

    /// Unpacks all of it in `dest`, which is made. `source` is what errors call it.
    pub(super) fn run(&mut self, archive: &Bytes, dest: &str, source: &[u8]) -> Result<()> {
        self.root = resolve(self.draft, dest.as_bytes())?;
        make_all(self.draft, &self.root.clone(), 0o755, self.ids, self.made)?;
        let reading = || Error::io(format!("unpack {}", shown(source)));
        let plain = archive.decompress_as_read().map_err(reading())?;
        let reader = plain.reader_from_start().map_err(reading())?;
        let mut members = TarReader::with_skip(reader, Reader::skip).named(shown(source)).clamped().allow_unterminated();
        while let Some(member) = members.next_entry().map_err(reading())? {
            if (self.cancelled)() {
                return Err(Error::Cancelled);
            }
            self.member(member, &plain)?;
        }
        Ok(())
    }

    fn member(&mut self, Member { entry, offset }: Member, archive: &Bytes) -> Result<()> {
        // The folder that it is unpacked in stays as it is.
        if entry.path.is_empty() {
            return Ok(());
        }
        let path = self.place(&entry.path)?;
        self.need_folder(&entry, &path)?;
        make_all(self.draft, folder_of(&path), 0o755, Some((0, 0)), self.made)?;
        let there = self.draft.get(&path)?;
        if there.as_ref().is_some_and(|there| !(there.is_folder() && entry.kind == Kind::Directory)) {
            self.draft.remove(&path)?;
        }
        let described = self.described(&entry);
        match entry.kind {
            Kind::Hardlink => return self.hardlink(path, &entry, described),
            Kind::Directory if there.is_some_and(|there| there.is_folder()) => {
                if let Some(folder) = self.draft.edit(&path)? {
                    describe(&mut folder.entry, described);
                }
            }
            Kind::File => _ = self.draft.put(path, described, Content::Part { archive: archive.clone(), offset }),
            _ => _ = self.draft.put(path, described, Content::Empty),
        }
        Ok(())
    }

    /// One more name for what may be the base's, which then becomes the layer's.
    fn hardlink(&mut self, path: Vec<u8>, member: &Entry, described: Entry) -> Result<()> {
        let target = self.place(member.link.as_deref().unwrap_or_default())?;
        let Some(index) = self.draft.adopt(&target)? else {
            return Err(cannot_make(member, "no such file or directory"));
        };
        if self.draft.file(index).entry.kind == Kind::Directory {
            return Err(cannot_make(member, "operation not permitted"));
        }
        self.draft.link(path, index);
        let entry = &mut self.draft.file_mut(index).entry;
        let mode = if entry.kind == Kind::Symlink { 0o777 } else { described.mode };
        describe(entry, Entry { mode, ..described });
        Ok(())
    }

    /// The folder that a member goes into is made, but not where a file or a link that leads nowhere is in its place.
    fn need_folder(&self, member: &Entry, path: &[u8]) -> Result<()> {
        let mut above = folder_of(path);
        while !above.is_empty() {
            match self.draft.get(above)? {
                Some(item) if item.is_folder() => break,
                Some(_) => return Err(cannot_make(member, "not a directory")),
                None => above = folder_of(above),
            }
        }
        let named = self.place(folder_of(&member.path))?;
        let leads_nowhere = self.draft.get(&named)?.is_some_and(|item| item.entry.kind == Kind::Symlink);
        match leads_nowhere && self.draft.get(folder_of(path))?.is_none() {
            true => Err(cannot_make(member, "no such file or directory")),
            false => Ok(()),
        }
    }

    /// Where a member goes: its folder's links are followed as if the archive's folder were the root.
    fn place(&self, path: &[u8]) -> Result<Vec<u8>> {
        let folder = resolve_by(&|path| self.draft.get(&join(&self.root, path)), folder_of(path))?;
        let inner = join(&folder, name_of(path));
        Ok(if inner.is_empty() { self.root.clone() } else { join(&self.root, &inner) })
    }

    fn described(&self, entry: &Entry) -> Entry {
        let (uid, gid) = self.ids.unwrap_or((entry.uid, entry.gid));
        let (mtime, nanos) = if entry.mtime < 0 { (0, 0) } else { (entry.mtime, entry.nanos) };
        let mode = if entry.kind == Kind::Symlink { 0o777 } else { entry.mode };
        let mut described = Entry { mode, uid, gid, mtime, nanos, ..entry.clone() };
        // Of the other attributes BuildKit leaves none in a layer.
        described.xattrs.retain(|xattr| xattr.name == "security.capability");
        described
    }
}

/// An error in the system's words, with paths as in the archive, whose folder is the root while it is unpacked.
fn cannot_make(member: &Entry, why: &str) -> Error {
    let link = shown(member.link.as_deref().unwrap_or_default());
    let doing = match member.kind {
        Kind::Directory => "mkdir".into(),
        Kind::File => "open".into(),
        Kind::Symlink => format!("symlink {}", &link[1..]),
        Kind::Hardlink => format!("link {link}"),
        _ => "mknod".to_owned(),
    };
    fail(format!("{doing} {}: {why}", shown(&member.path)))
}

/// Changes what is said about something that is there.
fn describe(entry: &mut Entry, new: Entry) {
    entry.xattrs.retain(|old| new.xattrs.iter().all(|new| new.name != old.name));
    entry.xattrs.extend(new.xattrs);
    (entry.mode, entry.uid, entry.gid, entry.mtime, entry.nanos) = (new.mode, new.uid, new.gid, new.mtime, new.nanos);
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
