//! Layers as the image is to have them: with their times lowered, compressed, or as they are.

use std::io::Read;

use nacre_layer::{Bytes, Compression, Layer, LayerWriter, TarReader};
use nacre_oci::{Descriptor, Digest, Error as Data, Staging, media_type, open};
use nacre_store::{CacheRecord, CachedLayer};

use crate::{
    Output, Result, Stacked, StepId,
    key::KeyHasher,
    solve::{Solver, codec},
};

/// The layers of an image, all of them in the store.
pub(super) fn finished(solver: &Solver, id: StepId, output: &Output, layers: &[Stacked]) -> Result<Vec<Layer>> {
    solver.fetcher(id).fetch(layers)?;
    let one = |stacked: &Stacked| {
        if solver.cancelled() {
            return Err(Data::Cancelled.into());
        }
        let epoch = output.epoch.filter(|_| output.rewrite_timestamp);
        let compressed = output.compression == Compression::None || output.compression.media_type() == stacked.layer.descriptor.media_type;
        if !stacked.origin.is_new() || (compressed && epoch.is_none()) {
            return Ok(in_oci_terms(&stacked.layer));
        }
        remembered(solver, stacked, epoch, output.compression)
    };
    layers.iter().map(one).collect()
}

/// With OCI's media type in place of Docker's, and nothing that only the image it is from is concerned with.
fn in_oci_terms(layer: &Layer) -> Layer {
    let media_type = match layer.descriptor.media_type.as_str() {
        media_type::DOCKER_LAYER => media_type::OCI_LAYER,
        media_type::DOCKER_LAYER_GZIP => media_type::OCI_LAYER_GZIP,
        other => other,
    };
    let descriptor = Descriptor::new(media_type, layer.descriptor.digest.clone(), layer.descriptor.size);
    Layer { descriptor, diff_id: layer.diff_id.clone() }
}

/// What was made of the layer in an earlier build, or is made now.
fn remembered(solver: &Solver, stacked: &Stacked, epoch: Option<i64>, compression: Compression) -> Result<Layer> {
    let mut key = KeyHasher::new("finished");
    key.json(&(&stacked.layer.diff_id, epoch, compression.media_type()));
    let key = key.finish();
    if let Some((CacheRecord { layers, .. }, _)) = solver.look_up(&key)?
        && let Some(CachedLayer { diff_id, descriptor }) = layers.into_iter().next()
    {
        return Ok(Layer { descriptor, diff_id });
    }
    let layer = make(solver, stacked, epoch, compression)?;
    let now = solver.environment.now;
    let (created, description) = (stacked.created.unwrap_or(now), stacked.description.to_string());
    let made = CachedLayer { diff_id: layer.diff_id.clone(), descriptor: layer.descriptor.clone() };
    let record = CacheRecord { key, layers: vec![made], created, last_used: now, description };
    solver.environment.store.add_cache_records(&[record])?;
    Ok(layer)
}

fn make(solver: &Solver, stacked: &Stacked, epoch: Option<i64>, compression: Compression) -> Result<Layer> {
    let (store, spool) = (&solver.environment.store, &solver.environment.spool);
    let descriptor = &stacked.layer.descriptor;
    let doing = || Data::io("read a layer");
    let mut writer = LayerWriter::new(solver.session().stage()?, compression);
    if let Some(epoch) = epoch {
        let stored = open(store, descriptor)?;
        match codec(descriptor) {
            Some(codec) => lower(codec.reader(stored).map_err(doing())?, epoch, &mut writer)?,
            None => lower(stored, epoch, &mut writer)?,
        }
        return Ok(writer.finish()?);
    }
    let stored = Bytes::from_file(store.open_blob(&descriptor.digest)?, spool).map_err(doing())?;
    let plain = match codec(descriptor) {
        Some(codec) => stored.decompress(Some(codec)).map_err(doing())?,
        None => stored,
    };
    writer.add_tar(&plain)?;
    let layer = writer.finish()?;
    same(&layer.diff_id, &stacked.layer.diff_id)?;
    Ok(layer)
}

/// Copies a layer; what changed later than the epoch changed at the epoch.
fn lower(plain: impl Read, epoch: i64, writer: &mut LayerWriter) -> Result<(), Data> {
    let doing = || Data::io("read a layer");
    let mut tar = TarReader::new(plain).as_layer();
    while let Some(mut member) = tar.next_entry().map_err(doing())? {
        let entry = &mut member.entry;
        if (entry.mtime, entry.nanos) > (epoch, 0) {
            (entry.mtime, entry.nanos) = (epoch, 0);
        }
        writer.add(entry, &mut tar)?;
    }
    // To the very end, where its digest is checked.
    let mut rest = tar.finish().map_err(doing())?;
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(doing())?;
    Ok(())
}

fn same(actual: &Digest, expected: &Digest) -> Result<(), Data> {
    if actual == expected {
        return Ok(());
    }
    let what = "a layer of the build's cache".into();
    Err(Data::Mismatch { what, expected: expected.to_string(), actual: actual.to_string() })
}
