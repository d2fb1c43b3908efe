//! Finding plugins: folders `NAME/{plugin.toml,plugin.wasm}` and the bundled ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nacre_oci::Progress;

use crate::engine::Runtime;
use crate::error::{Error, Fault, join};
use crate::log::Log;
use crate::manifest::{self, Manifest};
use crate::plugin::{Origin, Plugin, read_capped};

/// A bundled plugin: the text of its `plugin.toml` and the bytes of its `plugin.wasm`.
pub type Bundled = (&'static str, &'static [u8]);

/// A plugin's settings: a JSON object.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// A folder that holds no usable plugin. The others are not affected.
#[derive(Debug)]
pub struct Broken {
    /// The folder, or the plugins directory that cannot be read.
    pub path: PathBuf,
    /// What is wrong, in one line.
    pub error: Error,
}

/// All plugins that there are.
pub struct Plugins {
    found: Vec<Plugin>,
    broken: Vec<Broken>,
}

impl Plugins {
    /// Reads the manifests in `dirs`, in their order, and then those of the bundled plugins.
    /// Nothing is compiled or run. Of several plugins with one name the first is taken. A directory that
    /// does not exist is empty.
    ///
    /// `cache_dir` is where compiled plugins are kept; it is made with mode 0700 when it is needed.
    /// `settings` are the user's, by plugin name with or without its publisher; each key takes the place of the manifest's.
    pub fn discover(dirs: &[PathBuf], bundled: &[Bundled], cache_dir: &Path, settings: &BTreeMap<String, Settings>) -> Plugins {
        let mut plugins = Plugins { found: Vec::new(), broken: Vec::new() };
        let runtime = Arc::new(Runtime::new(cache_dir.to_owned()));
        for dir in dirs {
            for folder in plugins.folders(dir) {
                let manifest = read_manifest(&folder);
                plugins.add(manifest, Origin::Folder(folder), &[], settings, &runtime);
            }
        }
        for (text, wasm) in bundled {
            plugins.add(Manifest::parse(text), Origin::Bundled, wasm, settings, &runtime);
        }
        plugins
    }

    /// Has `progress` tell the calls to come whether the user wants an end; they end with
    /// [`nacre_oci::Error::Cancelled`] then.
    pub fn watch(&self, progress: Arc<dyn Progress>) {
        self.list().for_each(|plugin| plugin.runtime.watch(Arc::clone(&progress)));
    }

    /// All usable plugins, in the order of precedence.
    pub fn list(&self) -> impl Iterator<Item = &Plugin> {
        self.found.iter()
    }

    /// The folders that hold no usable plugin.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        self.broken.iter()
    }

    /// The plugin of this name; the publisher in front may be left out.
    ///
    /// # Errors
    /// There is none; the error lists all names.
    pub fn get(&self, name: &str) -> Result<&Plugin, Error> {
        let exact = self.list().find(|plugin| plugin.name() == name);
        let found = exact.or_else(|| self.list().find(|plugin| short(plugin.name()) == name));
        found.ok_or_else(|| Error::UnknownPlugin {
            name: name.into(),
            known: self.known(|plugin| std::slice::from_ref(&plugin.manifest.plugin.name)),
        })
    }

    /// The plugin that provides the key `key` of `nacre search --filter`.
    ///
    /// # Errors
    /// There is none; the error lists all keys.
    pub fn search_filter(&self, key: &str) -> Result<&Plugin, Error> {
        let found = self.list().find(|plugin| filter_keys(plugin).iter().any(|k| k == key));
        found.ok_or_else(|| Error::UnknownFilter { key: key.into(), known: self.known(filter_keys) })
    }

    /// The plugin that provides the policy `name` of `nacre image prune --policy`.
    ///
    /// # Errors
    /// There is none; the error lists all policies.
    pub fn prune_policy(&self, name: &str) -> Result<&Plugin, Error> {
        let found = self.list().find(|plugin| policy_names(plugin).iter().any(|n| n == name));
        found.ok_or_else(|| Error::UnknownPolicy { name: name.into(), known: self.known(policy_names) })
    }

    /// What exists, sorted, and a hint if something could not be read.
    pub(crate) fn known(&self, names: fn(&Plugin) -> &[String]) -> String {
        let known = join(self.list().flat_map(names));
        match self.broken.len() {
            0 => known,
            1 => format!("{known}; one plugin could not be read: see nacre plugin ls"),
            broken => format!("{known}; {broken} plugins could not be read: see nacre plugin ls"),
        }
    }

    /// The folders in a plugins directory, sorted; hidden ones are somebody else's.
    fn folders(&mut self, dir: &Path) -> Vec<PathBuf> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let fault = Fault::Read { path: dir.to_owned(), reason: error.to_string() };
                self.broken.push(Broken { path: dir.to_owned(), error: fault.of("directory") });
                return Vec::new();
            }
        };
        let visible = |path: &PathBuf| path.is_dir() && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(visible).collect();
        folders.sort();
        folders
    }

    fn add(
        &mut self,
        manifest: Result<Manifest, Fault>,
        origin: Origin,
        bundled: &'static [u8],
        settings: &BTreeMap<String, Settings>,
        runtime: &Arc<Runtime>,
    ) {
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(fault) => return self.broken.push(broken(fault, &origin)),
        };
        let name = &manifest.plugin.name;
        if let Some(first) = self.found.iter_mut().find(|plugin| plugin.name() == name) {
            return first.shadows.push(origin);
        }
        let mut merged = manifest.settings.clone();
        merged.extend(settings.get(name).or_else(|| settings.get(short(name))).cloned().unwrap_or_default());
        self.found.push(Plugin {
            manifest,
            origin,
            shadows: Vec::new(),
            settings: merged,
            bundled,
            runtime: Arc::clone(runtime),
            loaded: Mutex::default(),
            log: Mutex::new(Log::default()),
        });
    }
}

