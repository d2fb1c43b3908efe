//! Removing images, with the rules and messages of Docker's `rmi`.

use std::collections::{BTreeSet, HashSet};

use nacre_oci::{Digest, Error, Reference, Result, media_type};
use rusqlite::{Connection, Transaction};

use crate::{
    By, Found, Image, Store, Users,
    find::find,
    lease, mark,
    meta::{Fault, edges, images, references},
    usage::{self, short},
};

/// What removing an image would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The names that go.
    pub untag: Vec<Reference>,
    /// Whether the image goes too.
    pub delete: bool,
}

/// What a removal did, in the order in which Docker prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// `Untagged:`, the names that went.
    pub untagged: Vec<Reference>,
    /// `Deleted:`, the image and then those of its layers that nothing else needed.
    pub deleted: Vec<Digest>,
    /// How many bytes that freed.
    pub reclaimed: u64,
}

/// What removing would do: Docker's rules, of which `users` are the containers of the image, and `text` is what was asked for.
fn removal(text: &str, found: &Found, users: &Users, force: bool) -> Result<Removal> {
    let image = &found.image;
    let mut untag = match &found.by {
        By::Id => image.references.clone(),
        By::Name(name) => names_to_untag(image, name, force)?,
    };
    // As in Docker, tags before digests.
    untag.sort_by_key(|name| name.tag().is_none());
    let last = untag.len() == image.references.len();
    if last && image.pinned {
        let name = image.references.first().map_or_else(|| image.id.short().to_owned(), Reference::familiar);
        return Err(Error::Conflict(format!("image {name} is pinned; unpin it first")));
    }
    match &found.by {
        By::Id => refuse_id(image, users, force)?,
        By::Name(_) if !force && is_single(&image.references) => refuse_name(text, image, users)?,
        By::Name(_) => {}
    }
    // Where a name was forced away, what runs keeps the image, dangling.
    Ok(Removal { untag, delete: last && users.running.is_empty() })
}

/// Docker's `checkImageDeleteConflict`.
fn refuse_id(image: &Image, users: &Users, force: bool) -> Result<()> {
    let by = |id: &String, kind: &str| format!("image is being used by {kind} container {}", short(id));
    let conflict =
        |how: &str, why: String| Err(Error::Conflict(format!("unable to delete {} ({how} be forced) - {why}", image.id.short())));
    if let Some(id) = users.running.first() {
        return conflict("cannot", by(id, "running"));
    }
    match users.stopped.first() {
        _ if force => Ok(()),
        _ if !is_single(&image.references) => conflict("must", "image is referenced in multiple repositories".into()),
        Some(id) => conflict("must", by(id, "stopped")),
        None => Ok(()),
    }
}

fn refuse_name(text: &str, image: &Image, users: &Users) -> Result<()> {
    let Some(id) = users.running.iter().chain(&users.stopped).next() else { return Ok(()) };
    let (id, image) = (short(id), image.id.short());
    let why = format!("container {id} is using its referenced image {image}");
    Err(Error::Conflict(format!("unable to remove repository reference \"{text}\" (must force) - {why}")))
}

/// Docker's `isSingleReference`: at most one tag, and digest references of the same repository.
fn is_single(references: &[Reference]) -> bool {
    let repositories: BTreeSet<String> = references.iter().map(Reference::name).collect();
    repositories.len() <= 1 && references.iter().filter(|reference| reference.tag().is_some()).count() <= 1
}

fn names_to_untag(image: &Image, name: &Reference, force: bool) -> Result<Vec<Reference>> {
    let in_repository: Vec<&Reference> = image.references.iter().filter(|one| one.name() == name.name()).collect();
    if in_repository.contains(&name) {
        let other_tag = in_repository.iter().any(|one| *one != name && one.tag().is_some());
        let goes = |one: &&&Reference| **one == name || (name.tag().is_some() && !other_tag);
        return Ok(in_repository.iter().filter(goes).map(|one| (*one).clone()).collect());
    }
    // By digest, where the repository has the image only by tags.
    if in_repository.len() > 1 && !force {
        let name = name.familiar();
        return Err(Error::Conflict(format!("unable to remove {name} (must be forced) - image is referenced by several tags")));
    }
    Ok(in_repository.into_iter().cloned().collect())
}

