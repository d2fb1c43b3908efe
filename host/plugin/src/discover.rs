//! Finding plugins: what was installed, folders `NAME/{plugin.toml,plugin.wasm}`, and the bundled ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nacre_oci::Progress;

use crate::capability::Capabilities;
use crate::engine::Runtime;
use crate::error::{Error, Fault, join};
use crate::lifecycle::{LOCK_FILE, Lock, Locked};
use crate::log::Log;
use crate::manifest::{self, Manifest};
use crate::plugin::{Origin, Plugin, read_capped};
use crate::policy::Policy;
use crate::stamp::Stamp;

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
    disabled: Vec<Plugin>,
    broken: Vec<Broken>,
}

/// A search under way.
struct Finder<'a> {
    plugins: Plugins,
    runtime: Arc<Runtime>,
    policy: Arc<Policy>,
    settings: &'a BTreeMap<String, Settings>,
}

impl Plugins {
    /// As [`Plugins::discover_within`], with no ceiling and no signatures.
    pub fn discover(dirs: &[PathBuf], bundled: &[Bundled], cache_dir: &Path, settings: &BTreeMap<String, Settings>) -> Plugins {
        Plugins::discover_within(dirs, bundled, cache_dir, settings, Policy::default())
    }

    /// Reads the lock files and manifests in `dirs`, in their order, and then those of the bundled plugins.
    /// Nothing is compiled or run. Of several plugins with one name the first is taken, in a folder the one that was
    /// installed. A directory that does not exist is empty.
    ///
    /// `cache_dir` is where compiled plugins are kept; it is made with mode 0700 when it is needed.
    /// `settings` are the user's, by plugin name with or without its publisher; each key takes the place of the manifest's.
    pub fn discover_within(
        dirs: &[PathBuf],
        bundled: &[Bundled],
        cache_dir: &Path,
        settings: &BTreeMap<String, Settings>,
        policy: Policy,
    ) -> Plugins {
        let plugins = Plugins { found: Vec::new(), disabled: Vec::new(), broken: Vec::new() };
        let runtime = Arc::new(Runtime::new(cache_dir.to_owned()));
        let mut finder = Finder { plugins, runtime, policy: Arc::new(policy), settings };
        for dir in dirs {
            finder.installed(dir);
            for folder in finder.plugins.folders(dir) {
                match read_manifest(&folder) {
                    Ok(manifest) => finder.add(manifest, Origin::Folder(folder), None, &[]),
                    Err(fault) => finder.plugins.broken.push(broken(fault, &Origin::Folder(folder))),
                }
            }
        }
        for (text, wasm) in bundled {
            match Manifest::parse(text) {
                Ok(manifest) => finder.add(manifest, Origin::Bundled, None, wasm),
                Err(fault) => finder.plugins.broken.push(broken(fault, &Origin::Bundled)),
            }
        }
        finder.plugins
    }

    /// Has `progress` tell the calls to come whether the user wants an end; they end with
    /// [`nacre_oci::Error::Cancelled`] then.
    pub fn watch(&self, progress: Arc<dyn Progress>) {
        self.list().for_each(|plugin| plugin.runtime.watch(Arc::clone(&progress)));
    }

    /// The one plugin that its author has in `folder`: nobody installed it, so it has all that it asks for. `settings`
    /// take the place of its own, key by key.
    ///
    /// # Errors
    /// Its manifest cannot be read or is wrong.
    pub fn open(folder: &Path, cache_dir: &Path, settings: &Settings) -> Result<Plugins, Error> {
        let manifest = read_manifest(folder).map_err(|fault| fault.of(&folder.display().to_string()))?;
        let settings = BTreeMap::from([(manifest.plugin.name.clone(), settings.clone())]);
        let plugins = Plugins { found: Vec::new(), disabled: Vec::new(), broken: Vec::new() };
        let runtime = Arc::new(Runtime::new(cache_dir.to_owned()));
        let mut finder = Finder { plugins, runtime, policy: Arc::new(Policy::default()), settings: &settings };
        finder.add(manifest, Origin::Folder(folder.to_owned()), None, &[]);
        finder.plugins.found.iter_mut().for_each(|plugin| plugin.granted = plugin.manifest.capabilities.clone());
        match finder.plugins.broken.pop() {
            Some(broken) => Err(broken.error),
            None => Ok(finder.plugins),
        }
    }

