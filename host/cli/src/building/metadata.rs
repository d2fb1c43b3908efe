//! `--metadata-file`: what was built, in buildx's words.

use anyhow::Result;
use nacre_build::Built;
use nacre_oci::Reference;
use serde_json::{Value, json};

/// The file's content.
pub(super) fn of(built: &Built, names: &[Reference]) -> Result<Vec<u8>> {
    let root = &built.root.descriptor;
    let mut metadata = json!({ "containerimage.digest": root.digest, "containerimage.descriptor": root });
    if let [image] = &built.images[..] {
        metadata["containerimage.config.digest"] = json!(image.config.digest);
    }
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        metadata["image.name"] = Value::String(names.join(","));
    }
    Ok(format!("{metadata:#}\n").into_bytes())
}
