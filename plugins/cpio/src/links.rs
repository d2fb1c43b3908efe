//! Names of one file.
//!
//! `newc` writes the content with one of a file's names, mostly the last, and the others as empty
//! files; `odc` writes it with each. So the names of a file wait until its content is there, or
//! until the archive ends without any.

use std::collections::BTreeMap;

use nacre_sdk::bytes::Piece;
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::filesystem::Files;
use nacre_sdk::{Error, invalid};

/// The bytes of paths that may wait or be remembered.
const MAX_HELD: usize = 64 << 20;

/// The files of one archive that have several names: by device and inode.
#[derive(Default)]
pub struct Links {
    files: BTreeMap<(u64, u64), File>,
    held: usize,
}

enum File {
    /// Names without content so far.
    Waiting(Vec<Entry>),
    /// Its first name and size.
    Placed(String, u64),
}

impl Links {
    /// Takes one name of `file`, and passes on what can be told now.
    pub fn add(&mut self, file: (u64, u64), entry: Entry, content: &[Piece], files: &mut impl Files) -> Result<(), Error> {
        self.held += entry.path.len() + size_of::<Entry>();
        if self.held > MAX_HELD {
            return Err(Error::Limit("too many files with several names".to_owned()));
        }
        let known = self.files.entry(file).or_insert_with(|| File::Waiting(Vec::new()));
        match known {
            File::Placed(_, size) if entry.size != 0 && entry.size != *size => {
                Err(invalid("bad-link", format!("'{}' has another size than other names of the same file", entry.path)))
            }
            File::Placed(first, _) => link(entry, first, files),
            File::Waiting(names) if entry.size == 0 => {
                names.push(entry);
                Ok(())
            }
            File::Waiting(names) => {
                let size = entry.size;
                names.push(entry);
                let first = place(std::mem::take(names), size, content, files)?;
                *known = File::Placed(first, size);
                Ok(())
            }
        }
    }

    /// The archive ends: what still waits is empty.
    pub fn end(self, files: &mut impl Files) -> Result<(), Error> {
        for file in self.files.into_values() {
            if let File::Waiting(names) = file {
                place(names, 0, &[], files)?;
            }
        }
        Ok(())
    }
}

/// The first name becomes the file, the others links to it. Returns the first.
fn place(names: Vec<Entry>, size: u64, content: &[Piece], files: &mut impl Files) -> Result<String, Error> {
    let mut names = names.into_iter();
    let Some(first) = names.next() else { return Ok(String::new()) };
    let path = first.path.clone();
    files.add(Entry { size, ..first }, content)?;
    names.try_for_each(|name| link(name, &path, files))?;
    Ok(path)
}

fn link(name: Entry, first: &str, files: &mut impl Files) -> Result<(), Error> {
    // The same name again, in a file with several: it stays what it is.
    if name.path == first {
        return Ok(());
    }
    files.add(Entry { kind: Kind::Hardlink, size: 0, link: Some(first.to_owned()), ..name }, &[])
}
