//! Where else nacre says, or minds, that containers use images: lists, plans, policies, `system`, and two commands at once.

use std::{fs, process::Command};

use nacre_oci::{Digest, Memory, Select, validate};
use nacre_tests::{images::multi_platform, sandbox::Sandbox};

use crate::{
    fixture::{add, put, store},
    in_use::{SLEEP, with_base},
};

/// Makes a container of an image, and starts it; returns its id.
fn container(sandbox: &Sandbox, image: &str, running: bool) -> String {
    let verb = if running { &["run", "-d"][..] } else { &["create"] };
    let made = sandbox.nacre([verb, &["--pull", "never", "--network", "none", image], &SLEEP].concat()).ok();
    made.stdout.trim().to_owned()
}

fn import(sandbox: &Sandbox, name: &str) -> Digest {
    let label = format!("LABEL name={name}");
    sandbox.nacre(["import", "-q", "-c", &label, "base.tar.gz", name]).ok().stdout.trim().parse().unwrap()
}

fn remove(sandbox: &Sandbox, id: &str) {
    sandbox.nacre(["rm", "-f", id]).ok();
}

#[test]
fn lists_say_what_containers_use() {
    let Some(sandbox) = with_base() else { return };
    let (used, other) = (import(&sandbox, "used:1"), add(&sandbox, &["other:1"], 2));
    sandbox.nacre(["tag", "used:1", "used:2"]).ok();
    let made = [true, false].map(|running| container(&sandbox, "used:1", running));
    let counts = sandbox.nacre(["images", "--format", "{{.Repository}}:{{.Tag}} {{.Containers}}"]).ok();
    assert_eq!(counts.lines(), ["used:1 2", "used:2 2", "other:1 0"]);
    let json = sandbox.nacre(["images", "--format", "json", "other"]).ok();
    assert!(json.stdout.contains(r#""Containers":"0""#), "{}", json.stdout);
    let table = sandbox.nacre(["images"]).ok();
    assert!(table.lines()[0].starts_with("REPOSITORY   TAG       IMAGE ID") && !table.stdout.contains("CONTAINERS"), "{}", table.stdout);
    let size = |id: &Digest| {
        let shown = sandbox.nacre(["images", "--format", "{{.ID}} {{.Size}}"]).ok();
        let line = shown.lines().into_iter().find(|line| line.starts_with(id.short())).unwrap().to_owned();
        format!("{:>10}", line.split_once(' ').unwrap().1)
    };
    let tree = sandbox.nacre(["images", "--tree"]).ok();
    let expected = format!(
        "                       i Info →   U  In Use
IMAGE     ID             DISK USAGE   EXTRA
used:1
used:2    {}   {}    U

other:1   {}   {}
",
        used.short(),
        size(&used),
        other.short(),
        size(&other)
    );
    assert_eq!(tree.stdout, expected);
    made.iter().for_each(|id| remove(&sandbox, id));
    assert!(!sandbox.nacre(["images", "--tree"]).ok().stdout.contains("    U\n"));
    sandbox.nacre(["images", "--tree", "-q"]).fails(2);
}

#[test]
fn a_tree_shows_the_platforms_of_an_index() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let index = put(&sandbox, &memory, &multi_platform(&memory), &["app:1"]);
    let lines = sandbox.nacre(["images", "--tree"]).ok();
    let lines = lines.lines();
    assert!(lines[2].starts_with("app:1") && lines[2].contains(index.short()), "{lines:?}");
    assert!(lines[3].starts_with("├─ linux/amd64   ") && lines[4].starts_with("└─ linux/arm64"), "{lines:?}");
    assert_eq!(lines.len(), 5);
}

#[test]
fn plans_and_policies_leave_what_containers_use() {
    let Some(sandbox) = with_base() else { return };
    let (first, second) = (import(&sandbox, "first:1"), import(&sandbox, "second:1"));
    let one = container(&sandbox, "first:1", false);
    let plan = sandbox.nacre(["image", "prune", "-a", "--plan", "plan.json"]).ok();
    assert!(plan.stdout.contains("second:1") && !plan.stdout.contains("first:1"), "{}", plan.stdout);
    let two = container(&sandbox, "second:1", true);
    let applied = sandbox.nacre(["image", "prune", "-f", "--apply", "plan.json"]).ok();
    assert_eq!(applied.stdout, "Total reclaimed space: 0B\n");
    let expected = format!("nacre: kept {}: it is being used by running container {}\n", second.short(), &two[..12]);
    assert_eq!(applied.stderr, expected);
    for policy in ["least-recently-used,budget=0B", "standard,all=true", "keep-last,keep=0"] {
        let pruned = sandbox.nacre(["image", "prune", "-f", "--policy", policy]).ok();
        assert_eq!(pruned.stdout, "Total reclaimed space: 0B\n", "{policy}");
    }
    [one, two].iter().for_each(|id| remove(&sandbox, id));
    sandbox.nacre(["image", "prune", "-af"]).ok();
    assert!(store(&sandbox).image(&first).unwrap().is_none() && store(&sandbox).df().unwrap().blob_count == 0);
}

#[test]
fn df_counts_containers_and_what_they_hold() {
    let Some(sandbox) = with_base() else { return };
    import(&sandbox, "app:1");
    let row = |kind: &str| {
        let format = "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}";
        let output = sandbox.nacre(["system", "df", "--format", format]).ok();
        output.lines().into_iter().find(|line| line.starts_with(kind)).unwrap().to_owned()
    };
    assert_eq!(row("Containers"), "Containers|0|0|0B|0B (0%)");
    let running = container(&sandbox, "app:1", true);
    let shown = row("Containers");
    assert!(shown.starts_with("Containers|1|1|") && shown.ends_with("B|0B (0%)") && !shown.contains("|0B|"), "{shown}");
    let stopped = container(&sandbox, "app:1", false);
    let shown = row("Containers");
    assert!(shown.starts_with("Containers|2|1|") && !shown.ends_with("(0%)"), "{shown}");
    assert!(!row("Build Cache").contains("|0B|"), "the unpacked image is what builds use, too");
    assert_eq!(row("Images").split('|').next_back(), Some("0B (0%)"));
    // A container's image that lost its name is no more reclaimable than before.
    sandbox.nacre(["rmi", "-f", "app:1"]).ok();
    assert_eq!(row("Images").split('|').next_back(), Some("0B (0%)"));
    [running, stopped].iter().for_each(|id| remove(&sandbox, id));
    assert!(!row("Images").ends_with("|0B (0%)"));
    assert_eq!(row("Containers"), "Containers|0|0|0B|0B (0%)");
}

#[test]
fn what_is_left_of_containers_is_found_and_swept() {
    let Some(sandbox) = with_base() else { return };
    import(&sandbox, "app:1");
    let (gone, kept) = (container(&sandbox, "app:1", false), container(&sandbox, "app:1", false));
    let folder = |id: &str| sandbox.root().join("containers").join(id);
    fs::remove_dir_all(folder(&gone)).unwrap();
    fs::create_dir(folder(&"e".repeat(64))).unwrap();
    fs::write(folder(&kept).join("state.json"), "{").unwrap();
    let found = sandbox.nacre(["system", "check"]).fails(1);
    let lines = found.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("left over: ") && line.ends_with(": no container has it")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with(&format!("left over: the container {} (", &gone[..12]))), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with(&format!("damaged: container {} (", &kept[..12]))), "{lines:?}");
    assert!(found.stderr.starts_with("nacre: 1 damaged, 2 left over; "), "{}", found.stderr);
    sandbox.nacre(["container", "prune", "-f"]).ok();
    assert_eq!(sandbox.nacre(["system", "check"]).ok().stdout, "nothing found\n");
    assert_eq!(fs::read_dir(sandbox.root().join("containers")).unwrap().count(), 0);
}