impl Store {
    /// What removing what [`Store::find`] finds by `text` would do, without doing it.
    ///
    /// By a name, the name goes, with the last tag of a repository also its digest references, and with the last name the
    /// image, unless a container runs it. By an id the image goes with its name, and with several names only if forced.
    ///
    /// # Errors
    /// As [`Store::find`]. [`Error::Conflict`] if it has to be forced, if a container runs it, or if it is pinned, which no
    /// force overrides.
    pub fn removal(&self, text: &str, force: bool) -> Result<(Image, Removal)> {
        self.meta.read(|db| self.decide(db, text, force))
    }

    fn decide(&self, db: &Connection, text: &str, force: bool) -> Result<(Image, Removal), Fault> {
        let found = find(db, text)?;
        let users = usage::users(&self.layout, db, &found.image.id)?;
        let removal = removal(text, &found, &users, force)?;
        Ok((found.image, removal))
    }

    /// Removes what [`Store::find`] finds by `text`, as [`Store::removal`] says, and deletes what nothing needs any more. A
    /// container's content stays, also when its image is removed by force.
    ///
    /// # Errors
    /// As [`Store::removal`]; then nothing has changed.
    pub fn remove(&self, text: &str, force: bool) -> Result<Removed> {
        let _room = self.make_room();
        let lock = self.layout.lock_exclusive()?;
        let leased = lease::sweep(&self.layout, &lock)?;
        let (mut removed, orphans) = self.meta.write(&lock, |tx| {
            let (image, Removal { untag, delete }) = self.decide(tx, text, force)?;
            references::delete(tx, &untag)?;
            let mut removed = Removed { untagged: untag, ..Removed::default() };
            let orphans = if delete { self.delete_image(tx, &image.id, &leased, &mut removed)? } else { HashSet::new() };
            Ok((removed, orphans))
        })?;
        removed.reclaimed = self.layout.delete_blobs(&lock, &orphans)?;
        Ok(removed)
    }

    /// Takes every name away that an image has in a repository (`docker.io/library/nginx`), and the image if it has no
    /// other, no container uses it and it is not pinned: the distribution specification's "Deleting Manifests".
    ///
    /// # Errors
    /// [`Error::NotFound`] if the repository does not have the image.
    pub fn delete_manifest(&self, repository: &str, image: &Digest) -> Result<()> {
        let lock = self.layout.lock_exclusive()?;
        let leased = lease::sweep(&self.layout, &lock)?;
        let orphans = self.meta.write(&lock, |tx| {
            if references::delete_in(tx, repository, image)? == 0 {
                return Err(Error::not_found(format!("image {repository}@{image}")).into());
            }
            let kept = images::get(tx, image)?.is_none_or(|image| image.pinned || !image.references.is_empty());
            let stays = kept || usage::users(&self.layout, tx, image)?.count() > 0;
            if stays { Ok(HashSet::new()) } else { self.delete_image(tx, image, &leased, &mut Removed::default()) }
        })?;
        self.layout.delete_blobs(&lock, &orphans).map(drop)
    }

    /// Deletes an image's metadata, tells `removed` of it, and returns the content to delete afterwards.
    fn delete_image(
        &self,
        tx: &Transaction<'_>,
        id: &Digest,
        leased: &HashSet<Digest>,
        removed: &mut Removed,
    ) -> Result<HashSet<Digest>, Fault> {
        let below = edges::below(tx, id)?;
        images::delete(tx, id)?;
        removed.deleted.push(id.clone());
        self.delete_left_over(tx, &below, id, removed)?;
        let orphans = mark::orphans(tx, id, leased)?;
        edges::delete_of(tx, &orphans)?;
        let is_layer = |media_type: &str| !media_type::is_document(media_type) && !media_type::is_config(media_type);
        let layers = below.edges().filter(|one| is_layer(&one.media_type) && orphans.contains(&one.digest));
        let layers: BTreeSet<Digest> = layers.map(|one| one.digest.clone()).collect();
        removed.deleted.extend(layers);
        Ok(orphans)
    }

    fn delete_left_over(&self, tx: &Transaction<'_>, below: &mark::Graph, root: &Digest, removed: &mut Removed) -> Result<(), Fault> {
        let own = below.reach([root]);
        let documents: BTreeSet<&Digest> = below.edges().filter(|one| one.is_document()).map(|one| &one.digest).collect();
        for document in documents {
            let Some(part) = images::get(tx, document)?.filter(|part| part.is_left_over(|parent| own.contains(parent))) else { continue };
            if usage::users(&self.layout, tx, document)?.count() == 0 {
                images::delete(tx, &part.id)?;
                removed.untagged.extend(part.references);
                removed.deleted.push(part.id);
            }
        }
        Ok(())
    }
}
