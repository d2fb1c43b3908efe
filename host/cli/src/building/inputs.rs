//! What a build reads: its file, its folder, and the user's named contexts.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use nacre_build::{Context as Input, FILE_CONTEXT, MAIN_CONTEXT};
use nacre_layer::{Codec, Form, Unpacking, unpack};
use tempfile::TempDir;

use super::remote;
use crate::{commands::build::Args, context::Context};

/// The most bytes of a build's file.
pub(super) const MAX_FILE: u64 = 16 << 20;

/// A build's file and its contexts.
pub(super) struct Inputs {
    /// What the user calls the file.
    pub name: String,
    pub content: Vec<u8>,
    pub contexts: BTreeMap<String, Input>,
    /// When what the build's own context was fetched from was changed last, Unix seconds.
    pub time: Option<i64>,
    /// What was unpacked or fetched for this build alone.
    _kept: Vec<TempDir>,
}

/// The build's own folder, and its file if that came with it.
struct Main {
    folder: PathBuf,
    file: Option<Vec<u8>>,
    kept: Option<TempDir>,
    time: Option<i64>,
}

impl Inputs {
    /// The folder that the file lies in.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self.contexts.get(FILE_CONTEXT) {
            Some(Input::Folder(folder)) => Some(folder),
            _ => None,
        }
    }

    pub(super) fn open(context: &Context, args: &Args) -> Result<Self> {
        if args.context == "-" && args.file.as_deref() == Some("-") {
            bail!("the context and the file cannot both be standard input");
        }
        let fetching = Fetching { context, keep_git_dir: keeps_git_dir(&args.wishes.build_arg)? };
        let main = main(&fetching, &args.context)?;
        let (name, content, folder) = file(args.file.as_deref(), &main)?;
        let mut kept: Vec<TempDir> = main.kept.into_iter().collect();
        let mut contexts = named(&fetching, &args.wishes.build_context, &mut kept)?;
        contexts.insert(MAIN_CONTEXT.to_owned(), Input::Folder(main.folder));
        contexts.insert(FILE_CONTEXT.to_owned(), Input::Folder(folder));
        Ok(Self { name, content, contexts, time: main.time, _kept: kept })
    }
}

/// What it takes to fetch contexts.
struct Fetching<'a> {
    context: &'a Context,
    keep_git_dir: bool,
}

impl Fetching<'_> {
    fn temporary(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.context.temporary()?)?)
    }

    /// What the text names, if that is elsewhere: a git repository, an archive or a file.
    fn fetch(&self, text: &str) -> Result<Option<Main>> {
        if let Some(source) = remote::git(text) {
            let kept = self.temporary()?;
            let remote::Cloned { folder, time } = remote::clone(&source, kept.path(), self.keep_git_dir)?;
            return Ok(Some(Main { folder, file: None, kept: Some(kept), time: Some(time) }));
        }
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Ok(None);
        }
        let url = text.parse().with_context(|| format!("'{text}' is no URL"))?;
        let download = self.context.client()?.download(&url)?;
        let modified = download.version.modified.as_deref().and_then(remote::seconds);
        let mut main = stream(download, text, self.temporary()?)?;
        main.time = match (modified, &main.file) {
            (None, None) => remote::newest(&main.folder)?,
            _ => modified,
        };
        Ok(Some(main))
    }
}

/// BuildKit's build argument for git contexts.
fn keeps_git_dir(build_args: &[String]) -> Result<bool> {
    let last = build_args.iter().rev().find_map(|text| text.strip_prefix("BUILDKIT_CONTEXT_KEEP_GIT_DIR="));
    match last {
        None | Some("" | "0" | "false" | "False" | "FALSE" | "f" | "F") => Ok(false),
        Some("1" | "true" | "True" | "TRUE" | "t" | "T") => Ok(true),
        Some(other) => bail!("--build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR={other}: want 1 or 0"),
    }
}

fn main(fetching: &Fetching<'_>, text: &str) -> Result<Main> {
    if text == "-" {
        if io::stdin().is_terminal() {
            bail!("there is no Dockerfile or archive: redirect standard input, or name a folder");
        }
        return stream(io::stdin(), "standard input", fetching.temporary()?);
    }
    if Path::new(text).is_dir() {
        return Ok(Main { folder: text.into(), file: None, kept: None, time: None });
    }
    if let Some(fetched) = fetching.fetch(text)? {
        return Ok(fetched);
    }
    no_windows(text)?;
    match fs::metadata(text) {
        Ok(_) => bail!("{text} is not a folder: name the folder of the build, or use -f for its file"),
        Err(error) => Err(error).with_context(|| format!("cannot read the folder {text}")),
    }
}