    /// All usable plugins, in the order of precedence.
    pub fn list(&self) -> impl Iterator<Item = &Plugin> {
        self.found.iter()
    }

    /// The folders that hold no usable plugin.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        self.broken.iter()
    }

    /// Plugins that were installed and are not used.
    pub fn disabled(&self) -> impl Iterator<Item = &Plugin> {
        self.disabled.iter()
    }

    /// The plugin of this name, disabled or not; the publisher in front may be left out where that leaves one.
    ///
    /// # Errors
    /// There is none, or there are several; the error lists the names.
    pub fn get(&self, name: &str) -> Result<&Plugin, Error> {
        let all = || self.found.iter().chain(&self.disabled);
        if let Some(exact) = all().find(|plugin| plugin.name() == name) {
            return Ok(exact);
        }
        let fitting: Vec<&Plugin> = all().filter(|plugin| short(plugin.name()) == name).collect();
        match fitting[..] {
            [one] => Ok(one),
            [] => Err(Error::UnknownPlugin {
                name: name.into(),
                known: self.known(|plugin| std::slice::from_ref(&plugin.manifest.plugin.name)),
            }),
            [..] => Err(Error::AmbiguousPlugin { name: name.into(), known: join(fitting.iter().map(|plugin| plugin.name())) }),
        }
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
        let mut folders: Vec<PathBuf> = visible(entries).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    }
}

/// What lies in a plugins directory; what is hidden is somebody else's.
fn visible(entries: fs::ReadDir) -> impl Iterator<Item = PathBuf> {
    let visible = |path: &PathBuf| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    entries.flatten().map(|entry| entry.path()).filter(visible)
}

/// A digest of what [`Plugins::discover`] reads in `dirs`, and of `program`, which brings the bundled plugins: as long as it
/// stays, so does everything that follows from them. It is made from [`Stamp`]s, and no file is read. Nothing if one of
/// them was changed just now, so that it could change unnoticed.
pub fn fingerprint(program: &Path, dirs: &[PathBuf]) -> Option<nacre_oci::Digest> {
    let mut files = vec![program.to_owned()];
    for dir in dirs {
        files.push(dir.join(LOCK_FILE));
        let mut manifests: Vec<PathBuf> = fs::read_dir(dir).into_iter().flat_map(visible).map(|path| path.join("plugin.toml")).collect();
        manifests.sort();
        files.append(&mut manifests);
    }
    let mut text = String::new();
    for file in files {
        let stamp = fs::metadata(&file).ok().map(|found| Stamp::of(&found));
        if stamp.is_some_and(|stamp| !stamp.is_settled()) {
            return None;
        }
        text.push_str(&format!("{file:?} {stamp:?}\n"));
    }
    Some(nacre_oci::Digest::of(text.as_bytes()))
}

