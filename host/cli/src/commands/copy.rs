use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use nacre_archive::{Archive, AtomicFile, Layout, write_docker_archive, write_oci_archive};
use nacre_oci::{
    Descriptor, Document, Error, Options, Platform, Progress, Reference, Select, Source, copy, pick_platform, plan, read_document,
};
use nacre_plugin::Operation;
use nacre_store::{Acquired, By};

use crate::{
    admission::Admission,
    context::Context,
    output::progress::Action,
    pace::Pace,
    transfer::{Platforms, into_store, kept_name, new_name},
};

/// How many images of an archive an error lists at most.
const MOST_NAMED: usize = 20;

/// Copy an image from one place to another, every digest unchanged
///
/// A place is a registry (docker://NAME), the store (a plain name), docker-archive:FILE[:NAME], oci-archive:FILE[:TAG] or
/// oci:FOLDER[:TAG].
#[derive(clap::Args)]
pub(crate) struct Args {
    /// From where
    source: String,
    /// To where
    destination: String,
    #[command(flatten)]
    platforms: Platforms,
    #[command(flatten)]
    pace: Pace,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let (from, to) = (Place::parse(&args.source)?, Place::parse(&args.destination)?);
    args.pace.begin(context, &format!("copy of {}", args.source))?;
    let progress = context.progress(Action::Copy, args.quiet);
    let mut opened = open(context, &from, &*progress)?;
    let remote = |place: &Place| matches!(place, Place::Registry(_));
    let mut select = args.platforms.select(if remote(&from) { Select::All } else { Select::Present });
    if remote(&to) {
        opened.root = for_registry(&opened, &args.platforms.platform, remote(&from))?;
        select = Select::All;
    }
    admit(context, (&from, &to), &opened, &select)?;
    write(context, &to, &opened, &args.pace.options(select, &*progress))?;
    drop(progress);
    context.print(&opened.root.digest.to_string())
}

/// One end of a copy.
#[derive(Debug, PartialEq)]
enum Place {
    Registry(Reference),
    Store(String),
    DockerArchive(PathBuf, Option<String>),
    OciArchive(PathBuf, Option<String>),
    Oci(PathBuf, Option<String>),
}

impl Place {
    fn parse(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix("docker://") {
            return Ok(Self::Registry(name.parse::<Reference>()?.or_latest()));
        }
        let file = |rest: &str| {
            let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name.to_owned())));
            if path.is_empty() { bail!("'{text}' names no file") } else { Ok((PathBuf::from(path), name)) }
        };
        match text.split_once(':') {
            Some(("docker-archive", rest)) => file(rest).map(|(path, name)| Self::DockerArchive(path, name)),
            Some(("oci-archive", rest)) => file(rest).map(|(path, name)| Self::OciArchive(path, name)),
            Some(("oci", rest)) => file(rest).map(|(path, name)| Self::Oci(path, name)),
            Some((kind, rest)) if rest.starts_with("//") => {
                bail!("unknown kind of place '{kind}': there are docker://, docker-archive:, oci-archive:, oci: and plain names")
            }
            _ => Ok(Self::Store(text.to_owned())),
        }
    }
}

/// A source, the image in it, and the name it has there.
struct Opened {
    source: Box<dyn Source>,
    root: Descriptor,
    name: Option<Reference>,
}

fn open(context: &Context, place: &Place, progress: &dyn Progress) -> Result<Opened> {
    match place {
        Place::Registry(reference) => {
            let repository = context.client()?.repository(reference);
            let root = repository.resolve(&reference.selector())?;
            Ok(Opened { source: Box::new(repository), root, name: Some(reference.clone()) })
        }
        Place::Store(text) => {
            let store = context.store()?;
            let found = store.find(text)?;
            let name = if let By::Name(name) = found.by { Some(name) } else { None };
            Ok(Opened { source: Box::new(store), root: found.image.descriptor, name })
        }
        Place::DockerArchive(path, name) | Place::OciArchive(path, name) => {
            let archive = Archive::open(path, &context.temporary()?, progress)?;
            opened(archive, name.as_deref(), |archive| Ok(archive.images().to_vec()))
        }
        Place::Oci(path, name) => opened(Layout::open(path)?, name.as_deref(), |layout| Ok(layout.images()?)),
    }
}

fn opened<S: Source + 'static>(source: S, name: Option<&str>, list: impl Fn(&S) -> Result<Vec<nacre_archive::Entry>>) -> Result<Opened> {
    let entries = list(&source)?;
    let root = source.resolve(name.unwrap_or_default()).map_err(|error| naming(error, name, &entries))?;
    let entry = entries.into_iter().find(|entry| entry.descriptor.digest == root.digest);
    Ok(Opened { source: Box::new(source), root, name: entry.and_then(|entry| entry.names.into_iter().next()) })
}

