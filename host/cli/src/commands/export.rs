use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use anyhow::{Result, bail};
use nacre_archive::AtomicFile;

use crate::{containers::files, context::Context, output};

/// Write a container's files as a tar archive
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A name or an id
    container: String,
    /// The file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.output.is_none() && io::stdout().is_terminal() {
        bail!("cowardly refusing to save to a terminal: use -o FILE or a redirection");
    }
    files(context, &args.container, |files| match &args.output {
        Some(path) => {
            let mut file = AtomicFile::create(path)?;
            files.export(&mut file)?;
            Ok(file.commit()?)
        }
        None => output::stream(|out| files.export(out)),
    })
}
