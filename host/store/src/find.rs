//! What the user means by a name, a digest or a short id.

use nacre_oci::{Digest, Error, Reference, Result};
use rusqlite::Connection;

use crate::{
    Image, Store,
    meta::{Fault, edges::digest, images, pushed, references},
};

/// An image and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The image.
    pub image: Image,
    /// By what: `rmi` treats a name differently from an id.
    pub by: By,
}

/// How an image was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// By a name, which is given here with its tag or its digest.
    Name(Reference),
    /// By its digest or the first digits of it.
    Id,
}

impl Store {
    /// Finds an image as Docker does: by its digest, then by `NAME[:TAG]` or `NAME[:TAG]@DIGEST` (the digest decides), then
    /// by the first digits of its id, with or without `sha256:`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Ambiguous`] if several ids begin like that.
    pub fn find(&self, text: &str) -> Result<Found> {
        self.meta.read(|db| find(db, text))
    }
}

pub(crate) fn find(db: &Connection, text: &str) -> Result<Found, Fault> {
    if let Ok(id) = text.parse::<Digest>() {
        return by_id(db, &id, text);
    }
    // What cannot be a name may still be an id; if it is neither, the name's fault is what to tell.
    let name = text.parse::<Reference>();
    if let Ok(name) = &name
        && let Some(found) = by_name(db, name)?
    {
        return Ok(found);
    }
    let ids = by_prefix(db, text)?;
    match (ids.as_slice(), name) {
        ([id], _) => by_id(db, id, text),
        ([], Err(error)) if !is_hex(text) => Err(error.into()),
        ([], _) => Err(missing(text)),
        (several, _) => Err(Error::Ambiguous { text: text.to_owned(), count: several.len() }.into()),
    }
}

fn missing(text: &str) -> Fault {
    Error::not_found(format!("image '{text}'")).into()
}

fn by_id(db: &Connection, id: &Digest, text: &str) -> Result<Found, Fault> {
    let image = images::get(db, id)?.ok_or_else(|| missing(text))?;
    Ok(Found { image, by: By::Id })
}

fn by_name(db: &Connection, name: &Reference) -> Result<Option<Found>, Fault> {
    let kept = references::keepable(name);
    let found = by_kept(db, kept.clone())?;
    if found.is_some() {
        return Ok(found);
    }
    // By the digest that a push has told.
    pushed::image(db, &kept)?.map_or(Ok(None), |own| by_kept(db, kept.with_digest(own)))
}

fn by_kept(db: &Connection, kept: Reference) -> Result<Option<Found>, Fault> {
    let id = match kept.digest() {
        Some(digest) => Some(digest.clone()),
        None => references::target(db, &kept)?,
    };
    let Some(id) = id else { return Ok(None) };
    let Some(image) = images::get(db, &id)? else { return Ok(None) };
    let named = image.references.iter().any(|one| one.name() == kept.name());
    Ok(named.then_some(Found { image, by: By::Name(kept) }))
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The ids that begin with the digits. `sha256` where no algorithm is named.
fn by_prefix(db: &Connection, text: &str) -> rusqlite::Result<Vec<Digest>> {
    let (algorithm, digits) = match text.split_once(':') {
        Some((algorithm @ ("sha256" | "sha512"), digits)) => (algorithm, digits),
        _ => ("sha256", text),
    };
    if !is_hex(digits) {
        return Ok(Vec::new());
    }
    let from = format!("{algorithm}:{digits}");
    // 'g' comes after every digit.
    let mut select = db.prepare_cached("SELECT digest FROM images WHERE digest >= ? AND digest < ?")?;
    select.query_map([&from, &format!("{from}g")], |row| digest(row, 0))?.collect()
}
