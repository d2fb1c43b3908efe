//! Finding, listing and filtering.

use jiff::Timestamp;
use nacre_container::{Options, Query, parse};
use nacre_oci::RunConfig;
use nacre_runtime::RunStatus;

use crate::support::{Bench, Image, words};

#[test]
fn containers_are_found_by_id_name_and_beginning() {
    let bench = Bench::with_base();
    let (one, other) = (bench.named("one"), bench.named("other"));
    for text in [one.id.as_str(), "one", "/one", one.short_id()] {
        assert_eq!(bench.engine.find(text).unwrap().id, one.id, "{text}");
    }
    // A name that is the beginning of another's id is a name first.
    let short = bench.named(other.short_id());
    assert_eq!(bench.engine.find(other.short_id()).unwrap().id, short.id);
    let why = |text: &str| bench.engine.find(text).unwrap_err().to_string();
    assert_eq!(why("nosuch"), "No such container: nosuch");
    assert_eq!(why("/nosuch"), "No such container: /nosuch");
    assert_eq!(why(""), "Container name cannot be empty");
}

#[test]
fn a_beginning_of_several_ids_names_none() {
    let bench = Bench::with_base();
    let ids: Vec<String> = (0..17).map(|_| bench.create(&Options::default()).id).collect();
    let first = ids.iter().map(|id| &id[..1]).find(|digit| ids.iter().filter(|id| id.starts_with(digit)).count() > 1).unwrap();
    assert_eq!(bench.engine.find(first).unwrap_err().to_string(), format!("Multiple IDs found with provided prefix: {first}"));
}

#[test]
fn the_image_is_shown_by_name_as_long_as_the_name_means_it() {
    let bench = Bench::with_base();
    let container = bench.named("one");
    let shown = || bench.engine.list().unwrap()[0].image.clone();
    assert_eq!(shown(), "base");
    bench.image(Image { files: &["other"], ..Image::default() });
    assert_eq!(shown(), container.image.to_string());
}

#[test]
fn states_are_told_as_docker_does() {
    let bench = Bench::with_base();
    let container = bench.create(&Options { args: words("sh -c"), ..Options::default() });
    let now: Timestamp = "2026-01-01T00:02:00Z".parse().unwrap();
    let listed = || bench.engine.list().unwrap().remove(0);
    assert_eq!((listed().status(now).as_str(), listed().state(), listed().command().as_str()), ("Created", "created", "sh -c"));
    let ended =
        r#"{"status":"exited","pid":null,"started":"2026-01-01T00:00:00.5Z","finished":"2026-01-01T00:01:57.1Z","code":137,"error":null}"#;
    bench.write(&container, "state.json", ended);
    assert_eq!((listed().status(now).as_str(), listed().state()), ("Exited (137) 3 seconds ago", "exited"));
    let mut running = listed();
    running.state.status = RunStatus::Running;
    assert_eq!(running.status(now), "Up 2 minutes");
    running.state.status = RunStatus::Paused;
    assert_eq!((running.status(now).as_str(), running.state()), ("Up 2 minutes (Paused)", "paused"));
    running.state.status = RunStatus::Dead;
    assert_eq!((running.status(now).as_str(), running.is_running()), ("Dead", false));
}

#[test]
fn a_command_shows_which_words_have_blanks() {
    let bench = Bench::with_base();
    bench.create(&Options { args: ["sh", "-c", "echo a b"].map(str::to_owned).to_vec(), ..Options::default() });
    assert_eq!(bench.engine.list().unwrap()[0].command(), "sh -c 'echo a b'");
}

/// Containers `old` and `new` of the image `base`, and `child` of an image on top of that.
fn three() -> Bench {
    let bench = Bench::with_base();
    bench.image(Image { name: "child", files: &["one", "two"], ..Image::default() });
    bench.image(Image { name: "stranger", files: &["three"], ..Image::default() });
    let here = bench.dir.path();
    let mounts = vec![parse::volume("/src:/dst", here).unwrap(), parse::volume("/data", here).unwrap()];
    let labels = vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())];
    let old = bench.create(&Options { name: Some("old".into()), mounts, labels, ..Options::default() });
    let network = nacre_runtime::Network::None;
    bench.create(&Options { name: Some("new".into()), labels: vec![("a".into(), "2".into())], network, ..Options::default() });
    let child = nacre_container::Base::find(bench.store(), "child", None).unwrap();
    bench.engine.create(&child, &Options { name: Some("child".into()), ..Options::default() }).unwrap();
    bench.write(&old, "state.json", r#"{"status":"exited","pid":null,"started":null,"finished":null,"code":3,"error":null}"#);
    bench
}

