mod tree;

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use anyhow::Result;
use jiff::{Timestamp, tz::TimeZone};
use nacre_oci::{Digest, Platform, Reference};
use nacre_store::{Image, Sizes, Store, Users};

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
    /// Show each image with its platforms, and whether containers use it
    #[arg(long, conflicts_with_all = ["digests", "format", "no_trunc", "quiet"])]
    tree: bool,
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

/// What is shown of an image. There may be very many, so nothing else of them is kept.
struct Listed {
    id: Digest,
    /// Those that pass every filter.
    names: Vec<Reference>,
    created: Option<i64>,
    last_used: Option<i64>,
    pinned: bool,
    size: u64,
    platforms: Arc<[(Platform, bool)]>,
    /// As [`Image::pushed`].
    pushed: Vec<(String, Digest)>,
}

impl Listed {
    fn new(image: Image, names: Vec<Reference>) -> Self {
        let Image { id, created, last_used, pinned, size, platforms, pushed, .. } = image;
        Self { id, names, created, last_used, pinned, size, platforms, pushed }
    }

    fn digest_in(&self, repository: &str) -> &Digest {
        self.pushed.iter().find(|(name, _)| name == repository).map_or(&self.id, |(_, digest)| digest)
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let store = context.store()?;
    let images = chosen(&store, args)?;
    if args.tree {
        return context.write(&tree::render(&store, &images)?);
    }
    let digest = if args.digests { "\t{{.Digest}}" } else { "" };
    let default = format!("{{{{.Repository}}}}\t{{{{.Tag}}}}{digest}\t{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}");
    let only_ids = args.quiet && ["", "table", "raw"].contains(&args.format.as_str());
    let (default, raw) = if only_ids { ("{{.ID}}", "image_id: {{.ID}}") } else { (default.as_str(), RAW) };
    let format = if only_ids && args.format != "raw" { default } else { &args.format };
    let format = Format::parse(format, default, Some(raw))?;
    let sizes = sizes(&store, args, &images)?;
    let users = if format.uses("Containers") { store.users()? } else { HashMap::new() };
    let look = Look::new(args, &format, only_ids, users);
    let rows = images.iter().enumerate().flat_map(|(n, image)| rows(&look, image, sizes.get(n)));
    context.write(&format.render(COLUMNS, rows)?)
}

/// What each image shares. That costs a walk over everything: only where a template asks for it.
fn sizes(store: &Store, args: &Args, images: &[Listed]) -> Result<Vec<Sizes>> {
    if !["SharedSize", "UniqueSize", "json"].iter().any(|field| args.format.contains(field)) {
        return Ok(Vec::new());
    }
    Ok(store.survey()?.sizes(images.iter().map(|image| &image.id)))
}

/// The images that pass every filter, newest first.
fn chosen(store: &Store, args: &Args) -> Result<Vec<Listed>> {
    let mut filters = args.filter.clone();
    filters.extend(args.name.iter().map(|name| format!("reference={name}")));
    let filters = Filters::parse(&filters)?;
    filters.only(KEYS)?;
    let window = Window::new(store, &filters)?;
    let (dangling, pinned) = (filters.flag("dangling")?, filters.flag("pinned")?);
    let by_name = filters.values("reference").next().is_some();
    let (mut chosen, mut failed) = (Vec::new(), Ok(()));
    store.each_image(|mut image| {
        let listed = args.all || dangling == Some(true) || (!image.is_dangling() && (image.is_tagged() || image.child_of.is_empty()));
        let passes = dangling.is_none_or(|wanted| wanted == image.is_dangling()) && pinned.is_none_or(|wanted| wanted == image.pinned);
        if !listed || !passes || !window.contains(&image) || !filters.labels_pass(&image.labels) {
            return;
        }
        let names = shown_names(std::mem::take(&mut image.references))
            .into_iter()
            .filter_map(|name| filters.reference_passes(&name).map(|ok| ok.then_some(name)).transpose());
        match names.collect::<Result<Vec<_>>>() {
            Ok(names) if by_name && names.is_empty() => {}
            Ok(names) => chosen.push(Listed::new(image, names)),
            Err(error) => failed = Err(error),
        }
    })?;
    failed?;
    // They come in order of their digests, which stays among those of one time.
    chosen.sort_by_cached_key(|image| Reverse(image.created));
    Ok(chosen)
}

/// Tags; a digest reference only where its repository has no tag for the image.
fn shown_names(names: Vec<Reference>) -> Vec<Reference> {
    let tagged: Vec<String> =
        if names.len() > 1 { names.iter().filter(|n| n.tag().is_some()).map(Reference::name).collect() } else { Vec::new() };
    names.into_iter().filter(|name| name.tag().is_some() || !tagged.contains(&name.name())).collect()
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

/// The rows of an image, one for each name.
fn rows(look: &Look, image: &Listed, shares: Option<&Sizes>) -> Vec<Vec<Cell>> {
    if look.only_ids {
        return vec![look.row(image, ["", "", ""], shares)];
    }
    if image.names.is_empty() {
        return vec![look.row(image, ["<none>"; 3], shares)];
    }
    let row = |name: &Reference| {
        let digest = image.digest_in(&name.name()).to_string();
        look.row(image, [&name.familiar_name(), name.tag().unwrap_or("<none>"), &digest], shares)
    };
    image.names.iter().map(row).collect()
}

/// What all rows have in common.
struct Look {
    now: i64,
    zone: TimeZone,
    no_trunc: bool,
    only_ids: bool,
    /// For each column whether anybody looks at it.
    used: Vec<bool>,
    /// The containers of each image, if anybody looks at them.
    users: HashMap<Digest, Users>,
}

impl Look {
    fn new(args: &Args, format: &Format, only_ids: bool, users: HashMap<Digest, Users>) -> Self {
        let used = COLUMNS.iter().map(|(column, _)| format.uses(column)).collect();
        Self { now: Timestamp::now().as_second(), zone: TimeZone::system(), no_trunc: args.no_trunc, only_ids, used, users }
    }

    fn row(&self, image: &Listed, [repository, tag, digest]: [&str; 3], shares: Option<&Sizes>) -> Vec<Cell> {
        let share = |part: fn(&Sizes) -> u64| shares.map_or_else(|| "N/A".to_owned(), |sizes| size(part(sizes)));
        let value = |column: &str| match column {
            "Repository" => repository.to_owned(),
            "Tag" => tag.to_owned(),
            "Digest" => digest.to_owned(),
            "ID" if self.no_trunc => image.id.to_string(),
            "ID" => image.id.short().to_owned(),
            "CreatedSince" => self.since(image.created),
            "CreatedAt" => image.created.map_or_else(|| "N/A".to_owned(), |at| created_at(at, &self.zone)),
            "Size" => size(image.size),
            "Containers" => self.users.get(&image.id).map_or(0, Users::count).to_string(),
            "SharedSize" => share(|sizes| sizes.shared),
            "UniqueSize" => share(|sizes| sizes.unique),
            "Platforms" => present(image),
            "Pinned" => image.pinned.to_string(),
            "LastUsed" => self.since(image.last_used),
            _ => "N/A".to_owned(),
        };
        COLUMNS.iter().zip(&self.used).map(|((column, _), used)| if *used { value(column) } else { String::new() }.into()).collect()
    }

    fn since(&self, at: Option<i64>) -> String {
        at.map_or_else(|| "N/A".to_owned(), |at| ago(self.now, at))
    }
}

fn present(image: &Listed) -> String {
    let present = image.platforms.iter().filter(|(_, present)| *present).map(|(platform, _)| platform.to_string());
    present.collect::<Vec<_>>().join(",")
}
