//! Images as they are sent: layers of builds lie in the store uncompressed, which no one wants to move.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use nacre_layer::{Bytes, Compression, LayerWriter, Spool};
use nacre_oci::{
    Descriptor, Digest, Document, Error, Index, Manifest, Memory, RawManifest, Result, Sink, Staging, media_type, read_document, read_small,
};
use nacre_store::{Acquired, CacheRecord, CachedLayer, Session, Store};

use crate::{Overlay, key::KeyHasher};

/// The most bytes of an attestation.
const MAX_STATEMENT: u64 = 16 << 20;
/// The annotation that says which manifest an attestation is about (BuildKit's attestation storage).
const ABOUT: &str = "vnd.docker.reference.digest";

/// An image with compressed layers. It is no image of the store: its documents are kept nowhere.
pub struct Compressed {
    /// The index or manifest.
    pub root: RawManifest,
    /// What has all of it.
    pub content: Overlay,
    /// What protects its layers.
    _session: Session,
}

/// Layers that were compressed, by the digest that they had.
type Layers = BTreeMap<Digest, Descriptor>;

/// The image with all of its uncompressed layers compressed; its config stays what it is. `None` if there are none. The same
/// layer becomes the same bytes every time, and what was compressed is remembered in the build cache.
///
/// # Errors
/// If something cannot be read or stored.
pub fn compress_image(
    store: &Store,
    spool: &Spool,
    root: &Descriptor,
    how: Compression,
    now: i64,
    parallel: usize,
) -> Result<Option<Compressed>> {
    let mut plain = BTreeMap::new();
    find(store, root, &mut plain)?;
    if plain.is_empty() || how == Compression::None {
        return Ok(None);
    }
    let session = store.session(Acquired::Built)?;
    let work = Work { store, spool, session: &session, memory: Memory::new(), how, now };
    let layers = work.all(plain.into_values().collect(), parallel)?;
    let root = work.rewrite(root, &layers)?;
    let content = Overlay { memory: work.memory, store: store.clone() };
    Ok(Some(Compressed { root, content, _session: session }))
}

/// The uncompressed layers of the OCI images at and below a document.
fn find(store: &Store, at: &Descriptor, plain: &mut BTreeMap<Digest, Descriptor>) -> Result<()> {
    match read_document(store, at)?.1 {
        Document::Index(index) => {
            index.manifests.iter().filter(|child| child.is_document()).try_for_each(|child| find(store, child, plain))
        }
        Document::Manifest(manifest) => {
            let layers = manifest.layers.into_iter().filter(|layer| layer.media_type == media_type::OCI_LAYER);
            plain.extend(layers.map(|layer| (layer.digest.clone(), layer)));
            Ok(())
        }
    }
}

struct Work<'a> {
    store: &'a Store,
    spool: &'a Spool,
    session: &'a Session,
    /// Documents that speak of the compressed layers.
    memory: Memory,
    how: Compression,
    now: i64,
}