#[test]
fn filters_choose_as_dockers_do() {
    let bench = three();
    let id = bench.engine.find("new").unwrap().id;
    for (filters, chosen) in [
        (&[][..], "child new old"),
        (&[("id", &id[..20])], "new"),
        (&[("name", "ew")], "new"),
        (&[("name", "^/new$")], "new"),
        (&[("name", "^ol"), ("name", "il")], "child old"),
        (&[("label", "a")], "new old"),
        (&[("label", "a=1")], "old"),
        (&[("label", "a"), ("label", "b")], "old"),
        (&[("label!", "b")], "child new"),
        (&[("status", "created")], "child new"),
        (&[("status", "exited"), ("status", "running")], "old"),
        (&[("exited", "3")], "old"),
        (&[("exited", "0")], ""),
        (&[("ancestor", "base")], "child new old"),
        (&[("ancestor", "child")], "child"),
        (&[("ancestor", "stranger")], ""),
        (&[("ancestor", "nosuch")], ""),
        (&[("ancestor", "nosuch"), ("ancestor", "child")], "child"),
        (&[("before", "new")], "old"),
        (&[("since", "old")], "child new"),
        (&[("volume", "/dst")], "old"),
        (&[("volume", "/src")], "old"),
        (&[("volume", "/data/")], "old"),
        (&[("volume", "/other")], ""),
        (&[("network", "none")], "new"),
    ] {
        let query = Query::new(&bench.engine, filters.iter().copied()).unwrap();
        let list = bench.engine.list().unwrap();
        let names: Vec<&str> = list.iter().filter(|listed| query.fits(listed)).map(|listed| listed.container.name.as_str()).collect();
        assert_eq!(names.join(" "), chosen, "{filters:?}");
        assert_eq!(query.wants_all(), filters.iter().any(|(key, _)| *key == "status"));
    }
}

#[test]
fn filters_that_mean_nothing_are_refused() {
    let bench = three();
    for (key, value, why) in [
        ("foo", "x", "Invalid filter 'foo'"),
        ("status", "foo", "Invalid filter 'status=foo'"),
        ("exited", "foo", "Invalid filter 'exited=foo'"),
        ("name", "(", "Invalid filter 'name=('"),
        ("before", "nosuch", "No such container: nosuch"),
    ] {
        assert_eq!(Query::new(&bench.engine, [(key, value)]).unwrap_err().to_string(), why);
    }
}

#[test]
fn ended_ones_that_were_to_be_removed_are_not_there() {
    let bench = Bench::with_base();
    let container = bench.create(&Options { name: Some("gone".into()), remove: true, ..Options::default() });
    assert_eq!(bench.engine.list().unwrap().len(), 1, "it has not run yet");
    bench.write(&container, "state.json", r#"{"status":"running","pid":1,"started":null,"finished":null,"code":null,"error":null}"#);
    assert!(bench.engine.list().unwrap().is_empty() && bench.engine.find("gone").is_err());
}

#[test]
fn labels_are_the_images_and_the_users() {
    let bench = Bench::new();
    let labels = |list: &[(&str, &str)]| list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
    let config = RunConfig {
        cmd: Some(words("c")),
        labels: labels(&[("a", "image"), ("b", "image")]).into_iter().collect(),
        ..RunConfig::default()
    };
    bench.image(Image { config, ..Image::default() });
    let record = bench.create(&Options { labels: labels(&[("a", "mine")]), ..Options::default() }).record;
    assert_eq!(record.config.labels.into_iter().collect::<Vec<_>>(), labels(&[("a", "mine"), ("b", "image")]));
}
