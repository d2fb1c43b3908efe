//! `nacre image prune`: Docker's rules, the bundled policies, a third party's, and plans.

use std::fs;

use nacre_oci::Digest;
use nacre_tests::sandbox::{Output, Sandbox};

use crate::fixture::{add, add_labelled, arrived, assert_whole, ids, install_example, store, tree};

const HELP: &str = "known are keep-last, least-recently-used, standard";

fn prune(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.nacre(["image", "prune", "--force"].iter().chain(arguments))
}

/// The familiar names of all images, sorted; `<none>` for a dangling one.
fn left(sandbox: &Sandbox) -> Vec<String> {
    let name = |image: nacre_store::Image| image.references.first().map_or("<none>".into(), nacre_oci::Reference::familiar);
    let mut names: Vec<String> = store(sandbox).images().unwrap().into_iter().map(name).collect();
    names.sort();
    names
}

/// Prunes and expects these images to be left.
#[track_caller]
fn leaves(sandbox: &Sandbox, arguments: &[&str], expected: &[&str]) {
    prune(sandbox, arguments).ok();
    assert_eq!(left(sandbox), expected, "{arguments:?}");
    assert_whole(sandbox);
}

fn bytes(sandbox: &Sandbox, id: &Digest) -> f64 {
    store(sandbox).image(id).unwrap().unwrap().size as f64
}

/// `a:latest` made and arrived an hour ago, an older dangling one, and `b:1`, 50 hours old.
fn shelf() -> (Sandbox, Digest) {
    let sandbox = Sandbox::new();
    let dangling = add_labelled(&sandbox, &["a"], 30, &[("tier", "web")]);
    add(&sandbox, &["a"], 1);
    add_labelled(&sandbox, &["b:1", "b:2"], 50, &[("tier", "db")]);
    (sandbox, dangling)
}

#[test]
fn dangling_images_go_in_dockers_words() {
    let (sandbox, dangling) = shelf();
    let reclaimed = bytes(&sandbox, &dangling) / 1000.0;
    let output = prune(&sandbox, &[]).ok();
    assert_eq!(output.stdout, format!("Deleted Images:\ndeleted: {dangling}\n\nTotal reclaimed space: {reclaimed}kB\n"));
    assert_eq!(left(&sandbox), ["a:latest", "b:1"]);
    let again = prune(&sandbox, &[]).ok();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("Total reclaimed space: 0B\n", ""));
    assert_whole(&sandbox);
}

#[test]
fn all_goes_with_a_except_what_is_pinned() {
    let (sandbox, dangling) = shelf();
    sandbox.nacre(["pin", "a"]).ok();
    let id = store(&sandbox).find("b:1").unwrap().image.id;
    let output = prune(&sandbox, &["-a"]).ok();
    let mut deleted = [format!("deleted: {dangling}"), format!("deleted: {id}")];
    deleted.sort();
    let expected = format!("Deleted Images:\nuntagged: b:1\nuntagged: b:2\n{}\n\nTotal", deleted.join("\n"));
    assert!(output.stdout.starts_with(&expected), "{}", output.stdout);
    assert_eq!(left(&sandbox), ["a:latest"]);
    assert_whole(&sandbox);
}

#[test]
fn filters() {
    for (arguments, expected) in [
        (&["--filter", "until=24h"][..], &["a:latest", "b:1"][..]),
        (&["--filter", "until=31h"], &["<none>", "a:latest", "b:1"]),
        (&["-a", "--filter", "until=24h"], &["a:latest"]),
        (&["-a", "--filter", "until=40h"], &["<none>", "a:latest"]),
        (&["-a", "--filter", "until=2030-01-01"], &[]),
        (&["-a", "--filter", "until=2001-01-01T00:00:00Z"], &["<none>", "a:latest", "b:1"]),
        (&["-a", "--filter", "label=tier"], &["a:latest"]),
        (&["-a", "--filter", "label=tier=web"], &["a:latest", "b:1"]),
        (&["--filter", "label=tier=db"], &["<none>", "a:latest", "b:1"]),
        (&["-a", "--filter", "label!=tier"], &["<none>", "b:1"]),
        (&["-a", "--filter", "label!=tier=db", "--filter", "label=tier"], &["a:latest", "b:1"]),
    ] {
        leaves(&shelf().0, arguments, expected);
    }
}

/// Docker's newer store tests when an image arrived, its older one when it was made. A loaded image arrived, too.
#[test]
fn until_can_mean_the_arrival() {
    let (sandbox, dangling) = shelf();
    arrived(&sandbox, &dangling, 10);
    let by_pulled = ["-a", "--filter", "until-by=pulled", "--filter"];
    leaves(&sandbox, &[&by_pulled[..], &["until=20h"]].concat(), &["<none>", "a:latest", "b:1"]);
    leaves(&sandbox, &[&by_pulled[..], &["until=5h"]].concat(), &["a:latest", "b:1"]);
}

