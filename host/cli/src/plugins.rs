//! Plugins on their way in: where they come from, and whether the user lets them.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use nacre_oci::{Reference, Source};
use nacre_plugin::{
    Capabilities, Plugin,
    capability::Access,
    lifecycle::{self, Installation, Locked, Package, Signatures, artifact, artifact::Preview},
};

use crate::{
    context::Context,
    failure::{Shown, line, warn},
    output::escape::visible,
};

/// Where a plugin comes from.
pub(crate) enum Place {
    /// A component, or a folder with one.
    Path(PathBuf),
    /// A name in a registry.
    Registry(Reference),
}

impl Place {
    /// What is there is a path, and so is what looks like one.
    pub(crate) fn parse(text: &str) -> Result<Place> {
        let path = Path::new(text);
        if path.exists() || text.starts_with(['.', '/']) || text.ends_with(".wasm") {
            return Ok(Place::Path(path.to_owned()));
        }
        let reference: Reference = text.parse().with_context(|| format!("'{text}' is no file, folder or name in a registry"))?;
        Ok(Place::Registry(reference.or_latest()))
    }

    /// The whole plugin, from a registry by the digest that its name stands for now.
    pub(crate) fn fetch(&self, context: &Context) -> Result<Package> {
        match self {
            Place::Path(path) => Package::read(path).with_context(|| format!("{} is no plugin", path.display())),
            Place::Registry(reference) => {
                let repository = context.client()?.repository(reference);
                let root = repository.resolve(&reference.selector())?;
                Ok(artifact::fetch(&repository, &reference.familiar(), &root)?)
            }
        }
    }

    /// What is known of it without fetching its component.
    pub(crate) fn preview(&self, context: &Context) -> Result<Preview> {
        match self {
            Place::Path(_) => Ok(self.fetch(context)?.preview()?),
            Place::Registry(reference) => {
                let repository = context.client()?.repository(reference);
                let root = repository.resolve(&reference.selector())?;
                Ok(artifact::preview(&repository, &reference.familiar(), &root)?)
            }
        }
    }

    /// The digest that a name in a registry stands for now.
    pub(crate) fn resolve(&self, context: &Context) -> Result<Option<String>> {
        let Place::Registry(reference) = self else { return Ok(None) };
        let root = context.client()?.repository(reference).resolve(&reference.selector())?;
        Ok(Some(root.digest.to_string()))
    }
}

/// How the user grants.
#[derive(clap::Args)]
pub(crate) struct Consent {
    /// Grant whatever it asks for
    #[arg(short, long)]
    yes: bool,
    /// Grant what this file lists, and no more: the [capabilities] of a plugin.toml
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    grants: Option<PathBuf>,
}

/// Checks a plugin, asks the user, compiles and installs it. `before` is what is installed of that name.
pub(crate) fn install(context: &Context, package: &Package, before: Option<&Locked>, consent: &Consent, enabled: bool) -> Result<Locked> {
    let name = &package.manifest.plugin.name;
    let policy = context.policy();
    let (signer, doubt) = policy.trust.verify(package).map_err(|fault| fault.of(name))?;
    if let Some(doubt) = doubt {
        warn(&format!("plugin {name} {doubt}"));
    }
    if let Some(key) =
        before.and_then(|before| before.signer.as_ref()).filter(|_| signer.is_none() && policy.trust.rule() != Signatures::Off)
    {
        bail!("plugin {name} was signed by {key}, and this is not: if that is right, remove it first with nacre plugin rm {name}");
    }
    let component = package.component().map_err(|fault| fault.of(name))?;
    policy.ceiling.check(package.asks()).map_err(|excess| nacre_plugin::Fault::Ceiling(excess).of(name))?;
    let granted = before.map(|before| before.grants.clone()).unwrap_or_default();
    ask(package, &package.asks().difference(&granted), signer.as_deref(), consent)?;
    lifecycle::compile(&component, &context.paths.cache).map_err(|fault| fault.of(name))?;
    let installation = Installation { component, grants: package.asks().clone(), signer, now: now(), enabled };
    lifecycle::install(&context.paths.install, package, &installation).map_err(|fault| fault.of(name).into())
}

/// Whether the user grants `wanted`, what a plugin asks for beyond what it has.
fn ask(package: &Package, wanted: &Capabilities, signer: Option<&str>, consent: &Consent) -> Result<()> {
    if let Some(file) = &consent.grants {
        let granted = read_grants(file)?;
        return package.asks().within(&granted).with_context(|| format!("{} does not grant all that it asks for", file.display()));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let about = &package.manifest.plugin;
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !consent.yes && !terminal {
        let wanted = wanted.lines().join(", ");
        bail!("plugin {} asks for {wanted}: grant it with --yes or --grants FILE, or install it on a terminal", about.name);
    }
    let signed = signer.map_or_else(|| "not signed by a key that you trust".into(), |key| format!("signed by {key}"));
    let mut err = io::stderr().lock();
    writeln!(err, "{}", visible(&format!("{} {} from {}, {signed}, asks to:", about.name, about.version, package.source)))?;
    for wish in wishes(wanted) {
        writeln!(err, "  - {}", visible(&wish))?;
    }
    if consent.yes {
        return Ok(());
    }
    write!(err, "Do you want to grant this? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("plugin {} was not installed", about.name),
    }
}

/// What capabilities mean, a line each, with what `plugin.toml` calls them.
fn wishes(wanted: &Capabilities) -> Vec<String> {
    let store = match wanted.store {
        Access::None => None,
        Access::Read => Some("read all images of the store (store = \"read\")".to_owned()),
        Access::Write => Some("read, make, name and remove images of the store (store = \"write\")".to_owned()),
    };
    let registries = wanted.registries.iter().map(|host| match host.as_str() {
        "*" => "speak to every registry in your name (registries = \"*\")".to_owned(),
        host => format!("speak to the registry {host} in your name (registries)"),
    });
    let net = wanted.net.iter().map(|host| format!("fetch from {host} (net)"));
    let context = wanted.context.iter().map(|glob| format!("read {glob} below the folder that it runs in (context)"));
    store.into_iter().chain(registries).chain(net).chain(context).collect()
}

fn read_grants(file: &Path) -> Result<Capabilities> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow::anyhow!("{}, line {line}: {}", file.display(), error.message())
    })
}

/// Why a plugin cannot be run, if that is known before running it.
pub(crate) fn problem(plugin: &Plugin) -> Option<String> {
    match plugin.inspect() {
        Ok(inspection) => inspection.problem.map(|problem| format!("plugin {}: {problem}", plugin.name())),
        Err(error) => Some(error.to_string()),
    }
}

/// Does it for each name, and fails at the end if one failed.
pub(crate) fn each(names: &[String], mut doing: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut failed = false;
    for name in names {
        if let Err(error) = doing(name) {
            failed = true;
            warn(&line(&error));
        }
    }
    if failed { Err(Shown.into()) } else { Ok(()) }
}

/// The time now, to the second (RFC 3339).
pub(crate) fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}
