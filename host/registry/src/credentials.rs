//! Who is logged in where: Docker's and Podman's auth files, and credential helpers.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use docker_credential::DockerCredential;
use nacre_oci::{DEFAULT_REGISTRY, Error, Result};
use serde_json::{Map, Value, json};

use crate::{auth_file, helper::Helper, host::HUB_CREDENTIAL};

/// What a registry is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user's name and password.
    Password {
        /// The name.
        user: String,
        /// The password or personal access token.
        password: String,
    },
    /// A token that is exchanged for access tokens (OAuth 2 refresh token).
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, …)"),
            Self::IdentityToken(_) => write!(f, "IdentityToken(…)"),
        }
    }
}

/// Where credentials are looked for, in this order: those given by hand, then file by file.
///
/// Within a file, as in Docker and Podman: a `credHelpers` entry of the registry, then `auths` (the longest
/// `registry/path` first, down to the registry), then `credsStore`.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    given: BTreeMap<String, Credential>,
    files: Vec<PathBuf>,
    helpers: Option<PathBuf>,
}

impl Credentials {
    /// Looks in these auth files (`auth.json`, `config.json`); those that do not exist are skipped. Logins go to the first.
    pub fn from_files(files: Vec<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    /// With a credential for one registry that comes before all files.
    pub fn with(mut self, registry: &str, credential: Credential) -> Self {
        self.given.insert(registry.to_owned(), credential);
        self
    }

    /// Takes the helper programs from this folder instead of the search path.
    pub fn with_helpers_in(mut self, folder: PathBuf) -> Self {
        self.helpers = Some(folder);
        self
    }

    /// The credential for a registry, or for one of its repositories; `None` is anonymous.
    ///
    /// # Errors
    /// If a file is no auth file, or a helper fails for another reason than that it knows nothing.
    pub fn find(&self, registry: &str, repository: Option<&str>) -> Result<Option<Credential>> {
        if let Some(given) = self.given.get(registry) {
            return Ok(Some(given.clone()));
        }
        for file in &self.files {
            if let Some(found) = self.find_in(file, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_in(&self, file: &Path, registry: &str, repository: Option<&str>) -> Result<Option<Credential>> {
        let Some(content) = auth_file::read(file)? else { return Ok(None) };
        match place(&content, registry, repository) {
            Place::Helper(name) => self.helper(name)?.get(server(registry)),
            Place::Entry(found) => decode(found).map_err(|why| Error::malformed(format!("{} of {registry}", file.display()), why)),
            Place::Nowhere => Ok(None),
        }
    }

    /// Keeps a login: in the helper that the first file names for the registry, else in that file. Returns where.
    ///
    /// # Errors
    /// If there is no file, or writing or the helper fails.
    pub fn store(&self, registry: &str, user: &str, password: &str) -> Result<String> {
        let file = self.files.first().ok_or_else(|| Error::Conflict("there is no auth file to keep the login in".into()))?;
        let mut content = auth_file::read(file)?.unwrap_or_default();
        if let Some(name) = helper_of(&content, registry).or_else(|| default_helper(&content)) {
            let helper = self.helper(name)?;
            helper.store(server(registry), user, password)?;
            return Ok(helper.to_string());
        }
        insert(&mut content, registry, user, password).map_err(|why| Error::malformed(file.display().to_string(), why))?;
        auth_file::write(file, &content)?;
        Ok(file.display().to_string())
    }

    /// Forgets the logins at a registry in every file and its helper; says whether there was one.
    ///
    /// # Errors
    /// If a file cannot be read or written, or a helper fails.
    pub fn erase(&self, registry: &str) -> Result<bool> {
        let mut found = false;
        for file in &self.files {
            let Some(mut content) = auth_file::read(file)? else { continue };
            if let Some(name) = helper_of(&content, registry).or_else(|| default_helper(&content)) {
                found |= self.helper(name)?.erase(server(registry))?;
            }
            if remove(&mut content, registry) {
                found = true;
                auth_file::write(file, &content)?;
            }
        }
        Ok(found)
    }

    fn helper(&self, name: &str) -> Result<Helper> {
        Helper::new(name, self.helpers.as_deref())
    }
}

/// The registry's name towards auth files and helpers.
fn server(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY { HUB_CREDENTIAL } else { registry }
}

/// Where an auth file has a registry's credential.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// The helper of this name knows it.
    Helper(&'a str),
    /// This entry of `auths` is it.
    Entry(&'a Value),
    /// The file knows nothing of it.
    Nowhere,
}

/// Where this auth file has the credential of a registry, or of one of its repositories.
pub(crate) fn place<'a>(content: &'a Map<String, Value>, registry: &str, repository: Option<&str>) -> Place<'a> {
    let entry = || entry(content, registry, repository).map(Place::Entry);
    let helper = helper_of(content, registry).map(Place::Helper);
    helper.or_else(entry).or_else(|| default_helper(content).map(Place::Helper)).unwrap_or(Place::Nowhere)
}

/// Adds a login to an auth file's `auths`.
pub(crate) fn insert(content: &mut Map<String, Value>, registry: &str, user: &str, password: &str) -> Result<(), &'static str> {
    let auths = content.entry("auths").or_insert_with(|| json!({})).as_object_mut().ok_or("'auths' is not an object")?;
    auths.insert(server(registry).to_owned(), json!({ "auth": auth_file::encode(user, password) }));
    Ok(())
}

/// Takes all logins at a registry out of an auth file's `auths`; says whether there was one.
pub(crate) fn remove(content: &mut Map<String, Value>, registry: &str) -> bool {
    let Some(auths) = content.get_mut("auths").and_then(Value::as_object_mut) else { return false };
    let before = auths.len();
    auths.retain(|key, _| normal(key) != registry);
    auths.len() != before
}

fn default_helper(content: &Map<String, Value>) -> Option<&str> {
    content.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty())
}

fn helper_of<'a>(content: &'a Map<String, Value>, registry: &str) -> Option<&'a str> {
    let helpers = content.get("credHelpers")?.as_object()?;
    let named = helpers.iter().find(|(key, _)| normal(key) == registry);
    named.and_then(|(_, helper)| helper.as_str()).filter(|name| !name.is_empty())
}

