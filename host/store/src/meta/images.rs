//! Images: every manifest or index that is kept for its own sake, with a name or dangling.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use nacre_oci::{Descriptor, Digest, Document, Error, MAX_MANIFEST, Platform, RawManifest, Reference, Result};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Fault,
    edges::{self, digest},
    pushed, references,
};
use crate::{
    Store, now,
    planted::{Bug, planted},
    tree,
};

/// An image of the store. As in Docker since version 29, its id is the digest of its manifest or index.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The manifest's or index's digest.
    pub id: Digest,
    /// The manifest or index, with annotations and artifact type as the referrers API shows them.
    pub descriptor: Descriptor,
    /// Its names, with tag or digest, sorted.
    pub references: Vec<Reference>,
    /// When it was made, in Unix seconds, by its config (of an index: by that of the host's platform).
    pub created: Option<i64>,
    /// When it came into this store, Unix seconds.
    pub recorded: i64,
    /// When it was last pulled, Unix seconds.
    pub pulled: Option<i64>,
    /// When it was last built here, Unix seconds.
    pub built: Option<i64>,
    /// When a command last used it, Unix seconds.
    pub last_used: Option<i64>,
    /// How often it came into use. A saved prune plan notices by it that an image was used since.
    pub uses: u64,
    /// Whether it is safe from prune and rmi.
    pub pinned: bool,
    /// The bytes of everything of it that is present, shared or not.
    pub size: u64,
    /// The config's labels.
    pub labels: BTreeMap<String, String>,
    /// What it runs on, in the index's order, and whether all of that is present. Attestations are left out.
    pub platforms: Arc<[(Platform, bool)]>,
    /// The manifest that this one is about.
    pub subject: Option<Digest>,
    /// The documents that list it: a listing leaves out an image that has parents and no tag.
    pub child_of: Vec<Digest>,
    /// Repositories that have it with other, compressed layers, by name, and its digest there.
    pub pushed: Vec<(String, Digest)>,
}

impl Image {
    /// Whether it has no name at all.
    pub fn is_dangling(&self) -> bool {
        self.references.is_empty()
    }

    /// What a repository such as `docker.io/library/nginx` knows it by, as far as is known here (Docker's repository digest).
    pub fn digest_in(&self, repository: &str) -> &Digest {
        self.pushed.iter().find(|(name, _)| name == repository).map_or(&self.id, |(_, digest)| digest)
    }

    /// Whether it has a tag.
    pub fn is_tagged(&self) -> bool {
        self.references.iter().any(|reference| reference.tag().is_some())
    }

    /// Whether it is here only because another tool pushed it, by digest, as a part of images that are removed now.
    /// Then it goes with them: nobody would look for it.
    pub(crate) fn is_left_over(&self, is_removed: impl Fn(&Digest) -> bool) -> bool {
        let asked_for = self.pinned || self.is_tagged() || self.is_dangling() || self.pulled.is_some() || self.built.is_some();
        !asked_for && !self.child_of.is_empty() && self.child_of.iter().all(is_removed)
    }
}

/// How an image got into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// From a registry.
    Pulled,
    /// By a build or a commit.
    Built,
    /// From an archive.
    Loaded,
    /// By another tool, to `nacre serve`.
    Pushed,
    /// In any other way.
    Copied,
}

const COLUMNS: &str = "digest, media_type, bytes, created, recorded, pulled, built, last_used, uses, pinned, size, labels, platforms, \
                       subject, artifact_type, annotations";

fn to_json<T: Serialize>(value: &T, empty: bool) -> String {
    if empty { String::new() } else { serde_json::to_string(value).expect("maps and lists of strings are always JSON") }
}

fn from_json<T: DeserializeOwned + Default>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, e.into()))
}

/// What was read of the column already: of very many images most run on the same.
type Platforms = HashMap<Box<str>, Arc<[(Platform, bool)]>>;

fn platforms(row: &Row<'_>, column: usize, known: &mut Platforms) -> rusqlite::Result<Arc<[(Platform, bool)]>> {
    let text = row.get_ref(column)?.as_str()?;
    if let Some(platforms) = known.get(text) {
        return Ok(Arc::clone(platforms));
    }
    let platforms: Arc<[_]> = from_json::<Vec<_>>(row, column)?.into();
    known.insert(text.into(), Arc::clone(&platforms));
    Ok(platforms)
}

