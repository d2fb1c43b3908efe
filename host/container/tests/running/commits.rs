//! Images of containers.

use nacre_container::{Base, CommitOptions, Committed, Container, Options};
use nacre_oci::{Reference, media_type};
use proptest::{prelude::*, test_runner::Config};

use crate::support::{Bench, can_run};

fn commit(bench: &Bench, container: &Container, name: &str) -> Committed {
    let name: Reference = name.parse::<Reference>().unwrap().or_latest();
    bench.engine.commit(&container.id, &CommitOptions { name: Some(name), ..CommitOptions::default() }).unwrap()
}

#[test]
fn a_commit_is_the_base_and_one_layer_of_what_was_changed() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "echo new > /new; rm /data/a; echo lost > /volume/lost; echo hidden > /dev/shm/x");
    bench.run(&container);
    let options = CommitOptions {
        author: Some("me".into()),
        changes: vec!["CMD [\"cat\", \"/new\"]".into(), "LABEL a=b".into(), "ENV A=new".into()],
        message: Some("msg".into()),
        name: Some("out:1".parse().unwrap()),
        ..CommitOptions::default()
    };
    let committed = bench.engine.commit(&container.name, &options).unwrap();
    assert!(committed.warnings.is_empty() && committed.replaced.is_none(), "{committed:?}");
    let (config, manifest) = bench.image(&committed.image);
    let (base, below) = bench.image(&container.image);
    assert_eq!((manifest.layers.len(), &manifest.layers[0]), (2, &below.layers[0]));
    assert_eq!(config.rootfs.diff_ids[..1], base.rootfs.diff_ids);
    assert_eq!(config.config.cmd.clone().unwrap(), ["cat", "/new"]);
    assert_eq!((config.config.env.join(" ").as_str(), config.config.labels["a"].as_str()), ("PATH=/bin A=new", "b"));
    assert_eq!((config.author.as_deref(), config.platform()), (Some("me"), base.platform()));
    let row = config.history.last().unwrap();
    let shown = (row.created_by.clone().unwrap(), row.comment.clone().unwrap(), row.author.clone().unwrap(), row.empty_layer);
    let script = "sh -c echo new > /new; rm /data/a; echo lost > /volume/lost; echo hidden > /dev/shm/x";
    assert_eq!(shown, (script.into(), "msg".into(), "me".into(), false));
    assert_eq!(
        (config.history.len(), row.created.clone(), config.created.clone()),
        (2, config.created.clone(), Some(options.created.to_string()))
    );

    let next = bench.create("out:1", &Options::default());
    assert_eq!(bench.run(&next), ("new\n".into(), 0));
    let tree = bench.tree(&next);
    assert!(!tree.contains_key("data/a") && tree.contains_key("data/b") && !tree.contains_key("volume/lost"));
}

#[test]
fn the_base_gives_the_author_and_its_media_types() {
    if !can_run() {
        return;
    }
    let bench = Bench::of(true);
    let container = bench.script("base", "echo new > /new");
    bench.run(&container);
    let (config, manifest) = bench.image(&commit(&bench, &container, "out").image);
    assert_eq!((config.author.as_deref(), manifest.media_type.as_str()), (Some("base's"), media_type::DOCKER_MANIFEST));
    assert_eq!(manifest.layers[1].media_type, media_type::DOCKER_LAYER_GZIP);
    assert_eq!(manifest.config.media_type, media_type::DOCKER_CONFIG);
    assert_eq!(bench.run(&bench.script("out", "cat /new")), ("new\n".into(), 0));
}

#[test]
fn nothing_changed_is_an_empty_layer() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "true");
    let never_ran = commit(&bench, &container, "first");
    bench.run(&container);
    let ran = commit(&bench, &container, "second");
    for committed in [never_ran, ran] {
        let (config, manifest) = bench.image(&committed.image);
        assert_eq!((manifest.layers.len(), config.rootfs.diff_ids.len(), config.history.len()), (1, 1, 2));
        assert!(config.history[1].empty_layer);
    }
}

