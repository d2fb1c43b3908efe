//! Containers' files: what they changed, copies both ways, exports, and images that are made of them.

use std::{collections::BTreeMap, fs};

use nacre_tests::{peers::available, sandbox::Output};
use serde_json::{Value, json};

use crate::{
    machine::Machine,
    support::{peer, whole},
    trees::{shell, tar_entries},
};

/// What the containers of these tests do to their files.
const CHANGES: &str = "rm -r /data/old; rm /data/gone; echo new > /data/new; mkdir -p /a/b; echo deep > /a/b/c; ln -s b /a/link; ln /a/b/c /a/hard; \
    chmod 4711 /bin/busybox; mkdir /data/old; chown 1000:50 /a; chmod 700 /home/diver";

fn stdout(machine: &Machine, words: &[&str]) -> String {
    machine.nacre(words).ok().stdout
}

#[test]
fn changes_are_told_as_docker_tells_them() {
    let Some(machine) = Machine::new() else { return };
    machine
        .nacre([
            "run",
            "--name",
            "boat",
            "-v",
            "/var/log",
            "sea",
            "sh",
            "-c",
            &format!("{CHANGES}; echo x > /var/log/x; printf '' > '/tmp/\u{1b}[2J'"),
        ])
        .ok();
    let expected = "A /a\nA /a/b\nA /a/b/c\nA /a/hard\nA /a/link\nC /bin\nC /bin/busybox\nC /data\nD /data/gone\nA /data/new\nC /data/old\nD /data/old/file\n\
                    C /home\nC /home/diver\nC /tmp\nA /tmp/\\x1b[2J\n";
    assert_eq!(stdout(&machine, &["diff", "boat"]), expected);
    machine.nacre(["create", "--name", "fresh", "sea"]).ok();
    assert_eq!(stdout(&machine, &["diff", "fresh"]), "");
    assert!(machine.nacre(["diff", "ghost"]).fails(1).stderr.contains("No such container: ghost"));
}

#[test]
fn files_are_copied_out() {
    let Some(machine) = Machine::new() else { return };
    machine.waiting(&["--name", "boat"]);
    machine.nacre(["create", "--name", "fresh", "sea"]).ok();
    let cp = |words: &[&str]| machine.nacre([&["cp"][..], words].concat());
    let read = |path: &str| fs::read_to_string(machine.path(path)).unwrap();
    for container in ["boat", "fresh"] {
        shell(&machine, "rm -rf out && mkdir out && echo there > out/file");
        cp(&[&format!("{container}:/data/gone"), "out"]).ok();
        cp(&[&format!("{container}:/data/gone"), "out/renamed"]).ok();
        cp(&[&format!("{container}:/data/old/file"), "out/file"]).ok();
        cp(&[&format!("{container}:/data"), "out"]).ok();
        cp(&[&format!("{container}:/data"), "out/new"]).ok();
        cp(&[&format!("{container}:data/old/."), "out"]).ok();
        cp(&[&format!("{container}:/link"), "out/as-link"]).ok();
        cp(&["-L", &format!("{container}:/link"), "out/as-folder"]).ok();
        assert_eq!((read("out/gone"), read("out/renamed"), read("out/file")), ("gone\n".into(), "gone\n".into(), "old\n".into()));
        assert_eq!(
            (read("out/data/old/file"), read("out/new/old/file"), read("out/as-folder/gone")),
            ("old\n".into(), "old\n".into(), "gone\n".into())
        );
        assert_eq!(fs::read_link(machine.path("out/as-link")).unwrap().to_str(), Some("data"));
        let tar = machine.command(["cp", &format!("{container}:/data/old"), "-"]).output().unwrap();
        assert_eq!(tar_entries(&tar.stdout).into_keys().collect::<Vec<_>>(), ["old", "old/file"]);
    }
    for (words, why) in [
        (&["boat:/none", "out"][..], "/none"),
        (&["boat:/data", "out/file"], "cannot copy a folder over the file out/file"),
        (&["boat:/data/gone", "out/none/"], "there is no folder"),
        (&["boat:/data/gone", "none/deep/file"], "there is no folder"),
        (&["boat:/data", "fresh:/data"], "copying between containers is not supported"),
        (&["a", "b"], "must specify at least one container source"),
        (&["ghost:/x", "out"], "No such container: ghost"),
    ] {
        let output: Output = cp(words).fails(1);
        assert!(output.stderr.contains(why) && output.stderr.lines().count() == 1, "{words:?}: {}", output.stderr);
    }
}

