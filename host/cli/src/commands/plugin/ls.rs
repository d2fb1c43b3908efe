use anyhow::Result;
use nacre_plugin::Plugin;

use crate::{
    context::Context,
    failure::warn,
    output::format::{Cell, Columns, Format},
};

/// List the plugins: bundled, installed, and found in folders
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `table`, `json` or a Go template: .Name .Version .Enabled .Provides .Signer .Origin .Description
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
}

const COLUMNS: &Columns = &[
    ("Name", "NAME"),
    ("Version", "VERSION"),
    ("Enabled", "ENABLED"),
    ("Provides", "PROVIDES"),
    ("Signer", "SIGNER"),
    ("Origin", "ORIGIN"),
    ("Description", "DESCRIPTION"),
];

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let plugins = context.plugins()?;
    let mut rows: Vec<_> = plugins.list().map(|plugin| row(plugin, true)).collect();
    rows.extend(plugins.disabled().map(|plugin| row(plugin, false)));
    plugins.broken().for_each(|broken| warn(&broken.error.to_string()));
    let default = "{{.Name}}\t{{.Version}}\t{{.Enabled}}\t{{.Provides}}\t{{.Signer}}\t{{.Origin}}";
    context.write(&Format::parse(&args.format, default, None)?.render(COLUMNS, &rows)?)
}

fn row(plugin: &Plugin, enabled: bool) -> Vec<Cell> {
    let manifest = &plugin.manifest;
    let named = manifest.provides.kinds().into_iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind} {name}")));
    let commands = manifest.commands.iter().map(|command| format!("command {}", command.name));
    let provides: Vec<String> = named.chain(commands).collect();
    let signer = plugin.locked.as_ref().and_then(|locked| locked.signer.clone());
    vec![
        plugin.name().into(),
        manifest.plugin.version.as_str().into(),
        if enabled { "yes" } else { "no" }.into(),
        provides.join(", ").into(),
        signer.unwrap_or_default().into(),
        plugin.origin.to_string().into(),
        manifest.plugin.description.as_str().into(),
    ]
}
