use anyhow::Result;

use crate::{
    context::Context,
    output::{format::Format, units::size},
};

/// `nacre system VERB`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Df(Args),
}

/// Show what takes how much room
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `table`, `json` or a Go template: .Type .TotalCount .Active .Size .Reclaimable
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
}

const COLUMNS: &crate::output::format::Columns =
    &[("Type", "TYPE"), ("TotalCount", "TOTAL"), ("Active", "ACTIVE"), ("Size", "SIZE"), ("Reclaimable", "RECLAIMABLE")];

pub(crate) fn run(context: &Context, command: &Command) -> Result<()> {
    let Command::Df(args) = command;
    let df = context.store()?.df()?;
    let share = |part: u64, whole: u64| format!("{} ({}%)", size(part), (part * 100).checked_div(whole).unwrap_or(0));
    let row = |name: &str, count: String, active: String, bytes: u64, reclaimable: String| -> Vec<_> {
        vec![name.into(), count.into(), active.into(), size(bytes).into(), reclaimable.into()]
    };
    let unneeded = df.blobs - df.size.min(df.blobs);
    let rows = [
        row("Images", df.images.to_string(), df.active.to_string(), df.size, share(df.reclaimable - unneeded.min(df.reclaimable), df.size)),
        row("Unneeded blobs", String::new(), String::new(), unneeded, share(unneeded, unneeded)),
        row("Downloads", String::new(), String::new(), df.partials, String::new()),
        row("Metadata", String::new(), String::new(), df.metadata, String::new()),
        row("Other", String::new(), String::new(), df.other, String::new()),
        row("Total", df.blob_count.to_string(), String::new(), df.total(), String::new()),
    ];
    let default = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
    context.write(&Format::parse(&args.format, default, None)?.render(COLUMNS, &rows)?)
}
