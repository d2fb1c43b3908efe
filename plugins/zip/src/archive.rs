//! All files of a zip archive.

use nacre_sdk::bytes::{Codec, Range};
use nacre_sdk::entries::to_text;
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::read::{ReadAt, Window};
use nacre_sdk::{Error, invalid};

use crate::central::Member;
use crate::end::{Directory, find};

/// How much is read at once: what stands before many small files, or before a large one.
const AHEAD: u32 = 64 << 10;
/// The longest target of a symlink, Linux's `PATH_MAX`.
const MAX_TARGET: u32 = 4096;
/// The most files of an archive.
const MAX_MEMBERS: u64 = 4_000_000;

/// Decompresses one block to at most so many bytes: the host's `decode`.
pub type Decode = fn(Codec, &[u8], u32) -> Result<Vec<u8>, Error>;

/// Where a file's content lies, and its compression.
pub type Content = Option<(Range, Option<Codec>)>;

/// Gives all entries to `add` in the directory's order, each with where its content lies.
/// Nothing is given of an archive in which files lie over one another: so small ones seem large.
pub fn read(source: &impl ReadAt, decode: Decode, add: &mut dyn FnMut(Entry, Content) -> Result<(), Error>) -> Result<(), Error> {
    let mut central = Window::new(source, AHEAD)?;
    let mut local = Window::new(source, AHEAD)?;
    let directory = find(&mut central)?;
    check_spans(&mut central, &directory)?;
    each(&mut central, &directory, |mut member| {
        let codec = member.codec()?;
        let content = member.content(&mut local, &directory)?;
        let Some(mut entry) = member.entry()? else { return Ok(()) };
        match entry.kind {
            Kind::File if entry.size > 0 => add(entry, Some((content, codec))),
            Kind::Symlink => {
                entry.link = Some(target(&mut local, &member, content, codec, decode)?);
                add(entry, None)
            }
            _ => add(entry, None),
        }
    })
}

/// The entries of the directory, in its order.
fn each(
    window: &mut Window<'_, impl ReadAt>,
    directory: &Directory,
    mut found: impl FnMut(Member) -> Result<(), Error>,
) -> Result<(), Error> {
    if directory.entries > MAX_MEMBERS {
        return Err(Error::Limit(format!("it holds more than {MAX_MEMBERS} files")));
    }
    let end = directory.at.offset + directory.at.size;
    let mut at = directory.at.offset;
    for _ in 0..directory.entries {
        let member = Member::read(window, at, directory)?;
        at += member.len;
        if at > end {
            return Err(invalid("bad-directory", format!("the directory ends at byte {end}, in the middle of an entry")));
        }
        found(member)?;
    }
    Ok(())
}

fn check_spans(window: &mut Window<'_, impl ReadAt>, directory: &Directory) -> Result<(), Error> {
    let mut spans = Vec::new();
    each(window, directory, |member| {
        let span = member.span(directory)?;
        spans.push((span.offset, span.offset + span.size));
        Ok(())
    })?;
    spans.sort_unstable();
    match spans.iter().zip(spans.iter().skip(1)).find(|((_, end), (next, _))| next < end) {
        Some((_, (at, _))) => Err(invalid("overlap", format!("two files lie over one another at byte {at}"))),
        None => Ok(()),
    }
}

fn target(
    window: &mut Window<'_, impl ReadAt>,
    member: &Member,
    content: Range,
    codec: Option<Codec>,
    decode: Decode,
) -> Result<String, Error> {
    let bad = || invalid("bad-symlink", format!("the symlink '{}' has a target of {} bytes", member.shown(), member.size));
    let limit = u64::from(MAX_TARGET);
    if member.size == 0 || member.size > limit || content.size > 2 * limit {
        return Err(bad());
    }
    let packed = window.bytes(content.offset, content.size as usize)?;
    let target = match codec {
        Some(codec) => decode(codec, packed, MAX_TARGET)?,
        None => packed.to_vec(),
    };
    if target.len() as u64 != member.size || target.contains(&0) {
        return Err(bad());
    }
    Ok(to_text(&target))
}