impl Finder<'_> {
    /// Adds what the lock file of `dir` lists.
    fn installed(&mut self, dir: &Path) {
        let lock = match Lock::read(dir) {
            Ok(lock) => lock,
            Err(fault) => return self.plugins.broken.push(Broken { path: dir.join(LOCK_FILE), error: fault.of("lock file") }),
        };
        for locked in lock.plugins {
            let origin = Origin::Installed { folder: locked.folder(dir), source: locked.source.clone() };
            match locked.check() {
                Ok(()) => self.add(locked.manifest.clone(), origin, Some(Box::new(locked)), &[]),
                Err(fault) => self.plugins.broken.push(Broken { path: dir.join(LOCK_FILE), error: fault.of(&locked.name) }),
            }
        }
    }

    fn add(&mut self, manifest: Manifest, origin: Origin, locked: Option<Box<Locked>>, bundled: &'static [u8]) {
        if manifest.is_reserved() && origin != Origin::Bundled {
            return self.plugins.broken.push(broken(Fault::Reserved, &origin));
        }
        let name = &manifest.plugin.name;
        let is_enabled = locked.as_ref().is_none_or(|locked| locked.enabled);
        if is_enabled && let Some(first) = self.plugins.found.iter_mut().find(|plugin| plugin.name() == name) {
            return first.shadows.push(origin);
        }
        let mut settings = manifest.settings.clone();
        settings.extend(self.settings.get(name).or_else(|| self.settings.get(short(name))).cloned().unwrap_or_default());
        let plugin = Plugin {
            granted: self.granted(&manifest, &origin, locked.as_deref()),
            manifest: Manifest { limits: self.policy.ceiling.limits(manifest.limits), ..manifest },
            origin,
            shadows: Vec::new(),
            settings,
            locked,
            policy: Arc::clone(&self.policy),
            bundled,
            runtime: Arc::clone(&self.runtime),
            loaded: Mutex::default(),
            log: Mutex::new(Log::default()),
        };
        if is_enabled { self.plugins.found.push(plugin) } else { self.plugins.disabled.push(plugin) }
    }

    /// What a plugin may do: of what it asks for, what the user granted, and of that, what the ceiling allows. What only
    /// lies in a folder was granted nothing.
    fn granted(&self, manifest: &Manifest, origin: &Origin, locked: Option<&Locked>) -> Capabilities {
        let asked = &manifest.capabilities;
        let granted = match (origin, locked) {
            (Origin::Bundled, _) => asked.clone(),
            (_, Some(locked)) => asked.intersect(&locked.grants),
            (_, None) => Capabilities::default(),
        };
        self.policy.ceiling.bound(&granted)
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
        Origin::Folder(folder) | Origin::Installed { folder, .. } => folder.clone(),
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
        assert_eq!(plugins.get("nacre/std").unwrap().origin, Origin::Bundled);
        let said: Vec<String> = plugins.broken().map(|broken| broken.error.to_string()).collect();
        assert_eq!(said, ["plugin std: has a name that begins with nacre/, as only the bundled ones may: rename it in its plugin.toml"]);
    }

    #[test]
    fn the_fingerprint_changes_with_what_is_found() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let settled = || {
            // What was changed just now has none.
            let print = || fingerprint(Path::new("/proc/self/exe"), &[dir.path().to_owned(), other.path().join("none")]);
            std::iter::repeat_with(print).inspect(|_| std::thread::sleep(std::time::Duration::from_millis(10))).flatten().next().unwrap()
        };
        let empty = settled();
        add(dir.path(), "a", &manifest("a/x", "p"));
        assert_eq!(fingerprint(Path::new("/proc/self/exe"), &[dir.path().to_owned()]), None);
        let one = settled();
        assert_eq!(one, settled());
        add(dir.path(), "a", &manifest("a/x", "q"));
        let changed = settled();
        fs::remove_dir_all(dir.path().join("a")).unwrap();
        assert!(one != empty && changed != one && settled() == empty);
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
    fn a_short_name_has_to_be_unambiguous() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), "a", &manifest("a/x", "p"));
        add(dir.path(), "b", &manifest("b/x", "q"));
        let plugins = discover(&[dir.path()]);
        assert_eq!(plugins.get("x").err().unwrap().to_string(), "'x' may be a/x, b/x: give the whole name");
        assert_eq!(plugins.get("std").unwrap().name(), "nacre/std");
    }

    #[test]
    fn what_only_lies_there_is_granted_nothing() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), "a", &format!("{}\ncapabilities = {{ net = ['a.example'] }}", manifest("a/x", "p")));
        assert!(discover(&[dir.path()]).get("a/x").unwrap().granted.is_empty());
    }

    #[test]
    fn the_users_settings_replace_the_manifests_key_by_key() {
        let plugins = discover(&[]);
        assert_eq!(json!(plugins.get("nacre/std").unwrap().settings), json!({"a": 1, "b": 2}));
    }
}