/// The entry of `auths` with the longest key that fits. Of several keys for the same the one that logins are kept under wins:
/// the others may be left from an old login.
fn entry<'a>(content: &'a Map<String, Value>, registry: &str, repository: Option<&str>) -> Option<&'a Value> {
    let auths = content.get("auths")?.as_object()?;
    let name = repository.map_or_else(|| registry.to_owned(), |repository| format!("{registry}/{repository}"));
    let mut wanted = name.as_str();
    loop {
        let fits = |(key, value): &(&String, &Value)| normal(key) == wanted && value.as_object().is_some_and(|entry| !entry.is_empty());
        let own = auths.get_key_value(if wanted == registry { server(registry) } else { wanted });
        if let Some((_, found)) = own.into_iter().chain(auths).find(fits) {
            return Some(found);
        }
        wanted = wanted.rsplit_once('/')?.0;
    }
}

/// A key as a reference would say it: without scheme and Docker's API version, the Hub by one name.
fn normal(key: &str) -> String {
    let bare = match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        // Docker's old keys are URLs, of which only the host counts.
        Some(url) => url.split('/').next().unwrap_or_default(),
        None => key.trim_end_matches('/'),
    };
    let (host, path) = bare.split_once('/').map_or((bare, None), |(host, path)| (host, Some(path)));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { DEFAULT_REGISTRY } else { host };
    path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"))
}