impl Work<'_> {
    /// Compresses layers, several at a time.
    fn all(&self, layers: Vec<Descriptor>, parallel: usize) -> Result<Layers> {
        let (queue, done) = (Mutex::new(layers.iter()), Mutex::new(Ok(Layers::new())));
        let work = || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(layer) = next else { return };
                let made = self.one(layer);
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                match (&mut *done, made) {
                    (Ok(all), Ok(made)) => _ = all.insert(layer.digest.clone(), made),
                    (Ok(_), Err(error)) => *done = Err(error),
                    // Somebody else's failure ends this too.
                    (Err(_), _) => return,
                }
            }
        };
        std::thread::scope(|scope| {
            (1..parallel.min(layers.len())).for_each(|_| _ = scope.spawn(work));
            work();
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&self, layer: &Descriptor) -> Result<Descriptor> {
        // As the layers of an image that a build itself compresses.
        let mut key = KeyHasher::new("finished");
        key.json(&(&layer.digest, None::<i64>, self.how.media_type()));
        let key = key.finish();
        if let Some(record) = self.store.cache_record(&key)?
            && let [known] = &record.layers[..]
            && self.session.contains(&known.descriptor)?
        {
            return Ok(known.descriptor.clone());
        }
        let stored = Bytes::from_file(self.store.open_blob(&layer.digest)?, self.spool).map_err(Error::io("read a layer"))?;
        let mut writer = LayerWriter::new(self.session.stage()?, self.how);
        writer.add_tar(&stored)?;
        let made = writer.finish()?;
        if made.diff_id != layer.digest {
            let (what, expected) = (format!("layer {}", layer.digest), layer.digest.to_string());
            return Err(Error::Mismatch { what, expected, actual: made.diff_id.to_string() });
        }
        let layers = vec![CachedLayer { diff_id: made.diff_id, descriptor: made.descriptor.clone() }];
        let description = "compressed to be sent".into();
        self.store.add_cache_records(&[CacheRecord { key, layers, created: self.now, last_used: self.now, description }])?;
        Ok(made.descriptor)
    }

    /// A document that speaks of the compressed layers.
    fn rewrite(&self, at: &Descriptor, layers: &Layers) -> Result<RawManifest> {
        let (raw, document) = read_document(self.store, at)?;
        match document {
            Document::Index(index) => self.index(index, layers),
            Document::Manifest(manifest) if manifest.layers.iter().any(|layer| layers.contains_key(&layer.digest)) => {
                let replaced = |layer: &Descriptor| match layers.get(&layer.digest) {
                    Some(new) => Descriptor { annotations: layer.annotations.clone(), ..new.clone() },
                    None => layer.clone(),
                };
                Ok(self.put(&Manifest { layers: manifest.layers.iter().map(replaced).collect(), ..manifest }))
            }
            Document::Manifest(_) => Ok(raw),
        }
    }

    fn index(&self, mut index: Index, layers: &Layers) -> Result<RawManifest> {
        let mut moved = BTreeMap::new();
        for child in index.manifests.iter_mut().filter(|child| child.is_document() && !child.is_attestation()) {
            let new = self.rewrite(child, layers)?.descriptor;
            moved.insert(child.digest.clone(), new.digest.clone());
            (child.digest, child.size) = (new.digest, new.size);
        }
        for child in index.manifests.iter_mut().filter(|child| child.is_attestation()) {
            let about = child.annotations.get(ABOUT).and_then(|digest| digest.parse::<Digest>().ok());
            let Some((old, new)) = about.and_then(|old| Some((old.clone(), moved.get(&old)?.clone()))) else { continue };
            let attestation = self.attestation(child, &old, &new)?;
            (child.digest, child.size) = (attestation.digest, attestation.size);
            child.annotations.insert(ABOUT.into(), new.to_string());
        }
        Ok(self.put(&index))
    }

    /// An attestation about another manifest.
    fn attestation(&self, at: &Descriptor, old: &Digest, new: &Digest) -> Result<Descriptor> {
        let Document::Manifest(mut manifest) = read_document(self.store, at)?.1 else { return Ok(at.clone()) };
        let mut digests = Vec::new();
        for layer in &mut manifest.layers {
            let statement = String::from_utf8(read_small(self.store, layer, MAX_STATEMENT)?);
            let statement = statement.map_err(|_| Error::malformed(format!("attestation {}", layer.digest), "it is not UTF-8"))?;
            let made = self.blob(&layer.media_type, statement.replace(old.hex(), new.hex()).into_bytes());
            digests.push((layer.digest.to_string(), made.digest.to_string()));
            (layer.digest, layer.size) = (made.digest, made.size);
        }
        let config = read_small(self.store, &manifest.config, nacre_oci::MAX_CONFIG)?;
        let mut config = String::from_utf8_lossy(&config).into_owned();
        for (old, new) in digests {
            config = config.replace(&old, &new);
        }
        manifest.config = self.blob(&manifest.config.media_type, config.into_bytes());
        Ok(self.put(&manifest).descriptor)
    }

    fn put(&self, document: &(impl serde::Serialize + Typed)) -> RawManifest {
        let bytes = serde_json::to_vec(document).expect("documents of lists, strings and maps with string keys are always JSON");
        RawManifest { descriptor: self.blob(document.media_type(), bytes.clone()), bytes }
    }

    fn blob(&self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        self.memory.add(media_type, bytes)
    }
}

/// What a document is.
trait Typed {
    fn media_type(&self) -> &str;
}

impl Typed for Manifest {
    fn media_type(&self) -> &str {
        &self.media_type
    }
}

impl Typed for Index {
    fn media_type(&self) -> &str {
        &self.media_type
    }
}
