//! `nacre compare A B`: the files that are added, changed or removed from one image to another.

mod difference;

use std::collections::{BTreeMap, BTreeSet};

use nacre_sdk::bytes::Source;
use nacre_sdk::command::{self, Cell, Table};
use nacre_sdk::files::{self, Entry, Kind, Listing};
use nacre_sdk::images::Image;
use nacre_sdk::{Error, Options, size};

use difference::{Change, Totals, aspects};

/// Bytes of two files that are held side by side.
const CHUNK: u32 = 256 << 10;

/// The command `compare`.
pub fn run(_command: &str, args: &Options) -> Result<u8, Error> {
    let (before, after) = (command::image(args, "before")?, command::image(args, "after")?);
    let touched = touched(&before, &after)?;
    let (before, after) = (Root::read(&before)?, Root::read(&after)?);
    let mut changes = difference::names(&before.entries, &after.entries);
    for (path, (old, was)) in &before.entries {
        let Some((new, is)) = after.entries.get(path) else { continue };
        let mut what = aspects(was, is);
        // What only shared layers hold is the same without a look.
        if touched.contains(path) && may_differ(was, is) && !same_bytes(&before.listing.open(*old)?, &after.listing.open(*new)?)? {
            what.push("content");
        }
        if !what.is_empty() {
            changes.insert(path, Change::Changed(was.size, is.size, what));
        }
    }
    show(&changes)?;
    Ok(0)
}

/// An image's files by path, each with its position in the listing.
struct Root {
    listing: Listing,
    entries: BTreeMap<String, (u32, Entry)>,
}

impl Root {
    fn read(image: &Image) -> Result<Root, Error> {
        let listing = image.files()?;
        let one = |(index, entry): (u32, Result<Entry, Error>)| entry.map(|entry| (entry.path.clone(), (index, entry)));
        let entries = (0..).zip(files::all(&listing)).map(one).collect::<Result<_, _>>()?;
        Ok(Root { listing, entries })
    }
}

/// The paths that the layers hold which the images do not share: what else they have came from the same bytes.
fn touched(before: &Image, after: &Image) -> Result<BTreeSet<String>, Error> {
    let (a, b) = (before.layers(), after.layers());
    let shared = a.iter().zip(&b).take_while(|(a, b)| a.diff_id == b.diff_id).count();
    let mut touched = BTreeSet::new();
    for (image, layers) in [(before, a.len()), (after, b.len())] {
        for layer in shared..layers {
            for entry in files::all(&image.layer_files(layer as u32)?) {
                touched.insert(entry?.path);
            }
        }
    }
    Ok(touched)
}

/// Whether only a look at both contents tells. A hardlink does not say how much it has.
fn may_differ(a: &Entry, b: &Entry) -> bool {
    match (a.kind, b.kind) {
        (Kind::File, Kind::File) => a.size == b.size,
        (Kind::File | Kind::Hardlink, Kind::File | Kind::Hardlink) => true,
        _ => false,
    }
}

fn same_bytes(a: &Source, b: &Source) -> Result<bool, Error> {
    loop {
        let (left, right) = (a.read(CHUNK)?, b.read(CHUNK)?);
        if left != right || left.is_empty() {
            return Ok(left == right);
        }
    }
}

fn show(changes: &BTreeMap<&str, Change>) -> Result<(), Error> {
    let mut table = Table::new(["Change", "Before", "After", "What", "Path"]);
    let mut totals = Totals::default();
    for (path, change) in changes {
        totals.count(change);
        let (before, after) = change.sizes();
        let size = |bytes: Option<u64>| bytes.map_or(Cell::None, Cell::Size);
        table.row([change.name().into(), size(before), size(after), change.what().into(), (*path).into()]);
    }
    table.show()?;
    command::note(&totals.line(size::show));
    Ok(())
}

nacre_sdk::command!(run);
