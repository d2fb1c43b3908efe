//! What `import` is made of: where the bytes come from, which format they are in, and the image that becomes of them.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Seek, Write},
    os::fd::AsFd,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use nacre_layer::{Bytes, Spool};
use nacre_oci::{
    Descriptor, Digest, History, ImageConfig, Manifest, Memory, Outcome, Platform, Progress, RawManifest, RootFs, Staged, Staging, change,
    media_type,
};
use nacre_plugin::{Built, Confidence, Head, Origin, Plugin, Plugins};

use crate::{
    context::Context,
    failure::{line, warn},
    output::progress,
};

/// What the user wants to be imported.
pub(crate) struct Incoming {
    pub bytes: Bytes,
    /// The file's own name, for the formats.
    pub name: Option<String>,
    /// As the history tells where the image came from: a URL, a file's name, or Docker's `-`.
    pub origin: String,
    /// What progress is told about.
    content: Descriptor,
    /// Whether its bytes are counted when they are read.
    streamed: bool,
}

impl Incoming {
    /// Opens a file, an `http` or `https` URL, or with `-` standard input.
    pub(crate) fn open(context: &Context, text: &str, spool: &Spool, progress: &Arc<dyn Progress>) -> Result<Self> {
        if text == "-" {
            return Self::standard_input(spool, progress);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Self::download(context, text, spool, progress);
        }
        let doing = || format!("cannot read {text}");
        let file = File::open(text).with_context(doing)?;
        if file.metadata().with_context(doing)?.is_dir() {
            bail!("{text} is a folder: pack it first, as in 'tar -C {text} -c . | nacre import -'");
        }
        let name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
        Self::of_file(file, name, spool, progress).with_context(doing)
    }

    fn standard_input(spool: &Spool, progress: &Arc<dyn Progress>) -> Result<Self> {
        if io::stdin().is_terminal() {
            bail!("there is nothing to import: name a file or redirect standard input");
        }
        // Its descriptor, so that a file need not be copied to be read anywhere.
        let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        file.and_then(|file| Self::of_file(file, None, spool, progress)).context("cannot read standard input")
    }

    fn of_file(mut file: File, name: Option<String>, spool: &Spool, progress: &Arc<dyn Progress>) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let at_its_beginning = file.stream_position().is_ok_and(|position| position == 0);
        let origin = name.clone().unwrap_or_else(|| "-".into());
        let content = described(&origin, size);
        let streamed = !(at_its_beginning && file.metadata()?.is_file());
        let bytes = if streamed { counted(file, &content, spool, progress) } else { Bytes::from_file(file, spool)? };
        Ok(Self { bytes, name, origin, content, streamed })
    }

    fn download(context: &Context, text: &str, spool: &Spool, progress: &Arc<dyn Progress>) -> Result<Self> {
        let mut url: url::Url = text.parse().with_context(|| format!("'{text}' is no URL"))?;
        let download = context.client()?.download(&url)?;
        // A password and a signature are not for the history.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_query(None);
        url.set_fragment(None);
        let name = url.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty()).map(str::to_owned);
        let content = described(name.as_deref().unwrap_or(text), download.size.unwrap_or(0));
        let bytes = counted(download, &content, spool, progress);
        Ok(Self { bytes, name, origin: url.to_string(), content, streamed: true })
    }

    /// Where layers go, with `progress` told of what is written, unless it was told already when that was read.
    pub(crate) fn staging(&self, to: Arc<dyn Staging>, progress: &Arc<dyn Progress>) -> Arc<dyn Staging> {
        let counting = Counting { inner: to, content: self.content.clone(), progress: Arc::clone(progress) };
        if self.streamed { counting.inner } else { Arc::new(counting) }
    }

    /// Does the work between the beginning and the end of progress.
    pub(crate) fn shown<T>(&self, progress: &dyn Progress, work: impl FnOnce() -> Result<T>) -> Result<T> {
        progress.begin(&self.content);
        let done = work()?;
        progress.end(&self.content, Outcome::Copied);
        Ok(done)
    }
}

/// Stands for a file in what progress is told.
fn described(label: &str, size: u64) -> Descriptor {
    let mut content = Descriptor::new("application/octet-stream", Digest::of(label.as_bytes()), size);
    content.annotations.insert(progress::LABEL.to_owned(), label.to_owned());
    content
}

fn counted(reader: impl Read + Send + 'static, content: &Descriptor, spool: &Spool, progress: &Arc<dyn Progress>) -> Bytes {
    let counting = Counting { inner: reader, content: content.clone(), progress: Arc::clone(progress) };
    Bytes::from_reader(Box::new(counting), spool)
}

