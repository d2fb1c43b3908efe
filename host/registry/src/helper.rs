//! Credential helpers: programs `docker-credential-NAME` (Docker's protocol).

use std::{
    fmt,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nacre_oci::{Error, Result};
use serde::Deserialize;
use serde_json::json;

use crate::Credential;

/// How helpers say that they know nothing (docker-credential-helpers).
const NOT_FOUND: &str = "credentials not found";
/// What stands for the user where the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// One helper program.
pub(crate) struct Helper {
    program: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())
    }
}

impl Helper {
    /// The helper of this name, from a folder or the search path.
    pub(crate) fn new(name: &str, folder: Option<&Path>) -> Result<Self> {
        if name.contains('/') {
            return Err(Error::malformed("the auth file", format!("'{name}' is not the name of a credential helper")));
        }
        let program = format!("docker-credential-{name}");
        Ok(Self { program: folder.map_or_else(|| program.clone().into(), |folder| folder.join(&program)) })
    }

    /// What the helper knows about a server.
    pub(crate) fn get(&self, server: &str) -> Result<Option<Credential>> {
        let Some(bytes) = self.run("get", server)? else { return Ok(None) };
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| self.failed("get", "its answer is not JSON"))?;
        if answer.username == TOKEN_USER {
            return Ok(Some(Credential::IdentityToken(answer.secret)));
        }
        let known = !answer.username.is_empty() || !answer.secret.is_empty();
        Ok(known.then_some(Credential::Password { user: answer.username, password: answer.secret }))
    }

    /// Has the helper keep a login.
    pub(crate) fn store(&self, server: &str, user: &str, password: &str) -> Result<()> {
        let login = json!({ "ServerURL": server, "Username": user, "Secret": password });
        self.run("store", &login.to_string())?.map(drop).ok_or_else(|| self.failed("store", NOT_FOUND))
    }

    /// Has the helper forget a server; says whether it knew it.
    pub(crate) fn erase(&self, server: &str) -> Result<bool> {
        Ok(self.get(server)?.is_some() && self.run("erase", server)?.is_some())
    }

    /// Runs the helper; `None` if it knows nothing.
    fn run(&self, verb: &str, input: &str) -> Result<Option<Vec<u8>>> {
        let failed = |e: std::io::Error| self.failed(verb, &e.to_string());
        let mut command = Command::new(&self.program);
        let mut child = command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let mut stdin = child.stdin.take().expect("standard input was made a pipe");
        // A helper that does not read its input says why by its exit status.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().map_err(failed)?;
        let said = String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout });
        match output.status.success() {
            true => Ok(Some(output.stdout)),
            false if said.contains(NOT_FOUND) => Ok(None),
            false => Err(self.failed(verb, said.lines().next().unwrap_or("it says nothing"))),
        }
    }

    fn failed(&self, verb: &str, why: &str) -> Error {
        let why: String = why.chars().take(300).collect();
        Error::Transport { doing: format!("credential helper '{self} {verb}'"), why }
    }
}