/// Docker's `until` without a zone is the user's time.
#[test]
fn until_is_in_the_users_time_zone() {
    let (sandbox, _) = shelf();
    let eight_hours_on = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(8);
    let clock = eight_hours_on.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let run = |zone: &str| {
        let mut command = sandbox.command(["image", "prune", "-af", "--filter", &format!("until={clock}")]);
        command.env("TZ", zone);
        sandbox.run(command, b"").ok();
        left(&sandbox)
    };
    assert_eq!(run("EAST-10"), ["a:latest"], "two hours ago, in the east");
    assert_eq!(run("UTC0"), [""; 0]);
}

#[test]
fn wrong_arguments_say_what_exists_and_change_nothing() {
    let (sandbox, _) = shelf();
    prune(&sandbox, &["--dry-run"]).ok();
    let before = tree(&sandbox);
    for (arguments, code, line) in [
        (&["--policy", "keep-first"][..], 1, format!("unknown prune policy 'keep-first': {HELP}")),
        (&["--policy", "keep-last,colour=red"], 1, "unknown option 'colour' of prune policy 'keep-last': known are by, keep".into()),
        (&["--policy", "keep-last,by=size"], 1, "plugin nacre/keep-last: invalid option 'by=size': want created or semver".into()),
        (&["--policy", "keep-last,keep=-1"], 1, "plugin nacre/keep-last: invalid option 'keep=-1': want a number".into()),
        (&["--policy", "keep-last,keep"], 1, "bad format of policy option 'keep' (expected name=value)".into()),
        (
            &["--policy", "least-recently-used"],
            1,
            "plugin nacre/least-recently-used: want unused-for=DURATION, budget=SIZE or both: --policy least-recently-used,unused-for=30d"
                .into(),
        ),
        (&["--policy", ",keep=1"], 1, "bad policy ',keep=1' (expected NAME[,key=value…])".into()),
        (&["--filter", "colour=red"], 1, "invalid filter 'colour': there are until, until-by, label, label!".into()),
        (
            &["--filter", "until=soon"],
            1,
            "plugin nacre/standard-prune: invalid filter 'until=soon': want a duration (24h, 30d), a date, a time or Unix seconds".into(),
        ),
    ] {
        let output = prune(&sandbox, arguments).fails(code);
        assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("nacre: {line}\n")), "{arguments:?}");
    }
    prune(&sandbox, &["--apply", "x", "-a"]).fails(2);
    assert_eq!(tree(&sandbox), before);
}

#[test]
fn keep_last_counts_by_repository() {
    let shelf = || {
        let sandbox = Sandbox::new();
        for (tag, hours) in [("1.9.0", 1), ("1.10.0", 9), ("1.8.0", 3), ("1.8.1", 2)] {
            add(&sandbox, &[&format!("web:{tag}")], hours);
        }
        add(&sandbox, &["db:1"], 100);
        add(&sandbox, &[], 100);
        sandbox
    };
    leaves(&shelf(), &["--policy", "keep-last"], &["db:1", "web:1.10.0", "web:1.8.0", "web:1.8.1", "web:1.9.0"]);
    leaves(&shelf(), &["--policy", "keep-last,keep=2"], &["db:1", "web:1.8.1", "web:1.9.0"]);
    leaves(&shelf(), &["--policy", "keep-last,keep=2,by=semver"], &["db:1", "web:1.10.0", "web:1.9.0"]);
    let narrowed = ["--policy", "keep-last,keep=2", "--filter", "until=5h"];
    leaves(&shelf(), &narrowed, &["db:1", "web:1.8.0", "web:1.8.1", "web:1.9.0"]);
}

#[test]
fn least_recently_used_goes_by_time_and_by_size() {
    let shelf = || {
        let sandbox = Sandbox::new();
        for (name, hours) in [("a:1", 72), ("b:1", 48), ("c:1", 24)] {
            let id = add(&sandbox, &[name], 10_000);
            arrived(&sandbox, &id, hours);
        }
        sandbox
    };
    leaves(&shelf(), &["--policy", "least-recently-used,unused-for=2d"], &["c:1"]);
    leaves(&shelf(), &["--policy", "least-recently-used,unused-for=60h"], &["b:1", "c:1"]);
    leaves(&shelf(), &["--policy", "least-recently-used,budget=6kB"], &["b:1", "c:1"]);
    leaves(&shelf(), &["--policy", "least-recently-used,unused-for=60h,budget=3kB"], &["c:1"]);
    let sandbox = shelf();
    sandbox.nacre(["save", "-o", "a.tar", "a:1"]).ok();
    leaves(&sandbox, &["--policy", "least-recently-used,unused-for=2d"], &["a:1", "c:1"]);
}

