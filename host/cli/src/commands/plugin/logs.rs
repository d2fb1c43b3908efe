use anyhow::Result;

use crate::{context::Context, plugin_log};

/// Show what a plugin logged and how its calls failed, oldest first
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The plugin's name, with or without its publisher
    name: String,
    /// Only this many lines from the end
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let plugins = context.plugins()?;
    let text = plugin_log::read(&context.paths.cache, plugins.get(&args.name)?.name())?;
    let skipped = args.tail.map_or(0, |tail| text.lines().count().saturating_sub(tail));
    text.lines().skip(skipped).try_for_each(|line| context.print(line))
}