/// The row alone: names and parents are filled in by the caller.
fn read_row(row: &Row<'_>) -> rusqlite::Result<Image> {
    read_with(row, &mut Platforms::new())
}

fn read_with(row: &Row<'_>, known: &mut Platforms) -> rusqlite::Result<Image> {
    let id = digest(row, 0)?;
    let mut descriptor = Descriptor::new(row.get::<_, String>(1)?, id.clone(), row.get::<_, i64>(2)?.cast_unsigned());
    descriptor.artifact_type = row.get(14)?;
    descriptor.annotations = from_json(row, 15)?;
    Ok(Image {
        id,
        descriptor,
        references: Vec::new(),
        created: row.get(3)?,
        recorded: row.get(4)?,
        pulled: row.get(5)?,
        built: row.get(6)?,
        last_used: row.get(7)?,
        uses: row.get::<_, i64>(8)?.cast_unsigned(),
        pinned: row.get(9)?,
        size: row.get::<_, i64>(10)?.cast_unsigned(),
        labels: from_json(row, 11)?,
        platforms: platforms(row, 12, known)?,
        subject: row.get_ref(13)?.as_str_or_null()?.and_then(|text| text.parse().ok()),
        child_of: Vec::new(),
        pushed: Vec::new(),
    })
}

/// One image, whole.
pub(crate) fn get(db: &Connection, id: &Digest) -> rusqlite::Result<Option<Image>> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM images WHERE digest = ?"))?;
    let Some(mut image) = select.query_row([id.to_string()], read_row).optional()? else { return Ok(None) };
    image.references = references::of(db, id)?;
    image.child_of = edges::parents(db, id)?;
    image.pushed = pushed::of(db, id)?;
    Ok(Some(image))
}

/// The digests of all images.
pub(crate) fn ids(db: &Connection) -> rusqlite::Result<Vec<Digest>> {
    db.prepare_cached("SELECT digest FROM images")?.query_map([], |row| digest(row, 0))?.collect()
}

/// Shows the digest of each image, as text, and the bytes of its manifest or index.
pub(crate) fn each_size(db: &Connection, mut show: impl FnMut(&str, u64)) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached("SELECT digest, bytes FROM images")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        show(row.get_ref(0)?.as_str()?, row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(())
}

/// All images, by digest.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Image>> {
    let mut images = Vec::new();
    each(db, |image| images.push(image))?;
    Ok(images)
}

/// Shows all images, by digest, one at a time: there may be very many.
pub(crate) fn each(db: &Connection, mut show: impl FnMut(Image)) -> rusqlite::Result<()> {
    // Most images are a part of none, and have not been pushed in another form.
    let (mut parents, mut pushed) = (parents_of_images(db)?, pushed::all(db)?);
    // Both lists are sorted by digest, so they are read side by side.
    let mut names = db.prepare_cached(references::BY_IMAGE)?;
    let mut names = references::ByImage::new(names.query([])?)?;
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM images ORDER BY digest"))?;
    let (mut rows, mut platforms) = (select.query([])?, Platforms::new());
    while let Some(row) = rows.next()? {
        let mut image = read_with(row, &mut platforms)?;
        image.references = names.of(row.get_ref(0)?.as_str()?)?;
        if !parents.is_empty() {
            image.child_of = parents.remove(&image.id).unwrap_or_default();
        }
        if !pushed.is_empty() {
            image.pushed = pushed.remove(&image.id).unwrap_or_default();
        }
        show(image);
    }
    Ok(())
}

fn parents_of_images(db: &Connection) -> rusqlite::Result<HashMap<Digest, Vec<Digest>>> {
    let mut parents: HashMap<Digest, Vec<Digest>> = HashMap::new();
    let mut select = db.prepare_cached(
        "SELECT child, parent FROM edges INDEXED BY edges_document WHERE document = 1 AND EXISTS (SELECT 1 FROM images WHERE digest = +child)",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        parents.entry(digest(row, 0)?).or_default().push(digest(row, 1)?);
    }
    Ok(parents)
}

