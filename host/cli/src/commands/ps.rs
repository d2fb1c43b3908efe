use anyhow::Result;
use jiff::{Timestamp, tz::TimeZone};
use nacre_container::{Listed, Query};

use crate::{
    containers::engine,
    context::Context,
    output::{
        filter::Filters,
        format::{Cell, Columns, Format},
        units::{ago, created_at, ellipsis},
    },
};

/// List containers, newest first
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Those too that do not run
    #[arg(short, long)]
    all: bool,
    /// id= name= label=KEY[=VALUE] status= exited=CODE ancestor=IMAGE before=CONTAINER since=CONTAINER volume= network=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `table TEMPLATE`, `json` or a Go template: .ID .Image .Command .CreatedAt .RunningFor .Status .State .Names .Labels …
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
    /// Only the last so many, whatever their state
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    last: i64,
    /// Only the last one, whatever its state
    #[arg(short, long)]
    latest: bool,
    /// Do not cut
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
}

const COLUMNS: &Columns = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
];

const DEFAULT: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/// How much of a command, and of a mount's source, is shown, as in Docker.
const COMMAND: usize = 20;
const MOUNT: usize = 15;

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let only_ids = args.quiet && ["", "table"].contains(&args.format.as_str());
    let (format, default) = if only_ids { ("{{.ID}}", "") } else { (args.format.as_str(), DEFAULT) };
    let format = Format::parse(format, default, None)?;
    let (now, zone) = (Timestamp::now(), TimeZone::system());
    let rows = chosen(context, args)?.into_iter().map(|listed| row(&listed, args.no_trunc, now, &zone));
    context.write(&format.render(COLUMNS, rows)?)
}

/// The containers that are wanted, newest first.
fn chosen(context: &Context, args: &Args) -> Result<Vec<Listed>> {
    let engine = engine(context)?;
    let query = Query::new(&engine, Filters::parse(&args.filter)?.iter())?;
    let last = if args.latest { Some(1) } else { usize::try_from(args.last).ok().filter(|last| *last > 0) };
    let all = args.all || last.is_some() || query.wants_all();
    let chosen = engine.list()?.into_iter().filter(|listed| (all || listed.is_running()) && query.fits(listed));
    Ok(chosen.take(last.unwrap_or(usize::MAX)).collect())
}

/// In the order of the columns.
fn row(listed: &Listed, no_trunc: bool, now: Timestamp, zone: &TimeZone) -> Vec<Cell> {
    let container = &listed.container;
    let cut = |text: String, width: usize| if no_trunc { text } else { ellipsis(&text, width) };
    let created = container.created / 1_000_000_000;
    let labels: Vec<String> = container.record.config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mounts = listed.mounts().into_iter().map(|mount| cut(mount, MOUNT)).collect::<Vec<_>>();
    let image =
        listed.image.strip_prefix("sha256:").filter(|_| !no_trunc).map_or(listed.image.as_str(), |hex| hex.get(..12).unwrap_or(hex));
    vec![
        if no_trunc { container.id.as_str() } else { container.short_id() }.into(),
        image.into(),
        format!("\"{}\"", cut(listed.command(), COMMAND)).into(),
        ago(now.as_second(), created).into(),
        created_at(created, zone).into(),
        listed.status(now).into(),
        listed.state().into(),
        "".into(),
        container.name.as_str().into(),
        labels.join(",").into(),
        mounts.join(",").into(),
        listed.local_volumes().to_string().into(),
        listed.network().into(),
    ]
}