/// Refuses `C:\work` and `\\server\work`, which are no paths here.
fn no_windows(text: &str) -> Result<()> {
    let drive = matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    if drive || text.starts_with("\\\\") {
        bail!("{text} is a path of Windows: write it as this system does, such as /mnt/c/work");
    }
    Ok(())
}

/// A tar archive is the context, anything else the file of an empty one.
fn stream(mut from: impl Read + Send, what: &str, kept: TempDir) -> Result<Main> {
    let doing = || format!("cannot read {what}");
    let mut head = Vec::new();
    from.by_ref().take(512).read_to_end(&mut head).with_context(doing)?;
    let codec = Codec::detect(&head);
    let is_tar = head.get(257..262) == Some(b"ustar");
    let folder = kept.path().to_owned();
    let mut all = head.as_slice().chain(from);
    if codec.is_none() && !is_tar {
        let mut content = Vec::new();
        all.take(MAX_FILE + 1).read_to_end(&mut content).with_context(doing)?;
        return Ok(Main { folder, file: Some(content), kept: Some(kept), time: None });
    }
    let how = Unpacking { form: Form::InPlace, owners: false, privileged: false };
    match codec {
        Some(codec) => unpack(&mut codec.reader(all).with_context(doing)?, &folder, &how),
        None => unpack(&mut all, &folder, &how),
    }
    .with_context(doing)?;
    Ok(Main { folder, file: None, kept: Some(kept), time: None })
}

/// The file's name, its content, and the folder that it lies in.
fn file(given: Option<&str>, main: &Main) -> Result<(String, Vec<u8>, PathBuf)> {
    let content = match given {
        Some("-") => Some(read(io::stdin().lock(), "standard input")?),
        _ => main.file.clone(),
    };
    if let Some(content) = content {
        return Ok(("Dockerfile".into(), content, main.folder.clone()));
    }
    // What was fetched brings its own file; otherwise the path is the user's.
    let path = match given {
        Some(path) if main.kept.is_some() => main.folder.join(path),
        Some(path) => path.into(),
        None => default_file(&main.folder),
    };
    let doing = || format!("cannot read {}", path.display());
    given.into_iter().try_for_each(no_windows)?;
    let opened = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("there is no {}: name the file of the build with -f", path.display())
        }
        opened => opened.with_context(doing)?,
    };
    let content = read(opened, &path.display().to_string())?;
    let name = path.file_name().map_or_else(|| "Dockerfile".into(), |name| name.to_string_lossy().into_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    Ok((name, content, folder))
}

/// `Dockerfile`, or as Docker takes it too `dockerfile`.
fn default_file(folder: &Path) -> PathBuf {
    let (usual, small) = (folder.join("Dockerfile"), folder.join("dockerfile"));
    if !usual.exists() && small.exists() { small } else { usual }
}

fn read(from: impl Read, what: &str) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    from.take(MAX_FILE + 1).read_to_end(&mut content).with_context(|| format!("cannot read {what}"))?;
    if content.len() as u64 > MAX_FILE {
        bail!("{what} has more than {} MiB: it is no file that says how to build", MAX_FILE >> 20);
    }
    Ok(content)
}

/// `--build-context NAME=WHERE`.
fn named(fetching: &Fetching<'_>, values: &[String], kept: &mut Vec<TempDir>) -> Result<BTreeMap<String, Input>> {
    let mut contexts = BTreeMap::new();
    for text in values {
        let Some((name, place)) = text.split_once('=').filter(|(name, place)| !name.is_empty() && !place.is_empty()) else {
            bail!("--build-context {text}: want NAME=WHERE");
        };
        if [MAIN_CONTEXT, FILE_CONTEXT].contains(&name) {
            bail!("--build-context {text}: the name {name} is nacre's own");
        }
        let input = match input(place) {
            Some(input) => input,
            None => match fetching.fetch(place)? {
                Some(Main { file: Some(_), .. }) => bail!("--build-context {text}: {place} is no archive"),
                Some(fetched) => {
                    kept.extend(fetched.kept);
                    Input::Folder(fetched.folder)
                }
                None => return refused(text, place),
            },
        };
        contexts.insert(name.to_owned(), input);
    }
    Ok(contexts)
}