#[test]
fn files_are_copied_in() {
    let Some(machine) = Machine::new() else { return };
    machine.waiting(&["--name", "boat"]);
    machine.nacre(["create", "--name", "fresh", "sea", "sleep", "1000077"]).ok();
    shell(
        &machine,
        "mkdir -p in/deep && echo one > in/one && echo two > in/deep/two && ln -s one in/link && chmod 640 in/one && tar -C in -cf in.tar .",
    );
    let cp = |words: &[&str]| machine.nacre([&["cp"][..], words].concat());
    for container in ["boat", "fresh"] {
        cp(&["in", &format!("{container}:/tmp")]).ok();
        cp(&["in/.", &format!("{container}:/tmp/content")]).ok();
        cp(&["in/one", &format!("{container}:/tmp/renamed")]).ok();
        cp(&["in/one", &format!("{container}:/link/")]).ok();
        cp(&["in/link", &format!("{container}:/tmp/as-link")]).ok();
        cp(&["-L", "in/link", &format!("{container}:/tmp/as-file")]).ok();
        machine.run(machine.command(["cp", "-", &format!("{container}:/root")]), &fs::read(machine.path("in.tar")).unwrap()).ok();
        for (words, why) in [
            (["in", "/data/gone"], "cannot copy a folder over the file"),
            (["in/one", "/none/x"], "/none"),
            (["nowhere", "/tmp"], "cannot open nowhere"),
        ] {
            let said = cp(&[words[0], &format!("{container}:{}", words[1])]).fails(1).stderr;
            assert!(said.contains(why) && said.lines().count() == 1, "{said}");
        }
    }
    machine.nacre(["start", "fresh"]).ok();
    for container in ["boat", "fresh"] {
        let line = "cat /tmp/in/deep/two /tmp/content/one /tmp/renamed /data/one /tmp/as-file /root/one; readlink /tmp/as-link; stat -c '%a %u' /tmp/in/one";
        assert_eq!(stdout(&machine, &["exec", container, "sh", "-c", line]), "two\none\none\none\none\none\none\n640 0\n");
    }
    machine.nacre(["run", "-d", "--read-only", "--name", "closed", "sea", "sleep", "1000077"]).ok();
    assert!(cp(&["in/one", "closed:/tmp"]).fails(1).stderr.contains("read-only"));
}

