//! A command that reaches what its argument `what` names, with its argument `with`, and prints what it got.

use nacre_sdk::bytes::Source;
use nacre_sdk::command::{Cell, confirm, note, table, text, write};
use nacre_sdk::files::{self, Content, Entry, Kind};
use nacre_sdk::images::Image;
use nacre_sdk::{Error, Options, context, fetch, registry, store, store_write};

pub fn run(_command: &str, args: &Options) -> Result<u8, Error> {
    let with = args.one("with")?.unwrap_or_default();
    let said = match args.required("what")? {
        "list" => store::list()?.iter().map(|image| image.names.join(",")).collect::<Vec<_>>().join(" "),
        "open" => shown(&store::open(with, None)?)?,
        "open-all" => opened(with)?,
        "make" => make(with)?,
        "tag" => store_write::tag("it", with).map(|()| "tagged".into())?,
        "remove" => store_write::remove(with)?.join(" "),
        "tags" => registry::tags(with)?.join(" "),
        "pull" => shown(&registry::open(with, None)?)?,
        "fetch" => read(&fetch::get(with)?)?,
        "files" => context::list()?.join(" "),
        "read" => read(&context::open(with)?)?,
        "endure" => format!("{:?}", store::open(with, None).map(|_| ()).err()),
        "write" => return write(&fetch::get(with)?).map(|()| 0),
        "confirm" => confirm(with)?.to_string(),
        "table" => return show(with),
        "exit" => return Ok(7),
        other => return Err(format!("no way to {other}").into()),
    };
    note("about to say it");
    text(&said)?;
    Ok(0)
}

fn shown(image: &Image) -> Result<String, Error> {
    let paths: Vec<String> = files::all(&image.files()?).map(|entry| Ok(entry?.path)).collect::<Result<_, Error>>()?;
    Ok(format!("{} {} {}", image.name(), image.layers().len(), paths.join(",")))
}

/// Never closes anything.
fn opened(name: &str) -> Result<String, Error> {
    let mut all = Vec::new();
    loop {
        all.push(store::open(name, None)?);
    }
}

fn make(name: &str) -> Result<String, Error> {
    let image = store_write::create()?;
    let layer = image.layer("made")?;
    let (path, link, device, xattrs) = ("etc/made".into(), None, None, Vec::new());
    let entry = Entry { path, kind: Kind::File, mode: 0o644, uid: 0, gid: 0, size: 2, mtime: 0, nanos: 0, link, device, xattrs };
    layer.add(&entry, &Content::Bytes(b"hi".to_vec()))?;
    drop(layer);
    store_write::commit(image, name)
}

fn read(source: &Source) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&source.read(1 << 20)?).into_owned())
}

/// Columns by their names, with a row of one of each cell.
fn show(columns: &str) -> Result<u8, Error> {
    let columns: Vec<String> = columns.split(',').map(String::from).collect();
    let row = vec![Cell::None, "a\u{1b}[2Jb".into(), Cell::Number(-1), Cell::Size(7_800_000), Cell::Time(0), Cell::Flag(true)];
    table(&columns, &[row]).map(|()| 0)
}

nacre_sdk::command!(run);
