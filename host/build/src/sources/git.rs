//! Trees out of git repositories, fetched by the system's git.

mod command;
mod remote;
mod tree;

use std::{fs, path::Path};

use nacre_layer::{Compression, Layer, LayerWriter};
use nacre_oci::{Error as Data, Staging};
use nacre_plugin::graph::GitSource;

use crate::{Material, Result, Snapshot, key::KeyHasher, solve::Job};
use command::Git;
use remote::{Found, Remote};

/// Checks a tree out and makes it a root filesystem. What it is, is told by its commit; so a commit that the cache has
/// needs no checkout, and one that is named in full not even the network.
pub(crate) fn checkout(job: &Job<'_>, source: &GitSource) -> Result<Snapshot> {
    let remote = Remote::parse(&source.remote)?;
    remote::check_reference(&source.reference)?;
    let git = Git::new(job, &remote);
    let found = remote::resolve(&git, &remote, &source.reference)?;
    if let Some(checksum) = &source.checksum
        && !found.fits(checksum)
    {
        // BuildKit's words.
        return Err(Data::Other(format!("expected checksum to match {checksum}, got {}", found.commit).into()).into());
    }
    let mut key = KeyHasher::new("git");
    // Submodules can be relative to the remote.
    // Where there is an epoch, all of it is from then.
    key.json(&job.solver.epoch());
    key.json(&(&found.commit, &source.folder, source.keep_git_dir, source.submodules, &source.remote));
    let branch = source.keep_git_dir.then_some(&found.reference);
    key.json(&branch);
    let added = job.cached(&key.finish(), None, || Ok(vec![fetch(job, &git, &remote, source, &found)?]))?;
    let reference = if source.reference.is_empty() { String::new() } else { format!("#{}", source.reference) };
    job.solver
        .add_material(Material { uri: format!("{}{reference}", remote.shown()), digest: [("gitCommit".to_owned(), found.commit)].into() });
    Ok(Snapshot::default().with(added))
}

/// Checks a commit out into a folder of its own and makes it a layer.
fn fetch(job: &Job<'_>, git: &Git<'_>, remote: &Remote, source: &GitSource, found: &Found) -> Result<Layer> {
    let cache = &job.solver.environment.cache;
    fs::create_dir_all(cache).map_err(Data::io(format!("make {}", cache.display())))?;
    let folder = tempfile::tempdir_in(cache).map_err(Data::io(format!("make a folder in {}", cache.display())))?;
    let at = folder.path();
    let format = if found.commit.len() == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
    git.run(at, &["init", "--quiet", format])?;
    bring(git, at, remote, found)?;
    match found.reference.strip_prefix("refs/heads/") {
        Some(branch) if source.keep_git_dir => git.run(at, &["checkout", "--quiet", "-B", branch, &found.commit])?,
        _ => git.run(at, &["checkout", "--quiet", "--detach", &found.commit])?,
    };
    git.run(at, &["remote", "add", "origin", &remote.text])?;
    if source.submodules && fs::symlink_metadata(at.join(".gitmodules")).is_ok() {
        if job.solver.reach.is_some() {
            let (what, why) = (
                format!("fetching the submodules of {}", remote.shown()),
                "they may be anywhere, which needs the capability net = [\"*\"]",
            );
            return Err(Data::Denied { what, why: why.into() }.into());
        }
        git.run(at, &["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"])?;
    }
    let time = match job.solver.epoch() {
        Some(epoch) => epoch,
        None => committed(git, at, &found.commit)?,
    };
    if source.keep_git_dir {
        tidy(git, at, remote)?;
    }
    let top = tree::folder(at, &source.folder)?;
    let mut writer = LayerWriter::new(job.solver.session().stage()?, Compression::None);
    tree::write(&top, time, source.keep_git_dir, &mut writer)?;
    Ok(writer.finish()?)
}

/// When a commit was made, in Unix seconds.
fn committed(git: &Git<'_>, at: &Path, commit: &str) -> Result<i64> {
    let time = git.run(at, &["show", "--no-patch", "--format=%ct", commit])?;
    Ok(time.trim().parse().map_err(|_| Data::malformed(format!("the time of commit {commit}"), time.trim()))?)
}

/// Fetches a commit, as little as the server lets.
fn bring(git: &Git<'_>, at: &Path, remote: &Remote, found: &Found) -> Result<()> {
    let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
    let shallow = |what: &str| git.run(at, &[&fetch[..], &["--depth=1", "--", &remote.text, what]].concat());
    let commit = format!("{}^{{commit}}", found.commit);
    let held = || git.run(at, &["cat-file", "-e", &commit]).is_ok();
    match shallow(&found.commit) {
        Ok(_) => return Ok(()),
        Err(error) if error.is_cancelled() => return Err(error),
        Err(_) => {}
    }
    // Some servers give only what has a name, and some only everything.
    if !found.reference.is_empty() && shallow(&found.reference).is_ok() && held() {
        return Ok(());
    }
    let all = ["--", &remote.text, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
    git.run(at, &[&fetch[..], &all].concat()).map(drop)
}

/// Leaves a repository as one would clone it, without traces of how it was fetched, and without what may be a secret.
fn tidy(git: &Git<'_>, at: &Path, remote: &Remote) -> Result<()> {
    git.run(at, &["remote", "set-url", "origin", &remote.shown()])?;
    git.run(at, &["reflog", "expire", "--all", "--expire=now"])?;
    for name in ["FETCH_HEAD", "ORIG_HEAD", "logs"] {
        nacre_layer::remove_tree(&at.join(".git").join(name))?;
    }
    Ok(())
}
