use anyhow::{Result, bail};
use nacre_oci::Digest;
use nacre_plugin::{Capabilities, lifecycle::Locked};

use crate::{
    context::Context,
    failure::{Shown, line, warn},
    plugins::{Consent, Place, install},
};

/// Install plugins again from where they came from, if there is something new
///
/// Asks only if a plugin wants more than it was granted.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The plugins' names, with or without their publishers; without any, or with `all`, every one
    names: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let lock = context.lock()?;
    let every = args.names.is_empty() || args.names == ["all"];
    let chosen = match every {
        true => lock.plugins.iter().collect(),
        false => args.names.iter().map(|name| lock.get(name)).collect::<Result<Vec<_>, _>>()?,
    };
    let failed = chosen.iter().filter(|locked| match update(context, locked, &args.consent) {
        Ok(()) => false,
        Err(error) => {
            warn(&format!("{}: {}", locked.name, line(&error)));
            true
        }
    });
    if failed.count() > 0 { Err(Shown.into()) } else { Ok(()) }
}

fn update(context: &Context, before: &Locked, consent: &Consent) -> Result<()> {
    let place = Place::parse(&before.source)?;
    let same = format!("{} {} is up to date", before.name, before.version);
    if before.digest.is_some() && place.resolve(context)? == before.digest {
        return context.print(&same);
    }
    let package = place.fetch(context)?;
    let about = &package.manifest.plugin;
    if about.name != before.name {
        bail!("{} is {} now, another plugin: install it with nacre plugin install", before.source, about.name);
    }
    let component = package.component().map_err(|fault| fault.of(&before.name))?;
    if Digest::of(&component).to_string() == before.component {
        return context.print(&same);
    }
    context.print(&format!("{} {} -> {}", before.name, before.version, about.version))?;
    show(context, "+", &package.asks().difference(&before.grants))?;
    show(context, "-", &before.grants.difference(package.asks()))?;
    let installed = install(context, &package, Some(before), consent, before.enabled)?;
    context.print(&format!("Updated {} to {}: {}", installed.name, installed.version, installed.component))
}

/// What is asked for more or less than before, a line each.
fn show(context: &Context, sign: &str, difference: &Capabilities) -> Result<()> {
    difference.lines().iter().try_for_each(|line| context.print(&format!("  {sign} {line}")))
}
