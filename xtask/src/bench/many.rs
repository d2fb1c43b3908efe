//! nacre alone: a plugin's call, many plugins, and stores with very many images.

use std::{fs, path::Path, thread::sleep, time::Duration};

use anyhow::{Context, Result};
use rusqlite::Connection;

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
