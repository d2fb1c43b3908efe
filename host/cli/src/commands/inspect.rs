use anyhow::{Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use nacre_container::Error;
use nacre_oci::{Descriptor, Digest, ImageConfig, Platform, Reference, RunConfig, Source};
use nacre_store::Image;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    containers::engine,
    context::Context,
    failure::{Shown, warn},
    output::{format::inspect, units::rfc3339},
    view::{View, view},
};

/// Show everything about images, as JSON or by a template
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names, digests or ids
    #[arg(required = true)]
    images: Vec<String>,
    /// `json` or a Go template over the same fields
    #[arg(short, long, default_value = "", hide_default_value = true)]
    format: String,
    /// The image of this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Ask the registry, without pulling
    #[arg(long)]
    remote: bool,
}

/// Show everything about containers and images, as JSON or by a template
#[derive(clap::Args)]
pub(crate) struct Any {
    /// Names, digests or ids; what is both a container and an image is the container
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// `json` or a Go template over the same fields
    #[arg(short, long, default_value = "", hide_default_value = true)]
    format: String,
    /// Only containers, or only images
    #[arg(long = "type", value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    /// The image of this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Ask the registry, without pulling; images only
    #[arg(long)]
    remote: bool,
}

/// `--type`.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Containers.
    Container,
    /// Images.
    Image,
}

/// Show everything about containers, as JSON or by a template
#[derive(clap::Args)]
pub(crate) struct Containers {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// `json` or a Go template over the same fields
    #[arg(short, long, default_value = "", hide_default_value = true)]
    format: String,
}

/// One or the other.
#[derive(Serialize)]
#[serde(untagged)]
enum Found {
    Container(Box<nacre_container::Inspected>),
    Image(Box<Inspected>),
}

/// `nacre inspect`.
pub(crate) fn any(context: &Context, args: &Any) -> Result<()> {
    let only_images = args.remote || args.kind == Some(Kind::Image);
    let engine = if only_images { None } else { Some(engine(context)?) };
    each(context, &args.format, &args.names, |name| {
        match engine.as_ref().map(|engine| engine.inspect(name)) {
            Some(Err(Error::NoSuchContainer(_))) if args.kind.is_none() => {}
            Some(container) => return Ok(Found::Container(Box::new(container?))),
            None => {}
        }
        match image(context, args.platform.as_ref(), args.remote, name) {
            Err(error) if is_missing(&error) && engine.is_some() => bail!("No such object: {name}"),
            found => Ok(Found::Image(Box::new(found?))),
        }
    })
}

fn is_missing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(nacre_oci::Error::NotFound { .. }))
}

/// `nacre container inspect`.
pub(crate) fn containers(context: &Context, args: &Containers) -> Result<()> {
    let engine = engine(context)?;
    each(context, &args.format, &args.containers, |name| Ok(engine.inspect(name)?))
}

/// `nacre image inspect`.
pub(crate) fn images(context: &Context, args: &Args) -> Result<()> {
    each(context, &args.format, &args.images, |name| image(context, args.platform.as_ref(), args.remote, name))
}

/// Shows all that can be found; what cannot is told.
fn each<T: Serialize>(context: &Context, format: &str, names: &[String], mut find: impl FnMut(&str) -> Result<T>) -> Result<()> {
    let mut shown = Vec::new();
    for name in names {
        match find(name) {
            Ok(found) => shown.push(found),
            Err(error) => warn(&crate::failure::line(&error)),
        }
    }
    context.write(&inspect(format, &shown)?)?;
    if shown.len() < names.len() { Err(Shown.into()) } else { Ok(()) }
}

fn image(context: &Context, platform: Option<&Platform>, remote: bool, name: &str) -> Result<Inspected> {
    if remote { self::remote(context, platform, name) } else { local(context, platform, name) }
}

fn local(context: &Context, platform: Option<&Platform>, name: &str) -> Result<Inspected> {
    let store = context.store()?;
    let image = store.find(name)?.image;
    let view = view(&store, &image.descriptor, platform)?;
    let mut inspected = Inspected::new(&image.descriptor, &view, &image.references)?;
    inspected.repo_digests = repo_digests(&image.references, |name| image.digest_in(name));
    inspected.local(&image);
    Ok(inspected)
}