/// Reads one entry the way the `docker_credential` crate does: identity token, `auth`, or user and password.
pub(crate) fn decode(entry: &Value) -> Result<Option<Credential>, String> {
    let only = json!({ "auths": { "x": entry } }).to_string();
    match docker_credential::get_credential_from_reader(only.as_bytes(), "x") {
        Ok(DockerCredential::IdentityToken(token)) if !token.is_empty() => Ok(Some(Credential::IdentityToken(token))),
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Credential::Password { user, password: password.trim_end_matches('\0').to_owned() }))
        }
        Ok(_) | Err(docker_credential::CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn password(user: &str) -> Option<Credential> {
        Some(Credential::Password { user: user.into(), password: "p:w".into() })
    }

    fn auth(user: &str) -> Value {
        json!({ "auth": auth_file::encode(user, "p:w") })
    }

    /// An auth file, and a folder with a helper `test` that answers by the server's name and writes down what it is told.
    fn set_up(content: &Value) -> (tempfile::TempDir, Credentials) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth.json");
        fs::write(&file, content.to_string()).unwrap();
        let script = r#"#!/bin/sh
            read -r line
            echo "$1 $line" >> "$0.log"
            case "$1 $line" in
                "get user.example" | "erase user.example") echo '{"ServerURL":"x","Username":"u","Secret":"p:w"}';;
                "get https://index.docker.io/v1/") echo '{"Username":"<token>","Secret":"t"}';;
                "get none.example") echo 'credentials not found in native keychain'; exit 1;;
                "get odd.example") echo 'not json';;
                "store "*) ;;
                *) echo 'the keychain is locked' >&2; exit 1;;
            esac
        "#;
        let helper = folder.path().join("docker-credential-test");
        fs::write(&helper, script).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let credentials = Credentials::from_files(vec![folder.path().join("missing.json"), file]).with_helpers_in(folder.path().into());
        (folder, credentials)
    }

    #[test]
    fn the_longest_key_wins() {
        let (_folder, credentials) = set_up(&json!({ "auths": {
            "r.example": auth("host"), "r.example/team": auth("team"), "r.example/team/app": auth("app"),
            "https://old.example/v1/": auth("old"), "https://index.docker.io/v1/": auth("hub"), "127.0.0.1:5000": auth("local"),
            "empty.example": {}, "plain.example": { "username": "plain", "password": "p:w" }, "id.example": { "identitytoken": "t" },
        } }));
        let find = |registry: &str, repository| credentials.find(registry, repository).unwrap();
        assert_eq!(find("r.example", None), password("host"));
        assert_eq!(find("r.example", Some("other/app")), password("host"));
        assert_eq!(find("r.example", Some("team/other")), password("team"));
        assert_eq!(find("r.example", Some("team/app")), password("app"));
        assert_eq!(find("r.example", Some("team/app/deep")), password("app"));
        assert_eq!(find("r.example", Some("teams/app")), password("host"));
        assert_eq!(find("old.example", Some("a")), password("old"));
        assert_eq!(find("docker.io", Some("library/nginx")), password("hub"));
        assert_eq!(find("127.0.0.1:5000", None), password("local"));
        assert_eq!(find("plain.example", None), password("plain"));
        assert_eq!(find("id.example", None), Some(Credential::IdentityToken("t".into())));
        for anonymous in ["empty.example", "example", "127.0.0.1", "127.0.0.1:5001"] {
            assert_eq!(find(anonymous, None), None, "{anonymous}");
        }
        let given = credentials.with("r.example", Credential::IdentityToken("g".into()));
        assert_eq!(given.find("r.example", Some("team/app")).unwrap(), Some(Credential::IdentityToken("g".into())));
    }

    #[test]
    fn helpers_answer_or_fail_loudly() {
        let helpers = ["user.example", "none.example", "odd.example", "locked.example"];
        let helpers: BTreeMap<&str, &str> = helpers.into_iter().map(|host| (host, "test")).collect();
        let (_folder, credentials) = set_up(&json!({ "credHelpers": helpers, "auths": { "none.example": auth("file") } }));
        assert_eq!(credentials.find("user.example", None).unwrap(), password("u"));
        assert_eq!(credentials.find("none.example", None).unwrap(), None);
        assert_eq!(credentials.find("unknown.example", None).unwrap(), None);
        let error = credentials.find("locked.example", None).unwrap_err().to_string();
        assert!(error.contains("the keychain is locked") && error.contains("docker-credential-test get"), "{error}");
        assert!(credentials.find("odd.example", None).is_err());
        let (_folder, everywhere) = set_up(&json!({ "credsStore": "test", "auths": { "user.example": {} } }));
        assert_eq!(everywhere.find("user.example", None).unwrap(), password("u"));
        assert_eq!(everywhere.find("docker.io", None).unwrap(), Some(Credential::IdentityToken("t".into())));
        let (_folder, missing) = set_up(&json!({ "credsStore": "not-installed" }));
        assert!(missing.find("user.example", None).is_err());
        let (_folder, path) = set_up(&json!({ "credsStore": "x/../../bin/sh" }));
        assert!(path.find("user.example", None).is_err());
    }

    #[test]
    fn damaged_files_are_errors() {
        for content in
            [json!([]), json!({ "auths": { "r.example": { "auth": "%%%" } } }), json!({ "auths": { "r.example": { "auth": "eA==" } } })]
        {
            assert!(set_up(&content).1.find("r.example", None).is_err(), "{content}");
        }
        for content in
            [json!({ "auths": null }), json!({ "auths": [] }), json!({ "auths": { "r.example": null } }), json!({ "credsStore": 1 })]
        {
            assert_eq!(set_up(&content).1.find("r.example", None).unwrap(), None, "{content}");
        }
    }

    #[test]
    fn logins_are_kept_privately_and_lose_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/config.json");
        let credentials = Credentials::from_files(vec![file.clone()]);
        credentials.store("docker.io", "u", "p:w").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let mut content = auth_file::read(&file).unwrap().unwrap();
        assert_eq!(content["auths"][HUB_CREDENTIAL], auth("u"));
        content.insert("HttpHeaders".into(), json!({ "X": "y" }));
        fs::write(&file, Value::from(content).to_string()).unwrap();
        credentials.store("r.example", "v", "p:w").unwrap();
        assert_eq!(credentials.find("docker.io", Some("a/b")).unwrap(), password("u"));
        assert_eq!(credentials.find("r.example", None).unwrap(), password("v"));
        assert!(credentials.erase("docker.io").unwrap() && !credentials.erase("docker.io").unwrap());
        let content = auth_file::read(&file).unwrap().unwrap();
        assert_eq!((&content["HttpHeaders"]["X"], content["auths"].as_object().unwrap().len()), (&json!("y"), 1));
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "a staging file was left behind");
    }

    #[test]
    fn a_new_login_wins_over_an_old_one() {
        for (registry, old) in [("r.example", "http://r.example/v1/"), ("docker.io", "docker.io")] {
            let (folder, credentials) = set_up(&json!({ "auths": { old: auth("old") } }));
            let credentials = Credentials { files: vec![folder.path().join("auth.json")], ..credentials };
            assert_eq!(credentials.find(registry, None).unwrap(), password("old"));
            credentials.store(registry, "new", "p:w").unwrap();
            assert_eq!(credentials.find(registry, Some("a")).unwrap(), password("new"), "{registry}");
            assert!(credentials.erase(registry).unwrap());
            assert_eq!(credentials.find(registry, None).unwrap(), None, "{registry}");
        }
    }

    #[test]
    fn a_helper_keeps_logins_where_one_is_named() {
        let (folder, credentials) = set_up(&json!({ "credsStore": "test" }));
        let credentials = Credentials { files: vec![folder.path().join("auth.json")], ..credentials };
        credentials.store("r.example", "u", "p:w").unwrap();
        assert!(credentials.erase("user.example").unwrap());
        let log = fs::read_to_string(folder.path().join("docker-credential-test.log")).unwrap();
        assert_eq!(
            log,
            "store {\"Secret\":\"p:w\",\"ServerURL\":\"r.example\",\"Username\":\"u\"}\nget user.example\nerase user.example\n"
        );
        assert!(!fs::read_to_string(folder.path().join("auth.json")).unwrap().contains("auths"));
    }
}
