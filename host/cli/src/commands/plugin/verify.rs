use anyhow::Result;
use nacre_plugin::{Plugin, Plugins, lifecycle};

use crate::{
    context::Context,
    extension,
    failure::{Shown, warn},
    plugins::problem,
};

/// Which plugins.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The plugins' names, with or without their publishers; without any, every one
    names: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let plugins = context.plugins()?;
    let chosen = match args.names.is_empty() {
        true => plugins.list().chain(plugins.disabled()).collect(),
        false => args.names.iter().map(|name| plugins.get(name)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut problems: Vec<String> = Vec::new();
    if args.names.is_empty() {
        problems.extend(plugins.broken().map(|broken| broken.error.to_string()));
    }
    for plugin in chosen {
        match problem(plugin) {
            Some(problem) => problems.push(problem),
            None => context.print(&format!("{} {}: good", plugin.name(), plugin.manifest.plugin.version))?,
        }
    }
    tell(&problems)
}

/// `nacre plugin doctor`.
pub(crate) fn doctor(context: &Context) -> Result<()> {
    let plugins = context.plugins()?;
    let mut problems: Vec<String> = plugins.broken().map(|broken| broken.error.to_string()).collect();
    problems.extend(plugins.list().filter_map(problem));
    problems.extend(plugins.list().flat_map(shadowed));
    problems.extend(unused(&plugins));
    problems.extend(extension::problems(&plugins));
    problems.extend(configuration(context, &plugins));
    let left = lifecycle::leftovers(&context.paths.install);
    problems.extend(left.iter().map(|path| format!("{} is not installed: remove it", path.display())));
    problems.extend(lifecycle::check_cache(&context.paths.cache).err().map(|fault| fault.to_string()));
    if problems.is_empty() {
        context.print("Nothing is wrong")?;
    }
    tell(&problems)
}

fn tell(problems: &[String]) -> Result<()> {
    problems.iter().for_each(|problem| warn(problem));
    if problems.is_empty() { Ok(()) } else { Err(Shown.into()) }
}

fn shadowed(plugin: &Plugin) -> impl Iterator<Item = String> {
    plugin
        .shadows
        .iter()
        .map(|other| format!("{} from {} is used, not the one from {other}: remove one of them", plugin.name(), plugin.origin))
}

/// What two plugins provide by one name: only the first is asked, save for admission.
fn unused(plugins: &Plugins) -> Vec<String> {
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();
    let mut problems = Vec::new();
    for plugin in plugins.list() {
        let kinds = plugin.manifest.provides.kinds().into_iter().filter(|(kind, _)| *kind != "admission");
        let named = kinds.flat_map(|(kind, names)| names.iter().map(move |name| (kind, name.as_str())));
        let commands = plugin.manifest.commands.iter().map(|command| ("command", command.name.as_str()));
        for (kind, name) in named.chain(commands) {
            match seen.iter().find(|(of, known, _)| (*of, *known) == (kind, name)) {
                Some((.., first)) => {
                    problems.push(format!("{kind} {name} of {} is not used: {first} provides it too; disable one of them", plugin.name()));
                }
                None => seen.push((kind, name, plugin.name())),
            }
        }
    }
    problems
}

/// What the configuration says about plugins that there are not.
fn configuration(context: &Context, plugins: &Plugins) -> Vec<String> {
    let missing = |name: &&String| plugins.get(name).is_err();
    let tables = context.config.plugins.keys().filter(missing);
    let tables = tables.map(|name| format!("[plugins.{name}] in the configuration is of no plugin: correct the name or remove it"));
    let required = context.config.admission.required.iter().filter(missing);
    let required = required.map(|name| format!("[admission] requires {name}, which is not there: install it"));
    let keys = context.config.trust.bad_keys().map(|key| format!("'{key}' in [trust] keys is no minisign key: correct it"));
    tables.chain(required).chain(keys).collect()
}