/// What is here, or named as an image.
fn input(place: &str) -> Option<Input> {
    if let Some(image) = place.strip_prefix("docker-image://") {
        return Some(Input::Image(image.to_owned()));
    }
    if let Some(layout) = place.strip_prefix("oci-layout://") {
        let (folder, name) = split_layout(layout);
        return Some(Input::Layout { folder: folder.into(), name: name.map(str::to_owned) });
    }
    Path::new(place).is_dir().then(|| Input::Folder(place.into()))
}

/// Why a place is none.
fn refused<T>(text: &str, place: &str) -> Result<T> {
    if let Some(("target" | "input", _)) = place.split_once(':') {
        bail!("--build-context {text}: only bake files have targets: name the stage of this build with COPY --from or FROM");
    }
    no_windows(place).with_context(|| format!("--build-context {text}"))?;
    bail!("--build-context {text}: {place} is no folder: want a folder, a git or http URL, docker-image://IMAGE or oci-layout://FOLDER")
}

/// The folder, and the tag or digest behind it. A folder's own name may have a colon.
fn split_layout(text: &str) -> (&str, Option<&str>) {
    if let Some((folder, digest)) = text.split_once('@') {
        return (folder.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(folder, |(folder, _)| folder), Some(digest));
    }
    match text.rsplit_once(':') {
        Some((folder, tag)) if !tag.contains('/') && !Path::new(text).exists() => (folder, Some(tag)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn layouts_have_a_tag_or_a_digest_behind_them() {
        assert_eq!(split_layout("/a/b"), ("/a/b", None));
        assert_eq!(split_layout("/a/b:latest"), ("/a/b", Some("latest")));
        assert_eq!(split_layout("/a:x/b"), ("/a:x/b", None));
        assert_eq!(split_layout("/a/b@sha256:00"), ("/a/b", Some("sha256:00")));
        assert_eq!(split_layout("/a/b:1@sha256:00"), ("/a/b", Some("sha256:00")));
    }

    #[test]
    fn a_stream_is_an_archive_or_a_file() {
        let mut tar = nacre_layer::TarWriter::new(Vec::new());
        let entry = nacre_layer::Entry { size: 4, ..nacre_layer::Entry::new("Dockerfile", nacre_layer::Kind::File) };
        tar.add(&entry, &mut &b"FROM"[..]).unwrap();
        let tar = tar.finish().unwrap();
        let main = stream(tar.as_slice(), "x", tempfile::tempdir().unwrap()).unwrap();
        assert_eq!(file(None, &main).unwrap().1, b"FROM");
        let main = stream(&b"FROM scratch"[..], "x", tempfile::tempdir().unwrap()).unwrap();
        let (name, content, _) = file(None, &main).unwrap();
        assert_eq!((name.as_str(), content), ("Dockerfile", b"FROM scratch".to_vec()));
    }

    #[test]
    fn contexts_are_folders_images_or_layouts() {
        assert!(matches!(input("docker-image://nginx:1"), Some(Input::Image(name)) if name == "nginx:1"));
        assert!(matches!(input("oci-layout:///x:1"), Some(Input::Layout { name: Some(tag), .. }) if tag == "1"));
        assert!(matches!(input("."), Some(Input::Folder(_))));
        assert!(input("/no/such/folder").is_none() && input("https://h/a.git").is_none());
    }

    #[test]
    fn what_is_no_context_is_refused_with_a_reason() {
        let why = |place: &str| format!("{:#}", refused::<()>("a=x", place).unwrap_err());
        assert!(why("target:base").contains("only bake files have targets"));
        for windows in ["C:\\work", "c:/work", "\\\\server\\work"] {
            assert!(why(windows).contains("a path of Windows"), "{windows}");
        }
        assert!(why("/no/such/folder").contains("is no folder"));
    }

    #[test]
    fn the_repository_is_kept_if_that_is_asked_for() {
        let keeps = |value: &str| keeps_git_dir(&["A=b".into(), format!("BUILDKIT_CONTEXT_KEEP_GIT_DIR={value}")]);
        assert!(keeps("1").unwrap() && !keeps("0").unwrap() && !keeps_git_dir(&[]).unwrap());
        assert!(keeps("yes").is_err());
    }
}
