//! Builds: nacre beside docker's BuildKit and buildah, each with the base image present.

mod builders;
mod inputs;
mod runtime;

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result};

use super::{
    Row,
    image::Size,
    measure::{Sample, measure, median, repeat},
    report,
    tools::Nacre,
};
use builders::{Builder, Job};
use inputs::{FILES, Inputs, MEGABYTES};

/// One kind of build.
struct Work {
    name: String,
    /// The file among the inputs.
    file: &'static str,
    cached: bool,
    rounds: usize,
}

fn works() -> [Work; 5] {
    let copy = format!("COPY of {FILES} files, {MEGABYTES} MB");
    let work = |name: String, file, cached, rounds| Work { name, file, cached, rounds };
    [
        work(format!("{copy}; nothing cached"), "copy", false, 3),
        work(format!("{copy}; everything cached"), "copy", true, 9),
        work("`FROM` alone".to_owned(), "from", false, 9),
        work("`RUN true`, nothing cached".to_owned(), "run", false, 5),
        work("200 instructions of settings, nothing cached".to_owned(), "settings", false, 3),
    ]
}

/// Measures builds on the image that the registry has as `bench:1`, of this size, and returns the tables.
pub fn tables(nacre: &Path, folder: &Path, registry: &str, size: Size) -> Result<String> {
    eprintln!("making a base image and a context");
    let inputs = Inputs::make(&folder.join("inputs"), nacre, registry)?;
    let mut builders = builders::all(nacre, folder)?;
    builders.iter_mut().try_for_each(|builder| builder.begin(&inputs))?;
    let mut rows = Vec::new();
    for work in works() {
        eprintln!("{}", work.name);
        rows.push(compare(&mut builders, &inputs, &work)?);
    }
    let names: Vec<&str> = builders.iter().map(|builder| builder.name()).collect();
    let mut text = format!(
        "Builds on a Debian-like base of {} MB that is present, `--no-cache` where nothing is cached. Wall time (processor time and \
         peak memory of the client; docker's are its daemon's). Medians.\n\n",
        size.plain / 1_000_000
    );
    report::works(&mut text, &names, &rows);
    writeln!(text, "\nA row of `RUN` less one of `FROM`, beside the runtime alone with the same program:\n")?;
    report::bounds(&mut text, &[runtime::limit(folder, own(&rows, "`RUN true`")?, own(&rows, "`FROM` alone")?)?]);
    report::singles(&mut text, &alone(nacre, folder, &inputs)?);
    Ok(text)
}

/// One kind of build by every program in turn, several times; the medians.
fn compare(builders: &mut [Box<dyn Builder>], inputs: &Inputs, work: &Work) -> Result<Row> {
    let job = Job { file: inputs.file(work.file), context: inputs.context(), cached: work.cached };
    let mut samples: Vec<Vec<Sample>> = builders.iter().map(|_| Vec::new()).collect();
    if work.cached {
        for builder in builders.iter_mut() {
            measure(&mut builder.build(&job))?;
        }
    }
    for _ in 0..work.rounds {
        for (builder, samples) in builders.iter_mut().zip(&mut samples) {
            if !work.cached {
                builder.forget()?;
            }
            let sample = measure(&mut builder.build(&job))?;
            samples.push(if builder.is_client() { sample.wall_only() } else { sample });
        }
    }
    Ok(Row { name: work.name.clone(), samples: samples.into_iter().map(median).collect() })
}

/// What nacre took for a row.
fn own(rows: &[Row], name: &str) -> Result<Sample> {
    let row = rows.iter().find(|row| row.name.starts_with(name)).context("there is no such row")?;
    row.samples.last().copied().flatten().context("nacre is not there")
}

/// What only nacre does: the graph of a file, and what it does once with a base.
fn alone(nacre: &Path, folder: &Path, inputs: &Inputs) -> Result<Vec<(String, Sample)>> {
    let fresh = Nacre { binary: nacre.to_owned(), folder: folder.join("alone") };
    std::fs::create_dir(&fresh.folder)?;
    let context = inputs.context().display().to_string();
    let build = |file: &str, more: &[&str]| {
        let file = inputs.file(file).display().to_string();
        fresh.nacre(&[&["build", "-f", &file, &context], more].concat())
    };
    // The first build compiles the frontend.
    measure(&mut build("scratch", &[]))?;
    measure(&mut fresh.nacre(&["pull", "-q", &inputs.base]))?;
    let first_copy = measure(&mut build("small", &[]))?;
    let first_run = measure(&mut build("run", &["--network", "host"]))?;
    let lowered = |file, flag| repeat(&mut build(file, &[flag]), 15);
    Ok(vec![
        ("a Dockerfile of 1 instruction lowered (`--check`)".to_owned(), lowered("scratch", "--check")?),
        ("a Dockerfile of 200 instructions lowered (`--check`)".to_owned(), lowered("steps", "--check")?),
        ("the same, and its graph printed (`--print-graph`)".to_owned(), lowered("steps", "--print-graph")?),
        ("the first COPY of one file on the base: its layers' files are listed, once".to_owned(), first_copy),
        ("the first RUN on the base: its layers are unpacked, once".to_owned(), first_run),
    ])
}