#[test]
fn a_name_moves_and_an_image_that_was_removed_still_counts() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "echo new > /new");
    bench.run(&container);
    let first = commit(&bench, &container, "out");
    let second = bench.engine.commit(
        &container.id,
        &CommitOptions { name: Some("out:latest".parse().unwrap()), message: Some("other".into()), ..CommitOptions::default() },
    );
    assert_eq!(second.unwrap().replaced, Some(first.image.clone()));
    assert!(bench.store().image(&first.image).unwrap().unwrap().is_dangling());
    bench.store().delete_manifest("docker.io/library/base", &container.image).unwrap();
    assert!(Base::find(bench.store(), "base", None).is_err());
    let late = commit(&bench, &container, "late");
    assert_eq!(bench.run(&bench.script("late", "cat /new")), ("new\n".into(), 0));
    assert_eq!(bench.image(&late.image).1.layers.len(), 2);
}

#[test]
fn wrong_changes_make_nothing() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let container = bench.script("base", "true");
    let before = bench.store().images().unwrap().len();
    let options = CommitOptions { changes: vec!["RUN x".into()], ..CommitOptions::default() };
    assert!(bench.engine.commit(&container.id, &options).is_err());
    assert_eq!(bench.engine.commit("nosuch", &options).unwrap_err().to_string(), "No such container: nosuch");
    assert_eq!(bench.store().images().unwrap().len(), before);
}

#[test]
fn a_running_container_is_committed_at_one_moment() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    // Both files always grow by one line in turn: of a moment, they differ by at most one.
    let container = bench.script("base", "echo here; while :; do echo x >> /tmp/one; echo x >> /tmp/two; done");
    let mut session = bench.start(&container);
    Bench::until(&mut session, "here");
    let committed = commit(&bench, &container, "out");
    assert!(committed.warnings.is_empty(), "{:?}", committed.warnings);
    // The monitor lets it go on when the commit has hung up.
    let goes_on = || bench.engine.list().unwrap()[0].state() == "running";
    assert!(
        (0..1000).any(|_| goes_on() || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            false
        }),
        "it goes on afterwards"
    );
    bench.engine.remove(&container.id, true).unwrap();
    let count = "one=$(busybox wc -l < /tmp/one); two=$(busybox wc -l < /tmp/two); echo $((one - two))";
    let (text, _) = bench.run(&bench.script("out", count));
    assert!(["0\n", "1\n"].contains(&text.as_str()), "{text}");
}

/// One step of what a program does to its files.
fn step() -> impl Strategy<Value = String> {
    let path = || prop::sample::select(vec!["/data", "/data/a", "/data/b", "/data/deep", "/data/deep/c", "/new", "/new/x", "/tmp/y"]);
    prop_oneof![
        path().prop_map(|path| format!("echo {path} >> {path}")),
        path().prop_map(|path| format!("rm -rf {path}")),
        path().prop_map(|path| format!("mkdir -p {path}")),
        path().prop_map(|path| format!("chmod 700 {path}")),
        path().prop_map(|path| format!("chown 12:34 {path}")),
        path().prop_map(|path| format!("touch -d @1600000000 {path}")),
        (path(), path()).prop_map(|(from, to)| format!("mv {from} {to}")),
        (path(), path()).prop_map(|(from, to)| format!("ln {from} {to}")),
        (path(), path()).prop_map(|(from, to)| format!("ln -sf {from} {to}")),
        (path(), path()).prop_map(|(from, to)| format!("mkfifo {from}-{}", to.len())),
    ]
}

/// A container of a commit has the tree of the container that was committed, and has changed nothing.
#[test]
fn committing_is_a_fixed_point() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let config = Config { cases: 16, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..10))| {
        let script = format!("({}) 2> /dev/null; true", steps.join("; "));
        let first = bench.script("base", &script);
        bench.run(&first);
        let image = commit(&bench, &first, "first").image;
        let second = bench.script("first", "true");
        let (tree, expected) = (bench.tree(&second), bench.tree(&first));
        let differing = |(path, _): &(&String, &String)| tree.get(*path) != expected.get(*path);
        let different: Vec<_> = tree.iter().chain(&expected).filter(differing).collect();
        prop_assert!(different.is_empty(), "{different:#?}");
        bench.run(&second);
        let again = commit(&bench, &second, "second").image;
        let ((one, _), (other, _)) = (bench.image(&image), bench.image(&again));
        prop_assert_eq!(one.rootfs.diff_ids, other.rootfs.diff_ids);
        prop_assert!(other.history.last().is_some_and(|row| row.empty_layer));
        bench.engine.remove(&first.id, false).unwrap();
        bench.engine.remove(&second.id, false).unwrap();
    });
}
