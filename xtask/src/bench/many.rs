//! nacre alone: a plugin's call, and stores with very many images.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use rusqlite::Connection;

use super::{
    measure::{Sample, repeat},
    tools::{Nacre, Scene},
};
use crate::run::checked;

/// What is measured, and what it took.
pub fn measure(binary: &Path, folder: &Path, scene: &Scene) -> Result<Vec<(String, Sample)>> {
    let home = folder.join("many");
    fs::create_dir(&home)?;
    let nacre = Nacre { binary: binary.to_owned(), folder: home };
    checked(nacre.nacre(&["--progress", "quiet", "pull", "-q", &scene.image]).stdout(std::process::Stdio::null()))?;
    let prune = ["image", "prune", "--dry-run", "--policy", "keep-last"];
    let mut measured = vec![("prune --dry-run --policy keep-last, 1 image".to_owned(), repeat(&mut nacre.nacre(&prune), 15)?)];
    for (from, count, label) in [(1, 10_000, "10,000"), (10_000, 100_000, "100,000")] {
        eprintln!("{label} images");
        multiply(&nacre.root(), from, count)?;
        measured.push((format!("images, {label} images"), repeat(&mut nacre.nacre(&["images"]), 5)?));
        measured.push((format!("prune --dry-run --policy keep-last, {label} images"), repeat(&mut nacre.nacre(&prune), 5)?));
    }
    Ok(measured)
}

/// Makes more images out of the only real one: its rows again and again, each with a manifest and a config of its own, in
/// repositories of ten tags. The layers are shared.
fn multiply(root: &Path, from: u32, to: u32) -> Result<()> {
    let mut database = Connection::open(root.join("meta.db"))?;
    let original: String = database.query_row("SELECT digest FROM images ORDER BY recorded, digest DESC LIMIT 1", [], |row| row.get(0))?;
    let config: String = database
        .query_row("SELECT child FROM edges WHERE parent = ? AND media_type LIKE '%container.image%'", [&original], |row| row.get(0))
        .context("the image has no config")?;
    let tx = database.transaction()?;
    tx.execute_batch(&format!(
        "CREATE TEMP TABLE made AS WITH RECURSIVE n(i) AS (VALUES ({from}) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {to})
           SELECT i, printf('sha256:%032x%032x', i * 7919, i) AS manifest, printf('sha256:%032x%032x', i * 7919, i + 1000000000) AS config FROM n;
         CREATE TEMP TABLE own AS SELECT * FROM images WHERE digest = '{original}';
         INSERT INTO edges SELECT manifest, iif(child = '{config}', config, child), media_type, bytes, document FROM made CROSS JOIN edges WHERE parent = '{original}';
         INSERT INTO refs SELECT 'registry.example/team/app-' || (i / 10), '1.' || (i % 10), manifest FROM made;
         INSERT INTO images SELECT manifest, media_type, bytes, created - i, recorded + i, pulled, built, last_used, uses, pinned, size, labels, platforms, subject, artifact_type, annotations FROM made CROSS JOIN own;"
    ))?;
    let blobs = root.join("blobs/sha256");
    {
        let mut select = tx.prepare("SELECT manifest FROM made UNION ALL SELECT config FROM made")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let digest: String = row.get(0)?;
            fs::write(blobs.join(digest.trim_start_matches("sha256:")), "{}")?;
        }
    }
    tx.execute_batch("DROP TABLE made; DROP TABLE own;")?;
    Ok(tx.commit()?)
}
