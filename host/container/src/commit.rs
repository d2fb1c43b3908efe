//! Images of containers (moby's `daemon/commit.go` and `image/image.go`).

use jiff::Timestamp;
use nacre_layer::{Compression, Layer};
use nacre_oci::{
    Content, Descriptor, Digest, Document, Error as Data, History, ImageConfig, MAX_CONFIG, Manifest, Memory, RawManifest, Reference,
    RunConfig, Silent, Sink, Staging, change, media_type, read_document, read_small,
};
use nacre_runtime::Control;
use nacre_store::{Acquired, Session};

use crate::{Container, Engine, Error, Result, life::is_up, merge::merge};

/// What Docker notes about one container in an image's config; it says nothing about the new image.
const STALE: [&str; 4] = ["container", "container_config", "id", "parent"];

/// How to commit.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// The author; the base's if it is not given.
    pub author: Option<String>,
    /// Instructions that alter the config ([`nacre_oci::change`]).
    pub changes: Vec<String>,
    /// The history's comment.
    pub message: Option<String>,
    /// Whether all processes are stopped meanwhile.
    pub pause: bool,
    /// The image's name; without one it is dangling.
    pub name: Option<Reference>,
    /// When the image is made.
    pub created: Timestamp,
    /// How the layer is stored. If it is not given: plain, which is quickest, or for a base with Docker's media types, with
    /// gzip, which is what they are for.
    pub compression: Option<Compression>,
}

impl Default for CommitOptions {
    fn default() -> Self {
        let created = Timestamp::now();
        Self { author: None, changes: Vec::new(), message: None, pause: true, name: None, created, compression: None }
    }
}

/// What [`Engine::commit`] made.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The image's id.
    pub image: Digest,
    /// The image that had the name before.
    pub replaced: Option<Digest>,
    /// Worth telling the user.
    pub warnings: Vec<String>,
}

/// What is committed on.
struct Parent {
    manifest: Manifest,
    config: ImageConfig,
}

/// An image of a container that is stored, but none of the store's images yet: it stays only as long as this lives.
pub struct Draft {
    /// The manifest.
    pub manifest: RawManifest,
    /// Worth telling the user.
    pub warnings: Vec<String>,
    session: Session,
}

impl Draft {
    /// Makes it an image of the store, with this name or none. The image that had the name stays, dangling.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn keep(self, name: Option<&Reference>) -> Result<Committed> {
        let (store, image) = (self.session.store(), self.manifest.descriptor.digest.clone());
        let replaced = match name {
            Some(name) => store.add_tagged(name, &self.manifest, Acquired::Built)?,
            None => store.add_image(&self.manifest, Acquired::Built).map(|_| None)?,
        };
        Ok(Committed { replaced: replaced.filter(|old| *old != image), image, warnings: self.warnings })
    }
}

impl Engine {
    /// Makes an image of a container, running or not, and gives it the name of the options.
    ///
    /// # Errors
    /// As [`Engine::draft`] and [`Draft::keep`].
    pub fn commit(&self, text: &str, options: &CommitOptions) -> Result<Committed> {
        self.draft(text, options)?.keep(options.name.as_ref())
    }

    /// Makes an image of a container, running or not: its image's layers and one of what it has changed.
    ///
    /// # Errors
    /// If it is not there, a change is wrong, or the layer cannot be made or stored. Nothing is left of the image then.
    pub fn draft(&self, text: &str, options: &CommitOptions) -> Result<Draft> {
        let container = self.find(text)?;
        let mut config = container.record.config.clone();
        change(&mut config, &options.changes).map_err(|error| Error::invalid(error.to_string()))?;
        merge(&mut config, &container.record.config);
        let session = self.store().session(Acquired::Built)?;
        let parent = self.parent(&container, &session)?;
        let mut warnings = Vec::new();
        let layer = self.layer(&container, options, &parent, &session, &mut warnings)?;
        let manifest = store(&session, assemble(&container, parent, config, layer, options))?;
        Ok(Draft { manifest, warnings, session })
    }

    /// The container's image. Its entry may be gone, its content is not, and stays while the session lives.
    fn parent(&self, container: &Container, session: &Session) -> Result<Parent> {
        let record = &container.record;
        session.lease().protect([&record.manifest.digest])?;
        session.lease().protect(record.layers.iter().map(|(_, blob)| blob))?;
        let Document::Manifest(manifest) = read_document(self.store(), &record.manifest)?.1 else {
            return Err(Data::malformed(format!("the record of container {}", container.id), "its manifest is an index").into());
        };
        session.lease().protect([&manifest.config.digest])?;
        let config = ImageConfig::parse(&read_small(self.store(), &manifest.config, MAX_CONFIG)?)?;
        Ok(Parent { manifest, config })
    }

