//! Caches for others: what a build made, as an artifact in a folder or a registry.
//!
//! The artifact is an OCI manifest whose config lists the records and whose layers are the records' layers. It is nacre's own:
//! other builders' caches have other keys, so that reading them would find nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nacre_oci::{
    Descriptor, Digest, Document, Error as Data, Manifest, Memory, Options, Progress, RawManifest, Result as DataResult, Select, Sink,
    Source, copy, media_type, parse_strict, read_document, read_small,
};
use nacre_store::{CacheRecord, CachedLayer, Store};
use serde::{Deserialize, Serialize};

use crate::{Built, Imported, Overlay, Result};

/// The media type of the config, which says what the artifact is.
const CONFIG: &str = "application/vnd.nacre.build-cache.config.v1+json";
/// The most bytes of a config.
const MAX_RECORDS: u64 = 32 << 20;
/// Layers that are moved at a time.
const PARALLEL: usize = 4;

/// How much of a cache is given away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What made the image's own layers.
    #[default]
    Min,
    /// Every operation of the build, other stages included.
    Max,
}

#[derive(Deserialize, Serialize)]
struct Config {
    records: Vec<Record>,
}

#[derive(Deserialize, Serialize)]
struct Record {
    key: Digest,
    created: i64,
    description: String,
    layers: Vec<Layer>,
}

#[derive(Deserialize, Serialize)]
struct Layer {
    diff_id: Digest,
    /// Its place in the manifest.
    index: usize,
}

/// Writes the cache of a build to `to`, under these names, in place of what had them.
///
/// # Errors
/// If a layer cannot be read or written.
pub fn export_cache(
    store: &Store,
    built: &Built,
    mode: Mode,
    to: &dyn Sink,
    names: &[String],
    progress: &dyn Progress,
) -> Result<RawManifest> {
    let (records, layers) = listed(&exported(built, mode)?);
    let memory = Memory::new();
    let config = memory.add(CONFIG, json(&Config { records }).as_slice());
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: Some(CONFIG.into()),
        config,
        layers,
        subject: None,
        annotations: BTreeMap::new(),
    };
    let bytes = json(&manifest);
    let root = memory.add(media_type::OCI_MANIFEST, bytes.as_slice());
    let from = Overlay { memory, store: store.clone() };
    copy(&from, to, &root, names, &Options { select: Select::All, parallel: PARALLEL, progress })?;
    Ok(RawManifest { descriptor: root, bytes })
}

/// Reads the cache that `name` means in `from`. Its layers stay where they are until they are needed.
///
/// # Errors
/// If there is none, or it is not one of nacre's.
pub fn import_cache(from: Arc<dyn Source>, name: &str, now: i64) -> Result<Imported> {
    let root = from.resolve(name)?;
    let Document::Manifest(manifest) = read_document(&*from, &root)?.1 else { return Err(foreign(name, "it is an index").into()) };
    if manifest.config.media_type != CONFIG {
        return Err(foreign(name, &format!("it is a {}", manifest.config.media_type)).into());
    }
    let config: Config = parse_strict(&read_small(&*from, &manifest.config, MAX_RECORDS)?, "the build cache")?;
    let mut records = BTreeMap::new();
    for record in config.records {
        records.insert(record.key.clone(), restored(record, &manifest.layers, now)?);
    }
    Ok(Imported { records: Arc::new(records), from })
}

/// The records that are given away, without those whose layers were never needed here and thus are not here.
fn exported(built: &Built, mode: Mode) -> Result<Vec<CacheRecord>> {
    let image: BTreeSet<&Digest> = built.images.iter().flat_map(|image| &image.layers).map(|layer| &layer.diff_id).collect();
    let wanted = |record: &&CacheRecord| mode == Mode::Max || record.layers.iter().all(|layer| image.contains(&layer.diff_id));
    let mut exported = BTreeMap::new();
    for record in built.steps.iter().filter_map(|step| step.record.as_ref()).filter(wanted) {
        let mut here = true;
        for layer in &record.layers {
            here &= built.session.contains(&layer.descriptor)?;
        }
        if here {
            exported.insert(record.key.clone(), record.clone());
        }
    }
    Ok(exported.into_values().collect())
}

/// Records as the config has them, and the layers that they speak of, each once.
fn listed(records: &[CacheRecord]) -> (Vec<Record>, Vec<Descriptor>) {
    let mut layers: Vec<Descriptor> = Vec::new();
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut place = |layer: &CachedLayer| {
        let index = *places.entry(layer.descriptor.digest.clone()).or_insert_with(|| {
            layers.push(layer.descriptor.clone());
            layers.len() - 1
        });
        Layer { diff_id: layer.diff_id.clone(), index }
    };
    let mut one = |record: &CacheRecord| Record {
        key: record.key.clone(),
        created: record.created,
        description: record.description.clone(),
        layers: record.layers.iter().map(&mut place).collect(),
    };
    (records.iter().map(&mut one).collect(), layers)
}

/// A record of an artifact whose manifest has these layers.
fn restored(record: Record, layers: &[Descriptor], now: i64) -> DataResult<CacheRecord> {
    let layer = |layer: Layer| {
        let missing = || Data::malformed("the build cache", format!("it has no layer {}", layer.index));
        let descriptor = layers.get(layer.index).ok_or_else(missing)?.clone();
        // Of compressed ones that shows when they are unpacked.
        if descriptor.media_type == media_type::OCI_LAYER && descriptor.digest != layer.diff_id {
            return Err(Data::malformed("the build cache", format!("layer {} is not {}", descriptor.digest, layer.diff_id)));
        }
        Ok(CachedLayer { diff_id: layer.diff_id, descriptor })
    };
    Ok(CacheRecord {
        key: record.key,
        layers: record.layers.into_iter().map(layer).collect::<DataResult<_>>()?,
        created: record.created,
        last_used: now,
        description: record.description,
    })
}

fn foreign(name: &str, why: &str) -> Data {
    Data::Unsupported { what: format!("the build cache {name}"), why: format!("{why}, not a cache that nacre wrote with --cache-to") }
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents of lists, strings and numbers are always JSON")
}