/// Tells progress of the bytes that pass.
struct Counting<T> {
    inner: T,
    content: Descriptor,
    progress: Arc<dyn Progress>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(&self.content, count as u64);
        Ok(count)
    }
}

impl Staging for Counting<Arc<dyn Staging>> {
    fn stage(&self) -> nacre_oci::Result<Box<dyn Staged>> {
        let inner = self.inner.stage()?;
        Ok(Box::new(Counting { inner, content: self.content.clone(), progress: Arc::clone(&self.progress) }))
    }
}

impl Write for Counting<Box<dyn Staged>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.progress.advance(&self.content, count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Staged for Counting<Box<dyn Staged>> {
    fn written(&self) -> (Digest, u64) {
        self.inner.written()
    }

    fn commit(self: Box<Self>, descriptor: &Descriptor) -> nacre_oci::Result<()> {
        self.inner.commit(descriptor)
    }
}

/// The plugin and its format for what comes in: the one that was named, or the surest; of several that are equally
/// sure the only one that is not bundled.
pub(crate) fn format<'a>(
    context: &Context,
    plugins: &'a Plugins,
    named: Option<&str>,
    incoming: &Incoming,
) -> Result<(&'a Plugin, String)> {
    if let Some(name) = named {
        return Ok((plugins.import_format(name)?, name.to_owned()));
    }
    let head = Head::read(incoming.name.as_deref(), &incoming.bytes).with_context(|| format!("cannot read {}", incoming.origin))?;
    let mut known: Vec<(&Plugin, &str)> = Vec::new();
    for (plugin, format) in plugins.import_formats() {
        // Of several with one name the first is what `--format` finds.
        if !known.iter().any(|(_, name)| *name == format) {
            known.push((plugin, format));
        }
    }
    let mut surest = (Confidence::No, Vec::new());
    for (plugin, format) in &known {
        let sure = plugin.probe(format, &head);
        context.show_log(plugin);
        let sure = sure.unwrap_or_else(|error| {
            warn(&line(&error.into()));
            Confidence::No
        });
        if sure > surest.0 {
            surest = (sure, Vec::new());
        }
        if sure == surest.0 && sure != Confidence::No {
            surest.1.push((*plugin, *format));
        }
    }
    // A format that is made of a common one, as a package is a tar, is told by the plugin that the user chose to have.
    let own: Vec<_> = surest.1.iter().filter(|(plugin, _)| plugin.origin != Origin::Bundled).copied().collect();
    if own.len() == 1 {
        surest.1 = own;
    }
    let names = |list: &[(&Plugin, &str)]| list.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    let what = if incoming.origin == "-" { "standard input" } else { &incoming.origin };
    match surest.1[..] {
        [(plugin, format)] => Ok((plugin, format.to_owned())),
        [] => bail!("{what} has none of the formats that are known: {}; if it is one of them, name it with --format", names(&known)),
        ref several => bail!("{what} could be one of {}: choose with --format", names(several)),
    }
}

/// What the image is to be like, apart from its layers.
pub(crate) struct Wishes<'a> {
    pub changes: &'a [String],
    /// The history's comment.
    pub comment: String,
    pub platform: Option<Platform>,
    /// When it is made, RFC 3339.
    pub created: String,
}

/// The documents of the image, in memory, and its manifest.
pub(crate) fn assemble(built: Built, wishes: Wishes<'_>) -> Result<(Memory, Descriptor)> {
    let platform = wishes.platform.or(built.platform).unwrap_or_else(Platform::host);
    let mut run = built.config.unwrap_or_default();
    change(&mut run, wishes.changes)?;
    let history = |created_by: &String| History {
        created: Some(wishes.created.clone()),
        created_by: Some(created_by.clone()).filter(|text| !text.is_empty()),
        comment: Some(wishes.comment.clone()),
        ..History::default()
    };
    let mut config = ImageConfig {
        created: Some(wishes.created.clone()),
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        config: run,
        rootfs: RootFs { diff_ids: built.layers.iter().map(|(layer, _)| layer.diff_id.clone()).collect(), ..RootFs::default() },
        history: built.layers.iter().map(|(_, created_by)| history(created_by)).collect(),
        ..ImageConfig::default()
    };
    if let Some(version) = platform.os_version {
        config.rest.insert("os.version".into(), version.into());
    }
    let memory = Memory::new();
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: None,
        config: memory.add(media_type::OCI_CONFIG, config.to_bytes()),
        layers: built.layers.into_iter().map(|(layer, _)| layer.descriptor).collect(),
        subject: None,
        annotations: Default::default(),
    };
    let raw = RawManifest::new(Some(media_type::OCI_MANIFEST), serde_json::to_vec(&manifest)?)?;
    let root = memory.add(media_type::OCI_MANIFEST, raw.bytes);
    Ok((memory, root))
}
