use std::cmp::Reverse;

use anyhow::Result;
use jiff::{Timestamp, tz::TimeZone};
use nacre_oci::Reference;
use nacre_store::{Image, Store};

use crate::{
    context::Context,
    output::{
        filter::Filters,
        format::{Cell, Columns, Format},
        time,
        units::{ago, created_at, size},
    },
};

/// List images, newest first
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this repository or name; `*` and `?` are wildcards
    name: Option<String>,
    /// Dangling images too, and those that are only a part of another
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// before=IMAGE since=IMAGE until=TIME reference=PATTERN label=KEY[=VALUE] label!=… dangling=BOOL pinned=BOOL
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `table TEMPLATE`, `json`, `raw` or a Go template: .Repository .Tag .Digest .ID .CreatedSince .CreatedAt .Size …
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
    /// Do not cut
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
}

const KEYS: &[&str] = &["before", "since", "until", "reference", "label", "label!", "dangling", "pinned"];

const COLUMNS: &Columns = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Platforms", "PLATFORMS"),
    ("Pinned", "PINNED"),
    ("LastUsed", "LAST USED"),
];

const RAW: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let store = context.store()?;
    let images = chosen(&store, args)?;
    let digest = if args.digests { "\t{{.Digest}}" } else { "" };
    let default = format!("{{{{.Repository}}}}\t{{{{.Tag}}}}{digest}\t{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}");
    let only_ids = args.quiet && ["", "table", "raw"].contains(&args.format.as_str());
    let (default, raw) = if only_ids { ("{{.ID}}", "image_id: {{.ID}}") } else { (default.as_str(), RAW) };
    let format = if only_ids && args.format != "raw" { default } else { &args.format };
    let rows = rows(&store, args, &images, only_ids)?;
    context.write(&Format::parse(format, default, Some(raw))?.render(COLUMNS, &rows)?)
}

/// The images that pass every filter, newest first, with those of their names that do.
fn chosen(store: &Store, args: &Args) -> Result<Vec<(Image, Vec<Reference>)>> {
    let mut filters = args.filter.clone();
    filters.extend(args.name.iter().map(|name| format!("reference={name}")));
    let filters = Filters::parse(&filters)?;
    filters.only(KEYS)?;
    let window = Window::new(store, &filters)?;
    let (dangling, pinned) = (filters.flag("dangling")?, filters.flag("pinned")?);
    let by_name = filters.values("reference").next().is_some();
    let mut chosen = Vec::new();
    for image in store.images()? {
        let listed = args.all || dangling == Some(true) || (!image.is_dangling() && (image.is_tagged() || image.child_of.is_empty()));
        let passes = dangling.is_none_or(|wanted| wanted == image.is_dangling()) && pinned.is_none_or(|wanted| wanted == image.pinned);
        if !listed || !passes || !window.contains(&image) || !filters.labels_pass(&image.labels) {
            continue;
        }
        let names =
            shown_names(&image).into_iter().filter_map(|name| filters.reference_passes(&name).map(|ok| ok.then_some(name)).transpose());
        let names = names.collect::<Result<Vec<_>>>()?;
        if !by_name || !names.is_empty() {
            chosen.push((image, names));
        }
    }
    chosen.sort_by_key(|(image, _)| (Reverse(image.created), image.id.clone()));
    Ok(chosen)
}

/// Tags; a digest reference only where its repository has no tag for the image.
fn shown_names(image: &Image) -> Vec<Reference> {
    let tagged = |name: &Reference| image.references.iter().any(|other| other.tag().is_some() && other.name() == name.name());
    image.references.iter().filter(|name| name.tag().is_some() || !tagged(name)).cloned().collect()
}

/// The times that `before`, `since` and `until` leave.
struct Window {
    after: Option<i64>,
    before: Option<i64>,
}

impl Window {
    fn new(store: &Store, filters: &Filters) -> Result<Self> {
        let created = |name: &str| -> Result<i64> { Ok(store.find(name)?.image.created.unwrap_or_default()) };
        let until = |text: &str| time::parse(text, Timestamp::now().as_second(), &TimeZone::system());
        let after = filters.values("since").map(created).collect::<Result<Vec<_>>>()?.into_iter().max();
        let before = filters.values("before").map(created).chain(filters.values("until").map(until)).collect::<Result<Vec<_>>>()?;
        Ok(Self { after, before: before.into_iter().min() })
    }

    fn contains(&self, image: &Image) -> bool {
        let created = image.created.unwrap_or_default();
        self.after.is_none_or(|after| created > after) && self.before.is_none_or(|before| created < before)
    }
}

fn rows(store: &Store, args: &Args, images: &[(Image, Vec<Reference>)], only_ids: bool) -> Result<Vec<Vec<Cell>>> {
    // Sharing costs a walk over everything: only where a template asks for it.
    let wants_sizes = ["SharedSize", "UniqueSize", "json"].iter().any(|field| args.format.contains(field));
    let all: Vec<Image> = if wants_sizes { images.iter().map(|(image, _)| image.clone()).collect() } else { Vec::new() };
    let sizes = if wants_sizes { store.shared_sizes(&all)? } else { Vec::new() };
    let mut rows = Vec::new();
    for (n, (image, names)) in images.iter().enumerate() {
        let shares = sizes.get(n).map(|s| [size(s.shared), size(s.unique)]).unwrap_or(["N/A".into(), "N/A".into()]);
        let row = |repository: String, tag: &str, digest: &str| row(args, image, repository, tag, digest, &shares);
        if only_ids {
            rows.push(row(String::new(), "", ""));
            continue;
        }
        let digest = image.id.to_string();
        rows.extend(names.iter().map(|name| row(name.familiar_name(), name.tag().unwrap_or("<none>"), &digest)));
        if names.is_empty() {
            rows.push(row("<none>".into(), "<none>", "<none>"));
        }
    }
    Ok(rows)
}

fn row(args: &Args, image: &Image, repository: String, tag: &str, digest: &str, [shared, unique]: &[String; 2]) -> Vec<Cell> {
    let id = if args.no_trunc { image.id.to_string() } else { image.id.short().to_owned() };
    let (now, zone) = (Timestamp::now().as_second(), TimeZone::system());
    let since = |at: Option<i64>| at.map_or_else(|| "N/A".to_owned(), |at| ago(now, at));
    let present = image.platforms.iter().filter(|(_, present)| *present).map(|(platform, _)| platform.to_string());
    vec![
        repository.into(),
        tag.into(),
        digest.into(),
        id.into(),
        since(image.created).into(),
        image.created.map_or_else(|| "N/A".to_owned(), |at| created_at(at, &zone)).into(),
        size(image.size).into(),
        "N/A".into(),
        shared.as_str().into(),
        unique.as_str().into(),
        present.collect::<Vec<_>>().join(",").into(),
        image.pinned.to_string().into(),
        since(image.last_used).into(),
    ]
}
