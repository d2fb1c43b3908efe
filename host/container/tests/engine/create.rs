//! What becomes of options and an image.

use nacre_container::{Error, MountSource, Mounting, Options, parse};
use nacre_oci::RunConfig;
use nacre_runtime::Network;
use serde_json::json;

use crate::support::{Bench, Image, words};

fn config(entrypoint: &str, cmd: &str) -> RunConfig {
    let list = |text: &str| Some(words(text)).filter(|list| !list.is_empty());
    RunConfig { entrypoint: list(entrypoint), cmd: list(cmd), ..RunConfig::default() }
}

#[test]
fn entrypoint_and_command_are_put_together_as_docker_does() {
    let bench = Bench::new();
    for (image, entrypoint, args, command) in [
        (("", "c d"), None, "", "c d"),
        (("e f", "c"), None, "", "e f c"),
        (("e", "c"), None, "x y", "e x y"),
        (("e", "c"), Some("n"), "", "n"),
        (("e", "c"), Some("n"), "x", "n x"),
        (("e", "c"), Some(""), "x", "x"),
        (("e", ""), None, "", "e"),
    ] {
        bench.image(Image { config: config(image.0, image.1), ..Image::default() });
        let options = Options { entrypoint: entrypoint.map(words), args: words(args), ..Options::default() };
        assert_eq!(bench.create(&options).record.command(), words(command), "{image:?} {entrypoint:?} {args}");
    }
}

#[test]
fn without_a_command_there_is_no_container() {
    let bench = Bench::new();
    for (image, entrypoint) in [(("", ""), None), (("e", "c"), Some(vec![])), (("", "c"), Some(vec![String::new()]))] {
        bench.image(Image { config: config(image.0, image.1), ..Image::default() });
        let options = Options { entrypoint, ..Options::default() };
        assert_eq!(bench.refused(&options), "no command specified");
    }
}

/// What dockerd 20.10 refuses, in its words.
#[test]
fn wrong_options_are_refused_and_leave_nothing() {
    let bench = Bench::with_base();
    let options = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options
    };
    let why = bench.refused(&options(&|options| options.cwd = Some("rel".into())));
    assert_eq!(why, "the working directory 'rel' is invalid, it needs to be an absolute path");
    let why = bench.refused(&options(&|options| options.stop_signal = Some("FOO".into())));
    assert_eq!(why, "Invalid signal: FOO");
    let why = bench.refused(&options(&|options| options.name = Some("b d".into())));
    assert_eq!(why, "Invalid container name (b d), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    let why = bench.refused(&options(&|options| options.hostname = Some("a\n127.0.0.1 evil".into())));
    assert_eq!(why, "invalid hostname format: a\n127.0.0.1 evil");
    let here = bench.dir.path();
    let twice = || vec![parse::volume("/a:/x", here).unwrap(), parse::volume("/b:/x/", here).unwrap()];
    assert_eq!(bench.refused(&options(&|options| options.mounts = twice())), "Duplicate mount point: /x");
    let missing = || vec![parse::mount("type=bind,src=/nonexist,dst=/x", here).unwrap()];
    let why = bench.refused(&options(&|options| options.mounts = missing()));
    assert_eq!(why, "invalid mount config for type \"bind\": bind source path does not exist: /nonexist");
}

#[test]
fn volumes_of_the_image_lie_where_nothing_else_is_mounted() {
    let bench = Bench::new();
    let volumes = [("/data", json!({})), ("/taken/", json!({})), ("tmp", json!({}))].map(|(path, value)| (path.to_owned(), value));
    bench.image(Image { config: RunConfig { volumes: volumes.into(), ..config("", "c") }, ..Image::default() });
    let here = bench.dir.path();
    let mounts = vec![parse::volume("/a:/taken:ro", here).unwrap(), parse::mount("type=tmpfs,dst=/tmp", here).unwrap()];
    let record = bench.create(&Options { mounts, ..Options::default() }).record;
    let shown: Vec<(&str, bool)> =
        record.mounts.iter().map(|mount| (mount.target.as_str(), mount.source == MountSource::Anonymous)).collect();
    assert_eq!(shown, [("/taken", false), ("/tmp", false), ("/data", true)]);
    let anonymous = Mounting { target: "/mine".into(), readonly: false, source: MountSource::Anonymous, mode: String::new() };
    let record = bench.create(&Options { mounts: vec![anonymous], ..Options::default() }).record;
    assert!(record.config.volumes.contains_key("/mine"), "an anonymous volume is the image's that is committed");
}

#[test]
fn names_are_unique_and_free_again_when_the_container_has_gone() {
    let bench = Bench::with_base();
    let held = bench.named("mine");
    let options = Options { name: Some("/mine".into()), ..Options::default() };
    let why = bench.engine.create(&bench.base(), &options).unwrap_err();
    let expected = format!(
        "Conflict. The container name \"/mine\" is already in use by container \"{}\". You have to remove (or rename) that container \
         to be able to reuse that name.",
        held.id
    );
    assert!(matches!(&why, Error::Conflict(text) if *text == expected), "{why}");
    assert_eq!(bench.folders(), std::slice::from_ref(&held.id));
    std::fs::remove_dir_all(bench.store().root().join("containers").join(&held.id)).unwrap();
    assert_eq!(bench.named("mine").name, "mine");
    assert_ne!(bench.engine.find("mine").unwrap().id, held.id);
}

#[test]
fn names_are_made_up() {
    let bench = Bench::with_base();
    let name = bench.create(&Options::default()).name;
    let (like, what) = name.split_once('_').unwrap();
    assert!(!like.is_empty() && !what.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
}

#[test]
fn the_host_name_is_the_hosts_or_the_short_id() {
    let bench = Bench::with_base();
    let hostname = |network, hostname: Option<&str>| {
        let container = bench.create(&Options { network, hostname: hostname.map(str::to_owned), ..Options::default() });
        (container.record.hostname.clone(), container.short_id().to_owned())
    };
    assert_eq!(hostname(Network::Host, None).0, rustix::system::uname().nodename().to_str().unwrap());
    let (own, short) = hostname(Network::None, None);
    assert_eq!(own, short);
    assert_eq!(hostname(Network::None, Some("hh")).0, "hh");
}

#[test]
fn an_image_that_goes_meanwhile_is_noticed() {
    let bench = Bench::with_base();
    let base = bench.base();
    bench.store().delete_manifest("docker.io/library/base", &base.image).unwrap();
    assert!(bench.engine.create(&base, &Options::default()).is_err());
    assert!(bench.folders().is_empty());
}
