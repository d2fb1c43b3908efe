//! `exporter.write`: an image in, a file out.

use std::io::{Read, Seek, SeekFrom};

use nacre_layer::Spool;
use nacre_oci::Digest;
use nacre_plugin::{Kv, Output, Plugin};
use serde::Deserialize;
use serde_json::{Value, json};

use super::memory;
use super::tree::{Image, as_text};
use crate::Error;
use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: String,
    image: Image,
    #[serde(default)]
    opts: Vec<Kv>,
}

/// The answer is the file's text, or of what is no text its digest and size.
pub(super) fn call(plugin: &Plugin, case: &Case) -> Result<Value, Error> {
    let Export { format, image, opts } = case.parse()?;
    let failed = |error: std::io::Error| case.wrong(error);
    let scratch = tempfile::tempdir().map_err(failed)?;
    let view = image.view(&memory(), case, &Spool::new(scratch.path()))?;
    let out = Output::new(tempfile::tempfile_in(scratch.path()).map_err(failed)?);
    let mut file = plugin.export(&format, view, out, &opts)?.finish().map_err(failed)?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(match as_text(&bytes) {
        Some(text) => json!({ "text": text }),
        None => json!({ "size": bytes.len(), "digest": Digest::of(&bytes).to_string() }),
    })
}
