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
        let server = server(registry);
        if let Some(helper) = helper_of(&content, registry) {
            return self.helper(helper)?.get(server);
        }
        if let Some(found) = entry(&content, registry, repository) {
            return decode(found).map_err(|why| Error::malformed(format!("{} of {registry}", file.display()), why));
        }
        match content.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            Some(name) => self.helper(name)?.get(server),
            None => Ok(None),
        }
    }

    /// Keeps a login: in the helper that the first file names for the registry, else in that file. Returns where.
    ///
    /// # Errors
    /// If there is no file, or writing or the helper fails.
    pub fn store(&self, registry: &str, user: &str, password: &str) -> Result<String> {
        let file = self.files.first().ok_or_else(|| Error::Conflict("there is no auth file to keep the login in".into()))?;
        let mut content = auth_file::read(file)?.unwrap_or_default();
        let store = content.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty());
        if let Some(name) = helper_of(&content, registry).or(store) {
            let helper = self.helper(name)?;
            helper.store(server(registry), user, password)?;
            return Ok(helper.to_string());
        }
        let auths = content.entry("auths").or_insert_with(|| json!({}));
        let auths = auths.as_object_mut().ok_or_else(|| Error::malformed(file.display().to_string(), "'auths' is not an object"))?;
        auths.insert(server(registry).to_owned(), json!({ "auth": auth_file::encode(user, password) }));
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
            let store = content.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty());
            if let Some(name) = helper_of(&content, registry).or(store) {
                found |= self.helper(name)?.erase(server(registry))?;
            }
            let Some(auths) = content.get_mut("auths").and_then(Value::as_object_mut) else { continue };
            let before = auths.len();
            auths.retain(|key, _| normal(key) != registry);
            if auths.len() != before {
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

fn helper_of<'a>(content: &'a Map<String, Value>, registry: &str) -> Option<&'a str> {
    let helpers = content.get("credHelpers")?.as_object()?;
    let named = helpers.iter().find(|(key, _)| normal(key) == registry);
    named.and_then(|(_, helper)| helper.as_str()).filter(|name| !name.is_empty())
}

/// The entry of `auths` with the longest key that fits.
fn entry<'a>(content: &'a Map<String, Value>, registry: &str, repository: Option<&str>) -> Option<&'a Value> {
    let auths = content.get("auths")?.as_object()?;
    let name = repository.map_or_else(|| registry.to_owned(), |repository| format!("{registry}/{repository}"));
    let mut wanted = name.as_str();
    loop {
        let fits = |(key, value): &(&String, &Value)| normal(key) == wanted && value.as_object().is_some_and(|entry| !entry.is_empty());
        if let Some((_, found)) = auths.iter().find(fits) {
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
fn decode(entry: &Value) -> Result<Option<Credential>, String> {
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
