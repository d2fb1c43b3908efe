//! Text from strangers never reaches the terminal as it is: whatever the command, its output holds no control character,
//! no escape sequence and nothing that reorders or hides text.

use std::fs;

use nacre_oci::{Digest, Memory, media_type};
use nacre_tests::{
    images::layer,
    sandbox::{Output, Sandbox},
};
use serde_json::json;

use crate::fixture::{add, install, put};

/// An escape sequence, a carriage return, a bell, a C1 control, a line break, a tab, what reverses and what hides text.
const EVIL: &str = "evil\u{1b}[2J\u{1b}]0;x\u{7}\r\u{9b}31m\nFAKE   latest\t\u{202e}gnp\u{2066}\u{200b}\u{feff}\u{ad}\u{e0041}end";

/// An image with hostile text wherever a config and a manifest take text.
fn hostile(sandbox: &Sandbox) -> Digest {
    let memory = Memory::new();
    let tar = layer("x", b"x");
    let step = json!({"created": "2026-01-02T03:04:05Z", "created_by": EVIL, "comment": EVIL, "author": EVIL});
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "author": EVIL, "history": [step],
        "variant": EVIL, "os.version": EVIL,
        "config": {"Labels": {EVIL: EVIL, "plain": EVIL}, "Env": [EVIL], "Cmd": [EVIL], "User": EVIL, "WorkingDir": EVIL},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]},
    });
    let config = memory.add(media_type::OCI_CONFIG, config.to_string().into_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config,
        "layers": [memory.add(media_type::OCI_LAYER, tar)], "annotations": {EVIL: EVIL, "org.opencontainers.image.description": EVIL},
    });
    let root = memory.add(media_type::OCI_MANIFEST, manifest.to_string().into_bytes());
    put(sandbox, &memory, &root, &["app:1"])
}

#[track_caller]
fn assert_safe(output: &Output) {
    let ours = |c: char| c == '\n' || c == '…' || ((c == ' ' || !c.is_whitespace()) && !c.is_control());
    let hidden = ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{ad}', '\u{e0041}'];
    for text in [&output.stdout, &output.stderr] {
        let raw = text.chars().find(|c| !ours(*c) || hidden.contains(c));
        assert_eq!(raw, None, "{}: {text:?}", output.command);
        assert!(!text.lines().any(|line| line.starts_with("FAKE")), "{}: a line was forged: {text}", output.command);
    }
}

#[test]
fn what_an_image_says() {
    let sandbox = Sandbox::new();
    let id = hostile(&sandbox);
    for arguments in [
        &["images"][..],
        &["images", "--no-trunc", "--digests", "-a"],
        &["images", "--format", "json"],
        &["images", "--format", "{{.Platforms}}"],
        &["images", "--format", "table {{.Platforms}}\\t{{.ID}}"],
        &["images", "--filter", "label=plain"],
        &["inspect", "app:1"],
        &["inspect", "-f", "json", "app:1"],
        &["inspect", "-f", "{{json .}}", "app:1"],
        &["inspect", "-f", "{{.}}", "app:1"],
        &["inspect", "-f", "{{.Config.Labels}} {{.Config.Env}} {{.Author}} {{.Comment}} {{.Annotations}}", "app:1"],
        &["inspect", "-f", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{end}}", "app:1"],
        &["inspect", "-f", "{{index .Config.Labels \"plain\" | printf \"%s\"}}", "app:1"],
        &["inspect", "-f", "{{join .Config.Env \",\"}}{{title .Author}}{{upper .Author}}{{truncate .Author 9}}", "app:1"],
        &["inspect", "-f", "{{range split .Author \"v\"}}{{.}}{{end}}", "app:1"],
        &["inspect", "-f", "{{println .Author}}{{print .Author}}{{html .Author}}{{js .Author}}{{urlquery .Author}}", "app:1"],
        &["inspect", "-f", "{{printf \"%q %v %x\" .Author .Config.Env .Author}}", "app:1"],
        &["inspect", "-f", "{{.Author.Foo}}", "app:1"],
        &["inspect", "-f", "{{index .Config .Author}}", "app:1"],
        &["inspect", "-f", "{{len 3 .Author}}", "app:1"],
        &["inspect", "-f", "{{call .Author}}", "app:1"],
        &["history", "app:1"],
        &["history", "--no-trunc", "app:1"],
        &["history", "--format", "json", "app:1"],
        &["history", "--format", "{{.CreatedBy}} {{.Comment}}", "app:1"],
        &["image", "prune", "-a", "--dry-run", "--filter", "label=plain"],
        &["system", "df"],
        &["save", "-o", "x.tar", "app:1"],
        &["load", "-i", "x.tar"],
        &["pin", "app:1"],
    ] {
        assert_safe(&sandbox.nacre(arguments));
    }
    assert_eq!(sandbox.nacre(["inspect", "-f", "{{.Id}}", "app:1"]).ok().stdout, format!("{id}\n"));
    let history = sandbox.nacre(["history", "--no-trunc", "app:1"]).ok();
    assert_eq!(history.lines().len(), 2, "one step, one line");
    assert!(history.stdout.contains("\\x1b[2J") && history.stdout.contains("\\u{202e}"), "it is shown: {}", history.stdout);
    let json: serde_json::Value = serde_json::from_str(&sandbox.nacre(["inspect", "app:1"]).ok().stdout).unwrap();
    assert_eq!(json[0]["Author"], EVIL, "JSON says it all the same");
}

