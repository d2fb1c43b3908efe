//! What `run` and `create` were asked for, out of the command line, the environment and files.

use std::fs;

use anyhow::{Context as _, Result, bail};
use nacre_container::{MountSource, Mounting, Options, parse};

use crate::{
    building::values::{host, limit, size},
    commands::create::{Files, Network, Wishes},
    paths,
};

/// What the command line says; with `detach` nobody will be attached.
pub(super) fn options(wishes: &Wishes, detach: bool) -> Result<Options> {
    let Wishes { container, program, files, network, .. } = wishes;
    Ok(Options {
        name: container.name.clone(),
        args: wishes.words[1..].to_vec(),
        entrypoint: program.entrypoint.clone().map(|program| Some(program).filter(|it| !it.is_empty()).into_iter().collect()),
        env: env(&program.env_file, &program.env)?,
        labels: labels(&container.label_file, &container.label)?,
        user: program.user.clone(),
        cwd: program.workdir.clone(),
        hostname: network.hostname.clone(),
        mounts: mounts(files)?,
        network: parse::network(&network.network)?,
        hosts: hosts(network)?,
        tty: container.tty,
        stdin: container.interactive,
        detach,
        remove: container.rm,
        readonly: files.read_only,
        shm_size: files.shm_size.as_deref().map(size).transpose()?,
        limits: program.ulimit.iter().map(|text| limit(text)).collect::<Result<_>>()?,
        stop_signal: program.stop_signal.clone(),
        stop_timeout: program.stop_timeout,
    })
}

/// `--env-file` and then `-e`, as in Docker.
pub(crate) fn env(files: &[String], texts: &[String]) -> Result<Vec<String>> {
    let mut variables = Vec::new();
    for file in files {
        variables.extend(parse::env_file(file, &read(file)?, &paths::text)?);
    }
    for text in texts {
        variables.push(parse::env(text, &paths::text)?);
    }
    Ok(variables)
}

/// `--label-file` and then `--label`. A file's lines are as those of `--env-file`.
fn labels(files: &[String], texts: &[String]) -> Result<Vec<(String, String)>> {
    let mut lines = Vec::new();
    for file in files {
        lines.extend(parse::env_file(file, &read(file)?, &|_| Some(String::new()))?);
    }
    lines.iter().chain(texts).map(|text| Ok(parse::label(text)?)).collect()
}

fn read(file: &str) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {file}"))
}

fn mounts(files: &Files) -> Result<Vec<Mounting>> {
    let here = std::path::absolute(".").context("cannot tell the current folder")?;
    let volumes = files.volume.iter().map(|text| Ok(parse::volume(text, &here)?));
    let mounts = files.mount.iter().map(|text| Ok(parse::mount(text, &here)?));
    volumes.chain(mounts).chain(files.tmpfs.iter().map(|text| tmpfs(text))).collect()
}

/// `PATH[:OPTIONS]`. Of mount(8)'s options the size and whether it can be written; those that are given anyway change nothing.
fn tmpfs(text: &str) -> Result<Mounting> {
    let (path, all) = text.split_once(':').unwrap_or((text, ""));
    if !path.starts_with('/') {
        bail!("--tmpfs {text}: the path has to be absolute");
    }
    let (mut bytes, mut readonly) = (0, false);
    for option in all.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", text)) => bytes = size(text)?,
            None if option == "ro" => readonly = true,
            None if ["rw", "nosuid", "nodev", "noexec"].contains(&option) => {}
            _ => bail!("--tmpfs {text}: the option {option} is not supported: there are size=SIZE, ro and rw"),
        }
    }
    Ok(Mounting { target: path.to_owned(), readonly, source: MountSource::Tmpfs(bytes), mode: String::new() })
}

/// `--add-host`. The host's network is the container's own, so `host-gateway` is the loopback device.
fn hosts(network: &Network) -> Result<Vec<(String, String)>> {
    let one = |text: &String| match text.split_once([':', '=']) {
        Some((name, "host-gateway")) => Ok((name.to_owned(), "127.0.0.1".to_owned())),
        _ => host(text).map(|(name, address)| (name, address.to_string())),
    };
    network.add_host.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(disable_help_flag = true)]
    struct Line {
        #[command(flatten)]
        wishes: Wishes,
    }

    fn read(line: &str) -> Result<Options> {
        options(&Line::try_parse_from(format!("run {line}").split(' ')).unwrap().wishes, false)
    }

    #[test]
    fn what_follows_the_image_is_the_programs() {
        let read = read("-it --name=x -e A=1 busybox -e B --rm -- sh").unwrap();
        assert_eq!(read.args, ["-e", "B", "--rm", "--", "sh"]);
        assert!(read.tty && read.stdin && !read.remove);
        assert_eq!((read.name.as_deref(), read.env.as_slice()), (Some("x"), &["A=1".to_owned()][..]));
    }

    #[test]
    fn an_empty_entrypoint_is_one() {
        assert_eq!(read("busybox").unwrap().entrypoint, None);
        assert_eq!(read("--entrypoint= busybox").unwrap().entrypoint, Some(Vec::new()));
        assert_eq!(read("--entrypoint /bin/a busybox b").unwrap().entrypoint, Some(vec!["/bin/a".to_owned()]));
    }

    #[test]
    fn files_in_memory() {
        let source = |text: &str| tmpfs(text).map(|mount| (mount.target, mount.readonly, mount.source)).ok();
        assert_eq!(source("/a"), Some(("/a".into(), false, MountSource::Tmpfs(0))));
        assert_eq!(source("/a:ro,size=1m,nosuid"), Some(("/a".into(), true, MountSource::Tmpfs(1 << 20))));
        assert!(source("a").is_none() && source("/a:uid=3").is_none());
    }

    #[test]
    fn the_hosts_gateway_is_the_host() {
        let hosts = read("--add-host db:10.0.0.7 --add-host host.docker.internal:host-gateway x").unwrap().hosts;
        assert_eq!(hosts, [("db".to_owned(), "10.0.0.7".to_owned()), ("host.docker.internal".to_owned(), "127.0.0.1".to_owned())]);
        assert!(read("--network bridge x").unwrap_err().to_string().contains("network 'bridge' is not supported"));
    }
}
