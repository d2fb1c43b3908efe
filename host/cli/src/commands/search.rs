use anyhow::{Result, bail};
use nacre_oci::Reference;
use nacre_plugin::{Hit, Kv};

use crate::{
    context::Context,
    output::{
        format::{Cell, Columns, Format},
        units::ellipsis,
    },
    policy,
};

/// Search a registry for images, Docker Hub or `HOST/TERM`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to look for, after an optional `HOST/`
    term: String,
    /// A filter of a plugin: is-official=BOOL stars=NUMBER is-automated=BOOL, and what further plugins add
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `json` or a Go template: .Name .Description .StarCount .IsOfficial .Registry .Note
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
    /// At most this many results
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Do not cut
    #[arg(long)]
    no_trunc: bool,
    /// List the tags of a repository instead
    #[arg(long)]
    list_tags: bool,
}

const COLUMNS: &Columns = &[
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("StarCount", "STARS"),
    ("IsOfficial", "OFFICIAL"),
    ("IsAutomated", "AUTOMATED"),
    ("Registry", "REGISTRY"),
    ("Note", "NOTE"),
];

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.term.contains("://") {
        bail!("'{}' is an address: search for HOST/TERM or TERM", args.term);
    }
    if args.list_tags {
        return list_tags(context, args);
    }
    let filters = policy::SearchFilters::new(context, &args.filter)?;
    let (host, term) = split(&args.term);
    let found = context.client()?.search(host, term, args.limit.into())?;
    let hits = found.into_iter().map(|hit| Hit {
        name: hit.name,
        description: hit.description,
        stars: u32::try_from(hit.stars).unwrap_or(u32::MAX),
        official: hit.official,
        automated: hit.automated,
        registry: hit.registry,
        extra: Vec::<Kv>::new(),
    });
    let hits = filters.apply(context, term, hits.collect())?;
    let rows: Vec<_> = hits.iter().map(|(hit, note)| row(args, hit, note)).collect();
    let note = if hits.iter().any(|(_, note)| !note.is_empty()) { "\t{{.Note}}" } else { "" };
    let default = format!("{{{{.Name}}}}\t{{{{.Description}}}}\t{{{{.StarCount}}}}\t{{{{.IsOfficial}}}}{note}");
    context.write(&Format::parse(&args.format, &default, None)?.render(COLUMNS, &rows)?)
}

/// A first component that looks like a host is one, as in references; `library/` is Docker Hub's own prefix.
fn split(term: &str) -> (Option<&str>, &str) {
    match term.split_once('/') {
        Some((host, rest)) if host == "localhost" || host.contains(['.', ':']) => (Some(host).filter(|host| !is_hub(host)), rest),
        Some(("library", rest)) => (None, rest),
        _ => (None, term),
    }
}

fn is_hub(host: &str) -> bool {
    matches!(host, nacre_oci::DEFAULT_REGISTRY | "index.docker.io")
}

fn row(args: &Args, hit: &Hit, note: &str) -> Vec<Cell> {
    let description = if args.no_trunc { hit.description.clone() } else { ellipsis(&hit.description, 45) };
    let (stars, registry) = (hit.stars.to_string(), hit.registry.as_str());
    // With its registry in front the name can be pulled as it stands.
    let name = if is_hub(registry) { hit.name.clone() } else { format!("{registry}/{}", hit.name) };
    vec![name.into(), description.into(), stars.into(), hit.official.into(), hit.automated.into(), registry.into(), note.into()]
}

fn list_tags(context: &Context, args: &Args) -> Result<()> {
    let reference: Reference = args.term.parse()?;
    let tags = context.client()?.repository(&reference).tags(args.limit.into())?;
    let columns: &Columns = &[("Name", "NAME"), ("Tag", "TAG")];
    let rows: Vec<Vec<Cell>> = tags.into_iter().map(|tag| vec![reference.familiar_name().into(), tag.into()]).collect();
    context.write(&Format::parse(&args.format, "{{.Name}}\t{{.Tag}}", None)?.render(columns, &rows)?)
}
