//! nacre alone: a plugin's call, many plugins, and stores with very many images.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use nacre_oci::Digest;
use rusqlite::{Connection, Transaction, params};
use serde_json::Value;

use super::{
    measure::{self, Sample, repeat},
    tools::{Nacre, Scene},
};
use crate::run::checked;

/// How many plugins a user is taken to have at most.
const PLUGINS: usize = 50;

/// What is measured, and what it took.
pub fn measure(binary: &Path, folder: &Path, scene: &Scene) -> Result<Vec<(String, Sample)>> {
    let home = folder.join("many");
    fs::create_dir(&home)?;
    let nacre = Nacre { binary: binary.to_owned(), folder: home };
    checked(nacre.nacre(&["--progress", "quiet", "pull", "-q", &scene.image]).stdout(std::process::Stdio::null()))?;
    let prune = ["image", "prune", "--dry-run", "--policy", "keep-last"];
    let mut measured = vec![("prune --dry-run --policy keep-last, 1 image".to_owned(), repeat(&mut nacre.nacre(&prune), 15)?)];
    measured.extend(with_plugins(&nacre)?);
    for (from, count, label) in [(1, 10_000, "10,000"), (10_000, 100_000, "100,000")] {
        eprintln!("{label} images");
        multiply(&nacre.root(), from, count)?;
        measured.push((format!("images, {label} images"), repeat(&mut nacre.nacre(&["images"]), 5)?));
        measured.push((format!("prune --dry-run --policy keep-last, {label} images"), repeat(&mut nacre.nacre(&prune), 5)?));
        measured.push((format!("system check, {label} images"), repeat(&mut nacre.nacre(&["system", "check"]), 3)?));
    }
    let removed = measure::measure(&mut nacre.nacre(&["image", "prune", "-f", "--policy", "keep-last"]))?;
    measured.push(("image prune -f --policy keep-last, 50,000 of 100,000 images and 100,000 blobs go".to_owned(), removed));
    Ok(measured)
}

/// What a shell asks for when it starts, and what a user does, where many plugins have commands.
fn with_plugins(nacre: &Nacre) -> Result<Vec<(String, Sample)>> {
    let folder = nacre.folder.join("plugins");
    for number in 0..PLUGINS {
        let own = folder.join(format!("p{number}"));
        fs::create_dir_all(&own)?;
        let head = format!("plugin = {{ name = 'bench/p{number}', version = '1.0.0', api = '0.1' }}");
        let option = "name = 'level'\nhelp = 'how much'\noption = true";
        let command = format!("[[command]]\nname = 'p{number}'\nabout = 'does it'\n[[command.argument]]\n{option}\n");
        fs::write(own.join("plugin.toml"), format!("{head}\n{command}"))?;
    }
    // A script is not kept while what it was made from is this new.
    sleep(Duration::from_millis(200));
    let row = |args: &[&str]| {
        let sample = repeat(nacre.nacre(args).env("NACRE_PLUGINS", &folder), 31)?;
        Ok((format!("{}, {PLUGINS} plugins with commands", args.join(" ")), sample))
    };
    [&["--help"][..], &["completion", "bash"]].into_iter().map(row).collect()
}

/// Makes more images out of the only real one: each with a config and a manifest of its own, in repositories of ten tags. The
/// layers are shared.
fn multiply(root: &Path, from: i64, to: i64) -> Result<()> {
    let mut database = Connection::open(root.join("meta.db"))?;
    let tx = database.transaction()?;
    let original = Original::read(&tx, root)?;
    (from..to).try_for_each(|number| original.again(&tx, root, number))?;
    Ok(tx.commit()?)
}

/// The real image.
struct Original {
    digest: String,
    created: i64,
    /// Of its layers.
    size: i64,
    manifest: Value,
    config: Value,
}

impl Original {
    fn read(tx: &Transaction<'_>, root: &Path) -> Result<Self> {
        let row = "SELECT digest, created, size FROM images ORDER BY recorded, digest DESC LIMIT 1";
        let (digest, created, size): (String, i64, i64) = tx.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let manifest = fs::read(blob(root, &digest))?;
        let parsed: Value = serde_json::from_slice(&manifest)?;
        let config = fs::read(blob(root, parsed["config"]["digest"].as_str().context("the image has no config")?))?;
        let size = size - i64::try_from(manifest.len() + config.len())?;
        Ok(Self { digest, created, size, manifest: parsed, config: serde_json::from_slice(&config)? })
    }

    /// The same with another time, which makes it another image.
    fn again(&self, tx: &Transaction<'_>, root: &Path, number: i64) -> Result<()> {
        let (created, mut config, mut manifest) = (self.created - number, self.config.clone(), self.manifest.clone());
        config["created"] = Timestamp::from_second(created)?.to_string().into();
        let (config_digest, config_bytes) = put(root, &config)?;
        manifest["config"]["digest"] = config_digest.to_string().into();
        manifest["config"]["size"] = config_bytes.into();
        let (digest, bytes) = put(root, &manifest)?;
        let (digest, size) = (digest.to_string(), self.size + bytes + config_bytes);
        tx.prepare_cached(
            "INSERT INTO images SELECT ?2, media_type, ?3, ?4, recorded + ?5, pulled, built, last_used, uses, pinned, ?6, labels, platforms,
                                       subject, artifact_type, annotations FROM images WHERE digest = ?1",
        )?
        .execute(params![self.digest, digest, bytes, created, number, size])?;
        tx.prepare_cached(
            "INSERT INTO edges SELECT ?2, iif(child = ?3, ?4, child), media_type, iif(child = ?3, ?5, bytes), document
             FROM edges WHERE parent = ?1",
        )?
        .execute(params![
            self.digest,
            digest,
            self.manifest["config"]["digest"].as_str(),
            config_digest.to_string(),
            config_bytes
        ])?;
        let (name, tag) = (format!("registry.example/team/app-{}", number / 10), format!("1.{}", number % 10));
        tx.prepare_cached("INSERT INTO refs VALUES (?, ?, ?)")?.execute(params![name, tag, digest])?;
        Ok(())
    }
}

/// Writes a document as the store keeps it; its digest, and how many bytes it has.
fn put(root: &Path, document: &Value) -> Result<(Digest, i64)> {
    let bytes = serde_json::to_vec(document)?;
    let digest = Digest::of(&bytes);
    let path = blob(root, &digest.to_string());
    fs::write(&path, &bytes)?;
    fs::set_permissions(&path, Permissions::from_mode(0o444))?;
    Ok((digest, i64::try_from(bytes.len())?))
}

fn blob(root: &Path, digest: &str) -> PathBuf {
    root.join("blobs").join(digest.replacen(':', "/", 1))
}
