//! The members of archives that stand one behind the other, as in an initramfs.

use nacre_sdk::bytes::{Piece, Range};
use nacre_sdk::entries::{check_path, entry, kind_of, to_text};
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::filesystem::Files;
use nacre_sdk::read::{ReadAt, Window, cut_off};
use nacre_sdk::{Error, invalid};

use crate::header::{Header, MAGIC, is_magic};
use crate::links::Links;

/// How much is read at once: many headers and small files, or one header before a large file.
const AHEAD: u32 = 64 << 10;
/// The longest target of a symlink, Linux's `PATH_MAX`.
const MAX_TARGET: u64 = 4096;
/// The most members of all archives together.
const MAX_MEMBERS: u32 = 4_000_000;
/// The name that ends an archive.
pub const TRAILER: &[u8] = b"TRAILER!!!";

/// Adds the members of all archives in `source`, with any number of zeros between them (Linux,
/// `Documentation/driver-api/early-userspace/buffer-format.rst`). Returns where something else begins.
pub fn read(source: &impl ReadAt, files: &mut impl Files) -> Result<Option<u64>, Error> {
    let mut window = Window::new(source, AHEAD)?;
    let mut members = 0;
    let mut at = skip_zeros(&mut window, 0)?;
    while at < window.size() {
        if !is_magic(window.up_to(at, MAGIC)?) {
            return Ok(Some(at));
        }
        let end = one(&mut window, at, &mut members, files)?;
        at = skip_zeros(&mut window, end)?;
    }
    Ok(None)
}

/// Adds the members of the archive at `at`, and returns where it ends.
fn one(window: &mut Window<'_, impl ReadAt>, mut at: u64, members: &mut u32, files: &mut impl Files) -> Result<u64, Error> {
    let mut links = Links::default();
    loop {
        let header = Header::read(window, at)?;
        let name = name(window, &header, at)?;
        if name == TRAILER {
            links.end(files)?;
            return Ok(header.next(at).min(window.size()));
        }
        *members += 1;
        if *members > MAX_MEMBERS {
            return Err(Error::Limit(format!("it holds more than {MAX_MEMBERS} files")));
        }
        member(window, &header, name, at, &mut links, files)?;
        at = header.next(at);
    }
}

/// A name without the zero that ends it.
fn name(window: &mut Window<'_, impl ReadAt>, header: &Header, at: u64) -> Result<Vec<u8>, Error> {
    match window.bytes(header.name_at(at), header.name_len)?.split_last() {
        Some((0, name)) => Ok(name.to_vec()),
        _ => Err(invalid("bad-name", format!("the name at byte {} has no end", header.name_at(at)))),
    }
}

fn member(
    window: &mut Window<'_, impl ReadAt>,
    header: &Header,
    name: Vec<u8>,
    at: u64,
    links: &mut Links,
    files: &mut impl Files,
) -> Result<(), Error> {
    let body = Range { offset: header.body_at(at), size: header.size };
    if body.offset.checked_add(body.size).is_none_or(|end| end > window.size()) {
        return Err(cut_off(body.offset));
    }
    let Some(kind) = kind(header.mode, at)? else { return Ok(()) };
    let mut entry =
        Entry { uid: header.uid, gid: header.gid, mtime: header.mtime.into(), ..entry(check_path(&name, at)?, kind, header.mode) };
    match kind {
        Kind::File => {
            entry.size = header.size;
            let content: &[Piece] = if body.size == 0 { &[] } else { &[Piece::Plain(body)] };
            if header.links > 1 {
                return links.add(header.file, entry, content, files);
            }
            return files.add(entry, content);
        }
        Kind::Symlink => entry.link = Some(target(window, body)?),
        Kind::CharDevice | Kind::BlockDevice => entry.device = Some(header.device),
        _ => {}
    }
    files.add(entry, &[])
}

/// `None` for a socket: no image can hold one, and it is of no use in a file.
fn kind(mode: u32, at: u64) -> Result<Option<Kind>, Error> {
    const SOCKET: u32 = 0o140_000;
    match kind_of(mode) {
        None if mode & 0o170_000 != SOCKET => Err(invalid("bad-type", format!("no type of file in the mode {mode:o} at byte {at}"))),
        kind => Ok(kind),
    }
}

fn target(window: &mut Window<'_, impl ReadAt>, body: Range) -> Result<String, Error> {
    if body.size == 0 || body.size > MAX_TARGET {
        return Err(invalid("bad-symlink", format!("a symlink's target of {} bytes at byte {}", body.size, body.offset)));
    }
    let target = window.bytes(body.offset, body.size as usize)?;
    // Some writers end it with a zero.
    let target = target.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(to_text(target))
}

fn skip_zeros(window: &mut Window<'_, impl ReadAt>, mut at: u64) -> Result<u64, Error> {
    loop {
        let bytes = window.up_to(at, AHEAD as usize)?;
        if let Some(zeros) = bytes.iter().position(|&byte| byte != 0) {
            return Ok(at.saturating_add(zeros as u64));
        }
        if bytes.is_empty() {
            return Ok(at);
        }
        at = at.saturating_add(bytes.len() as u64);
    }
}
