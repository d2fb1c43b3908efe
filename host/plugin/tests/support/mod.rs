//! A plugins directory and a cache for one test.
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod data;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nacre_plugin::{Hit, Kv, Plugins};
use serde_json::Value;
use tempfile::TempDir;

/// The manifest that bad guests come with, unless a test changes it.
pub(crate) const MANIFEST: &str = r#"
[plugin]
name = "acme/bad"
version = "1.0.0"
api = "0.1"
[provides]
search-filter = ["do"]
prune-policy = ["bad"]
[options]
do = "what to do wrong"
[limits]
time = "20s"
"#;

/// The component `name` of the guest workspace `workspace`, a path below the repository.
pub(crate) fn guest(workspace: &str, name: &str) -> Vec<u8> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(workspace);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests");
    let built = nacre_bundled::guests::build(OsStr::new(env!("CARGO")), &workspace, &target).unwrap();
    fs::read(built.join(format!("{name}.wasm"))).unwrap()
}

/// A plugins directory and a cache folder.
pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    pub(crate) fn new(manifest: &str, wasm: &[u8]) -> Sandbox {
        let sandbox = Sandbox(tempfile::tempdir().unwrap());
        sandbox.add("it", manifest, wasm);
        sandbox
    }

    /// Adds a plugin in a folder of this name.
    pub(crate) fn add(&self, folder: &str, manifest: &str, wasm: &[u8]) {
        let folder = self.0.path().join("plugins").join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("plugin.toml"), manifest).unwrap();
        fs::write(folder.join("plugin.wasm"), wasm).unwrap();
    }

    /// The folder of a plugin.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.0.path().join("plugins").join(name)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    pub(crate) fn plugins(&self) -> Plugins {
        self.plugins_with(&[])
    }

    /// The plugins as they are found with these settings of the user.
    pub(crate) fn plugins_with(&self, settings: &[(&str, Value)]) -> Plugins {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.as_object().unwrap().clone()));
        Plugins::discover(&[self.0.path().join("plugins")], &[], &self.cache(), &settings.collect())
    }
}

pub(crate) fn hits(count: usize) -> Vec<Hit> {
    (0..count).map(|i| Hit { name: format!("acme/{i}"), registry: "docker.io".into(), ..Hit::default() }).collect()
}

/// The option that tells the guest `misbehave` what to do.
pub(crate) fn doing(what: &str) -> Vec<Kv> {
    vec![Kv::new("do", what)]
}
