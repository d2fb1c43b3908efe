//! Listings: the files of a tar, a layer or an image, and their content.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use nacre_layer::{Bytes, Entry, Kind, Piece, Reader, TarReader};

use super::pool::Share;
use super::view::View;
use super::watch::{Watch, Watched};
use super::{Outcome, Trouble};

/// Files that are gone through once.
pub(crate) struct Listing(Files);

enum Files {
    Tar(Box<Tar>),
    /// An image's tree, and the next of its nodes.
    Tree {
        view: Arc<View>,
        next: usize,
    },
}

/// The members of a tar.
struct Tar {
    bytes: Bytes,
    /// What is left; nothing behind its end.
    rest: Option<TarReader<Watched<Reader>>>,
    /// Where the content of each entry lies that was returned.
    places: Vec<Option<Place>>,
    /// Those that hard links may be about, by their paths' hashes.
    files: HashMap<u64, u32>,
    hasher: RandomState,
    share: Share,
}

#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    size: u64,
}

impl Listing {
    /// The members of an uncompressed tar of files.
    pub(crate) fn of_tar(bytes: Bytes, watch: &Watch) -> Outcome<Listing> {
        Listing::tar(bytes, watch, |reader| reader)
    }

    /// The members of an uncompressed layer, with its whiteouts.
    pub(crate) fn of_layer(bytes: Bytes, watch: &Watch) -> Outcome<Listing> {
        Listing::tar(bytes, watch, |reader| reader.as_layer().allow_unterminated())
    }

    /// All files of an image.
    pub(crate) fn of_image(view: Arc<View>) -> Listing {
        Listing(Files::Tree { view, next: 0 })
    }

    fn tar(bytes: Bytes, watch: &Watch, how: fn(TarReader<Watched<Reader>>) -> TarReader<Watched<Reader>>) -> Outcome<Listing> {
        let reader = TarReader::with_skip(watch.over(bytes.reader_from_start()?), Watched::<Reader>::skip);
        let (rest, places, files, hasher) = (Some(how(reader)), Vec::new(), HashMap::new(), RandomState::new());
        let share = watch.pools.entries.share(0)?;
        Ok(Listing(Files::Tar(Box::new(Tar { bytes, rest, places, files, hasher, share }))))
    }

    /// The next entry; nothing only at the end, when all was read and checked.
    pub(crate) fn next(&mut self, watch: &Watch) -> Outcome<Option<Entry>> {
        match &mut self.0 {
            Files::Tar(tar) => tar.next(),
            Files::Tree { view, next } => {
                let node = view.tree(watch)?.nodes().get(*next);
                *next += usize::from(node.is_some());
                Ok(node.map(|node| node.entry.clone()))
            }
        }
    }

    /// The content of the file that was returned as the `index`th.
    pub(crate) fn open(&self, index: usize, watch: &Watch) -> Outcome<Bytes> {
        let none = || Trouble::invalid(format!("open(): entry {index} is no file that was listed"));
        match &self.0 {
            Files::Tar(tar) => {
                let place = tar.places.get(index).copied().flatten().ok_or_else(none)?;
                piece(&tar.bytes, place)
            }
            Files::Tree { next, .. } if index >= *next => Err(none()),
            Files::Tree { view, .. } => {
                let node = view.tree(watch)?.nodes().get(index).filter(|node| has_content(node.entry.kind)).ok_or_else(none)?;
                piece(&view.layer(node.layer)?, Place { offset: node.offset, size: node.size })
            }
        }
    }

    /// The next entry with its content, if it has any of its own.
    pub(crate) fn next_with_content(&mut self, watch: &Watch) -> Outcome<Option<(Entry, Option<Bytes>)>> {
        let Some(entry) = self.next(watch)? else { return Ok(None) };
        let content = match entry.kind == Kind::File && entry.size > 0 {
            true => Some(self.open(self.returned() - 1, watch)?),
            false => None,
        };
        Ok(Some((entry, content)))
    }

    fn returned(&self) -> usize {
        match &self.0 {
            Files::Tar(tar) => tar.places.len(),
            Files::Tree { next, .. } => *next,
        }
    }
}

fn has_content(kind: Kind) -> bool {
    matches!(kind, Kind::File | Kind::Hardlink)
}

fn piece(bytes: &Bytes, Place { offset, size }: Place) -> Outcome<Bytes> {
    Ok(bytes.part(&[Piece::Plain { offset, size }])?)
}

impl Tar {
    fn next(&mut self) -> Outcome<Option<Entry>> {
        let Some(rest) = &mut self.rest else { return Ok(None) };
        let Some(member) = rest.next_entry()? else {
            // What is behind the end belongs to the digest of a layer.
            self.rest.take().map(TarReader::finish).transpose()?;
            return Ok(None);
        };
        self.share.grow(1)?;
        let entry = member.entry;
        let hash = |path: &[u8]| self.hasher.hash_one(path);
        let place = match (entry.kind, &entry.link) {
            (Kind::File, _) => Some(Place { offset: member.offset, size: entry.size }),
            (Kind::Hardlink, Some(link)) => self.files.get(&hash(link)).and_then(|index| self.places[*index as usize]),
            _ => None,
        };
        if place.is_some() {
            self.files.insert(hash(&entry.path), self.places.len() as u32);
        }
        self.places.push(place);
        Ok(Some(entry))
    }
}
