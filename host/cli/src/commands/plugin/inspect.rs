use std::path::Path;

use anyhow::Result;
use nacre_plugin::{Error, Plugins};
use serde_json::Value;

use crate::{
    context::Context,
    failure::{Shown, line, warn},
    output::format::inspect,
    plugins::Place,
};

/// Show what a plugin provides, imports and may do, its digest and its limits
///
/// Of one in a registry, what is known before its component is fetched.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The plugin's name, with or without its publisher; or a file, a folder, or a name in a registry
    #[arg(required = true)]
    names: Vec<String>,
    /// `json` or a Go template over the same fields
    #[arg(short, long, default_value = "", hide_default_value = true)]
    format: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let plugins = context.plugins()?;
    let (mut found, mut failed) = (Vec::new(), false);
    for name in &args.names {
        match look(context, &plugins, name) {
            Ok(plugin) => found.push(plugin),
            Err(error) => {
                failed = true;
                warn(&line(&error));
            }
        }
    }
    context.write(&inspect(&args.format, &found)?)?;
    if failed { Err(Shown.into()) } else { Ok(()) }
}

fn look(context: &Context, plugins: &Plugins, name: &str) -> Result<Value> {
    match plugins.get(name) {
        Ok(plugin) => Ok(serde_json::to_value(plugin.inspect()?)?),
        Err(Error::UnknownPlugin { .. }) if is_elsewhere(name) => Ok(serde_json::to_value(Place::parse(name)?.preview(context)?)?),
        Err(error) => Err(error.into()),
    }
}

/// Whether this names a file, or begins with a registry's host: a plugin's name has neither dots nor colons before
/// its first slash.
fn is_elsewhere(name: &str) -> bool {
    let host = name.split_once('/').map(|(host, _)| host);
    Path::new(name).exists() || host.is_some_and(|host| host == "localhost" || host.contains(['.', ':']))
}
