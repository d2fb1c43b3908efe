use anyhow::Result;
use nacre_plugin::Plugin;

use crate::{
    context::Context,
    failure::{Shown, warn},
    output::format::{Cell, Columns, Format, inspect},
};

/// `nacre plugin VERB`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the plugins, bundled and found
    #[command(alias = "list")]
    Ls {
        /// `table`, `json` or a Go template: .Name .Version .Provides .Origin .Description
        #[arg(long, default_value = "", hide_default_value = true)]
        format: String,
    },
    /// Show what a plugin provides, imports and may do, its digest and its limits
    Inspect {
        /// The plugin's name, with or without its publisher
        #[arg(required = true)]
        names: Vec<String>,
        /// `json` or a Go template over the same fields
        #[arg(short, long, default_value = "", hide_default_value = true)]
        format: String,
    },
}

const COLUMNS: &Columns =
    &[("Name", "NAME"), ("Version", "VERSION"), ("Provides", "PROVIDES"), ("Origin", "ORIGIN"), ("Description", "DESCRIPTION")];

pub(crate) fn run(context: &Context, command: &Command) -> Result<()> {
    let plugins = context.plugins()?;
    match command {
        Command::Ls { format } => {
            let rows: Vec<_> = plugins.list().map(row).collect();
            plugins.broken().for_each(|broken| warn(&broken.error.to_string()));
            let default = "{{.Name}}\t{{.Version}}\t{{.Provides}}\t{{.Origin}}";
            context.write(&Format::parse(format, default, None)?.render(COLUMNS, &rows)?)
        }
        Command::Inspect { names, format } => {
            let (mut found, mut failed) = (Vec::new(), false);
            for name in names {
                match plugins.get(name).and_then(Plugin::inspect) {
                    Ok(plugin) => found.push(plugin),
                    Err(error) => {
                        failed = true;
                        warn(&error.to_string());
                    }
                }
            }
            context.write(&inspect(format, &found)?)?;
            if failed { Err(Shown.into()) } else { Ok(()) }
        }
    }
}

fn row(plugin: &Plugin) -> Vec<Cell> {
    let manifest = &plugin.manifest;
    let filters = manifest.provides.search_filter.iter().map(|key| format!("search-filter {key}"));
    let provides: Vec<String> = filters.chain(manifest.provides.prune_policy.iter().map(|name| format!("prune-policy {name}"))).collect();
    vec![
        plugin.name().into(),
        manifest.plugin.version.to_string().into(),
        provides.join(", ").into(),
        plugin.origin.to_string().into(),
        manifest.plugin.description.as_str().into(),
    ]
}
