//! `importer.probe` and `importer.convert`: files in, an image's layers out.

use nacre_layer::{Bytes, Compression, Spool};
use nacre_oci::{Content, Memory, Silent, Staging};
use nacre_plugin::{Built, Confidence, Head, ImageBuilder, Kv, Plugin};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{memory, tree};
use crate::Error;
use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    format: String,
    /// Files of the case: the user's, and what comes with it.
    sources: Vec<String>,
    #[serde(default)]
    opts: Vec<Kv>,
}

pub(super) fn call(plugin: &Plugin, case: &Case) -> Result<Value, Error> {
    let Import { format, sources, opts } = case.parse()?;
    let scratch = tempfile::tempdir().map_err(Error::writing(&case.folder))?;
    let spool = Spool::new(scratch.path());
    let sources = sources.iter().map(|name| Ok((name, Bytes::from_vec(case.file(name)?, &spool))));
    let sources = sources.collect::<Result<Vec<_>, Error>>()?;
    let (name, first) = sources.first().ok_or_else(|| case.wrong("no sources"))?;
    let head = Head::read(Some(name), first).map_err(|error| case.wrong(error))?;
    let probe = plugin.probe(&format, &head)?;
    if probe == Confidence::No {
        return Ok(json!({ "probe": probe }));
    }
    let memory = memory();
    let staging: std::sync::Arc<dyn Staging> = std::sync::Arc::<Memory>::clone(&memory);
    let image = ImageBuilder::new(staging, Compression::None);
    let sources = sources.into_iter().map(|(_, bytes)| bytes).collect();
    let built = plugin.convert(&format, sources, image, &opts)?.finish().map_err(|error| case.wrong(error))?;
    show(&memory, probe, built).map_err(|error| case.wrong(error))
}

/// What the plugin made. Layers that it took over as compressed tars are shown like the others.
fn show(memory: &Memory, probe: Confidence, built: Built) -> nacre_oci::Result<Value> {
    let mut shown = json!({ "probe": probe });
    if let Some(platform) = &built.platform {
        shown["platform"] = json!(nacre_plugin::Platform::from(platform));
    }
    if let Some(config) = built.config {
        shown["config"] = json!(config);
    }
    let mut layers = Vec::new();
    for (layer, created_by) in built.layers {
        let stored = Content::new(memory, &layer.descriptor, &Silent).open()?.into_vec(u64::MAX)?;
        let codec = nacre_layer::Codec::detect(&stored);
        let failed = nacre_oci::Error::io("read a layer");
        let layer = match codec {
            Some(codec) => codec.reader(stored.as_slice()).and_then(|mut tar| tree::layer(created_by, &mut tar)),
            None => tree::layer(created_by, &mut stored.as_slice()),
        };
        layers.push(layer.map_err(failed)?);
    }
    shown["layers"] = json!(layers);
    Ok(shown)
}