    /// What the container has changed, as a stored layer; none if that is nothing.
    fn layer(
        &self,
        container: &Container,
        options: &CommitOptions,
        parent: &Parent,
        session: &Session,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Layer>> {
        let docker = parent.manifest.media_type == media_type::DOCKER_MANIFEST;
        let compression = options.compression.unwrap_or(if docker { Compression::Gzip } else { Compression::None });
        let mut files = self.files(container)?;
        warnings.extend(files.warnings().iter().cloned());
        let paused = if options.pause { self.pause(container, warnings)? } else { None };
        let layer = files.layer(compression, session.stage()?);
        // Its end resumes the container, whatever came of the layer.
        drop(paused);
        Ok(layer?)
    }

    /// Stops a running container's processes, until what is returned is dropped.
    fn pause(&self, container: &Container, warnings: &mut Vec<String>) -> Result<Option<Control>> {
        let Some(mut control) = self.control(container)? else { return Ok(None) };
        match control.pause() {
            Ok(()) => Ok(Some(control)),
            // It has ended just now.
            Err(_) if !is_up(self.state(container)?.status) => Ok(None),
            Err(error) => {
                warnings.push(format!("the container cannot be paused, so the image may hold what is half written: {error}"));
                Ok(None)
            }
        }
    }
}

/// The new image's config and manifest.
fn assemble(
    container: &Container,
    parent: Parent,
    mut run: RunConfig,
    layer: Option<Layer>,
    options: &CommitOptions,
) -> (Vec<u8>, Manifest) {
    // A name alone has taken a variable away from the container; it is none of the image's.
    run.env.retain(|one| one.contains('='));
    let Parent { mut manifest, mut config } = parent;
    let created = Some(options.created.to_string());
    let author = options.author.clone().or(config.author.take()).filter(|author| !author.is_empty());
    fill_history(&mut config);
    config.history.push(History {
        created: created.clone(),
        created_by: Some(created_by(container)).filter(|text| !text.is_empty()),
        author: author.clone(),
        comment: options.message.clone().filter(|text| !text.is_empty()),
        empty_layer: layer.is_none(),
    });
    (config.created, config.author, config.config) = (created, author, run);
    STALE.iter().for_each(|key| _ = config.rest.remove(*key));
    if let Some(layer) = layer {
        config.rootfs.diff_ids.push(layer.diff_id);
        let media_type = layer_type(&manifest, &layer.descriptor);
        manifest.layers.push(Descriptor::new(media_type, layer.descriptor.digest, layer.descriptor.size));
    }
    let bytes = config.to_bytes();
    manifest.config = Descriptor::of(manifest.config.media_type.as_str(), &bytes);
    (manifest.subject, manifest.annotations) = (None, Default::default());
    (bytes, manifest)
}

/// What the history says has made the layer: the container's command, as Docker writes it.
fn created_by(container: &Container) -> String {
    let cmd = container.record.config.cmd.clone().unwrap_or_default();
    if cmd.is_empty() { container.record.command().join(" ") } else { cmd.join(" ") }
}

/// A history that speaks of fewer layers than there are would give the new row to one of them.
fn fill_history(config: &mut ImageConfig) {
    let told = config.history.iter().filter(|row| !row.empty_layer).count();
    let silent = config.rootfs.diff_ids.len().saturating_sub(told);
    config.history.extend(std::iter::repeat_n(History { created: config.created.clone(), ..History::default() }, silent));
}

/// The layer's media type in the manifest's family.
fn layer_type(manifest: &Manifest, layer: &Descriptor) -> String {
    let docker = manifest.media_type == media_type::DOCKER_MANIFEST;
    match (docker, layer.media_type.as_str()) {
        (true, media_type::OCI_LAYER) => media_type::DOCKER_LAYER,
        (true, media_type::OCI_LAYER_GZIP) => media_type::DOCKER_LAYER_GZIP,
        (_, own) => own,
    }
    .to_owned()
}

fn store(session: &Session, (config, manifest): (Vec<u8>, Manifest)) -> Result<RawManifest> {
    let bytes = serde_json::to_vec(&manifest).expect("documents of lists, strings and maps with string keys are always JSON");
    put(session, &manifest.config.media_type, config)?;
    let descriptor = put(session, &manifest.media_type, bytes.clone())?;
    Ok(RawManifest { descriptor, bytes })
}

/// Stores a small document for as long as the session lives.
fn put(session: &Session, media_type: &str, bytes: Vec<u8>) -> Result<Descriptor> {
    let memory = Memory::new();
    let descriptor = memory.add(media_type, bytes);
    if !session.contains(&descriptor)? {
        session.put(&descriptor, &Content::new(&memory, &descriptor, &Silent))?;
    }
    Ok(descriptor)
}