/// Deletes the image's row and names, but none of its content.
pub(crate) fn delete(tx: &Transaction<'_>, id: &Digest) -> rusqlite::Result<()> {
    for (table, column) in [("images", "digest"), ("refs", "image"), ("origins", "image"), ("pushed", "image")] {
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE {column} = ?"))?.execute([id.to_string()])?;
    }
    Ok(())
}

impl Store {
    /// All images, tagged and dangling, by digest.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn images(&self) -> Result<Vec<Image>> {
        self.meta.read(|db| Ok(all(db)?))
    }

    /// Shows all images, as [`Store::images`] returns them, one at a time: there may be very many.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn each_image(&self, show: impl FnMut(Image)) -> Result<()> {
        self.meta.read(|db| Ok(each(db, show)?))
    }

    /// The image with this digest, if it is kept.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn image(&self, id: &Digest) -> Result<Option<Image>> {
        self.meta.read(|db| Ok(get(db, id)?))
    }

    /// Keeps an image whose content was put before, dangling until it gets a name. One that is kept already is updated:
    /// another of its platforms may have come. Returns it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the manifest or index was not put.
    pub fn add_image(&self, target: &RawManifest, acquired: Acquired) -> Result<Image> {
        self.layout.flush_blobs()?;
        let lock = self.layout.lock_exclusive()?;
        self.meta.write(&lock, |tx| {
            self.record(tx, target, acquired)?;
            get(tx, &target.descriptor.digest)?.ok_or_else(|| Error::not_found("the image that was just recorded").into())
        })
    }

    /// [`Store::add_image`] and [`Store::tag`] in one transaction: the name stands for the old image or the new one, at
    /// any time. Returns the image that had the name before.
    ///
    /// # Errors
    /// As both.
    pub fn add_tagged(&self, reference: &Reference, target: &RawManifest, acquired: Acquired) -> Result<Option<Digest>> {
        let id = &target.descriptor.digest;
        let reference = references::checked(reference, id)?;
        if !planted(Bug::MetadataBeforeBlobs) {
            self.layout.flush_blobs()?;
        }
        let lock = self.layout.lock_exclusive()?;
        if planted(Bug::TagNotTransactional) {
            self.meta.write(&lock, |tx| Ok(references::delete(tx, [&reference])?))?;
        }
        let before = self.meta.write(&lock, |tx| {
            self.record(tx, target, acquired)?;
            if acquired == Acquired::Pulled {
                edges::insert_origin(tx, id, &reference.name())?;
            }
            Ok(references::set(tx, &reference, id)?)
        })?;
        if planted(Bug::MetadataBeforeBlobs) {
            self.layout.flush_blobs()?;
        }
        Ok(before)
    }

    /// Notes that images are being used, now. A power loss may take the note back.
    ///
    /// # Errors
    /// If the metadata cannot be written.
    pub fn touch(&self, images: &[Digest]) -> Result<()> {
        let lock = self.layout.lock_exclusive()?;
        self.meta.write_lazily(&lock, |tx| {
            let mut update = tx.prepare_cached("UPDATE images SET last_used = ?, uses = uses + 1 WHERE digest = ?")?;
            images.iter().try_for_each(|id| update.execute(params![now(), id.to_string()]).map(drop))?;
            Ok(())
        })
    }

    /// Makes an image safe from prune and rmi, or no longer.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image.
    pub fn pin(&self, image: &Digest, pinned: bool) -> Result<()> {
        let lock = self.layout.lock_exclusive()?;
        self.meta.write(&lock, |tx| {
            let changed = tx.execute("UPDATE images SET pinned = ? WHERE digest = ?", params![pinned, image.to_string()])?;
            if changed == 0 { Err(Error::not_found(format!("image {image}")).into()) } else { Ok(()) }
        })
    }

    /// The manifests that name `subject` as what they are about, optionally only those of one artifact type
    /// (distribution specification, "Listing Referrers").
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn referrers(&self, subject: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        self.meta.read(|db| {
            let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM images WHERE subject = ? ORDER BY digest"))?;
            let found: Vec<Image> = select.query_map([subject.to_string()], read_row)?.collect::<Result<_, _>>()?;
            let fits = |one: &Descriptor| artifact_type.is_none_or(|wanted| one.artifact_type.as_deref() == Some(wanted));
            Ok(found.into_iter().map(|image| image.descriptor).filter(fits).collect())
        })
    }

    pub(crate) fn is_image(&self, db: &Connection, id: &Digest) -> rusqlite::Result<bool> {
        db.prepare_cached("SELECT 1 FROM images WHERE digest = ?")?.exists([id.to_string()])
    }

    /// A manifest or index that the store holds, whether or not it is an image of its own.
    pub(crate) fn read_manifest(&self, db: &Connection, id: &Digest) -> Result<RawManifest, Fault> {
        let size = self.layout.blob_size(id)?.ok_or_else(|| Error::not_found(format!("image {id}")))?;
        let announced = edges::media_type(db, id)?;
        let descriptor = Descriptor::new(announced.clone().unwrap_or_default(), id.clone(), size);
        let bytes = nacre_oci::read_small(self, &descriptor, MAX_MANIFEST)?;
        let media_type = Document::parse(&bytes, announced.as_deref())?.media_type().to_owned();
        Ok(RawManifest { descriptor: Descriptor::new(media_type, id.clone(), size), bytes })
    }

    /// Writes an image's row and edges, and brings the images that contain it up to date. To be called under the
    /// writers' lock, so that nothing of it is deleted meanwhile.
    pub(crate) fn record(&self, tx: &Transaction<'_>, target: &RawManifest, acquired: Acquired) -> Result<(), Fault> {
        if !self.layout.has(&target.descriptor)? {
            return Err(Error::not_found(format!("content {} in the store", target.descriptor.digest)).into());
        }
        let facts = tree::read(self, target)?;
        edges::insert(tx, &facts.edges)?;
        upsert(tx, &target.descriptor, &facts, acquired)?;
        let mut done = HashSet::from([target.descriptor.digest.clone()]);
        let contents: Vec<Digest> = facts.documents().cloned().collect();
        for content in &contents {
            for above in edges::images_above(tx, content)? {
                if done.insert(above.clone()) {
                    let raw = self.read_manifest(tx, &above)?;
                    refresh(tx, &above, &tree::read(self, &raw)?)?;
                }
            }
        }
        Ok(())
    }
}

