use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::builder::{EnumValueParser, PossibleValuesParser};
use clap_complete::{Generator, Shell};
use nacre_archive::AtomicFile;
use nacre_plugin::fingerprint;

use crate::{context::Context, extension};

/// Print a script for a shell that completes what nacre and its plugins take
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell, such as in `source <(nacre completion bash)`
    #[arg(value_parser = EnumValueParser::<Shell>::new())]
    shell: Shell,
}

/// Scripts are about this large: a buffer that grows would be copied several times.
const SIZE: usize = 256 << 10;

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let kept = Kept::new(context, args.shell);
    if let Some(script) = kept.as_ref().and_then(Kept::read) {
        return crate::output::write(&script);
    }
    let script = script(context, args.shell)?;
    // It can be made again.
    let _ = kept.map_or(Ok(()), |kept| kept.write(&script));
    crate::output::write(&script)
}

fn script(context: &Context, shell: Shell) -> Result<Vec<u8>> {
    let mut cli = with_flat_help(extension::extended(&context.plugins()?));
    cli.set_bin_name("nacre");
    cli.build();
    let mut script = Vec::with_capacity(SIZE);
    shell.try_generate(&cli, &mut script).context("cannot make the script")?;
    // It is large, and nobody looks at it again.
    std::mem::forget(cli);
    Ok(script)
}

/// The script of last time: shells ask for it whenever one starts. Its first line names what it was made from.
struct Kept {
    path: PathBuf,
    made_from: String,
}

impl Kept {
    /// Nothing where no folder for such things has been made yet, or what it is made from has changed just now.
    fn new(context: &Context, shell: Shell) -> Option<Self> {
        let cache: &Path = &context.paths.cache;
        let made_from = fingerprint(&env::current_exe().ok()?, &context.paths.plugins)?.to_string();
        cache.is_dir().then(|| Self { path: cache.join(format!("completion.{shell}")), made_from })
    }

    fn read(&self) -> Option<Vec<u8>> {
        let mut kept = fs::read(&self.path).ok()?;
        let line = self.made_from.len() + 1;
        let fits = kept.get(..line)?.strip_suffix(b"\n")? == self.made_from.as_bytes();
        fits.then(|| kept.split_off(line))
    }

    fn write(&self, script: &[u8]) -> Result<()> {
        let mut file = AtomicFile::create(&self.path)?;
        writeln!(file, "{}", self.made_from)?;
        file.write_all(script)?;
        Ok(file.commit()?)
    }
}

/// `help` with the verbs as values: clap's own has all verbs below it once more, which is a third of the script.
fn with_flat_help(cli: clap::Command) -> clap::Command {
    let verbs: Vec<String> = cli.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let verb = clap::Arg::new("VERB").value_parser(PossibleValuesParser::new(verbs));
    let help = clap::Command::new("help").about("Print this message or the help of the given subcommand(s)").arg(verb);
    cli.disable_help_subcommand(true).subcommand(help)
}
