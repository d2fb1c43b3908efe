//! Which repository, and which commit of it.

use std::path::Path;

use nacre_oci::{Error as Data, Result as DataResult};
use url::Url;

use super::command::Git;
use crate::Result;

/// A repository that may be fetched.
pub(super) struct Remote {
    /// As git takes it.
    pub(super) text: String,
}

/// A commit of a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) commit: String,
    /// The annotated tag that names it.
    pub(super) tag: Option<String>,
    /// The full reference that was found by; empty if the commit was named itself.
    pub(super) reference: String,
}

impl Found {
    /// Whether it is the commit, or the tag, that a checksum is the front of.
    pub(super) fn fits(&self, checksum: &str) -> bool {
        self.commit.starts_with(checksum) || self.tag.as_ref().is_some_and(|tag| tag.starts_with(checksum))
    }
}

impl Remote {
    /// Takes `git`, `http`, `https` and `ssh` URLs, and `user@host:path`. Anything else could be an option, a local file or a
    /// program to git.
    pub(super) fn parse(text: &str) -> DataResult<Self> {
        let bad = || {
            let why = "it is no git://, http://, https:// or ssh:// URL and not of the form user@host:path".to_owned();
            Data::malformed(format!("the repository {text}"), why)
        };
        let clean = !text.starts_with('-') && !text.chars().any(char::is_control);
        let known = match text.split_once("://") {
            Some((scheme, _)) => {
                let url = Url::parse(text).map_err(|_| bad())?;
                let known = matches!(scheme.to_ascii_lowercase().as_str(), "git" | "http" | "https" | "ssh");
                // ssh would take such a host for an option.
                known && url.host_str().is_some_and(|host| !host.starts_with('-')) && !url.username().starts_with('-')
            }
            None => is_scp(text),
        };
        if clean && known { Ok(Self { text: text.into() }) } else { Err(bad()) }
    }

    /// The remote without what may be a secret in it.
    pub(super) fn shown(&self) -> String {
        let Ok(mut url) = Url::parse(&self.text) else { return self.text.clone() };
        if url.password().is_some() || matches!(url.scheme(), "http" | "https") {
            // An error only says that such a URL cannot have them.
            _ = url.set_password(None);
            _ = url.set_username("");
        }
        url.set_query(None);
        url.to_string()
    }
}

/// `user@host:path`
fn is_scp(text: &str) -> bool {
    let parts = text.split_once('@').and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
    parts.is_some_and(|(user, (host, path))| {
        let plain = |part: &str| !part.is_empty() && !part.starts_with('-') && !part.contains([':', '/', '@', ' ']);
        plain(user) && plain(host) && !path.is_empty() && !path.starts_with(':')
    })
}

/// Whether a reference is one to git as well, and not an option or a range (git-check-ref-format).
pub(super) fn check_reference(reference: &str) -> DataResult<()> {
    let forbidden = |character: char| character.is_control() || " ~^:?*[\\".contains(character);
    let wrong = reference.starts_with('-') || reference.contains("..") || reference.contains("@{") || reference.contains(forbidden);
    if wrong { Err(Data::malformed(format!("the git reference {reference}"), "git has no references of that form")) } else { Ok(()) }
}

/// Asks the repository what a reference is. A whole commit id is one already.
pub(super) fn resolve(git: &Git<'_>, remote: &Remote, reference: &str) -> Result<Found> {
    if is_commit(reference) {
        return Ok(Found { commit: reference.into(), tag: None, reference: String::new() });
    }
    let wanted = if reference.is_empty() { "HEAD" } else { reference };
    let peeled = format!("{wanted}^{{}}");
    let list = git.run(Path::new("/"), &["ls-remote", "--quiet", "--", &remote.text, wanted, &peeled])?;
    let found = pick(&list, wanted).filter(|_| reference != "HEAD");
    // BuildKit's words, and its rule: `HEAD` is no name of a branch or tag.
    let missing = || Data::Other(format!("repository does not contain ref {wanted}, output: {list:?}").into());
    Ok(found.ok_or_else(missing)?)
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The reference out of `ls-remote`'s list that a name means: a branch before other references before a tag, as in BuildKit.
fn pick(list: &str, wanted: &str) -> Option<Found> {
    let of = |name: &str| {
        let mut lines = list.lines().filter_map(|line| line.split_once('\t'));
        lines.find(|(id, reference)| *reference == name && is_commit(id)).map(|(id, _)| id.to_owned())
    };
    let names = [wanted.to_owned(), format!("refs/heads/{wanted}"), format!("refs/{wanted}"), format!("refs/tags/{wanted}")];
    let names = names.into_iter().filter(|name| name == "HEAD" || name.starts_with("refs/"));
    names.into_iter().find_map(|reference| {
        let id = of(&reference)?;
        Some(match of(&format!("{reference}^{{}}")) {
            Some(commit) => Found { commit, tag: Some(id), reference },
            None => Found { commit: id, tag: None, reference },
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_repositories_elsewhere_are_taken() {
        for good in ["https://h/a.git", "git://127.0.0.1:1/a", "ssh://git@h/a", "git@github.com:acme/app.git", "HTTPS://h/a.git"] {
            assert!(Remote::parse(good).is_ok(), "{good}");
        }
        let bad = [
            "--upload-pack=touch /tmp/x",
            "-x@h:p",
            "/etc",
            "file:///etc",
            "ext::sh -c id",
            "ssh://-oProxyCommand=id/x",
            "ssh://-oProxyCommand=id@h/x",
            "git@-oProxyCommand=id:x",
            "https://h/a\n.git",
            "ext::sh@h:x",
            "fd::17@h:x",
            "",
        ];
        for bad in bad {
            assert!(Remote::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Remote::parse("https://user:word@h/a.git").unwrap().shown(), "https://h/a.git");
        assert_eq!(Remote::parse("ssh://git@h/a.git").unwrap().shown(), "ssh://git@h/a.git");
    }

    #[test]
    fn references_are_no_options() {
        for bad in ["-x", "--upload-pack=x", "a..b", "a b", "a:b", "a^", "a@{1}", "a\nb"] {
            assert!(check_reference(bad).is_err(), "{bad}");
        }
        for good in ["", "main", "refs/pull/1/head", "v1.2-rc_3", "release/1.x"] {
            assert!(check_reference(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_mean_branches_before_tags() {
        let id = |digit: char| digit.to_string().repeat(40);
        let list = format!(
            "{}\tHEAD\n{}\trefs/heads/one\n{}\trefs/tags/one\n{}\trefs/tags/two\n{}\trefs/tags/two^{{}}\n{}\trefs/heads/other/two\n",
            id('0'),
            id('1'),
            id('2'),
            id('3'),
            id('4'),
            id('5')
        );
        let found = |name: &str| pick(&list, name).map(|found| (found.commit, found.reference));
        assert_eq!(found("HEAD"), Some((id('0'), "HEAD".into())));
        assert_eq!(found("one"), Some((id('1'), "refs/heads/one".into())));
        assert_eq!(found("refs/tags/one"), Some((id('2'), "refs/tags/one".into())));
        assert_eq!(found("tags/one"), Some((id('2'), "refs/tags/one".into())));
        let two = pick(&list, "two").unwrap();
        assert_eq!((two.commit.clone(), two.tag.clone()), (id('4'), Some(id('3'))), "what the tag names");
        assert!(two.fits("444") && two.fits("333") && !two.fits("5"));
        assert_eq!(found("none"), None);
    }
}
