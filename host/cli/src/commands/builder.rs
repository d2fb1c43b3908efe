use std::io::{self, BufRead, Write};

use anyhow::{Context as _, Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use nacre_runtime::{Kept, Reclaim, reclaim};
use nacre_store::{CachePrune, CacheRecord, stale};

use crate::{
    commands::build,
    context::Context,
    output::{
        filter::Filters,
        format::{Columns, Format},
        time,
        units::{ago, size, total_size},
    },
    policy::{self, Policy},
};

/// `nacre builder VERB`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// As `nacre build`, which Docker has here too
    #[command(hide = true)]
    Build(Box<build::Args>),
    Prune(Prune),
    #[command(alias = "du")]
    Df(Df),
}

/// Remove what builds have cached: without -a what was not used for a week, and unpacked layers
///
/// Policies decide on records of the cache as on images: all that are named have to want a record gone.
#[derive(clap::Args)]
pub(crate) struct Prune {
    /// Everything, also what cache mounts hold
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// until=TIME: what was not used since then
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Keep so much, what was used last first, such as 10g
    #[arg(long, value_name = "SIZE", alias = "max-used-space")]
    keep_storage: Option<String>,
    /// A policy and its options, such as least-recently-used,budget=10GB
    #[arg(long, value_name = "NAME[,KEY=VALUE…]")]
    policy: Vec<String>,
}

/// Show what builds have cached
#[derive(clap::Args)]
pub(crate) struct Df {
    /// `table`, `json` or a Go template: .ID .Size .LastUsed .Description
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
}

/// What is not used for so many seconds goes by default.
const WEEK: i64 = 7 * 24 * 60 * 60;

pub(crate) fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Build(args) => build::run(context, args),
        Command::Prune(args) => prune(context, args),
        Command::Df(args) => df(context, args),
    }
}

fn prune(context: &Context, args: &Prune) -> Result<()> {
    let store = context.store()?;
    let records = store.cache_records()?;
    let gone = doomed(context, args, &records)?;
    let what = if args.all { Reclaim::TreesAndCaches } else { Reclaim::Trees };
    let kept = sandboxes(context, Reclaim::Nothing)?;
    let trees = if args.all { kept.trees + kept.caches } else { kept.trees };
    let does_nothing = gone.is_empty() && trees == 0;
    let goes_on = args.force || does_nothing || confirmed(gone.len(), trees)?;
    if !goes_on {
        return Ok(());
    }
    // What needs nothing written goes first, so that this works on a full disk.
    let indexes = if args.all { indexes(context)? } else { 0 };
    sandboxes(context, what)?;
    let applied = store.remove_cache_records(gone.iter().copied())?;
    applied.deleted.iter().try_for_each(|key| context.print(key.hex()))?;
    context.print(&format!("Total reclaimed space: {}", total_size(applied.reclaimed + trees + indexes)))
}

/// The records that go.
fn doomed<'a>(context: &Context, args: &Prune, records: &'a [CacheRecord]) -> Result<Vec<&'a CacheRecord>> {
    let now = Timestamp::now().as_second();
    let filters = Filters::parse(&args.filter)?;
    filters.only(&["until"])?;
    let mut rule = CachePrune { all: args.all, ..CachePrune::default() };
    for (_, text) in filters.iter() {
        rule.unused_for = Some(now.saturating_sub(time::parse(text, now, &TimeZone::system())?));
    }
    if let Some(most) = &args.keep_storage {
        rule.keep_bytes = Some(crate::building::size(most).context("--keep-storage")?);
    }
    if !args.policy.is_empty() {
        let policies = args.policy.iter().map(|text| Policy::parse(text)).collect::<Result<Vec<_>>>()?;
        let by_policy = policy::decide_records(context, records, &policies)?;
        return Ok(narrowed(records, &rule, now, by_policy));
    }
    if rule == CachePrune::default() {
        rule.unused_for = Some(WEEK);
    }
    // -a with a filter or a size is all that these mean.
    rule.all &= rule.unused_for.is_none() && rule.keep_bytes.is_none();
    Ok(stale(records, &rule, now))
}

/// What policies chose, as far as the other options want it gone too.
fn narrowed<'a>(records: &'a [CacheRecord], rule: &CachePrune, now: i64, chosen: Vec<usize>) -> Vec<&'a CacheRecord> {
    let chosen: Vec<&CacheRecord> = chosen.into_iter().map(|index| &records[index]).collect();
    if rule.unused_for.is_none() && rule.keep_bytes.is_none() {
        return chosen;
    }
    let old = stale(records, &CachePrune { all: false, ..rule.clone() }, now);
    chosen.into_iter().filter(|record| old.iter().any(|one| one.key == record.key)).collect()
}

fn confirmed(records: usize, trees: u64) -> Result<bool> {
    let mut ask = io::stderr().lock();
    let plural = if records == 1 { "" } else { "s" };
    writeln!(ask, "WARNING! This will remove {records} record{plural} of the build cache and {} of unpacked layers.", size(trees))?;
    write!(ask, "Are you sure you want to continue? [y/N] ")?;
    ask.flush()?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer)? == 0 {
        writeln!(ask)?;
        bail!("nobody answered: use -f to prune without asking");
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What sandboxes keep; what is asked for is deleted.
pub(crate) fn sandboxes(context: &Context, what: Reclaim) -> Result<Kept> {
    if !["trees", "containers"].iter().any(|name| context.paths.root.join(name).is_dir()) {
        return Ok(Kept::default());
    }
    Ok(reclaim(crate::building::sandbox(context)?, what)?)
}

/// Removes indexes of layers and notes about contexts and downloads, which are made anew when they are needed.
fn indexes(context: &Context) -> Result<u64> {
    let mut bytes = 0;
    for name in ["layers", "contexts", "http"] {
        let folder = context.paths.cache.join(name);
        let held = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            held => held.with_context(|| format!("cannot list {}", folder.display()))?,
        };
        for entry in held.flatten() {
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            nacre_layer::remove_tree(&entry.path())?;
        }
        // Not if a build has made a new one meanwhile.
        let _ = std::fs::remove_dir(&folder);
    }
    Ok(bytes)
}

const COLUMNS: &Columns = &[("ID", "ID"), ("Size", "SIZE"), ("LastUsed", "LAST USED"), ("Description", "DESCRIPTION")];

fn df(context: &Context, args: &Df) -> Result<()> {
    let mut records = context.store()?.cache_records()?;
    records.sort_by_key(|record| (std::cmp::Reverse(record.last_used), record.key.clone()));
    let now = Timestamp::now().as_second();
    let row = |record: &CacheRecord| -> Vec<_> {
        let used = ago(now, record.last_used);
        vec![record.key.short().into(), size(record.size()).into(), used.into(), record.description.clone().into()]
    };
    let rows: Vec<_> = records.iter().map(row).collect();
    let default = "{{.ID}}\t{{.Size}}\t{{.LastUsed}}\t{{.Description}}";
    context.write(&Format::parse(&args.format, default, None)?.render(COLUMNS, &rows)?)
}
