mod repair;

use anyhow::{Result, bail};
use nacre_runtime::Reclaim;
use nacre_store::Finding;

use crate::{
    context::Context,
    output::{escape::visible, format::Format, units::size},
};

/// `nacre system VERB`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Df(Df),
    Check(Check),
    Repair(repair::Repair),
}

/// Look for damage, and for what killed commands have left
#[derive(clap::Args)]
pub(crate) struct Check {
    /// Read all content and compare its digests, too
    #[arg(long)]
    deep: bool,
}

/// Show what takes how much room
#[derive(clap::Args)]
pub(crate) struct Df {
    /// `table`, `json` or a Go template: .Type .TotalCount .Active .Size .Reclaimable
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
}

const COLUMNS: &crate::output::format::Columns =
    &[("Type", "TYPE"), ("TotalCount", "TOTAL"), ("Active", "ACTIVE"), ("Size", "SIZE"), ("Reclaimable", "RECLAIMABLE")];

pub(crate) fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Df(args) => df(context, args),
        Command::Check(args) => check(context, args),
        Command::Repair(args) => repair::repair(context, args),
    }
}

/// One line per finding.
fn check(context: &Context, args: &Check) -> Result<()> {
    let mut findings = context.store()?.check(args.deep)?;
    let runs = nacre_runtime::left_over(&context.paths.root);
    findings.extend(runs.iter().map(|run| Finding::LeftOver(format!("the run {}: its command is gone", run.display()))));
    findings.iter().try_for_each(|finding| context.write(&format!("{}\n", visible(&finding.to_string()))))?;
    let left = findings.iter().filter(|finding| matches!(finding, Finding::LeftOver(_))).count();
    match (findings.len() - left, left) {
        (0, 0) => context.print("nothing found"),
        (0, left) => bail!("{left} left over; nacre image prune -f, nacre builder prune -f and nacre container prune -f clear that up"),
        (damaged, left) => bail!("{damaged} damaged, {left} left over; nacre system repair mends what can be mended"),
    }
}

fn df(context: &Context, args: &Df) -> Result<()> {
    let df = context.store()?.df()?;
    let kept = super::builder::sandboxes(context, Reclaim::Nothing)?;
    let share = |part: u64, whole: u64| format!("{} ({}%)", size(part), (part * 100).checked_div(whole).unwrap_or(0));
    let row = |name: &str, count: String, active: String, bytes: u64, reclaimable: String| -> Vec<_> {
        vec![name.into(), count.into(), active.into(), size(bytes).into(), reclaimable.into()]
    };
    let counts = |name: &str, count: usize, active: usize, bytes: u64, reclaimable: u64| {
        row(name, count.to_string(), active.to_string(), bytes, share(reclaimable, bytes))
    };
    let plain = |name: &str, count: String, bytes: u64, reclaimable: String| row(name, count, String::new(), bytes, reclaimable);
    // What images and the cache share counts for the images.
    let unneeded = df.blobs.saturating_sub(df.size + df.cache_reclaimable);
    let (containers, trees) = (kept.stopped + kept.running, kept.trees + kept.caches);
    let (cache, cache_reclaimable) = (df.cache_reclaimable + trees + kept.in_use, df.cache_reclaimable + trees);
    let rows = [
        counts("Images", df.images, df.active, df.size, df.reclaimable - unneeded.min(df.reclaimable)),
        counts("Containers", df.containers, df.running, containers, kept.stopped),
        plain("Build Cache", df.cache_records.to_string(), cache, share(cache_reclaimable, cache)),
        plain("Unneeded blobs", String::new(), unneeded, share(unneeded, unneeded)),
        plain("Downloads", String::new(), df.partials, String::new()),
        plain("Metadata", String::new(), df.metadata, String::new()),
        plain("Other", String::new(), df.other, String::new()),
        plain("Total", df.blob_count.to_string(), df.total() + containers + trees + kept.in_use, String::new()),
    ];
    let default = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
    context.write(&Format::parse(&args.format, default, None)?.render(COLUMNS, &rows)?)
}
