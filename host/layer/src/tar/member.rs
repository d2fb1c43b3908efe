//! What a member's headers say about it, together.

use crate::{
    Entry, Kind,
    entry::MAX_ID,
    path,
    tar::{
        OPAQUE, WHITEOUT,
        header::{Field, GID, Header, LINK, MAJOR, MINOR, MODE, MTIME, UID},
        pax::Pax,
    },
};

/// One member of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What its headers say.
    pub entry: Entry,
    /// Where its content begins in the tar.
    pub offset: u64,
}

/// What extension headers said about the member that follows.
#[derive(Default)]
pub(super) struct Next {
    pub(super) pax: Option<Pax>,
    /// GNU's long name and long link.
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

impl Next {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }
}

/// How a tar's names are taken.
#[derive(Clone, Copy, Default)]
pub(super) struct Rules {
    /// Whiteouts are whiteouts.
    pub(super) layer: bool,
    /// `..` stays at the root.
    pub(super) clamp: bool,
}

impl Rules {
    fn path(self, name: &[u8]) -> Result<Vec<u8>, path::BadPath> {
        if self.clamp { path::clamp(name) } else { path::tidy(name) }
    }
}

/// Why a member is refused.
pub(super) enum Fault {
    Malformed(String),
    Sparse,
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self::Malformed(why.into())
    }
}

/// The entry and how many bytes of content follow the header; or the member's name and what is wrong with it.
pub(super) fn describe(header: &Header, own: u64, next: Next, rules: Rules) -> Result<(Entry, u64), (Vec<u8>, Fault)> {
    let Next { pax, name, link } = next;
    let pax = pax.unwrap_or_default();
    let twice = (name.is_some() && pax.path.is_some()) || (link.is_some() && pax.link.is_some());
    let name = name.or_else(|| pax.path.clone()).unwrap_or_else(|| header.name());
    let size = pax.size.unwrap_or(own);
    let entry = || {
        if twice {
            return Err("a GNU and a PAX header name it".into());
        }
        let path = rules.path(&name).map_err(|why| Fault::Malformed(why.to_string()))?;
        let kind = kind(header.kind(), name.ends_with(b"/"), pax.sparse)?;
        if kind != Kind::File && size != 0 {
            return Err("a link, folder or device claims to have content".into());
        }
        let link = link.or_else(|| pax.link.clone()).unwrap_or_else(|| header.text(LINK).to_vec());
        let entry = fill(Entry { size, ..Entry::new(path, kind) }, header, pax, link, rules)?;
        if rules.layer { whiteout(entry) } else { Ok(entry) }
    };
    entry().map(|entry| (entry, size)).map_err(|fault| (name.clone(), fault))
}

/// What the type flag says.
fn kind(flag: u8, folder: bool, sparse: bool) -> Result<Kind, Fault> {
    let kind = match flag {
        // Before POSIX, a folder was a file whose name ends in a slash.
        0 if folder => Kind::Directory,
        b'0' | b'7' if folder => return Err("it is a file for some readers and a folder for others".into()),
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => return Err(Fault::Sparse),
        _ => return Err("it is of a kind that nacre does not know".into()),
    };
    if sparse { Err(Fault::Sparse) } else { Ok(kind) }
}

/// Adds what is left: owner, mode, time, link, device and attributes.
fn fill(entry: Entry, header: &Header, pax: Pax, link: Vec<u8>, rules: Rules) -> Result<Entry, Fault> {
    let number = |field: Field, what: &str| header.number(field).ok_or_else(|| Fault::Malformed(format!("its {what} is no number")));
    let (mtime, nanos) = match pax.mtime {
        Some(time) => time,
        None => (number(MTIME, "time")?, 0),
    };
    let link = match entry.kind {
        Kind::Symlink if link.is_empty() || link.len() > path::MAX => return Err("its link has no text, or too much".into()),
        Kind::Symlink => Some(link),
        Kind::Hardlink => Some(rules.path(&link).map_err(|why| Fault::Malformed(format!("of its link, {why}")))?),
        _ => None,
    };
    let half = |field| u32::try_from(number(field, "device number")?).map_err(|_| Fault::from("its device number is negative"));
    let device = match entry.kind {
        Kind::CharDevice | Kind::BlockDevice => Some((half(MAJOR)?, half(MINOR)?)),
        _ => None,
    };
    Ok(Entry {
        mode: u32::try_from(number(MODE, "mode")? & 0o7777).expect("twelve bits"),
        uid: id(pax.uid.map_or_else(|| number(UID, "owner"), Ok)?)?,
        gid: id(pax.gid.map_or_else(|| number(GID, "group"), Ok)?)?,
        mtime,
        nanos,
        link,
        device,
        xattrs: pax.xattrs,
        ..entry
    })
}

fn id(id: i64) -> Result<u32, Fault> {
    let fits = u32::try_from(id).ok().filter(|id| *id <= MAX_ID);
    fits.ok_or_else(|| Fault::Malformed(format!("its owner or group {id} is outside 0 to {MAX_ID}")))
}

/// Makes an entry that a layer's rules call a whiteout one (image specification, `layer.md`, "Whiteouts").
fn whiteout(entry: Entry) -> Result<Entry, Fault> {
    let Some((folder, name)) = path::split(&entry.path) else { return Ok(entry) };
    let Some(gone) = name.strip_prefix(WHITEOUT) else { return Ok(entry) };
    if matches!(gone, b"" | b"." | b"..") {
        return Err("it is a whiteout of nothing that can be".into());
    }
    let (path, kind) = if name == OPAQUE { (folder.to_vec(), Kind::Opaque) } else { (path::join(folder, gone), Kind::Whiteout) };
    Ok(Entry { path, kind, size: 0, link: None, device: None, ..entry })
}
