//! What `ADD` takes from elsewhere: files by HTTP and repositories of git.

use nacre_sdk::graph::{CopyFiles, GitSource, HttpSource, Operation, Source};

use super::copy::{Flags, Plan};
use super::git::{self, Repository};
use super::stage::Step;
use super::stop::{Lowered, Stop};
use super::{Lowering, paths, reference};
use crate::syntax::{Files, quoted};

pub(super) fn is_http(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// `--checksum` is for one source, and that from elsewhere.
pub(super) fn check_checksum(files: &Files, add: Option<&Flags>) -> Lowered<()> {
    if add.is_none_or(|flags| flags.checksum.is_none()) {
        return Ok(());
    }
    let wrong = match &files.sources[..] {
        [source] if is_http(source) || matches!(git::parse(source), Ok(Some(_))) => return Ok(()),
        [_] => "checksum requires HTTP(S) or Git sources",
        _ => "checksum can't be specified for multiple sources",
    };
    Err(Stop::mistake("bad-checksum", wrong))
}

impl Lowering<'_> {
    /// A file by HTTP. Its name is the address' last part; it is only unpacked if that is asked for.
    pub(super) fn address(&mut self, step: &Step, plan: &Plan, url: &str) -> Lowered<CopyFiles> {
        let Some(flags) = &plan.add else { return Err(Stop::mistake("bad-source", "source can't be a URL for COPY")) };
        if let Some(checksum) = &flags.checksum {
            reference::check_digest(checksum).map_err(|error| Stop::mistake("bad-checksum", error))?;
        }
        let name = file_name(url);
        let http = HttpSource { url: url.into(), checksum: flags.checksum.clone(), name: name.clone() };
        let from = self.source_vertex(step, plan, Source::Http(http));
        Ok(CopyFiles { unpack: flags.unpack.unwrap_or(false), ..plan.copied(from, format!("/{name}")) })
    }

    /// The tree of a repository.
    pub(super) fn repository(&mut self, step: &Step, plan: &Plan, repository: Repository) -> Lowered<CopyFiles> {
        let Some(flags) = &plan.add else { return Err(Stop::mistake("bad-source", "source can't be a git ref for COPY")) };
        if let (Some(one), Some(other)) = (flags.keep_git_dir, repository.keep_git_dir)
            && one != other
        {
            return Err(Stop::mistake("bad-git-source", "inconsistent keep-git-dir configuration"));
        }
        if let (Some(one), Some(other)) = (&flags.checksum, &repository.checksum)
            && one != other
        {
            return Err(Stop::mistake("bad-checksum", format!("checksum mismatch {} != {}", quoted(one), quoted(other))));
        }
        let git = GitSource {
            remote: repository.remote,
            reference: repository.reference,
            folder: repository.folder,
            keep_git_dir: repository.keep_git_dir.or(flags.keep_git_dir).unwrap_or(false),
            submodules: repository.submodules.unwrap_or(true),
            checksum: repository.checksum.or_else(|| flags.checksum.clone()),
        };
        let from = self.source_vertex(step, plan, Source::Git(git));
        Ok(plan.copied(from, "/".into()))
    }

    fn source_vertex(&mut self, step: &Step, plan: &Plan, source: Source) -> u32 {
        let at = Some(self.place(step.lines()));
        self.graph.push(Operation::Source(source), plan.label.clone(), at)
    }
}

/// The last part of an address' path.
fn file_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.find('/').map(|at| &rest[at..]).and_then(git::decode).unwrap_or_default();
    match paths::base(&path) {
        "." | "/" => "__unnamed__".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_of_addresses() {
        let cases = [
            ("http://h/a/b.txt?x=/y", "b.txt"),
            ("https://h", "__unnamed__"),
            ("http://h/", "__unnamed__"),
            ("http://h/a%20b#c", "a b"),
            ("http://h/%zz", "__unnamed__"),
        ];
        for (url, name) in cases {
            assert_eq!(file_name(url), name, "{url}");
        }
    }
}