/// The name without its publisher.
fn short(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, short)| short)
}

fn filter_keys(plugin: &Plugin) -> &[String] {
    &plugin.manifest.provides.search_filter
}

fn policy_names(plugin: &Plugin) -> &[String] {
    &plugin.manifest.provides.prune_policy
}

fn read_manifest(folder: &Path) -> Result<Manifest, Fault> {
    let bytes = read_capped(&folder.join("plugin.toml"), manifest::MAX_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::Manifest("is not UTF-8".into()))?;
    Manifest::parse(&text)
}

/// A broken plugin goes by its folder's name.
fn broken(fault: Fault, origin: &Origin) -> Broken {
    let path = match origin {
        Origin::Folder(folder) => folder.clone(),
        Origin::Bundled => PathBuf::from("bundled"),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Broken { path, error: fault.of(&name) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    const BUNDLED: [Bundled; 1] = [(
        "plugin = { name = 'nacre/std', version = '1.0.0', api = '0.1' }\nprovides = { search-filter = ['stars'], prune-policy = ['standard'] }\nsettings = { a = 1, b = 1 }",
        b"",
    )];

    fn add(dir: &Path, folder: &str, text: &str) {
        fs::create_dir_all(dir.join(folder)).unwrap();
        fs::write(dir.join(folder).join("plugin.toml"), text).unwrap();
    }

    fn manifest(name: &str, policy: &str) -> String {
        format!("plugin = {{ name = '{name}', version = '1.0.0', api = '0.1' }}\nprovides = {{ prune-policy = ['{policy}'] }}")
    }

    fn discover(dirs: &[&Path]) -> Plugins {
        let dirs: Vec<PathBuf> = dirs.iter().map(|dir| dir.to_path_buf()).collect();
        let settings = BTreeMap::from([("nacre/std".to_owned(), json!({"b": 2}).as_object().unwrap().clone())]);
        Plugins::discover(&dirs, &BUNDLED, Path::new("/nonexistent"), &settings)
    }

    #[test]
    fn the_first_of_a_name_is_taken_and_shadows_the_rest() {
        let (user, system) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        add(system.path(), "x", &manifest("acme/x", "system"));
        add(user.path(), "mine", &manifest("acme/x", "user"));
        add(user.path(), "std", &manifest("nacre/std", "better"));
        let plugins = discover(&[user.path(), system.path(), Path::new("/nonexistent")]);
        let names: Vec<&str> = plugins.list().map(Plugin::name).collect();
        assert_eq!(names, ["acme/x", "nacre/std"]);
        assert_eq!(plugins.get("acme/x").unwrap().manifest.provides.prune_policy, ["user"]);
        assert_eq!(plugins.get("acme/x").unwrap().shadows, [Origin::Folder(system.path().join("x"))]);
        assert_eq!(plugins.get("nacre/std").unwrap().shadows, [Origin::Bundled]);
        assert_eq!(plugins.broken().count(), 0);
    }

    #[test]
    fn a_broken_folder_stops_no_other() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), "bad", "plugin = 1");
        add(dir.path(), "good", &manifest("acme/good", "good"));
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        fs::write(dir.path().join("README"), "").unwrap();
        let plugins = discover(&[dir.path()]);
        assert!(plugins.get("acme/good").is_ok());
        let said: Vec<String> = plugins.broken().map(|broken| broken.error.to_string()).collect();
        assert_eq!(said.len(), 2);
        assert!(said[0].starts_with("plugin bad: plugin.toml: line 1: "), "{}", said[0]);
        let path = dir.path().join("empty/plugin.toml");
        let unknown = plugins.prune_policy("bad").err().unwrap().to_string();
        assert_eq!(unknown, "unknown prune policy 'bad': known are good, standard; 2 plugins could not be read: see nacre plugin ls");
        assert_eq!(said[1], format!("plugin empty: cannot read {}: No such file or directory (os error 2)", path.display()));
    }

    #[test]
    fn what_is_unknown_is_answered_with_what_exists() {
        let plugins = discover(&[]);
        let said = |result: Result<&Plugin, Error>| result.err().unwrap().to_string();
        assert_eq!(said(plugins.search_filter("star")), "unknown search filter 'star': known are stars");
        assert_eq!(said(plugins.prune_policy("lru")), "unknown prune policy 'lru': known are standard");
        assert_eq!(said(plugins.get("x")), "unknown plugin 'x': known are nacre/std");
        assert_eq!(plugins.search_filter("stars").unwrap().name(), "nacre/std");
    }

    #[test]
    fn the_users_settings_replace_the_manifests_key_by_key() {
        let plugins = discover(&[]);
        assert_eq!(json!(plugins.get("nacre/std").unwrap().settings), json!({"a": 1, "b": 2}));
    }
}