#[test]
fn what_a_registry_says() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    hostile(&there);
    let server = there.serve();
    let (name, term) = (server.name("app:1"), server.name("app"));
    for arguments in [
        &["search", &term][..],
        &["search", "--no-trunc", &term],
        &["search", "--format", "json", &term],
        &["search", "--format", "{{.Description}}", &term],
        &["inspect", "--remote", &name],
        &["inspect", "--remote", "-f", "{{.Config}} {{.Annotations}}", &name],
        &["pull", &name],
        &["pull", "--platform", "linux/s390x", &name],
        &["pull", &server.name("ghost")],
        &["push", &name],
        &["search", "--list-tags", &term],
    ] {
        assert_safe(&here.nacre(arguments));
    }
    assert_eq!(here.nacre(["images", "-q"]).ok().lines().len(), 1);
}

#[test]
fn what_the_user_typed_or_found() {
    let sandbox = Sandbox::new();
    hostile(&sandbox);
    fs::write(sandbox.path("evil.toml"), "\"a\\u001b[2J\" = 1\n").unwrap();
    fs::write(sandbox.path("evil.json"), "{\"\\u001b[2J\":1}").unwrap();
    for arguments in [
        &["inspect", EVIL][..],
        &["rmi", EVIL],
        &["tag", "app:1", EVIL],
        &["pull", EVIL],
        &["images", EVIL],
        &["images", "--filter", EVIL],
        &["images", "--filter", &format!("{EVIL}=1")],
        &["images", "--filter", &format!("until={EVIL}")],
        &["images", "--format", &format!("{{{{.{EVIL}}}}}")],
        &["image", "prune", "-f", "--policy", EVIL],
        &["image", "prune", "-f", "--policy", &format!("standard,until={EVIL}")],
        &["image", "prune", "-f", "--apply", "evil.json"],
        &["plugin", "inspect", EVIL],
        &["load", "-i", EVIL],
        &["copy", &format!("oci:{EVIL}"), "app:2"],
        &["--config", "evil.toml", "images"],
        &["--config", EVIL, "images"],
        &["search", "--filter", &format!("{EVIL}=1"), "x"],
    ] {
        let output = sandbox.nacre(arguments);
        assert_eq!(output.code, Some(if arguments[..] == ["images", EVIL] { 0 } else { 1 }), "{}", output.stderr);
        assert_safe(&output);
    }
}