fn remote(context: &Context, platform: Option<&Platform>, name: &str) -> Result<Inspected> {
    let reference = name.parse::<Reference>()?.or_latest();
    let repository = context.client()?.repository(&reference);
    let root = repository.resolve(&reference.selector())?;
    let view = view(&repository, &root, platform)?;
    Inspected::new(&root, &view, &[reference])
}

/// What each repository of these names knows the image by.
fn repo_digests<'a>(names: &[Reference], digest_in: impl Fn(&str) -> &'a Digest) -> Vec<String> {
    let mut digests: Vec<String> = names.iter().map(|name| format!("{}@{}", name.familiar_name(), digest_in(&name.name()))).collect();
    digests.sort();
    digests.dedup();
    digests
}

/// Docker's fields in Docker's order, then nacre's own.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    comment: String,
    created: String,
    author: String,
    config: Value,
    architecture: String,
    variant: String,
    os: String,
    size: u64,
    #[serde(rename = "RootFS")]
    root_fs: Value,
    metadata: Value,
    descriptor: Descriptor,
    manifest: Descriptor,
    layers: Vec<Descriptor>,
    platforms: Vec<String>,
    annotations: Value,
    pinned: bool,
    pulled_at: Option<String>,
    last_used: Option<String>,
}

impl Inspected {
    fn new(root: &Descriptor, view: &View, names: &[Reference]) -> Result<Self> {
        let config = view.config.clone().unwrap_or_default();
        let own = view.config.as_ref().map(ImageConfig::platform).filter(|_| view.platforms.is_empty());
        let platforms = view.platforms.iter().map(|(_, platform)| platform).chain(&own).map(ToString::to_string);
        Ok(Self {
            id: root.digest.to_string(),
            repo_tags: names.iter().filter(|name| name.tag().is_some()).map(|name| without_digest(name).familiar()).collect(),
            repo_digests: repo_digests(names, |_| &root.digest),
            comment: config.history.last().and_then(|step| step.comment.clone()).unwrap_or_default(),
            created: config.created.clone().unwrap_or_default(),
            author: config.author.clone().unwrap_or_default(),
            config: run_config(&config.config)?,
            architecture: config.architecture.clone(),
            variant: config.variant.clone().unwrap_or_default(),
            os: config.os.clone(),
            size: view.size(),
            root_fs: json!({ "Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids }),
            metadata: json!({}),
            descriptor: root.clone(),
            manifest: view.descriptor.clone(),
            layers: view.manifest.layers.clone(),
            platforms: platforms.collect(),
            annotations: serde_json::to_value(&view.manifest.annotations)?,
            pinned: false,
            pulled_at: None,
            last_used: None,
        })
    }

    /// What only the store knows.
    fn local(&mut self, image: &Image) {
        let time = |at: i64| rfc3339(at, &TimeZone::UTC);
        self.pinned = image.pinned;
        self.pulled_at = image.pulled.map(time);
        self.last_used = image.last_used.map(time);
        self.metadata = json!({ "LastTagTime": time(image.recorded) });
        if !self.created.is_empty() && self.created.parse::<Timestamp>().is_err() {
            self.created = String::new();
        }
    }
}

fn without_digest(name: &Reference) -> Reference {
    name.tag().and_then(|tag| name.with_tag(tag).ok()).unwrap_or_else(|| name.clone())
}

/// The config with the fields that templates expect to find, empty or not.
fn run_config(config: &RunConfig) -> Result<Value> {
    let mut value = json!({
        "User": "", "ExposedPorts": null, "Env": [], "Entrypoint": null, "Cmd": null, "Volumes": null, "WorkingDir": "", "Labels": null,
        "StopSignal": "", "Healthcheck": null, "OnBuild": null, "Shell": null,
    });
    if let (Value::Object(all), Value::Object(given)) = (&mut value, serde_json::to_value(config)?) {
        all.extend(given);
    }
    Ok(value)
}
