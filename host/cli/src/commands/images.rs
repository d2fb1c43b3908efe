mod tree;

use std::{cmp::Reverse, collections::HashMap, mem, panic::resume_unwind, sync::mpsc, thread};

use anyhow::Result;
use jiff::{Timestamp, tz::TimeZone};
use nacre_oci::{Digest, Reference};
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

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let store = context.store()?;
    if args.tree {
        let mut images = Vec::new();
        each_chosen(&store, args, |image, names| {
            images.push((image, names));
            Ok(())
        })?;
        images.sort_by_cached_key(|(image, _)| Reverse(image.created));
        return context.write(&tree::render(&store, &images)?);
    }
    let digest = if args.digests { "\t{{.Digest}}" } else { "" };
    let default = format!("{{{{.Repository}}}}\t{{{{.Tag}}}}{digest}\t{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}");
    let only_ids = args.quiet && ["", "table", "raw"].contains(&args.format.as_str());
    let (default, raw) = if only_ids { ("{{.ID}}", "image_id: {{.ID}}") } else { (default.as_str(), RAW) };
    let format = if only_ids && args.format != "raw" { default } else { &args.format };
    let format = Format::parse(format, default, Some(raw))?;
    let look = Look::new(&store, args, &format, only_ids)?;
    context.write(&listing(&store, args, &look, &format)?)
}

/// The images that pass every filter, newest first; those of one time stay in the order of their digests. Nothing but its line is
/// kept of each.
fn listing(store: &Store, args: &Args, look: &Look, format: &Format) -> Result<String> {
    let lines = format.lines(COLUMNS);
    let mut listed = Vec::new();
    each_chosen(store, args, |image, names| {
        for row in rows(look, &image, &names) {
            listed.push((Reverse(image.created), lines.of(&row)?));
        }
        Ok(())
    })?;
    listed.sort_by_key(|(created, _)| *created);
    lines.joined(&listed.iter().map(|(_, line)| line).collect::<Vec<_>>())
}

/// What each image shares. That costs a walk over everything: only where a template asks for it.
fn sizes(store: &Store, format: &str) -> Result<HashMap<Digest, Sizes>> {
    if !["SharedSize", "UniqueSize", "json"].iter().any(|field| format.contains(field)) {
        return Ok(HashMap::new());
    }
    let survey = store.survey()?;
    Ok(survey.images().iter().map(|image| image.id.clone()).zip(survey.sizes()).collect())
}

/// How many images are handed over at once, and how often before the reader waits.
const BATCH: usize = 256;
const BATCHES: usize = 8;

/// Shows all images, one at a time, while another thread reads on.
fn each_image(store: &Store, show: impl FnMut(Image) -> Result<()>) -> Result<()> {
    let (sender, receiver) = mpsc::sync_channel(BATCHES);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut batch = Vec::with_capacity(BATCH);
            // Whoever no longer listens has failed and says so.
            let hand_over = |batch: &mut Vec<Image>| _ = sender.send(mem::replace(batch, Vec::with_capacity(BATCH)));
            store.each_image(|image| {
                batch.push(image);
                if batch.len() == BATCH {
                    hand_over(&mut batch);
                }
            })?;
            hand_over(&mut batch);
            Ok(())
        });
        let shown = receiver.into_iter().flatten().try_for_each(show);
        let read: Result<()> = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        shown.and(read)
    })
}

/// Shows the images that pass every filter, with those of their names that do.
fn each_chosen(store: &Store, args: &Args, mut show: impl FnMut(Image, Vec<Reference>) -> Result<()>) -> Result<()> {
    let mut filters = args.filter.clone();
    filters.extend(args.name.iter().map(|name| format!("reference={name}")));
    let filters = Filters::parse(&filters)?;
    filters.only(KEYS)?;
    let window = Window::new(store, &filters)?;
    let (dangling, pinned) = (filters.flag("dangling")?, filters.flag("pinned")?);
    let by_name = filters.values("reference").next().is_some();
    each_image(store, |mut image| {
        let listed = args.all || dangling == Some(true) || (!image.is_dangling() && (image.is_tagged() || image.child_of.is_empty()));
        let passes = dangling.is_none_or(|wanted| wanted == image.is_dangling()) && pinned.is_none_or(|wanted| wanted == image.pinned);
        if !listed || !passes || !window.contains(&image) || !filters.labels_pass(&image.labels) {
            return Ok(());
        }
        let names = shown_names(mem::take(&mut image.references))
            .into_iter()
            .filter_map(|name| filters.reference_passes(&name).map(|ok| ok.then_some(name)).transpose());
        let names = names.collect::<Result<Vec<_>>>()?;
        if by_name && names.is_empty() { Ok(()) } else { show(image, names) }
    })
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
fn rows(look: &Look, image: &Image, names: &[Reference]) -> Vec<Vec<Cell>> {
    if look.only_ids || names.is_empty() {
        return vec![look.row(image, None)];
    }
    names.iter().map(|name| look.row(image, Some(name))).collect()
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
    /// What each image shares, if anybody looks at it.
    sizes: HashMap<Digest, Sizes>,
}

impl Look {
    fn new(store: &Store, args: &Args, format: &Format, only_ids: bool) -> Result<Self> {
        let used = COLUMNS.iter().map(|(column, _)| format.uses(column)).collect();
        let users = if format.uses("Containers") { store.users()? } else { HashMap::new() };
        let sizes = sizes(store, &args.format)?;
        Ok(Self { now: Timestamp::now().as_second(), zone: TimeZone::system(), no_trunc: args.no_trunc, only_ids, used, users, sizes })
    }

    /// Works out only what is looked at: there may be very many rows.
    fn row(&self, image: &Image, name: Option<&Reference>) -> Vec<Cell> {
        let named = |part: &dyn Fn(&Reference) -> String| name.map_or_else(|| "<none>".to_owned(), part);
        let share = |part: fn(&Sizes) -> u64| self.sizes.get(&image.id).map_or_else(|| "N/A".to_owned(), |sizes| size(part(sizes)));
        let value = |column: &str| match column {
            "Repository" => named(&Reference::familiar_name),
            "Tag" => named(&|name| name.tag().unwrap_or("<none>").to_owned()),
            "Digest" => named(&|name| image.digest_in(&name.name()).to_string()),
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

fn present(image: &Image) -> String {
    let present = image.platforms.iter().filter(|(_, present)| *present).map(|(platform, _)| platform.to_string());
    present.collect::<Vec<_>>().join(",")
}
