//! Debian packages as a root filesystem, all in one layer, with dpkg's database.
//!
//! The maintainer scripts are not run: the packages are unpacked, and `dpkg --configure -a` in a
//! container configures them. No content crosses into the plugin but that of
//! control files and configuration files.

mod ar;
mod conffiles;
mod control;
mod layout;

use nacre_sdk::bytes::{Piece, Range, Source};
use nacre_sdk::entries::entry;
use nacre_sdk::files::{Content, Entry, Kind, Layer, all, read_tar};
use nacre_sdk::images::Builder;
use nacre_sdk::import::{Confidence, Head};
use nacre_sdk::{Error, Options, invalid};

use ar::Parts;
use conffiles::Conffiles;
use control::Control;
use layout::Layout;

/// The longest control file, and the longest list of configuration files.
const MAX_CONTROL: usize = 1 << 20;
/// Where dpkg keeps what it knows.
const DPKG: &str = "var/lib/dpkg";

/// A package begins with the member `debian-binary`.
pub fn probe(_format: &str, head: &Head) -> Confidence {
    match head.raw.strip_prefix(ar::MAGIC).is_some_and(|rest| rest.starts_with(b"debian-binary")) {
        true => Confidence::Certain,
        false => Confidence::No,
    }
}

/// A package, opened.
struct Package<'a> {
    source: &'a Source,
    parts: Parts,
    control: Control,
    conffiles: Conffiles,
    /// When its control file was made.
    made: i64,
}

/// All packages in one layer, in the order that they are given, but `base-files` first: it brings
/// the symlinks such as `/bin` that the paths of others go through.
pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, _opts: &Options) -> Result<(), Error> {
    let mut packages = sources.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    check_twice(&packages)?;
    if let Some(platform) = packages.iter().find_map(|package| package.control.platform()) {
        image.set_platform(&platform)?;
    }
    packages.sort_by_key(|package| package.control.name != "base-files");
    let layer = image.layer("")?;
    let mut layout = Layout::default();
    packages.iter_mut().try_for_each(|package| unpack(package, &layer, &mut layout))?;
    database(&packages, &layer)
}

fn check_twice(packages: &[Package<'_>]) -> Result<(), Error> {
    let mut stems: Vec<String> = packages.iter().map(|package| package.control.stem()).collect();
    stems.sort_unstable();
    match stems.iter().zip(stems.iter().skip(1)).find(|(one, next)| one == next) {
        Some((stem, _)) => Err(invalid("twice", format!("the package '{stem}' is given twice: want one version of it"))),
        None => Ok(()),
    }
}

fn open(source: &Source) -> Result<Package<'_>, Error> {
    let parts = ar::parts(source)?;
    let tar = tar(source, parts.control)?;
    let listing = read_tar(&tar)?;
    let (mut control, mut conffiles, mut made) = (None, Conffiles::default(), 0);
    for (index, entry) in (0..).zip(all(&listing)) {
        let entry = entry?;
        match member(&entry) {
            Some("control") => {
                control = Some(Control::parse(&text(&listing.open(index)?)?)?);
                made = entry.mtime;
            }
            Some("conffiles") => conffiles = Conffiles::parse(&text(&listing.open(index)?)?),
            _ => {}
        }
    }
    let control = control.ok_or_else(|| invalid("no-control", "it has no control file"))?;
    Ok(Package { source, parts, control, conffiles, made })
}

/// One of the two archives, uncompressed.
fn tar(source: &Source, range: Range) -> Result<Source, Error> {
    source.part(&[Piece::Plain(range)])?.decompress(None)
}

/// All of a short text.
fn text(source: &Source) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    loop {
        let read = source.read(1 << 16)?;
        if read.is_empty() {
            return Ok(text);
        }
        text.extend(read);
        if text.len() > MAX_CONTROL {
            return Err(Error::Limit("a control file of more than 1 MiB".to_owned()));
        }
    }
}

/// The name of a file that lies at the top.
fn member(entry: &Entry) -> Option<&str> {
    let name = entry.path.strip_prefix("./").unwrap_or(&entry.path);
    (entry.kind == Kind::File && !name.contains('/')).then_some(name)
}

/// Adds a package's files, and what dpkg's database has about them alone.
fn unpack(package: &mut Package<'_>, layer: &Layer, layout: &mut Layout) -> Result<(), Error> {
    let tar = tar(package.source, package.parts.data)?;
    let listing = read_tar(&tar)?;
    layout.list.clear();
    for (index, entry) in (0..).zip(all(&listing)) {
        let entry = entry?;
        if !layout.take(&entry)? {
            continue;
        }
        if entry.kind != Kind::File {
            layer.add(&entry, &Content::None)?;
            continue;
        }
        let content = listing.open(index)?;
        layer.add(&entry, &Content::Source(&content))?;
        package.conffiles.seen(&entry.path, &content)?;
    }
    add_text(layer, &format!("info/{}.list", package.control.stem()), &layout.list, package.made)?;
    info(package, layer)
}

/// The control files but the first, as dpkg keeps them.
fn info(package: &Package<'_>, layer: &Layer) -> Result<(), Error> {
    let tar = tar(package.source, package.parts.control)?;
    let listing = read_tar(&tar)?;
    for (index, entry) in (0..).zip(all(&listing)) {
        let entry = entry?;
        let Some(name) = member(&entry).filter(|name| *name != "control") else { continue };
        let path = format!("{DPKG}/info/{}.{name}", package.control.stem());
        layer.add(&Entry { path, ..entry.clone() }, &Content::Source(&listing.open(index)?))?;
    }
    Ok(())
}

/// What dpkg's database has about all packages together.
fn database(packages: &[Package<'_>], layer: &Layer) -> Result<(), Error> {
    let status: String = packages.iter().map(|package| package.control.status(&package.conffiles.field())).collect();
    let made = packages.iter().map(|package| package.made).max().unwrap_or(0);
    add_text(layer, "status", &status, made)?;
    add_text(layer, "available", "", made)?;
    // Names of files with architectures in them.
    add_text(layer, "info/format", "1\n", made)?;
    for folder in ["triggers", "updates"] {
        layer.add(&Entry { mtime: made, ..entry(format!("{DPKG}/{folder}"), Kind::Directory, 0o755) }, &Content::None)?;
    }
    Ok(())
}

fn add_text(layer: &Layer, name: &str, text: &str, mtime: i64) -> Result<(), Error> {
    let file = Entry { size: text.len() as u64, mtime, ..entry(format!("{DPKG}/{name}"), Kind::File, 0o644) };
    layer.add(&file, &Content::Bytes(text.as_bytes().to_vec()))
}

nacre_sdk::import_format!(probe, convert);