#[test]
fn a_fresh_image_of_an_old_date_is_not_unused() {
    let sandbox = Sandbox::new();
    add(&sandbox, &["reproducible:1"], 24 * 4000);
    leaves(&sandbox, &["--policy", "least-recently-used,unused-for=1d"], &["reproducible:1"]);
}

#[test]
fn a_third_partys_policy() {
    let sandbox = Sandbox::new();
    install_example(&sandbox, "team-retention");
    for (name, hours) in [("web:v1.2.0", 9_000), ("web:ci-1", 200), ("web:ci-2", 100), ("web:latest", 200), ("old:latest", 3_000)] {
        let id = add(&sandbox, &[name], hours);
        arrived(&sandbox, &id, hours);
    }
    let output = prune(&sandbox, &["--policy", "team-retention", "--dry-run"]).ok();
    let shown: Vec<String> = output.lines().iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(shown[0], "ACTION IMAGE ID NAMES POLICY REASON");
    let has = |start: &str, end: &str| shown.iter().any(|line| line.starts_with(start) && line.ends_with(end));
    assert!(has("delete ", " web:ci-1 team-retention build unused for 8 days"), "{}", output.stdout);
    assert!(has("delete ", " old:latest team-retention image unused for 125 days"), "{}", output.stdout);
    assert!(has("keep ", " web:v1.2.0 team-retention a release"), "{}", output.stdout);
    leaves(&sandbox, &["--policy", "team-retention,others=300h"], &["web:ci-2", "web:latest", "web:v1.2.0"]);
}

#[test]
fn with_several_policies_any_keep_wins() {
    let sandbox = Sandbox::new();
    install_example(&sandbox, "team-retention");
    for (name, hours) in [("web:v1.0.0", 400), ("web:ci-1", 300), ("web:ci-2", 200), ("web:ci-3", 1)] {
        let id = add(&sandbox, &[name], hours);
        arrived(&sandbox, &id, hours);
    }
    let both = ["--policy", "team-retention", "--policy", "keep-last,keep=2"];
    let output = prune(&sandbox, &[&both[..], &["--dry-run"]].concat()).ok();
    let line =
        |name: &str| output.lines().into_iter().find(|line| line.contains(name)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let id = |name: &str| store(&sandbox).find(name).unwrap().image.id.short().to_owned();
    let reasons = "build unused for 12 days; not among the newest 2 of docker.io/library/web";
    assert_eq!(line("web:ci-1"), format!("delete {} web:ci-1 team-retention, keep-last {reasons}", id("web:ci-1")));
    assert_eq!(line("web:v1.0.0"), format!("keep {} web:v1.0.0 team-retention a release", id("web:v1.0.0")));
    assert_eq!(line("web:ci-2"), format!("keep {} web:ci-2 keep-last does not want it removed", id("web:ci-2")));
    leaves(&sandbox, &both, &["web:ci-2", "web:ci-3", "web:v1.0.0"]);
}

#[test]
fn the_configurations_policies_always_apply() {
    let sandbox = Sandbox::new();
    for n in 1..=3 {
        add(&sandbox, &[&format!("web:{n}")], 10 - n);
    }
    add(&sandbox, &[], 5);
    fs::write(sandbox.config(), "[prune]\npolicies = [\"keep-last,keep=2\"]\n").unwrap();
    leaves(&sandbox, &[], &["web:1", "web:2", "web:3"]);
    leaves(&sandbox, &["-a"], &["web:2", "web:3"]);
    fs::write(sandbox.config(), "[prune]\npolicies = [\"keep-last,keep=1\"]\n").unwrap();
    leaves(&sandbox, &["-a"], &["web:3"]);
    fs::write(sandbox.config(), "[prune]\npolicies = [\"keep-lats\"]\n").unwrap();
    let output = prune(&sandbox, &["-a"]).fails(1);
    assert_eq!(output.stderr, format!("nacre: unknown prune policy 'keep-lats': {HELP}\n"));
}

#[test]
fn a_dry_run_shows_reasons_and_changes_nothing() {
    let (sandbox, dangling) = shelf();
    sandbox.nacre(["pin", "a"]).ok();
    let before = tree(&sandbox);
    let output = prune(&sandbox, &["-a", "--dry-run"]).ok();
    let id = |name: &str| store(&sandbox).find(name).unwrap().image.id;
    let words: Vec<Vec<&str>> = output.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        vec!["delete", dangling.short(), "<none>", "standard", "dangling"],
        vec!["delete", id("b:1").short(), "b:1,", "b:2", "standard", "unused"],
    ] {
        assert!(words.contains(&row), "{row:?} in {}", output.stdout);
    }
    let reclaim = (bytes(&sandbox, &dangling) + bytes(&sandbox, &id("b:1"))) / 1000.0;
    assert_eq!(*output.lines().last().unwrap(), format!("Would reclaim {reclaim:.2}kB in 6 blobs"));
    assert_eq!(tree(&sandbox), before);
}

