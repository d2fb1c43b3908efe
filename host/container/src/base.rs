//! The image that a container is made of: which one a name means, and which of its platforms.

use nacre_oci::{
    Descriptor, Digest, Document, Error as Data, ImageConfig, MAX_CONFIG, Manifest, Platform, media_type, pick_platform, read_document,
    read_small,
};
use nacre_store::Store;

use crate::{Error, Result};

/// An image that a container can be made of.
#[derive(Clone, Debug)]
pub struct Base {
    /// As the user wrote it.
    pub name: String,
    /// The image's id: the digest of its index or manifest.
    pub image: Digest,
    /// The manifest of the platform.
    pub manifest: Descriptor,
    /// What it runs on.
    pub platform: Platform,
    /// Its config.
    pub config: ImageConfig,
    /// The layers' diff ids and blobs, base first.
    pub layers: Vec<(Digest, Digest)>,
    /// Worth telling the user.
    pub warning: Option<String>,
}

impl Base {
    /// Finds an image and its manifest for `platform`, or if that is not given for this machine. An image that is here for one
    /// other platform only is taken, with a warning, as in Docker.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] if the store does not have it, or not for that platform, or not whole: it can be pulled then. If a
    /// name is ambiguous or malformed, or the image is none that runs.
    pub fn find(store: &Store, name: &str, platform: Option<&Platform>) -> Result<Self> {
        let found = store.find(name).map_err(|error| match error {
            Data::NotFound { .. } => Error::NoSuchImage(format!("No such image: {name}")),
            other => other.into(),
        })?;
        let manifest = choose(store, name, &found.image.descriptor, platform)?;
        let document = match read_document(store, &manifest) {
            Ok((_, Document::Manifest(document))) => document,
            Ok(_) => return Err(Error::invalid(format!("image {name} is an index of indexes: name one of them by its digest"))),
            Err(error) => return Err(error.into()),
        };
        let config = config_of(store, name, &document)?;
        let actual = config.platform();
        let warning = check_platform(name, &actual, platform)?;
        let layers = layers(store, name, &document, &config)?;
        Ok(Self { name: name.to_owned(), image: found.image.id, manifest, platform: actual, config, layers, warning })
    }
}

/// The manifest itself, or the best of an index of which only some may be here.
fn choose(store: &Store, name: &str, root: &Descriptor, platform: Option<&Platform>) -> Result<Descriptor> {
    let Document::Index(index) = read_document(store, root)?.1 else { return Ok(root.clone()) };
    let mut here = Vec::new();
    for child in index.manifests.into_iter().filter(|child| !child.is_attestation() && child.is_document()) {
        if store.blob_size(&child.digest)?.is_some() {
            here.push(child);
        }
    }
    let host = Platform::host();
    let picked = pick_platform(store, root, &here, platform.unwrap_or(&host));
    match (picked, platform, &here[..]) {
        (Ok(picked), ..) => Ok(picked.clone()),
        (Err(_), None, [only]) => Ok(only.clone()),
        (Err(Data::NoPlatform { wanted, available, .. }), ..) => {
            Err(Error::NoSuchImage(format!("image {name} is not here for {wanted}, only for {available}")))
        }
        (Err(error), ..) => Err(error.into()),
    }
}

fn config_of(store: &Store, name: &str, manifest: &Manifest) -> Result<ImageConfig> {
    if !media_type::is_config(&manifest.config.media_type) {
        return Err(Error::invalid(format!("{name} is an artifact ({}) and no image that runs", manifest.config.media_type)));
    }
    Ok(ImageConfig::parse(&read_small(store, &manifest.config, MAX_CONFIG)?)?)
}

/// Whether it is what was asked for; what to warn of if nothing was.
fn check_platform(name: &str, actual: &Platform, platform: Option<&Platform>) -> Result<Option<String>> {
    let host = Platform::host();
    match platform {
        Some(wanted) if wanted.rank(actual).is_none() => {
            let what = format!("image with reference {name} was found but does not match the specified platform");
            Err(Error::NoSuchImage(format!("{what}: wanted {wanted}, actual: {actual}")))
        }
        None if host.rank(actual).is_none() => Ok(Some(format!(
            "The requested image's platform ({actual}) does not match the detected host platform ({host}) and no specific platform was requested"
        ))),
        _ => Ok(None),
    }
}

fn layers(store: &Store, name: &str, manifest: &Manifest, config: &ImageConfig) -> Result<Vec<(Digest, Digest)>> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        let why = format!("{} layers but {} diff ids", manifest.layers.len(), diff_ids.len());
        return Err(Data::malformed(format!("image {name}"), why).into());
    }
    for layer in &manifest.layers {
        if store.blob_size(&layer.digest)?.is_none() {
            return Err(Error::NoSuchImage(format!("image {name} is not whole: its layer {} is not here", layer.digest)));
        }
    }
    Ok(diff_ids.iter().cloned().zip(manifest.layers.iter().map(|layer| layer.digest.clone())).collect())
}