/// A `run` while others remove and prune its image: it runs the whole image, or says that there is none.
#[test]
fn two_commands_at_once_never_lose_content() {
    let Some(sandbox) = with_base() else { return };
    let (mut ran, mut refused) = (0, 0);
    for round in 0..24 {
        import(&sandbox, "app:1");
        let spawn = |arguments: &[&str]| -> Command {
            let mut command = sandbox.command(arguments);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command
        };
        let run = ["run", "--rm", "--pull", "never", "--network", "none", "app:1", "/bin/busybox", "cat", "/bin/busybox"];
        let create = ["create", "--pull", "never", "--name", "kept", "--network", "none", "app:1", "/bin/busybox", "true"];
        let mut others = Vec::new();
        let began = spawn(if round % 2 == 0 { &run } else { &create }).spawn().unwrap();
        for other in [&["rmi", "-f", "app:1"][..], &["image", "prune", "-a", "-f"], &["rmi", "app:1"]] {
            others.push(spawn(other).spawn().unwrap());
        }
        let output = began.wait_with_output().unwrap();
        others.into_iter().for_each(|other| _ = other.wait_with_output().unwrap());
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            ran += 1;
            assert!(round % 2 == 1 || output.stdout == fs::read("/usr/bin/busybox").unwrap());
        } else {
            refused += 1;
            assert!(stderr.contains("app:1") || stderr.contains("sha256:"), "{stderr}");
        }
        for one in store(&sandbox).containers().unwrap() {
            let store = store(&sandbox);
            let image = nacre_oci::Descriptor::new(
                nacre_oci::media_type::OCI_MANIFEST,
                one.manifest.clone(),
                store.blob_size(&one.manifest).unwrap().unwrap(),
            );
            validate(&store, &image, &Select::All).unwrap();
            assert_eq!(sandbox.nacre(["start", "-a", &one.id]).ok().stdout, "");
            remove(&sandbox, &one.id);
        }
        let findings = store(&sandbox).check(true).unwrap();
        assert!(findings.is_empty(), "round {round}: {findings:?}");
    }
    assert!(ran > 0, "all {refused} were refused: nothing was tested");
    sandbox.nacre(["image", "prune", "-af"]).ok();
    assert_eq!(store(&sandbox).df().unwrap().blob_count, 0);
}
