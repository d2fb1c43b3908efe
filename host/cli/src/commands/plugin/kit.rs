//! The author's verbs: `nacre plugin new`, `build`, `test`, `bench` and `run`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nacre_kit::{Lang, World, bench, build, call::Subject, case::Case, new, test};

use crate::{
    context::Context,
    failure::Shown,
    output::{
        format::{Cell, Columns, Format},
        units,
    },
};

/// Begin a plugin: a folder with a manifest, a working source, a test case and the interfaces
#[derive(clap::Args)]
pub(crate) struct New {
    /// The plugin's name, with or without its publisher: acme/stars
    name: String,
    /// What it is for: search-filter, prune-policy, import-format, export-format, admission, build-frontend or command
    #[arg(long)]
    world: World,
    /// What it is written in: rust, python, js or c
    #[arg(long)]
    lang: Lang,
    /// The folder, which is made (default: the name without its publisher)
    folder: Option<PathBuf>,
}

/// Build the plugin in a folder: plugin.wasm, with its manifest inside
#[derive(clap::Args)]
pub(crate) struct Build {
    /// The folder with plugin.toml and the source
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
}

/// Check the plugin in a folder: its interfaces, and every case in cases/, twice
#[derive(clap::Args)]
pub(crate) struct Test {
    /// The folder with plugin.toml, plugin.wasm and cases
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Write what comes out as what is expected
    #[arg(long)]
    update: bool,
}

/// Measure the plugin in a folder with each of its cases
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// The folder with plugin.toml, plugin.wasm and cases
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// How often each case is called
    #[arg(short = 'n', long, default_value_t = 20)]
    calls: usize,
    /// `table`, `json` or a Go template: .Case .Cold .Warm .Min .Median .Memory .BytesIn .BytesOut
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
}

/// Make one call with a recorded input, and show the answer as JSON
#[derive(clap::Args)]
pub(crate) struct Run {
    /// A folder with plugin.toml and plugin.wasm, or the name of an installed plugin
    #[arg(default_value = ".", hide_default_value = true, value_name = "FOLDER|NAME")]
    plugin: String,
    /// What is called, of a plugin for several things
    #[arg(long)]
    world: Option<World>,
    /// The input, as in a case's input.json; files that it names lie beside it
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

pub(crate) fn new(context: &Context, args: &New) -> Result<()> {
    let short = args.name.rsplit('/').next().unwrap_or(&args.name);
    let folder = args.folder.clone().unwrap_or_else(|| short.into());
    new::create(&folder, &args.name, args.world, args.lang)?;
    let shown = folder.display();
    context.print(&format!("Made {shown}: go on with nacre plugin build {shown}, then nacre plugin test {shown}"))
}

pub(crate) fn build(context: &Context, args: &Build) -> Result<()> {
    let built = build::build(&args.folder)?;
    context.print(&format!("Built {}: {}", built.wasm.display(), units::size(built.size)))
}

pub(crate) fn test(context: &Context, args: &Test) -> Result<()> {
    let mut failed = Ok(());
    let good = test::test(&args.folder, &context.paths.cache, args.update, |line| {
        let shown = match &line.wrong {
            Some(wrong) => format!("FAIL {}: {wrong}", line.name),
            None if line.calls == 0 => format!("ok   {}", line.name),
            None => {
                let (time, memory) = (milliseconds(line.time.as_nanos()), units::size(line.memory));
                let updated = if line.updated { ", output.json written" } else { "" };
                format!("ok   {} ({time}, {memory}{updated})", line.name)
            }
        };
        if failed.is_ok() {
            failed = context.print(&shown);
        }
    })?;
    failed?;
    if good { Ok(()) } else { Err(Shown.into()) }
}

const COLUMNS: &Columns = &[
    ("Case", "CASE"),
    ("Cold", "COLD"),
    ("Warm", "WARM"),
    ("Min", "MIN"),
    ("Median", "MEDIAN"),
    ("Memory", "MEMORY"),
    ("BytesIn", "BYTES IN"),
    ("BytesOut", "BYTES OUT"),
];

pub(crate) fn bench(context: &Context, args: &Bench) -> Result<()> {
    let rows = bench::bench(&args.folder, args.calls)?;
    let time = |nanos: u64| Cell::Value(milliseconds(nanos.into()), nanos.into());
    let size = |bytes: u64| Cell::Value(units::size(bytes), bytes.into());
    let cells = rows.iter().map(|row| {
        let times = [row.cold, row.warm, row.min, row.median].map(time);
        let sizes = [row.memory, row.bytes_in, row.bytes_out].map(size);
        [Cell::from(row.case.as_str())].into_iter().chain(times).chain(sizes).collect::<Vec<_>>()
    });
    let default = "{{.Case}}\t{{.Cold}}\t{{.Warm}}\t{{.Min}}\t{{.Median}}\t{{.Memory}}\t{{.BytesIn}}\t{{.BytesOut}}";
    context.write(&Format::parse(&args.format, default, None)?.render(COLUMNS, cells)?)
}

pub(crate) fn run(context: &Context, args: &Run) -> Result<()> {
    let case = Case::read(&args.input)?;
    let folder = Path::new(&args.plugin);
    let mut subject = match folder.join("plugin.toml").is_file() {
        true => Subject::open(folder, &context.paths.cache, &case)?,
        false if folder.is_dir() => bail!("{}: no plugin.toml", folder.display()),
        false => Subject::of(context.plugins()?, args.plugin.clone())?,
    };
    if let Some(world) = args.world {
        subject.only(world)?;
    }
    context.print(&format!("{:#}", subject.call(&case)?.answer))
}

fn milliseconds(nanos: u128) -> String {
    let millis = nanos as f64 / 1e6;
    if millis < 10.0 { format!("{millis:.2}ms") } else { format!("{millis:.0}ms") }
}
