use anyhow::Result;
use nacre_layer::{Change, ChangeKind};

use crate::{containers::files, context::Context, output::escape::visible};

/// Show which files a container has changed: A added, C changed, D deleted
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A name or an id
    container: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let changes = files(context, &args.container, |files| Ok(files.changes()?))?;
    context.write(&changes.iter().map(line).collect::<String>())
}

fn line(change: &Change) -> String {
    let letter = match change.kind {
        ChangeKind::Added => 'A',
        ChangeKind::Changed => 'C',
        ChangeKind::Deleted => 'D',
    };
    format!("{letter} /{}\n", visible(&String::from_utf8_lossy(&change.path)))
}
