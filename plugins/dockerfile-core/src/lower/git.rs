//! Addresses of git repositories as `ADD` takes them (BuildKit's `dfgitutil`).

use crate::syntax::boolean;

/// A repository and what of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Repository {
    /// As git takes it.
    pub remote: String,
    /// A branch, a tag or a commit; empty for the default.
    pub reference: String,
    /// A folder in it; empty for all.
    pub folder: String,
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub submodules: Option<bool>,
}

/// The repository that a source of `ADD` or `COPY` names; none if it is a path or another address.
pub(super) fn parse(source: &str) -> Result<Option<Repository>, String> {
    let Some(Address { remote, query, fragment }) = address(source) else { return Ok(None) };
    let (reference, folder) = fragment.split_once(':').unwrap_or((&fragment, ""));
    let folder = super::paths::join("/", folder).trim_start_matches('/').to_string();
    let mut repository = Repository { remote, reference: reference.into(), folder, ..Repository::default() };
    apply(&mut repository, &query)?;
    Ok(Some(repository))
}

struct Address {
    remote: String,
    query: String,
    fragment: String,
}

/// Splits an address. By HTTP it is a repository's only if its path ends in `.git`.
fn address(source: &str) -> Option<Address> {
    let (rest, fragment) = source.split_once('#').unwrap_or((source, ""));
    let (remote, query) = rest.split_once('?').unwrap_or((rest, ""));
    let address = Address { remote: remote.into(), query: query.into(), fragment: decode(fragment)? };
    match source.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()) {
        Some(scheme) if scheme == "http" || scheme == "https" => remote.ends_with(".git").then_some(address),
        Some(scheme) => (scheme == "git" || scheme == "ssh").then_some(address),
        None => is_scp(remote).then_some(address),
    }
}

/// `user@host:path`
fn is_scp(remote: &str) -> bool {
    let parts = remote.split_once('@').and_then(|(user, rest)| Some((user, rest.split_once(':')?.0)));
    parts.is_some_and(|(user, host)| is_word(user, b"-_") && is_word(host, b"-."))
}

fn is_word(text: &str, further: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || further.contains(&b))
}

/// Takes the parameters behind `?`, each of which may stand there once.
fn apply(repository: &mut Repository, query: &str) -> Result<(), String> {
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (Some(key), Some(value)) = (decode(key), decode(value)) else { return Err(format!("invalid query {part:?}")) };
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(format!("query {key:?} has multiple values"));
        }
        pairs.push((key, Some(value).filter(|value| !value.is_empty())));
    }
    let branched = pairs.iter().any(|(key, _)| key == "branch") && pairs.iter().any(|(key, _)| key == "tag");
    pairs.into_iter().try_for_each(|(key, value)| set(repository, &key, value))?;
    if branched { Err("branch conflicts with tag".into()) } else { Ok(()) }
}

fn set(repository: &mut Repository, key: &str, value: Option<String>) -> Result<(), String> {
    if matches!(key, "keep-git-dir" | "submodules" | "fetch-by-commit") {
        let text = value.as_deref().unwrap_or("true");
        let flag = boolean(text).ok_or_else(|| format!("invalid {key} value: {text:?}"))?;
        match key {
            "keep-git-dir" => repository.keep_git_dir = Some(flag),
            "submodules" => repository.submodules = Some(flag),
            _ => {}
        }
        return Ok(());
    }
    let value = value.ok_or_else(|| format!("query {key:?} has no value"))?;
    match key {
        "ref" => fill(&mut repository.reference, "ref", value),
        "tag" => fill(&mut repository.reference, "ref", prefixed("refs/tags/", value)),
        "branch" => fill(&mut repository.reference, "ref", prefixed("refs/heads/", value)),
        "subdir" => fill(&mut repository.folder, "subdir", value),
        "checksum" | "commit" => {
            repository.checksum = Some(value);
            Ok(())
        }
        "mtime" if value == "checkout" || value == "commit" => Ok(()),
        "mtime" => Err(format!("invalid mtime value: {value:?} (must be \"checkout\" or \"commit\")")),
        _ => Err(format!("unexpected query {key:?}")),
    }
}

fn fill(field: &mut String, what: &str, value: String) -> Result<(), String> {
    if !field.is_empty() && *field != value {
        return Err(format!("{what} conflicts: {field:?} vs {value:?}"));
    }
    *field = value;
    Ok(())
}

fn prefixed(prefix: &str, value: String) -> String {
    if value.starts_with(prefix) { value } else { format!("{prefix}{value}") }
}

/// Without percent signs; none if one stands before what is no number.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses() {
        let read = |source: &str| parse(source).unwrap();
        assert_eq!(read("a.git"), None);
        assert_eq!(read("./git@host:a"), None);
        assert_eq!(read("https://host/a"), None);
        assert_eq!(read("ftp://host/a.git"), None);
        let full = read("https://host/a.git#main:/sub/").unwrap();
        assert_eq!((full.remote.as_str(), full.reference.as_str(), full.folder.as_str()), ("https://host/a.git", "main", "sub"));
        assert_eq!(read("git@host:me/a.git#v1").unwrap().remote, "git@host:me/a.git");
        let query = read("git://host/a?branch=b&subdir=c&keep-git-dir&submodules=0&checksum=12").unwrap();
        assert_eq!((query.reference.as_str(), query.folder.as_str()), ("refs/heads/b", "c"));
        assert_eq!((query.keep_git_dir, query.submodules, query.checksum.as_deref()), (Some(true), Some(false), Some("12")));
    }

    #[test]
    fn mistakes() {
        let wrong = |query: &str| parse(&format!("git://host/a?{query}")).unwrap_err();
        assert_eq!(wrong("ref="), "query \"ref\" has no value");
        assert_eq!(wrong("ref=a&ref=b"), "query \"ref\" has multiple values");
        assert_eq!(wrong("tag=a&branch=b"), "ref conflicts: \"refs/tags/a\" vs \"refs/heads/b\"");
        assert_eq!(wrong("colour=red"), "unexpected query \"colour\"");
        assert_eq!(wrong("submodules=perhaps"), "invalid submodules value: \"perhaps\"");
    }
}
