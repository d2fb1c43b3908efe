//! All content that the store knows of, by numbers: walks over very many images copy and compare no digests.

use std::{collections::HashMap, fs, ops::Range, panic::resume_unwind, path::Path, thread};

use foldhash::fast::RandomState;
use nacre_oci::{Digest, Result};
use rusqlite::Connection;

use crate::{
    layout::{ALGORITHMS, Layout, read_dir},
    meta::{Fault, edges, images},
};

/// What exists, and which document lists what.
#[derive(Default)]
pub(crate) struct Contents {
    /// By a digest's hex digits, whose count tells the algorithm.
    numbers: HashMap<Box<str>, usize, RandomState>,
    contents: Vec<Content>,
    /// What documents list, one document after the other.
    listed: Vec<u32>,
}

#[derive(Default)]
struct Content {
    /// As a document says, or else the file system.
    bytes: u64,
    /// Whether documents say different sizes, of which strangers may have made up some.
    disputed: bool,
    present: bool,
    /// Where its part of `listed` is.
    children: Range<usize>,
}

/// What a walk has come by, by number.
pub(crate) struct Reached(Vec<bool>);

/// Walks that forget, without effort, what the one before came by.
pub(crate) struct Walks<'a> {
    contents: &'a Contents,
    last: Vec<u32>,
    count: u32,
    open: Vec<usize>,
}

impl Contents {
    /// All images and what their documents list, and which of it is there, also of what nothing lists.
    pub(crate) fn read(db: &Connection, layout: &Layout) -> Result<Self, Fault> {
        thread::scope(|scope| {
            let files = scope.spawn(|| ALGORITHMS.iter().map(|algorithm| read_dir(&layout.blobs(*algorithm))).collect::<Result<Vec<_>>>());
            let mut contents = Self::listed(db)?;
            let files = files.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            files.iter().flatten().for_each(|file| contents.add_file(file));
            Ok(contents)
        })
    }

    /// What documents list.
    fn listed(db: &Connection) -> rusqlite::Result<Self> {
        let mut contents = Self::default();
        let mut document = (String::new(), 0);
        edges::each(db, |parent, child, bytes| {
            if document.0 != parent {
                document = (parent.to_owned(), contents.number(hex(parent), 0));
                contents.contents[document.1].children = contents.listed.len()..contents.listed.len();
            }
            let child = contents.number(hex(child), bytes);
            contents.listed.push(u32::try_from(child).unwrap_or(u32::MAX));
            contents.contents[document.1].children.end += 1;
        })?;
        images::each_size(db, |image, bytes| _ = contents.number(hex(image), bytes))?;
        Ok(contents)
    }

    /// The number of an image, also of one that came after the documents were read.
    pub(crate) fn number_of_image(&mut self, image: &Digest) -> usize {
        self.number(image.hex(), 0)
    }

    fn number(&mut self, hex: &str, bytes: u64) -> usize {
        let number = self.numbers.get(hex).copied().unwrap_or_else(|| {
            self.numbers.insert(hex.into(), self.contents.len());
            self.contents.push(Content::default());
            self.contents.len() - 1
        });
        let content = &mut self.contents[number];
        content.disputed |= bytes > 0 && content.bytes > 0 && content.bytes != bytes;
        content.bytes = content.bytes.max(bytes);
        number
    }

    /// The file system is asked for a size only where documents say none, or several: what came in has the size that was announced.
    fn add_file(&mut self, file: &fs::DirEntry) {
        let name = file.file_name();
        let Some(hex) = name.to_str() else { return };
        let known = self.numbers.get(hex).copied().filter(|number| self.contents[*number].bytes > 0 && !self.contents[*number].disputed);
        if let Some(number) = known.or_else(|| self.number_of(file, hex)) {
            self.contents[number].present = true;
        }
    }

    /// Nothing for what is no blob, or gone.
    fn number_of(&mut self, file: &fs::DirEntry, hex: &str) -> Option<usize> {
        let algorithm = file.path().parent().and_then(Path::file_name)?.to_str()?.to_owned();
        format!("{algorithm}:{hex}").parse::<Digest>().ok()?;
        let bytes = file.metadata().ok()?.len();
        let number = self.number(hex, bytes);
        self.contents[number].bytes = bytes;
        Some(number)
    }

    /// The numbers of what is known.
    pub(crate) fn find<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) -> impl Iterator<Item = usize> {
        digests.into_iter().filter_map(|digest| self.numbers.get(digest.hex()).copied())
    }

    fn children(&self, number: usize) -> impl Iterator<Item = usize> {
        self.listed[self.contents[number].children.clone()].iter().map(|child| *child as usize)
    }

    /// The roots and everything below them, present or not.
    pub(crate) fn reach(&self, roots: impl Iterator<Item = usize>) -> Reached {
        let mut reached = Reached(vec![false; self.contents.len()]);
        let mut open: Vec<usize> = roots.collect();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut reached.0[at], true) {
                open.extend(self.children(at));
            }
        }
        reached
    }

    pub(crate) fn walks(&self) -> Walks<'_> {
        Walks { contents: self, last: vec![0; self.contents.len()], count: 0, open: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.contents.len()
    }

    /// How much is present of what a test lets through: blobs and bytes.
    pub(crate) fn present(&self, test: impl Fn(usize) -> bool) -> (u64, u64) {
        let present = self.contents.iter().enumerate().filter(|(number, content)| content.present && test(*number));
        present.fold((0, 0), |(blobs, bytes), (_, content)| (blobs + 1, bytes.saturating_add(content.bytes)))
    }

    /// The blobs that were not reached.
    pub(crate) fn unreached(&self, reached: &Reached) -> Vec<Digest> {
        self.digests(|number| self.contents[number].present && !reached.has(number))
    }

    /// The documents that were not reached.
    pub(crate) fn unreached_documents(&self, reached: &Reached) -> Vec<Digest> {
        self.digests(|number| !self.contents[number].children.is_empty() && !reached.has(number))
    }

    fn digests(&self, test: impl Fn(usize) -> bool) -> Vec<Digest> {
        let digest = |hex: &str| {
            let algorithm = ALGORITHMS.into_iter().find(|algorithm| algorithm.hex_len() == hex.len())?;
            format!("{}:{hex}", algorithm.name()).parse().ok()
        };
        self.numbers.iter().filter(|(_, number)| test(**number)).filter_map(|(hex, _)| digest(hex)).collect()
    }
}

/// The hex digits of a digest in a column.
fn hex(digest: &str) -> &str {
    digest.split_once(':').map_or(digest, |(_, hex)| hex)
}

impl Reached {
    pub(crate) fn has(&self, number: usize) -> bool {
        self.0[number]
    }
}

impl Walks<'_> {
    /// Shows each content at and below a document once, with the bytes of it that are present.
    pub(crate) fn walk(&mut self, root: usize, mut visit: impl FnMut(usize, u64)) {
        self.count += 1;
        self.open.push(root);
        while let Some(at) = self.open.pop() {
            if std::mem::replace(&mut self.last[at], self.count) != self.count {
                let content = &self.contents.contents[at];
                visit(at, if content.present { content.bytes } else { 0 });
                self.open.extend(self.contents.children(at));
            }
        }
    }
}
