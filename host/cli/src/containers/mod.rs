//! What the verbs of containers share: the image that a container is made of, its start, and clients that stay with it.

mod options;
mod unsupported;

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow, bail};
use nacre_container::{Base, Container, Engine, Error};
use nacre_oci::Reference;
use nacre_runtime::{Control, Exec, Files, Outcome, Session, Started};

pub(crate) use self::{options::env, unsupported::unsupported};
use crate::{
    attached::{Client, End},
    building::sandbox,
    commands::{
        create::{Image, Pull, Wishes},
        run::OWN_FAILURE,
    },
    context::Context,
    failure::{Code, Shown, line, warn},
    fetching::fetch,
    pace::Pace,
    transfer::Platforms,
};

/// The containers of the user's store.
pub(crate) fn engine(context: &Context) -> Result<Engine> {
    Ok(Engine::new(context.store()?, sandbox(context)?))
}

/// Does something with a container's files.
pub(crate) fn files<T>(context: &Context, container: &str, what: impl FnOnce(&mut Files<'_>) -> Result<T>) -> Result<T> {
    let engine = engine(context)?;
    let mut files = engine.files(&engine.find(container)?)?;
    files.warnings().iter().for_each(|warning| warn(warning));
    what(&mut files)
}

/// Does something to each container and prints its answer, if it has one. Those that fail are told, and the others still done.
pub(crate) fn each(context: &Context, texts: &[String], mut what: impl FnMut(&str) -> Result<Option<String>>) -> Result<()> {
    let mut failed = false;
    for text in texts {
        match what(text) {
            Ok(answer) => answer.map_or(Ok(()), |answer| context.print(&answer))?,
            Err(error) => {
                failed = true;
                warn(&line(&error));
            }
        }
    }
    if failed { Err(Shown.into()) } else { Ok(()) }
}

/// Makes a container, of an image that is fetched if need be.
pub(crate) fn create(context: &Context, engine: &Engine, wishes: &Wishes, detach: bool) -> Result<Container> {
    let mut options = options::options(wishes, detach)?;
    let id_file = wishes.container.cidfile.as_deref().map(id_file).transpose()?;
    let name = &wishes.words[0];
    options.args = wishes.words[1..].to_vec();
    let mut made = engine.create(&base(context, engine, name, &wishes.image)?, &options);
    // Pruned in between: it is fetched again.
    if matches!(made, Err(Error::NoSuchImage(_))) {
        made = engine.create(&base(context, engine, name, &wishes.image)?, &options);
    }
    let made = made?;
    made.warnings.iter().for_each(|warning| warn(warning));
    if let Some((path, mut file)) = id_file {
        file.write_all(made.container.id.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(made.container)
}

/// A file that is not there yet.
fn id_file(path: &Path) -> Result<(&Path, File)> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => Ok((path, file)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("container ID file found, make sure the other container isn't running or delete {}", path.display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot create {}", path.display())),
    }
}

/// The image that is meant.
fn base(context: &Context, engine: &Engine, name: &str, image: &Image) -> Result<Base> {
    let here = || Base::find(engine.store(), name, image.platform.as_ref());
    if image.pull != Pull::Always {
        match here() {
            Err(Error::NoSuchImage(why)) if image.pull == Pull::Missing => {
                // An id, or what is no name, can be in no registry.
                let Ok(reference) = name.parse::<Reference>() else { bail!(why) };
                if !image.quiet {
                    warn(&format!("unable to find image '{}' locally", reference.or_latest().familiar()));
                }
            }
            found => return Ok(found?),
        }
    }
    pull(context, name, image)?;
    Ok(here()?)
}

/// What a pull prints is not the container's output.
fn pull(context: &Context, name: &str, image: &Image) -> Result<()> {
    let reference = name.parse::<Reference>()?.or_latest();
    let platforms = Platforms { platform: image.platform.clone().into_iter().collect(), all_platforms: false };
    let fetched = fetch(context, &reference, &platforms, &Pace::default(), image.quiet)?;
    if !image.quiet {
        fetched.summary(&reference).lines().for_each(warn);
    }
    Ok(())
}

/// Starts a container. With a client, stays with it; the exit code is the program's then.
pub(crate) fn start(context: &Context, engine: &Engine, container: &Container, client: Option<Client>) -> Result<ExitCode> {
    context.leave_interrupts();
    let mut started = engine.start(container, client.is_some(), client.as_ref().and_then(Client::size))?;
    if let Outcome::NotStarted { code, why } = &mut started.outcome
        && !is_programs(*code, why)
    {
        *code = OWN_FAILURE;
    }
    let attach = || engine.control(container)?.map(Control::attach).transpose().map_err(Into::into);
    let done = stay(started, client, attach);
    if container.remove && !matches!(done, Ok(ref end) if end.runs_on()) {
        // The monitor has deleted its files.
        engine.store().delete_container(&container.id)?;
    }
    done.and_then(|end| end.code())
}

/// Whether it is the program that cannot be started, and not its surroundings that cannot be made (docker/cli's `toStatusError`).
fn is_programs(code: u8, why: &str) -> bool {
    code == 127 || ["permission denied", "is a directory"].iter().any(|words| why.to_lowercase().contains(words))
}

/// Runs another program in a container; with a client, stays with it.
pub(crate) fn exec(context: &Context, engine: &Engine, container: &str, exec: &Exec, client: Option<Client>) -> Result<ExitCode> {
    context.leave_interrupts();
    stay(engine.exec(container, exec)?, client, || Ok(None))?.code()
}

/// Stays with what was started, as long as there is a client. `attach` finds what was running before.
fn stay(started: Started, client: Option<Client>, attach: impl FnOnce() -> Result<Option<Session>>) -> Result<End> {
    started.warnings.iter().for_each(|warning| warn(warning));
    let session = match started.outcome {
        Outcome::Running(session) => session,
        Outcome::Already => client.as_ref().map_or(Ok(None), |_| attach())?,
        Outcome::NotStarted { code, why } => return Err(anyhow!(why).context(Code(code))),
    };
    match (client, session) {
        (Some(client), Some(session)) => client.stay(session),
        _ => Ok(End::Detached),
    }
}
