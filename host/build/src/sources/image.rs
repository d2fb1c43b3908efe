//! Images of the store, of registries and of OCI layouts: their configs at once, their layers when they are needed.

use std::{path::Path, sync::Arc};

use nacre_archive::Layout;
use nacre_layer::Layer;
use nacre_oci::{
    Descriptor, Document, Error as Data, ImageConfig, MAX_CONFIG, Manifest, Platform, Reference, Sink, Source, pick_platform,
    read_document, read_small,
};
use nacre_plugin::graph::ImageName;

use crate::{Context, Material, Origin, Result, Snapshot, Stacked, solve::Solver};

/// Indexes within indexes, as in [`nacre_oci::plan`].
const MAX_DEPTH: usize = 8;

/// An image that a build stands on.
pub(crate) struct Image {
    /// Its manifest.
    pub(crate) manifest: Descriptor,
    /// Its config, byte for byte.
    pub(crate) config: Vec<u8>,
    /// What its config says that it runs on.
    pub(crate) platform: Platform,
    /// Its root filesystem.
    pub(crate) snapshot: Snapshot,
}

/// What was found: documents only.
struct Found {
    manifest: (Descriptor, Manifest),
    config: (Vec<u8>, ImageConfig),
}

impl Solver {
    /// The image of this name for this platform, looked for once in a build.
    pub(crate) fn image(&self, name: &ImageName, platform: &Platform) -> Result<Arc<Image>> {
        self.remembered_image(&format!("{platform} {name:?}"), || match name {
            ImageName::Reference(text) => self.named(text, platform),
            ImageName::Context(name) => match self.contexts.get(name) {
                Some(Context::Image(text)) => self.named(text, platform),
                Some(Context::Layout { folder, name: tag }) => {
                    let image = self.in_layout(folder, tag.as_deref(), platform);
                    Ok(image.map_err(|error| in_context(name, error))?)
                }
                _ => Err(self.malformed(format!("the user gave no image '{name}'"))),
            },
        })
    }

    /// From the store if that has it and nothing newer is asked for, else from its registry.
    fn named(&self, text: &str, platform: &Platform) -> Result<Image> {
        let reference = text.parse::<Reference>()?.or_latest();
        let held = if self.pull { None } else { self.held(&reference, platform)? };
        let image = match held {
            Some(image) => image,
            None => self.remote(&reference, platform)?,
        };
        self.add_material(Material::new(purl(&reference, &image.platform), &image.manifest.digest));
        Ok(image)
    }

    /// What the store has by this name, unless it is for another platform or its documents are not all there.
    fn held(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>> {
        let store = &self.environment.store;
        let read = |root: Descriptor| find(store, &root, platform, 0);
        let found = match store.resolve(&reference.to_string()).and_then(read) {
            Ok(found) => found,
            Err(Data::NotFound { .. } | Data::NoPlatform { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if platform.rank(&found.config.1.platform()).is_none() {
            return Ok(None);
        }
        let session = self.session();
        let layers = &found.manifest.1.layers;
        session.lease().protect(layers.iter().map(|layer| &layer.digest))?;
        for layer in layers {
            if !session.contains(layer)? {
                let repository = (self.environment.registries)()?.repository(reference);
                return Ok(Some(image(found, Arc::new(repository))?));
            }
        }
        Ok(Some(image(found, Arc::new(store.clone()))?))
    }

    fn remote(&self, reference: &Reference, platform: &Platform) -> Result<Image> {
        self.told(&format!("[internal] load metadata for {reference}"), |_| {
            let repository = (self.environment.registries)()?.repository(reference);
            let root = repository.resolve(&reference.selector())?;
            Ok(image(find(&repository, &root, platform, 0)?, Arc::new(repository))?)
        })
    }

    fn in_layout(&self, folder: &Path, name: Option<&str>, platform: &Platform) -> Result<Image, Data> {
        let layout = Layout::open(folder)?;
        let root = match name {
            Some(name) => layout.resolve(name)?,
            None => only(&layout, folder)?,
        };
        let found = find(&layout, &root, platform, 0)?;
        self.add_material(Material::new(format!("pkg:oci/{}", name.unwrap_or("layout")), &found.manifest.0.digest));
        image(found, Arc::new(layout))
    }
}

/// A platform that an image does not have, in BuildKit's words.
fn in_context(name: &str, error: Data) -> Data {
    match error {
        Data::NoPlatform { wanted, what, available } => {
            let digest = what.rsplit(' ').next().unwrap_or_default();
            let text = format!("docker.io/library/{name}@{digest}: no match for platform in manifest: not found");
            Data::not_found(format!("{text}; wanted is {wanted}, there is {available}"))
        }
        error => error,
    }
}

/// The one image of a layout.
fn only(layout: &Layout, folder: &Path) -> Result<Descriptor, Data> {
    let mut images = layout.images()?;
    match (images.pop(), images.len()) {
        (Some(image), 0) => Ok(image.descriptor),
        (_, more) => {
            let count = if more == 0 { 0 } else { more + 1 };
            let why = format!("it has {count} images; name one as in oci-layout://{}:TAG", folder.display());
            Err(Data::malformed(folder.display().to_string(), why))
        }
    }
}

/// The manifest at or below `root` that fits best. A single image is taken whatever it is for, as in Docker.
fn find(from: &dyn Source, root: &Descriptor, platform: &Platform, depth: usize) -> Result<Found, Data> {
    if depth > MAX_DEPTH {
        return Err(Data::TooLarge { what: format!("the image index at {}", root.digest), limit: format!("{MAX_DEPTH} levels") });
    }
    match read_document(from, root)?.1 {
        Document::Index(index) => find(from, pick_platform(from, root, &index.manifests, platform)?, platform, depth + 1),
        Document::Manifest(manifest) => {
            let config = read_small(from, &manifest.config, MAX_CONFIG)?;
            let parsed = ImageConfig::parse(&config)?;
            Ok(Found { manifest: (root.clone(), manifest), config: (config, parsed) })
        }
    }
}

fn image(found: Found, from: Arc<dyn Source>) -> Result<Image, Data> {
    let Found { manifest: (descriptor, manifest), config: (config, parsed) } = found;
    let (layers, diff_ids) = (manifest.layers, &parsed.rootfs.diff_ids);
    if layers.len() != diff_ids.len() {
        let why = format!("its manifest has {} layers and its config {}", layers.len(), diff_ids.len());
        return Err(Data::malformed(format!("image {}", descriptor.digest), why));
    }
    let one = |(descriptor, diff_id): (Descriptor, &nacre_oci::Digest)| Stacked {
        layer: Layer { descriptor, diff_id: diff_id.clone() },
        origin: Origin::Image(Arc::clone(&from)),
        created: None,
        description: "".into(),
    };
    let layers: Vec<Stacked> = layers.into_iter().zip(diff_ids).map(one).collect();
    let platform = parsed.platform();
    let snapshot = Snapshot::new(layers, Some(platform.clone()));
    Ok(Image { manifest: descriptor, config, platform, snapshot })
}

/// The package URL of an image, as BuildKit writes it into provenance.
fn purl(reference: &Reference, platform: &Platform) -> String {
    let version = reference.tag().map(|tag| format!("@{tag}")).unwrap_or_default();
    let platform = platform.to_string().replace('/', "%2F");
    format!("pkg:docker/{}{version}?platform={platform}", reference.familiar_name())
}
