use anyhow::Result;
use jiff::{Timestamp, tz::TimeZone};
use nacre_oci::{Descriptor, ImageConfig, Platform, Reference, RunConfig, Source};
use nacre_store::Image;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
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

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut shown = Vec::new();
    let mut failed = false;
    for name in &args.images {
        match if args.remote { remote(context, args, name) } else { local(context, args, name) } {
            Ok(image) => shown.push(image),
            Err(error) => {
                failed = true;
                warn(&crate::failure::line(&error));
            }
        }
    }
    context.write(&inspect(&args.format, &shown)?)?;
    if failed { Err(Shown.into()) } else { Ok(()) }
}

fn local(context: &Context, args: &Args, name: &str) -> Result<Inspected> {
    let store = context.store()?;
    let image = store.find(name)?.image;
    let view = view(&store, &image.descriptor, args.platform.as_ref())?;
    let mut inspected = Inspected::new(&image.descriptor, &view, &image.references)?;
    inspected.local(&image);
    Ok(inspected)
}

fn remote(context: &Context, args: &Args, name: &str) -> Result<Inspected> {
    let reference = name.parse::<Reference>()?.or_latest();
    let repository = context.client()?.repository(&reference);
    let root = repository.resolve(&reference.selector())?;
    let view = view(&repository, &root, args.platform.as_ref())?;
    Inspected::new(&root, &view, &[reference])
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
        let mut repositories: Vec<String> = names.iter().map(Reference::familiar_name).collect();
        repositories.sort();
        repositories.dedup();
        let own = view.config.as_ref().map(ImageConfig::platform).filter(|_| view.platforms.is_empty());
        let platforms = view.platforms.iter().map(|(_, platform)| platform).chain(&own).map(ToString::to_string);
        Ok(Self {
            id: root.digest.to_string(),
            repo_tags: names.iter().filter(|name| name.tag().is_some()).map(|name| without_digest(name).familiar()).collect(),
            repo_digests: repositories.iter().map(|name| format!("{name}@{}", root.digest)).collect(),
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
