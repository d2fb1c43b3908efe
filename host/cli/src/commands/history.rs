use anyhow::{Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use nacre_oci::{History, Platform};

use crate::{
    context::Context,
    output::{
        format::{Cell, Columns, Format},
        units::{ago, ellipsis, rfc3339, size},
    },
    view::{View, view},
};

/// Show how an image was made, newest step first
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A name, a digest or an id
    image: String,
    /// `table`, `json` or a Go template: .ID .CreatedSince .CreatedAt .CreatedBy .Size .Comment
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
    /// Sizes and times for people; `-H=false` prints bytes and dates
    #[arg(short = 'H', long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    human: bool,
    /// Do not cut
    #[arg(long)]
    no_trunc: bool,
    /// The image of this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
}

const COLUMNS: &Columns = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let store = context.store()?;
    let image = store.find(&args.image)?.image;
    let view = view(&store, &image.descriptor, args.platform.as_ref())?;
    let rows = rows(args, &image.id, &view)?;
    let created = if args.human { "CreatedSince" } else { "CreatedAt" };
    let default = format!("{{{{.ID}}}}\t{{{{.{created}}}}}\t{{{{.CreatedBy}}}}\t{{{{.Size}}}}\t{{{{.Comment}}}}");
    let format = if args.quiet && args.format.is_empty() { "{{.ID}}" } else { &args.format };
    context.write(&Format::parse(format, &default, None)?.render(COLUMNS, &rows)?)
}

fn rows(args: &Args, id: &nacre_oci::Digest, view: &View) -> Result<Vec<Vec<Cell>>> {
    let Some(config) = &view.config else {
        let kind = view.manifest.artifact_type.as_ref().unwrap_or(&view.manifest.config.media_type);
        bail!("{} is an artifact of type {kind} and has no history", id.short())
    };
    let mut layers = view.manifest.layers.iter();
    let sizes: Vec<u64> =
        config.history.iter().map(|step| if step.empty_layer { 0 } else { layers.next().map_or(0, |l| l.size) }).collect();
    let steps = config.history.iter().zip(sizes).rev().enumerate();
    Ok(steps.map(|(n, (step, bytes))| row(args, (n == 0).then_some(id), step, bytes)).collect())
}

/// Docker shows the id of the top image only.
fn row(args: &Args, id: Option<&nacre_oci::Digest>, step: &History, bytes: u64) -> Vec<Cell> {
    let id = id.map_or_else(|| "<missing>".to_owned(), |id| if args.no_trunc { id.to_string() } else { id.short().to_owned() });
    let created = step.created.as_deref().and_then(|text| text.parse::<Timestamp>().ok()).map(Timestamp::as_second);
    let since = created.filter(|at| *at > YEAR_2000).map_or_else(|| "N/A".to_owned(), |at| ago(Timestamp::now().as_second(), at));
    let at = created.map_or_else(String::new, |at| rfc3339(at, &TimeZone::system()));
    let by = step.created_by.clone().unwrap_or_default().replace('\t', " ");
    let by = if args.no_trunc { by } else { ellipsis(&by, 45) };
    let bytes = if args.human { size(bytes) } else { bytes.to_string() };
    vec![id.into(), since.into(), at.into(), by.into(), bytes.into(), step.comment.clone().unwrap_or_default().into()]
}

/// Reproducible builds set times at or near zero: Docker prints `N/A` up to here.
const YEAR_2000: i64 = 946_684_800;
