//! `cargo xtask bench`: nacre beside Debian's docker, podman and skopeo, in turn, in one run.
//!
//! Every program does the same work on the same image. Before each measurement the disk is flushed, so that nobody waits
//! for what another has written; pulls and loads start from an empty store, pushes go to an empty registry.

mod archives;
mod build;
mod containers;
mod image;
mod many;
mod measure;
mod report;
mod serve;
mod tools;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use nacre_tests::peers::{Options, Registry};
use tempfile::TempDir;

use crate::{readme, run, setup};
use measure::{Sample, measure, median};
use tools::{Scene, Tool};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Pull,
    Push,
    Images,
    Save,
    /// Each program loads what it saved itself.
    Load,
    /// All load the same archive, with uncompressed layers.
    LoadPlain,
    /// A compressed root filesystem; nacre's plugins are compiled.
    Import,
    Start,
}

/// In this order, because each leaves behind what the next ones need.
const WORKS: &[(Work, &str)] = &[
    (Work::Pull, "pull"),
    (Work::Push, "push"),
    (Work::Images, "images"),
    (Work::Save, "save"),
    (Work::Load, "load"),
    (Work::LoadPlain, "load (docker save's)"),
    (Work::Import, "import (tar.gz)"),
    (Work::Start, "`--version`"),
];

impl Work {
    /// How often it is measured: what is short varies more.
    fn rounds(self) -> usize {
        if matches!(self, Self::Images | Self::Start) { 15 } else { 3 }
    }
}

/// One row: for each program what it took, if it does this work.
struct Row {
    name: String,
    samples: Vec<Option<Sample>>,
}

/// Measures everything and prints the tables; with `write_readme` they go into README.md too.
pub fn bench(write_readme: bool) -> Result<()> {
    moving(write_readme)?;
    building(write_readme)?;
    running(write_readme)
}

/// What containers are compared in.
pub fn running(write_readme: bool) -> Result<()> {
    let (nacre, folder, registry) = begin()?;
    image::publish(&nacre, folder.path(), &registry.address(), image::BASE)?;
    let text = containers::tables(&nacre, folder.path(), &registry.address())?;
    show("bench-run", &text, write_readme)
}

/// What `nacre serve` is compared in.
pub fn serving() -> Result<()> {
    setup::all()?;
    let (nacre, folder) = (run::build(true)?, tempfile::tempdir()?);
    let mut text = String::new();
    report::bounds(&mut text, &Vec::from_iter(serve::measured(&nacre, folder.path())?));
    println!("{text}");
    Ok(())
}

/// What `nacre build` is compared in.
pub fn building(write_readme: bool) -> Result<()> {
    let (nacre, folder, registry) = begin()?;
    let size = image::publish(&nacre, folder.path(), &registry.address(), image::BASE)?;
    let text = build::tables(&nacre, folder.path(), &registry.address(), size)?;
    show("bench-build", &text, write_readme)
}

fn show(block: &str, text: &str, write_readme: bool) -> Result<()> {
    println!("{text}");
    if write_readme { readme::replace(block, text) } else { Ok(()) }
}

/// The release, a folder for everything, and an empty registry.
fn begin() -> Result<(PathBuf, TempDir, Registry)> {
    setup::all()?;
    let nacre = run::build(true)?;
    let Some(registry) = Registry::start(&Options::default()) else {
        anyhow::bail!("docker-registry is needed: run 'cargo xtask setup' as root");
    };
    Ok((nacre, tempfile::tempdir()?, registry))
}

/// Everything but builds.
fn moving(write_readme: bool) -> Result<()> {
    let (nacre, folder, registry) = begin()?;
    let size = image::publish(&nacre, folder.path(), &registry.address(), image::IMAGE)?;
    let mut tools = tools::all(&nacre, folder.path())?;
    let scene = Scene::new(folder.path(), &registry.address());
    archives::make(&scene)?;
    let mut rows = Vec::new();
    for (work, name) in WORKS {
        eprintln!("{name}");
        rows.push(Row { name: (*name).to_owned(), samples: compare(&mut tools, &scene, *work)? });
    }
    let mut limits = limits(&scene, &rows)?;
    limits.extend(serve::measured(&nacre, folder.path())?);
    let mut alone = archives::parsed(&nacre, &scene)?;
    alone.extend(many::measure(&nacre, folder.path(), &scene)?);
    let names: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
    let text = report::tables(size, &names, &rows, &limits, &alone);
    show("bench", &text, write_readme)
}

/// One kind of work by every program in turn, several times; the medians.
fn compare(tools: &mut [Box<dyn Tool>], scene: &Scene, work: Work) -> Result<Vec<Option<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = tools.iter().map(|_| Vec::new()).collect();
    for _ in 0..work.rounds() {
        for (tool, samples) in tools.iter_mut().zip(&mut samples) {
            samples.extend(once(tool.as_mut(), scene, work)?);
        }
    }
    Ok(samples.into_iter().map(median).collect())
}

fn once(tool: &mut dyn Tool, scene: &Scene, work: Work) -> Result<Option<Sample>> {
    let target = if work == Work::Push { Registry::start(&Options::default()) } else { None };
    let scene = scene.with_target(target.as_ref().map(Registry::address));
    if matches!(work, Work::Pull | Work::Load | Work::LoadPlain | Work::Import) {
        tool.empty()?;
    }
    tool.prepare(work, &scene)?;
    let Some(mut command) = tool.command(work, &scene) else { return Ok(None) };
    let sample = measure(&mut command)?;
    Ok(Some(if tool.is_client() { sample.wall_only() } else { sample }))
}

/// What bounds nacre from below, beside nacre's own figure for the work that it bounds.
fn limits(scene: &Scene, rows: &[Row]) -> Result<Vec<(String, Sample, Sample)>> {
    let (own, plain, copy) = (scene.archive("nacre"), scene.archive("docker"), scene.folder.join("copy"));
    let openssl = |file: &Path| command("openssl", &["dgst".as_ref(), "-sha256".as_ref(), file]);
    let flushed = format!("of={}", copy.display());
    let input = format!("if={}", own.display());
    let mut limits = vec![
        ("load", "SHA-256 of the archive (openssl)", openssl(&own)),
        ("save", "`cp` of the archive, not flushed", command("cp", &[&own, &copy])),
        (
            "save",
            "copy of the archive, flushed (`dd conv=fsync`)",
            command("dd", &[input.as_ref(), flushed.as_ref(), "bs=1M".as_ref(), "conv=fsync".as_ref()]),
        ),
    ];
    limits.push(("import (tar.gz)", "gunzip and SHA-256 of the same bytes (gzip, openssl)", archives::limit(scene)));
    if plain.exists() {
        limits.push(("load (docker save's)", "SHA-256 of docker's archive (openssl)", openssl(&plain)));
    }
    let mut measured = Vec::new();
    for (work, what, mut command) in limits {
        let mut samples = Vec::new();
        for _ in 0..5 {
            let _ = std::fs::remove_file(&copy);
            samples.push(measure(&mut command)?);
        }
        let own = rows.iter().find(|row| row.name == work).and_then(|row| row.samples.last().copied().flatten());
        measured.extend(median(samples).zip(own).map(|(limit, own)| (format!("{work}: {what}"), limit, own)));
    }
    Ok(measured)
}

fn command(program: &str, args: &[&Path]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}
