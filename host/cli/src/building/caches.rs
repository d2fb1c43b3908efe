//! `--cache-from` and `--cache-to`: other builds' caches.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use nacre_archive::Layout;
use nacre_build::{Built, Imported, Mode, export_cache, import_cache};
use nacre_oci::{Reference, Silent, Sink, Source};

use super::values::Fields;
use crate::{
    context::Context,
    failure::{line, warn},
    transfer::new_name,
};

/// The name of a cache in a folder.
const TAG: &str = "latest";

/// Where a cache lies.
enum Place {
    Folder { path: String, tag: String },
    Registry(Reference),
}

/// Reads `type=local,src=FOLDER`, `type=registry,ref=NAME`, or a name alone. `path` are the names of the folder's field.
fn place(option: &'static str, text: &str, path: &[&str]) -> Result<(Place, Mode)> {
    if !text.contains('=') {
        return Ok((Place::Registry(new_name(text)?), Mode::Min));
    }
    let fields = Fields::parse(option, text)?;
    let place = match fields.need(&["type"])? {
        "local" => {
            let tag = fields.take(&["tag"]).unwrap_or(TAG).to_owned();
            Place::Folder { path: fields.need(path)?.to_owned(), tag }
        }
        "registry" => Place::Registry(new_name(fields.need(&["ref"])?)?),
        other => return fields.wrong(&format!("there is no type {other}: want local or registry")),
    };
    let mode = match fields.take(&["mode"]) {
        None | Some("min") => Mode::Min,
        Some("max") => Mode::Max,
        Some(other) => return fields.wrong(&format!("there is no mode {other}: want min or max")),
    };
    // How Docker writes its own caches makes no difference to nacre's.
    let _ =
        (fields.take(&["compression"]), fields.take(&["oci-mediatypes"]), fields.take(&["image-manifest"]), fields.take(&["ignore-error"]));
    fields.end()?;
    Ok((place, mode))
}

/// The caches to look in. One that is not there is no reason not to build.
pub(super) fn imports(context: &Context, specs: &[String]) -> Result<Vec<Imported>> {
    let mut imports = Vec::new();
    for text in specs {
        let (place, _) = place("--cache-from", text, &["src", "source"])?;
        match import(context, place) {
            Ok(import) => imports.push(import),
            Err(error) => warn(&format!("--cache-from {text} is not used: {}", line(&error))),
        }
    }
    Ok(imports)
}

fn import(context: &Context, place: Place) -> Result<Imported> {
    let now = jiff::Timestamp::now().as_second();
    let (from, name): (Arc<dyn Source>, String) = match place {
        Place::Folder { path, tag } => (Arc::new(Layout::open(Path::new(&path))?), tag),
        Place::Registry(reference) => (Arc::new(context.client()?.repository(&reference)), reference.selector()),
    };
    Ok(import_cache(from, &name, now)?)
}

/// Whether the values of `--cache-to` can be understood: a mistake is told before anything is built.
pub(super) fn check(specs: &[String]) -> Result<()> {
    specs.iter().try_for_each(|text| place("--cache-to", text, &["dest"]).map(drop))
}

/// Writes the build's cache to all places.
pub(super) fn export(context: &Context, specs: &[String], built: &Built) -> Result<()> {
    let store = context.store()?;
    for text in specs {
        let (place, mode) = place("--cache-to", text, &["dest"])?;
        let (to, name): (Box<dyn Sink>, String) = match place {
            Place::Folder { path, tag } => (Box::new(Layout::create(Path::new(&path))?), tag),
            Place::Registry(reference) => (Box::new(context.client()?.repository(&reference)), reference.selector()),
        };
        export_cache(&store, built, mode, &*to, &[name], &Silent).with_context(|| format!("--cache-to {text}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_folders_or_names() {
        let parsed = |text: &str| place("--cache-to", text, &["dest"]);
        assert!(
            matches!(parsed("type=local,dest=/c,mode=max"), Ok((Place::Folder { path, tag }, Mode::Max)) if path == "/c" && tag == TAG)
        );
        assert!(matches!(parsed("type=registry,ref=r.example/a"), Ok((Place::Registry(name), Mode::Min)) if name.selector() == "latest"));
        assert!(matches!(parsed("r.example/a:1"), Ok((Place::Registry(name), _)) if name.tag() == Some("1")));
        for bad in ["type=gha", "type=local", "type=local,dest=/c,mode=all", "type=local,dest=/c,x=y", "dest=/c"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
