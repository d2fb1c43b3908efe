//! One image of an index, as `inspect` and `history` show it, from the store or from a registry.

use anyhow::{Result, bail};
use nacre_oci::{
    Descriptor, Document, Error, ImageConfig, MAX_CONFIG, Manifest, Platform, Source, media_type, pick_platform, platform_of,
    read_document, read_small,
};

/// An image's documents.
pub(crate) struct View {
    /// The manifest.
    pub descriptor: Descriptor,
    /// The same, parsed.
    pub manifest: Manifest,
    /// The config; `None` for an artifact that is no image.
    pub config: Option<ImageConfig>,
    /// Each manifest of the index that the image was picked from.
    pub platforms: Vec<(Descriptor, Platform)>,
}

impl View {
    /// The manifest's, the config's and the layers' bytes, compressed.
    pub(crate) fn size(&self) -> u64 {
        self.descriptor.size + self.manifest.config.size + self.manifest.layers.iter().map(|layer| layer.size).sum::<u64>()
    }
}

/// The image for exactly `platform` at `root`. Without a platform the host's best fit, or else the first that is there.
pub(crate) fn view(source: &dyn Source, root: &Descriptor, platform: Option<&Platform>) -> Result<View> {
    let (raw, document) = read_document(source, root)?;
    match document {
        Document::Manifest(manifest) => {
            let view = of_manifest(source, raw.descriptor, manifest)?;
            if let (Some(wanted), Some(config)) = (platform, &view.config)
                && !wanted.is_exactly(&config.platform())
            {
                bail!("image {} is for {}, not for {wanted}", root.digest.short(), config.platform());
            }
            Ok(view)
        }
        Document::Index(index) => {
            let listed = platforms(source, &index.manifests);
            let child = match platform {
                Some(wanted) => present(source, exactly(root, &listed, wanted)?, wanted)?,
                None => best(source, root, &index.manifests)?,
            };
            let inner = view(source, &child, None)?;
            Ok(View { platforms: listed, ..inner })
        }
    }
}

fn of_manifest(source: &dyn Source, descriptor: Descriptor, manifest: Manifest) -> Result<View> {
    let is_image = media_type::is_config(&manifest.config.media_type);
    let config = is_image.then(|| read_small(source, &manifest.config, MAX_CONFIG)).transpose()?;
    let config = config.map(|bytes| ImageConfig::parse(&bytes)).transpose()?;
    Ok(View { descriptor, manifest, config, platforms: Vec::new() })
}

/// The platforms that can be told; a child that is not there has only its descriptor to tell.
fn platforms(source: &dyn Source, children: &[Descriptor]) -> Vec<(Descriptor, Platform)> {
    let images = children.iter().filter(|child| !child.is_attestation());
    images.filter_map(|child| Some((child.clone(), platform_of(source, child).ok().flatten()?))).collect()
}

fn exactly(root: &Descriptor, listed: &[(Descriptor, Platform)], wanted: &Platform) -> Result<Descriptor> {
    match listed.iter().find(|(_, own)| wanted.is_exactly(own)) {
        Some((child, _)) => Ok(child.clone()),
        None => {
            let available: Vec<String> = listed.iter().map(|(_, own)| own.to_string()).collect();
            bail!("no manifest for {wanted} in image {}; it has {}", root.digest.short(), available.join(", "))
        }
    }
}

/// The child, unless only the index that lists it was fetched.
fn present(source: &dyn Source, child: Descriptor, wanted: &Platform) -> Result<Descriptor> {
    match read_document(source, &child) {
        Err(Error::NotFound { .. }) => {
            bail!("the image for {wanted} was not fetched: 'nacre pull --platform {wanted} NAME' does that")
        }
        _ => Ok(child),
    }
}

fn best(source: &dyn Source, root: &Descriptor, children: &[Descriptor]) -> Result<Descriptor> {
    let is_here = |child: &Descriptor| child.is_document() && read_document(source, child).is_ok();
    if let Ok(child) = pick_platform(source, root, children, &Platform::host())
        && is_here(child)
    {
        return Ok(child.clone());
    }
    let first = children.iter().find(|child| !child.is_attestation() && is_here(child));
    first.cloned().ok_or_else(|| anyhow::anyhow!("none of the images of index {} is here: pull it again", root.digest))
}