#[test]
fn a_saved_plan_is_carried_out_exactly() {
    let sandbox = Sandbox::new();
    for n in 0..6 {
        add(&sandbox, &[&format!("web:{n}")], n + 1);
    }
    let before = tree(&sandbox);
    let planned = sandbox.nacre(["image", "prune", "--policy", "keep-last,keep=1", "--plan", "plan.json"]).ok();
    assert_eq!(planned.stderr, "nacre: wrote the plan: carry it out with 'nacre image prune --apply plan.json'\n");
    assert_eq!(tree(&sandbox), before);
    assert_eq!(prune(&sandbox, &["--apply", "plan.json", "--dry-run"]).ok().stdout, planned.stdout);

    sandbox.nacre(["tag", "web:1", "other:1"]).ok();
    sandbox.nacre(["pin", "web:2"]).ok();
    sandbox.nacre(["save", "-o", "x.tar", "web:3"]).ok();
    add(&sandbox, &["web:new"], 0);
    let id = |name: &str| store(&sandbox).find(name).unwrap().image.id;
    let kept = [("web:1", "it has been tagged anew since"), ("web:2", "it has been pinned since"), ("web:3", "it has been used since")];
    let mut lines: Vec<String> = kept.iter().map(|(name, why)| format!("nacre: kept {}: {why}", id(name).short())).collect();
    lines.sort();
    let output = prune(&sandbox, &["--apply", "plan.json"]).ok();
    let mut said: Vec<&str> = output.stderr.lines().collect();
    said.sort();
    assert_eq!(said, lines);
    let mut untagged: Vec<&str> = output.lines().into_iter().filter(|line| line.starts_with("untagged: ")).collect();
    untagged.sort();
    assert_eq!(untagged, ["untagged: web:4", "untagged: web:5"]);
    assert_eq!(left(&sandbox), ["other:1", "web:0", "web:2", "web:3", "web:new"]);
    assert_whole(&sandbox);
}

#[test]
fn what_is_no_plan_is_refused() {
    let (sandbox, _) = shelf();
    let refused = |text: &str| {
        fs::write(sandbox.path("plan.json"), text).unwrap();
        prune(&sandbox, &["--apply", "plan.json"]).fails(1).stderr
    };
    assert!(refused("{}").starts_with("nacre: plan.json is not a prune plan: missing field `version`"));
    assert!(refused("#!/bin/sh").starts_with("nacre: plan.json is not a prune plan: expected value at line 1"));
    let newer = refused(r#"{"version":2,"created_at":0,"items":[],"kept":[],"bytes":0,"blobs":0}"#);
    assert_eq!(newer, "nacre: a prune plan of version 2 is not supported: this nacre knows version 1; make the plan anew\n");
    let missing = prune(&sandbox, &["--apply", "ghost.json"]).fails(1).stderr;
    assert_eq!(missing, "nacre: cannot read ghost.json: No such file or directory (os error 2)\n");
    assert_eq!(left(&sandbox).len(), 3);
}

#[test]
fn it_asks_first() {
    let (sandbox, dangling) = shelf();
    let asked = |answer: &str| sandbox.run(sandbox.command(["image", "prune"]), answer.as_bytes());
    let question = format!(
        "WARNING! This will remove 1 image and content that no other image needs:\n  - {} <none>\nAre you sure you want to continue? [y/N] ",
        dangling.short()
    );
    for (answer, code, end) in
        [("n\n", 0, ""), ("\n", 0, ""), ("nope", 0, ""), ("", 1, "\nnacre: nobody answered: use -f to prune without asking\n")]
    {
        let output = asked(answer).fails(code);
        assert_eq!((output.stdout, output.stderr), (String::new(), format!("{question}{end}")), "{answer:?}");
    }
    assert_eq!(ids(&sandbox).len(), 3);
    let output = asked("y\n").ok();
    assert!(output.stdout.starts_with("Deleted Images:\ndeleted: sha256:"), "{}", output.stdout);
    assert_eq!(left(&sandbox), ["a:latest", "b:1"]);
    let nothing = asked("").ok();
    assert_eq!((nothing.stdout.as_str(), nothing.stderr.as_str()), ("Total reclaimed space: 0B\n", ""), "there is nothing to ask");
}