#[test]
fn a_link_never_leads_a_copy_out_of_the_container() {
    let Some(machine) = Machine::new() else { return };
    let outside = machine.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(machine.path("in"), "in\n").unwrap();
    let line = format!(
        "mkdir -p {0}; ln -s {0} /way; ln -s ../../../../../../..{0} /up; trap 'exit 0' TERM; while :; do sleep 0.05; done",
        outside.display()
    );
    machine.background(&["--name", "boat"], &line);
    crate::machine::eventually("it has made its links", || machine.nacre(["exec", "boat", "readlink", "/up"]).code == Some(0));
    for target in ["boat:/way", "boat:/up", "boat:/way/file", "boat:/up/file"] {
        machine.nacre(["cp", "in", target]).ok();
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    fs::write(outside.join("secret"), "secret").unwrap();
    machine.nacre(["cp", "boat:/way/secret", "-"]).fails(1);
    assert_eq!(stdout(&machine, &["exec", "boat", "ls", outside.to_str().unwrap()]), "file\nin\n");
}

/// The files of a tar, without times: mount points are made anew.
fn files(tar: &[u8]) -> BTreeMap<String, String> {
    let mut found = tar_entries(tar);
    found.retain(|path, _| {
        !["dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "run"]
            .iter()
            .any(|own| path == own || path.starts_with(&format!("{own}/")))
    });
    let timeless =
        |entry: &str| entry.split(' ').enumerate().filter(|(index, _)| *index != 3).map(|(_, word)| word).collect::<Vec<_>>().join(" ");
    found.into_iter().map(|(path, entry)| (path, timeless(&entry))).collect()
}

#[test]
fn an_export_a_commit_and_podman_show_the_same_tree() {
    let Some(machine) = Machine::new() else { return };
    machine
        .nacre([
            "run",
            "--name",
            "boat",
            "-e",
            "A=1",
            "-w",
            "/data",
            "-l",
            "k=v",
            "-v",
            "/var/log",
            "sea",
            "sh",
            "-c",
            &format!("{CHANGES}; echo x > /var/log/x"),
        ])
        .ok();
    machine.nacre(["export", "-o", "boat.tar", "boat"]).ok();
    let exported = fs::read(machine.path("boat.tar")).unwrap();
    assert_eq!(files(&machine.command(["export", "boat"]).output().unwrap().stdout), files(&exported));
    let server = machine.serve();
    let made = stdout(&machine, &["commit", "-a", "Ned Land", "-m", "as it is", "-c", "ENV B=2", "-c", "CMD [\"true\"]", "boat", "made:1"]);
    let image = machine.nacre(["inspect", "--type", "image", "made:1"]).ok().stdout;
    let image: Value = serde_json::from_str::<Value>(&image).unwrap()[0].take();
    assert_eq!(image["Id"], made.trim_end());
    assert_eq!((&image["Author"], &image["Comment"]), (&json!("Ned Land"), &json!("as it is")));
    assert_eq!((&image["Config"]["Env"], &image["Config"]["Cmd"]), (&json!(["A=1", "B=2"]), &json!(["true"])));
    assert_eq!((&image["Config"]["WorkingDir"], &image["Config"]["Labels"]), (&json!("/data"), &json!({"k": "v"})));
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 2);
    machine.nacre(["create", "--name", "again", "made:1"]).ok();
    let again = machine.command(["export", "again"]).output().unwrap().stdout;
    assert_eq!(files(&again), files(&exported));
    whole(&machine);
    if !available("podman") {
        return;
    }
    let name = server.name("made:1");
    let storage = ["--root", "podman", "--runroot", "podman-run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"];
    let podman = |words: &[&str]| peer(&machine, "podman", &[&storage[..], words].concat());
    podman(&["pull", "-q", "--tls-verify=false", &name]);
    podman(&["create", "-q", "--name", "theirs", "--network", "host", &name]);
    let theirs = podman(&["export", "theirs"]);
    podman(&["rm", "theirs"]);
    podman(&["rmi", "-a", "-f"]);
    assert_eq!(files(&theirs), files(&exported));
}

#[test]
fn a_commit_while_the_container_writes_is_consistent() {
    let Some(machine) = Machine::new() else { return };
    // Of two files that are written one after the other the second is never newer.
    let line =
        "i=0; while :; do i=$((i+1)); echo $i > /first.new; mv /first.new /first; echo $i > /second.new; mv /second.new /second; done";
    machine.background(&["--name", "boat"], line);
    for number in 0..5 {
        let name = format!("made:{number}");
        machine.nacre(["commit", "boat", &name]).ok();
        let both = stdout(&machine, &["run", "--rm", &name, "sh", "-c", "cat /first /second 2>/dev/null"]);
        let numbers: Vec<u64> = both.lines().map(|line| line.parse().unwrap()).collect();
        assert!(matches!(numbers[..], [] | [_]) || (numbers[0] - numbers[1]) <= 1, "{both}");
    }
    assert_eq!(machine.field("boat", "{{.State.Status}}"), "running", "it was resumed");
    machine.nacre(["commit", "--no-pause", "boat", "made:loose"]).ok();
    let dangling = stdout(&machine, &["commit", "boat"]);
    assert!(dangling.starts_with("sha256:"));
    assert!(machine.nacre(["commit", "-c", "RUN x", "boat"]).fails(1).stderr.lines().count() == 1);
    whole(&machine);
}