fn upsert(tx: &Transaction<'_>, descriptor: &Descriptor, facts: &tree::Facts, acquired: Acquired) -> rusqlite::Result<()> {
    let now = now();
    let only = |wanted| (acquired == wanted).then_some(now);
    let mut insert = tx.prepare_cached(
        "INSERT INTO images (digest, media_type, bytes, created, recorded, pulled, built, uses, pinned, size, labels, platforms, subject,
                             artifact_type, annotations)
         VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (digest) DO UPDATE SET media_type = excluded.media_type, created = excluded.created, size = excluded.size,
            labels = excluded.labels, platforms = excluded.platforms, pulled = coalesce(excluded.pulled, pulled),
            built = coalesce(excluded.built, built), uses = uses + 1",
    )?;
    insert.execute(params![
        descriptor.digest.to_string(),
        descriptor.media_type,
        descriptor.size.cast_signed(),
        facts.created,
        now,
        only(Acquired::Pulled),
        only(Acquired::Built),
        facts.size.cast_signed(),
        to_json(&facts.labels, facts.labels.is_empty()),
        to_json(&facts.platforms, facts.platforms.is_empty()),
        facts.subject.as_ref().map(ToString::to_string),
        facts.artifact_type,
        to_json(&facts.annotations, facts.annotations.is_empty()),
    ])?;
    Ok(())
}

/// Brings an image up to date of which more is present now.
fn refresh(tx: &Transaction<'_>, id: &Digest, facts: &tree::Facts) -> rusqlite::Result<()> {
    edges::insert(tx, &facts.edges)?;
    let mut update = tx.prepare_cached("UPDATE images SET size = ?, created = ?, labels = ?, platforms = ? WHERE digest = ?")?;
    update.execute(params![
        facts.size.cast_signed(),
        facts.created,
        to_json(&facts.labels, facts.labels.is_empty()),
        to_json(&facts.platforms, facts.platforms.is_empty()),
        id.to_string(),
    ])?;
    Ok(())
}