#[test]
fn what_a_plugin_says() {
    let sandbox = Sandbox::new();
    hostile(&sandbox);
    let toml: String = EVIL.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    let manifest = format!(
        "plugin = {{ name = \"acme/evil\", version = \"1.0.0\", api = \"0.1\", description = \"{toml}\", license = \"{toml}\" }}\n\
         provides.prune-policy = [\"evil\"]\noptions = {{ a = \"{toml}\" }}\nsettings = {{ b = \"{toml}\" }}"
    );
    install(&sandbox, "evil", &manifest, &wat::parse_str("(component (import \"a:b/c\" (instance)))").unwrap());
    fs::create_dir(sandbox.plugins().join("\u{1b}[2Jfolder")).unwrap();
    fs::create_dir(sandbox.plugins().join("worse")).unwrap();
    fs::write(sandbox.plugins().join("worse/plugin.toml"), format!("\"{toml}\" = 1\n")).unwrap();
    for arguments in [
        &["plugin", "ls"][..],
        &["plugin", "ls", "--format", "{{.Name}} {{.Description}}"],
        &["plugin", "ls", "--format", "json"],
        &["plugin", "inspect", "acme/evil"],
        &["plugin", "inspect", "-f", "{{.plugin.description}} {{.options}} {{.settings}}", "acme/evil"],
        &["image", "prune", "-f", "--policy", "evil"],
        &["image", "prune", "-f", "--policy", "evil,x=1"],
    ] {
        assert_safe(&sandbox.nacre(arguments));
    }
    let shown = sandbox.nacre(["plugin", "ls", "--format", "{{.Description}}"]).ok();
    assert!(shown.lines()[0].starts_with("evil\\x1b[2J"), "{}", shown.stdout);
}

#[test]
fn what_a_container_says() {
    let sandbox = Sandbox::new();
    add(&sandbox, &["app:1"], 1);
    let (variable, label) = (format!("A={EVIL}"), format!("{EVIL}={EVIL}"));
    sandbox.nacre(["create", "--name", "boat", "-e", &variable, "-l", &label, "app:1", EVIL, EVIL]).ok();
    for arguments in [
        &["ps", "-a"][..],
        &["ps", "-a", "--no-trunc"],
        &["ps", "-a", "--format", "json"],
        &["ps", "-a", "--format", "{{.Command}} {{.Labels}} {{upper .Command}}"],
        &["ps", "-a", "--format", "table {{.Labels}}\\t{{.Names}}", "-f", &format!("label={EVIL}")],
        &["ps", "-f", &format!("{EVIL}=x")],
        &["ps", "-f", &format!("status={EVIL}")],
        &["inspect", "boat"],
        &["container", "inspect", "-f", "{{.Config.Env}} {{.Config.Labels}} {{.Path}} {{.Args}} {{.Config.Hostname}}", "boat"],
        &["create", "--name", EVIL, "app:1"],
        &["create", "--pull", "never", EVIL],
        &["create", "--network", EVIL, "app:1"],
        &["create", "-h", EVIL, "app:1"],
        &["create", "-v", EVIL, "app:1"],
        &["run", "--stop-signal", EVIL, "app:1"],
        &["stop", EVIL],
        &["rm", "-f", EVIL],
        &["logs", EVIL],
        &["cp", &format!("boat{EVIL}:/x"), "."],
        &["commit", "boat", EVIL],
        &["commit", "-c", EVIL, "boat"],
    ] {
        assert_safe(&sandbox.nacre(arguments));
    }
    assert_eq!(sandbox.nacre(["ps", "-aq"]).ok().lines().len(), 1);
    sandbox.nacre(["rm", "boat"]).ok();
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_a_full_disk_is() {
    let sandbox = Sandbox::new();
    hostile(&sandbox);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut closed = sandbox.command(["inspect", "app:1"]);
    let output = closed.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let mut full = sandbox.command(["images"]);
    let output = full.stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
    let line = "nacre: cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), line.as_bytes()));
}
