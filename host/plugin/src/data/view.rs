//! An image as a plugin sees it.

use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nacre_layer::{Bytes, Codec, Member, Reader, Spool, TarReader, Tree};
use nacre_oci::{
    Descriptor, Digest, Document, Error, ImageConfig, MAX_CONFIG, Manifest, Result, Source, media_type, read_document, read_small,
};

use super::watch::{Watch, Watched};
use super::{Outcome, Trouble};

/// One image for one platform. What is read of it is checked against its digests; layers are read when they are
/// needed and kept on disk, uncompressed, until the image is dropped.
pub struct ImageView(Arc<View>);

pub(crate) struct View {
    source: Arc<dyn Source>,
    pub(crate) name: String,
    pub(crate) id: Digest,
    pub(crate) manifest: Manifest,
    /// The configuration as it is.
    pub(crate) config: String,
    pub(crate) parsed: ImageConfig,
    spool: Spool,
    layers: Vec<Mutex<Option<Bytes>>>,
    tree: OnceLock<Tree>,
}

impl ImageView {
    /// The image whose manifest is `manifest`, by the name `name`. Reads the manifest and the configuration. Layers
    /// are kept in `spool`.
    ///
    /// # Errors
    /// What the source says; if it is an index or no image, or has not as many layers as its configuration says.
    pub fn open(source: Arc<dyn Source>, manifest: &Descriptor, name: &str, spool: &Spool) -> Result<ImageView> {
        let what = || format!("image {}", manifest.digest);
        let (raw, document) = read_document(&*source, manifest)?;
        let Document::Manifest(manifest) = document else {
            return Err(Error::Unsupported { what: what(), why: "it is an index: choose a platform".into() });
        };
        if !media_type::is_config(&manifest.config.media_type) {
            return Err(Error::Unsupported { what: what(), why: format!("it is no image but {}", manifest.config.media_type) });
        }
        let config = read_small(&*source, &manifest.config, MAX_CONFIG)?;
        let parsed = ImageConfig::parse(&config)?;
        let config = String::from_utf8(config).map_err(|_| Error::malformed("the image config", "it is not UTF-8"))?;
        if parsed.rootfs.diff_ids.len() != manifest.layers.len() {
            let counts = format!("{} layers but {} diff ids", manifest.layers.len(), parsed.rootfs.diff_ids.len());
            return Err(Error::malformed(what(), counts));
        }
        let layers = manifest.layers.iter().map(|_| Mutex::default()).collect();
        let (id, name, spool, tree) = (raw.descriptor.digest, name.to_owned(), spool.clone(), OnceLock::new());
        Ok(ImageView(Arc::new(View { source, name, id, manifest, config, parsed, spool, layers, tree })))
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.0
    }
}

impl View {
    /// The history's command for each layer; empty where it says nothing.
    pub(crate) fn created_by(&self) -> impl Iterator<Item = &str> {
        let commands =
            self.parsed.history.iter().filter(|step| !step.empty_layer).map(|step| step.created_by.as_deref().unwrap_or_default());
        commands.chain(std::iter::repeat(""))
    }

    /// A layer, uncompressed. Nothing is read yet; all of it is checked once all of it was read.
    pub(crate) fn layer(&self, index: usize) -> Outcome<Bytes> {
        let slot = self.layers.get(index).ok_or_else(|| Trouble::invalid(format!("the image has no layer {index}")))?;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*slot {
            return Ok(bytes.clone());
        }
        let bytes = Bytes::from_reader(self.uncompressed(&self.manifest.layers[index])?, &self.spool);
        *slot = Some(bytes.clone());
        Ok(bytes)
    }

    fn uncompressed(&self, layer: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let failed = || Error::io(format!("read layer {}", layer.digest));
        let mut blob = nacre_oci::open(&*self.source, layer)?;
        let mut head = Vec::new();
        blob.by_ref().take(Codec::HEAD as u64).read_to_end(&mut head).map_err(failed())?;
        let codec = Codec::detect(&head);
        let whole = Cursor::new(head).chain(blob);
        match codec {
            Some(codec) => codec.reader(whole).map_err(failed()),
            None => Ok(Box::new(whole)),
        }
    }

    /// The root filesystem, made of all layers at the first call.
    pub(crate) fn tree(&self, watch: &Watch) -> Outcome<&Tree> {
        if let Some(tree) = self.tree.get() {
            return Ok(tree);
        }
        let layers = (0..self.layers.len()).map(|index| self.members(index, watch)).collect::<Outcome<Vec<_>>>()?;
        let tree = Tree::new(layers)?;
        Ok(self.tree.get_or_init(|| tree))
    }

    fn members(&self, index: usize, watch: &Watch) -> Outcome<Vec<Member>> {
        let reader = watch.over(self.layer(index)?.reader_from_start()?);
        let mut tar = TarReader::with_skip(reader, Watched::<Reader>::skip).as_layer().allow_unterminated();
        let mut members = Vec::new();
        while let Some(member) = tar.next_entry()? {
            members.push(member);
        }
        // What is behind the end belongs to the digest.
        tar.finish()?;
        Ok(members)
    }
}