/// A copy is a pull where it comes from a registry, a push where it goes to one, and into the store a load or another name.
fn admit(context: &Context, (from, to): (&Place, &Place), opened: &Opened, select: &Select) -> Result<()> {
    let admission = Admission::new(context)?;
    let admit = |operation, name: &Reference| admission.admit(operation, std::slice::from_ref(name), &*opened.source, &opened.root, select);
    if let Place::Registry(name) = from {
        admit(Operation::Pull, name)?;
    }
    match (from, to) {
        (_, Place::Registry(name)) => admit(Operation::Push, name),
        (Place::Registry(_) | Place::Store(_), Place::Store(text)) => {
            let name = new_name(text)?;
            if matches!(from, Place::Registry(own) if *own == name) { Ok(()) } else { admit(Operation::Tag, &name) }
        }
        (_, Place::Store(text)) => admit(Operation::Load, &new_name(text)?),
        _ => Ok(()),
    }
}

/// What a registry takes, which is no index with holes: all of the image, or one platform's.
fn for_registry(from: &Opened, platforms: &[Platform], complete: bool) -> Result<Descriptor> {
    let (source, root) = (&*from.source, &from.root);
    let (_, Document::Index(index)) = read_document(source, root)? else { return Ok(root.clone()) };
    match platforms {
        [] if complete => Ok(root.clone()),
        [] => match plan(source, root, &Select::All) {
            Err(Error::NotFound { .. }) => {
                bail!("not all of {} is here: pull it with --all-platforms, or copy one --platform", root.digest.short())
            }
            other => Ok(other.map(|_| root.clone())?),
        },
        [one] => Ok(Descriptor { platform: None, ..pick_platform(source, root, &index.manifests, one)?.clone() }),
        _ => bail!("a registry takes one platform of an image, or all of them"),
    }
}

/// The error with what could have been named.
fn naming(error: Error, name: Option<&str>, entries: &[nacre_archive::Entry]) -> anyhow::Error {
    let own = |(at, entry): (usize, &nacre_archive::Entry)| {
        entry.names.first().map(Reference::familiar).or(entry.tags.first().cloned()).unwrap_or_else(|| format!("@{at}"))
    };
    let known: Vec<String> = entries.iter().enumerate().take(MOST_NAMED).map(own).collect();
    match (error, name) {
        (Error::Ambiguous { count, .. }, None) => anyhow!("there are {count} images: add : and one of {}", known.join(", ")),
        (error @ Error::NotFound { .. }, _) if !known.is_empty() => anyhow!("{error}; there are {}", known.join(", ")),
        (error, _) => error.into(),
    }
}

fn write(context: &Context, place: &Place, from: &Opened, options: &Options<'_>) -> Result<()> {
    let (source, root) = (&*from.source, &from.root);
    match place {
        Place::Registry(reference) => {
            if reference.digest().is_some_and(|digest| *digest != root.digest) {
                bail!("the image has the digest {}, not that of {}", root.digest, reference.familiar());
            }
            let repository = context.client()?.repository(reference);
            let tags: Vec<String> = reference.tag().map(str::to_owned).into_iter().collect();
            copy(source, &repository, root, &tags, options)?;
        }
        Place::Store(text) => {
            let name = kept_name(&new_name(text)?);
            into_store(&context.store()?, source, root, &[name], Acquired::Copied, options)?;
        }
        Place::DockerArchive(path, name) => {
            let given = name.as_deref().map(new_name).transpose()?;
            let names: Vec<Reference> = given.or_else(|| from.name.clone()).into_iter().filter(|name| name.tag().is_some()).collect();
            let out = AtomicFile::create(path)?;
            write_docker_archive(source, &[(root.clone(), names)], &options.select, options.progress, out)?.commit()?;
        }
        Place::OciArchive(path, name) => {
            let out = AtomicFile::create(path)?;
            write_oci_archive(source, &[(root.clone(), name.iter().cloned().collect())], &options.select, options.progress, out)?
                .commit()?;
        }
        Place::Oci(path, name) => {
            let layout = if path.join("oci-layout").exists() { Layout::open(path)? } else { Layout::create(path)? };
            let tags: Vec<String> = name.iter().cloned().collect();
            let copied = copy(source, &layout, root, &tags, options)?;
            if tags.is_empty() {
                layout.add(&copied.root).context("cannot list the image in index.json")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(Place::parse("busybox:1").unwrap(), Place::Store("busybox:1".into()));
        assert_eq!(Place::parse("localhost:5000/a:1").unwrap(), Place::Store("localhost:5000/a:1".into()));
        assert_eq!(Place::parse("docker-archive:/x/a.tar:b:1").unwrap(), Place::DockerArchive("/x/a.tar".into(), some("b:1")));
        assert_eq!(Place::parse("oci-archive:a.tar").unwrap(), Place::OciArchive("a.tar".into(), None));
        assert_eq!(Place::parse("oci:folder:v1").unwrap(), Place::Oci("folder".into(), some("v1")));
        assert!(matches!(Place::parse("docker://a").unwrap(), Place::Registry(r) if r.selector() == "latest"));
        for text in ["oci:", "docker://UPPER", "containers-storage://x", "docker-archive::x"] {
            assert!(Place::parse(text).is_err(), "'{text}' was accepted");
        }
    }
}
