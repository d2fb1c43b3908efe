//! Plugins' subcommands: the bundled `tree`, `compare` and `cat`, and how commands are found, described and completed.

use std::{fs, process::Command};

use nacre_oci::Memory;
use nacre_tests::{
    images::{Recipe, image, noise},
    sandbox::{Output, Sandbox},
};
use serde_json::{Value, json};

use crate::fixture::{assert_whole, guest, install, put};

/// A tar of files with their content, and of links with `->` in front of what they lead to.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(to) = content.strip_prefix(b"->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, path, str::from_utf8(to).unwrap()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, *content).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

fn add(sandbox: &Sandbox, name: &str, layers: Vec<Vec<u8>>) {
    let memory = Memory::new();
    let root = image(&memory, &Recipe { layers, ..Recipe::default() });
    put(sandbox, &memory, &root, &[name]);
}

/// Two layers, of which the second replaces, deletes and adds.
fn with_app() -> Sandbox {
    let sandbox = Sandbox::new();
    let base: [(&str, &[u8]); 6] = [
        ("etc/hello", b"hello\n"),
        ("lib/big", &noise(50_000, 1)),
        ("old/gone", &[1; 1000]),
        ("etc/link", b"->/etc/hello"),
        ("etc/loop", b"->loop"),
        ("way", b"->../../etc"),
    ];
    let top: [(&str, &[u8]); 3] = [("etc/hello", b"hello again\n"), ("old/.wh.gone", b""), ("new/file", &[2; 100])];
    add(&sandbox, "app:1", vec![tar(&base), tar(&top)]);
    sandbox
}

/// Each line of an output as JSON.
fn rows(output: &Output) -> Vec<Value> {
    output.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn tree_shows_layers_and_files_largest_first_with_what_they_waste() {
    let sandbox = with_app();
    let output = sandbox.nacre(["tree", "--format", "json", "app:1"]).ok();
    let row = |kind: &str, layer: u64, name: &str, size: u64, wasted: u64| json!({"Kind": kind, "Layer": layer, "Name": name, "Size": size, "Wasted": wasted});
    let expected = [
        row("layer", 1, "ADD layer 0", 51_006, 1_006),
        row("file", 1, "lib/big", 50_000, 0),
        row("file", 1, "old/gone", 1_000, 1_000),
        row("file", 1, "etc/hello", 6, 6),
        row("layer", 2, "ADD layer 1", 112, 0),
        row("file", 2, "new/file", 100, 0),
        row("file", 2, "etc/hello", 12, 0),
    ];
    assert_eq!(rows(&output), expected);
    assert_eq!(output.stderr, "tree: app:1: 51.1kB of files, 1.01kB wasted by what later layers hide\n");
    let table = sandbox.nacre(["tree", "app:1", "--layer", "2"]).ok();
    let expected = "LAYER     KIND      SIZE      WASTED    NAME\n\
                    2         layer     112B      0B        ADD layer 1\n\
                    2         file      100B      0B        new/file\n\
                    2         file      12B       0B        etc/hello\n";
    assert_eq!(table.stdout, expected);
    let short = sandbox.nacre(["tree", "app:1", "--limit=1", "--format", "{{.Name}} {{.Size}}"]).ok();
    assert_eq!(short.lines(), ["ADD layer 0 51kB", "lib/big 50kB", "ADD layer 1 112B", "new/file 100B"]);
    assert!(short.stderr.ends_with("tree: 3 smaller files are not shown: --all or a larger --limit shows them\n"), "{}", short.stderr);
}

#[test]
fn compare_shows_what_was_added_changed_and_removed() {
    let sandbox = with_app();
    let same: [(&str, &[u8]); 3] = [("etc/hello", b"HELLO AGAIN\n"), ("lib/big", &noise(50_000, 1)), ("etc/link", b"->/etc/other")];
    add(&sandbox, "app:2", vec![tar(&same)]);
    let output = sandbox.nacre(["compare", "app:1", "app:2", "--format", "json"]).ok();
    let row = |change: &str, path: &str, before: Value, after: Value, what: &str| json!({"Change": change, "Path": path, "Before": before, "After": after, "What": what});
    let expected = [
        row("changed", "etc/hello", 12.into(), 12.into(), "content"),
        row("changed", "etc/link", 0.into(), 0.into(), "link"),
        row("removed", "etc/loop", 0.into(), Value::Null, ""),
        row("removed", "new", 0.into(), Value::Null, ""),
        row("removed", "new/file", 100.into(), Value::Null, ""),
        row("removed", "old", 0.into(), Value::Null, ""),
        row("removed", "way", 0.into(), Value::Null, ""),
    ];
    assert_eq!(rows(&output), expected);
    assert_eq!(output.stderr, "compare: 0 added (0B), 2 changed (+0B), 5 removed (100B)\n");
    let back = sandbox.nacre(["compare", "app:2", "app:1", "--format", "{{.Change}} {{.Path}}"]).ok();
    assert!(back.lines().contains(&"added new/file"), "{}", back.stdout);
    let itself = sandbox.nacre(["compare", "app:1", "app:1"]).ok();
    assert_eq!(itself.lines().len(), 1, "only headings: {}", itself.stdout);
}

#[test]
fn cat_prints_a_file_as_a_container_would_read_it() {
    let sandbox = with_app();
    for path in ["etc/hello", "/etc/hello", "etc/link", "way/link", "../etc/./hello"] {
        assert_eq!(sandbox.nacre(["cat", "app:1", path]).ok().stdout, "hello again\n", "{path}");
    }
    let raw: Vec<u8> = {
        let mut command = sandbox.command(["cat", "app:1", "lib/big"]);
        command.output().unwrap().stdout
    };
    assert!(raw == noise(50_000, 1), "what is no terminal gets the bytes as they are");
    for (path, why) in [
        ("etc/nothing", "not found: etc/nothing in app:1"),
        ("old/gone", "not found: old/gone in app:1"),
        ("etc", "etc is a folder, not a file"),
        ("way", "way is a folder, not a file"),
        ("etc/loop", "etc/loop leads through more than 40 links"),
    ] {
        let output = sandbox.nacre(["cat", "app:1", path]).fails(1);
        assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("nacre: plugin nacre/cat: {why}\n")));
    }
    assert!(sandbox.nacre(["cat", "ghost", "x"]).fails(1).stderr.starts_with("nacre: plugin nacre/cat: not found: "));
}

#[test]
fn what_is_given_wrongly_is_said() {
    let sandbox = with_app();
    let said = |line: &str, code| sandbox.nacre(line.split(' ')).fails(code).stderr;
    assert!(said("tree app:1 --layer 3", 1).contains("there is no layer 3: the image has 2, and the base is 1"));
    assert!(said("tree app:1 --limit many", 1).contains("invalid option 'limit=many'"));
    assert!(said("tree", 2).contains("<IMAGE>"));
    assert!(said("tree app:1 extra", 2).contains("unexpected argument 'extra'"));
    assert!(said("cat app:1 etc/hello --format json", 2).contains("unexpected argument '--format'"), "it prints no table");
    assert!(said("tree app:1 --format {{.Nope}}", 1).contains("the fields are .Layer .Kind .Size .Wasted .Name"));
    assert!(said("trees app:1", 2).contains("'tree'"), "what is alike is offered");
    let closed = sandbox.command(["tree", "app:1"]).stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!(closed.status.code(), Some(1));
}

#[test]
fn help_and_completion_run_no_plugin() {
    let sandbox = Sandbox::new();
    let help = sandbox.nacre(["--help"]).ok().stdout;
    for (verb, about) in
        [("tree", "Show the layers and files of an image, largest first [nacre/tree]"), ("cat", "Print a file of an image [nacre/cat]")]
    {
        assert!(help.lines().any(|line| line.split_once(about).is_some_and(|(before, _)| before.trim() == verb)), "{help}");
    }
    let own = sandbox.nacre(["tree", "--help"]).ok().stdout;
    assert!(own.contains("Usage: nacre tree [OPTIONS] <IMAGE>") && own.contains("--layer <LAYER>"), "{own}");
    assert_eq!(sandbox.nacre(["help", "tree"]).ok().stdout, own);
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.nacre(["completion", shell]).ok().stdout;
        assert!(["compare", "wasted", "completion", "limit"].iter().filter(|word| script.contains(*word)).count() >= 3, "{shell}");
    }
    assert!(sandbox.nacre(["completion", "tcsh"]).fails(2).stderr.contains("tcsh"));
    assert!(!sandbox.root().exists(), "nothing was compiled, no store was made");
}

#[test]
fn a_kept_script_is_as_good_as_a_new_one() {
    let sandbox = Sandbox::new();
    let script = || sandbox.nacre(["completion", "bash"]).ok().stdout;
    let fresh = script();
    let kept = sandbox.root().join("cache/completion.bash");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    // What lies in the folders of plugins was changed just now, maybe.
    while !kept.exists() {
        assert_eq!(script(), fresh);
    }
    // It is taken as it is ...
    let (made_from, _) =
        fs::read_to_string(&kept).unwrap().split_once('\n').map(|(line, rest)| (line.to_owned(), rest.to_owned())).unwrap();
    fs::write(&kept, format!("{made_from}\nkept\n")).unwrap();
    assert_eq!(script(), "kept\n");
    // ... until a plugin comes, or it is damaged.
    fs::write(&kept, &made_from[..40]).unwrap();
    assert_eq!(script(), fresh);
    fs::write(&kept, format!("{made_from}\nkept\n")).unwrap();
    install(&sandbox, "strange", STRANGE, &guest("tests/guests", "misbehave"));
    assert!(script().contains("strange"));
    assert!(!fresh.contains("strange"));
}

/// Commands of a stranger, with text that must not reach a terminal or a shell as it is.
const STRANGE: &str = r#"
plugin = { name = "acme/strange", version = "1.0.0", api = "0.1" }
[[command]]
name = "images"
about = "not the real one"
[[command]]
name = "takes-root"
about = "takes an option of nacre's"
[[command.argument]]
name = "root"
help = "x"
option = true
[[command]]
name = "strange"
about = "a\u001b[2Jb'; touch pwned; '$(touch pwned)`touch pwned`"
[[command.argument]]
name = "level"
help = "'\"$(touch pwned)`touch pwned`]:[\u202e"
option = true
"#;

#[test]
fn nacres_own_verbs_stay_and_strangers_text_is_harmless() {
    let sandbox = with_app();
    // As a component it exports no command: help and completion do not look.
    install(&sandbox, "strange", STRANGE, &guest("tests/guests", "misbehave"));
    assert!(sandbox.nacre(["images", "--format", "{{.Repository}}"]).ok().stdout.starts_with("app\n"));
    let help = sandbox.nacre(["--help"]).ok().stdout;
    assert!(help.contains("List images, newest first") && !help.contains("not the real one") && !help.contains("takes-root"), "{help}");
    assert!(help.contains("a\\x1b[2Jb") && !help.contains('\u{1b}'), "{help}");
    assert!(!sandbox.nacre(["strange", "--help"]).ok().stdout.contains('\u{202e}'));
    assert!(sandbox.nacre(["takes-root"]).fails(2).stderr.contains("unrecognized subcommand"));
    let doctor = sandbox.nacre(["plugin", "doctor"]).fails(1).stderr;
    for line in ["command images cannot be had: nacre images is a verb", "command takes-root cannot be had: --root is an option"] {
        assert!(doctor.contains(&format!("nacre: plugin acme/strange: its {line} of nacre's own\n")), "{doctor}");
    }
    let script = sandbox.nacre(["completion", "bash"]).ok().stdout;
    fs::write(sandbox.path("completion.bash"), &script).unwrap();
    let ask = "source ./completion.bash; COMP_WORDS=(nacre str); COMP_CWORD=1; _nacre nacre str nacre; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", ask]).current_dir(sandbox.path("")).output().unwrap();
    assert_eq!((String::from_utf8(output.stdout).unwrap().trim(), String::from_utf8(output.stderr).unwrap().as_str()), ("strange", ""));
    assert!(!sandbox.path("pwned").exists());
    let failed = sandbox.nacre(["strange"]).fails(1);
    assert!(failed.stderr.starts_with("nacre: plugin acme/strange: "), "{}", failed.stderr);
    assert_eq!(failed.stderr.lines().count(), 1);
}

#[test]
fn names_in_an_image_cannot_touch_the_terminal() {
    let sandbox = Sandbox::new();
    let evil = "etc/evil\u{1b}[2J\u{202e}\nFAKE";
    add(&sandbox, "evil:1", vec![tar(&[(evil, b"x")])]);
    add(&sandbox, "evil:2", vec![tar(&[("etc/good", b"x")])]);
    for line in ["tree evil:1", "tree evil:1 --format json", "compare evil:1 evil:2", "compare evil:1 evil:2 --format {{.Path}}"] {
        let output = sandbox.nacre(line.split(' ')).ok();
        assert!(output.stdout.contains("etc/evil"), "{}", output.stdout);
        assert!(!output.stdout.contains(['\u{1b}', '\u{202e}']), "{line}: {:?}", output.stdout);
        assert!(!output.lines().iter().any(|line| line.starts_with("FAKE")), "{}", output.stdout);
    }
}

/// A command that reaches what it is told to, installed with these capabilities.
fn with_reach(sandbox: &Sandbox, capabilities: &str) {
    let manifest = "plugin = { name = 'acme/reach', version = '1.0.0', api = '0.1' }\n[[command]]\nname = 'reach'\nabout = 'x'\ntable = true\n\
                    argument = [{ name = 'what', help = 'x', required = true }, { name = 'with', help = 'x' }]\n";
    let folder = sandbox.path("reach");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("plugin.toml"), format!("{manifest}[capabilities]\n{capabilities}")).unwrap();
    fs::write(folder.join("plugin.wasm"), guest("tests/guests", "reach")).unwrap();
    sandbox.nacre(["plugin", "install", "--yes", "reach"]).ok();
}

#[test]
fn a_command_reaches_the_store_registries_the_network_and_files() {
    let sandbox = with_app();
    let server = sandbox.serve();
    let address = server.address();
    with_reach(&sandbox, &format!("store = 'write'\nregistries = ['{address}']\nnet = ['{address}', 'localhost:1']\ncontext = ['src/**']"));
    fs::create_dir_all(sandbox.path("src")).unwrap();
    fs::write(sandbox.path("src/a"), "content").unwrap();
    let says = |what: &str, with: &str| sandbox.nacre(["reach", what, with]).ok().stdout.trim_end().to_owned();
    assert_eq!(says("list", ""), "docker.io/library/app:1");
    assert_eq!(says("open", "app:1"), "app:1 2 etc,etc/hello,etc/link,etc/loop,lib,lib/big,new,new/file,old,way");
    let made = says("make", "made:1");
    assert_eq!(sandbox.nacre(["inspect", "-f", "{{.Id}}", "made:1"]).ok().stdout.trim_end(), made);
    assert_eq!(sandbox.nacre(["cat", "made:1", "etc/made"]).ok().stdout, "hi");
    sandbox.nacre(["tag", "made:1", "it"]).ok();
    assert_eq!((says("tag", "made:2"), says("remove", "made:2")), ("tagged".into(), "Untagged: made:2".into()));
    assert_eq!(says("tags", &server.name("app")), "1");
    assert!(says("pull", &server.name("app:1")).ends_with(" 2 etc,etc/hello,etc/link,etc/loop,lib,lib/big,new,new/file,old,way"));
    assert_eq!(says("fetch", &format!("http://{address}/v2/")), "{}");
    assert_eq!((says("files", ""), says("read", "src/a")), ("src/a".into(), "content".into()));
    assert_eq!(says("confirm", "Really"), "false", "nobody can be asked");
    let table = sandbox.nacre(["reach", "table", "A,B,CreatedAt,Size,E,F", "--format", "table {{.CreatedAt}}\\t{{.Size}}"]).ok();
    assert_eq!(table.stdout, "CREATED AT   SIZE\n-1           7.8MB\n");
    sandbox.nacre(["reach", "exit"]).fails(7);
    for (what, with, why) in [
        ("open", "ghost", "not found: image 'ghost'"),
        ("tags", "nginx", "denied: not allowed to speak to the registry docker.io"),
        ("fetch", "http://localhost:1/", "input or output failed: fetch http://localhost:1/ failed"),
        ("fetch", "http://localhost:2/", "denied: not allowed to fetch from localhost:2"),
        ("read", "reach/plugin.toml", "denied: not allowed to read the file reach/plugin.toml"),
        ("tag", "NOT A NAME", "invalid reference"),
    ] {
        let output = sandbox.nacre(["reach", what, with]).fails(1);
        assert!(output.stderr.starts_with(&format!("nacre: plugin acme/reach: {why}")), "{what} {with}: {}", output.stderr);
    }
    assert_whole(&sandbox);
}

#[test]
fn what_a_command_changes_is_under_the_rules() {
    let sandbox = with_app();
    with_reach(&sandbox, "store = 'write'\nregistries = ['*']\nnet = ['a.example']\ncontext = ['**']");
    sandbox.nacre(["tag", "app:1", "it"]).ok();
    let rules = "[plugins.rules]\ndeny = ['docker.io/library/bad']\n\
                 [[plugins.rules.rule]]\nname = 'keep'\nimages = ['docker.io/library/it']\noperations = ['remove']\ndeny = ['**']\n";
    fs::write(sandbox.config(), rules).unwrap();
    for (what, with) in [("make", "bad:1"), ("tag", "bad:1"), ("remove", "it")] {
        let output = sandbox.nacre(["reach", what, with]).fails(1);
        assert!(output.stderr.contains("denied by nacre/rules"), "{what}: {}", output.stderr);
    }
    assert_eq!(sandbox.nacre(["reach", "list"]).ok().stdout.split_whitespace().count(), 1);
    sandbox.nacre(["reach", "tag", "good:1"]).ok();
}

#[test]
fn a_strangers_command_is_installed_and_used() {
    let sandbox = with_app();
    sandbox.nacre(["tag", "app:1", "same"]).ok();
    let folder = sandbox.path("layer-sizes");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/layer-sizes/plugin.toml"), folder.join("plugin.toml")).unwrap();
    fs::write(folder.join("plugin.wasm"), guest("examples", "layer_sizes")).unwrap();
    sandbox.nacre(["plugin", "install", "--yes", "layer-sizes"]).ok();
    let output = sandbox.nacre(["layer-sizes", "--format", "{{.Size}} {{.Images}} {{.Names}}"]).ok();
    assert_eq!(output.lines(), ["55.8kB 1 docker.io/library/app:1", "3.58kB 1 docker.io/library/app:1"]);
    assert_eq!(sandbox.nacre(["layer-sizes", "--over", "10kB"]).ok().lines().len(), 2, "a heading and a row");
    let error = sandbox.nacre(["layer-sizes", "--over", "much"]).fails(1).stderr;
    assert_eq!(error, "nacre: plugin acme/layer-sizes: --over much: want a size, such as 10MB\n");
    sandbox.nacre(["plugin", "disable", "layer-sizes"]).ok();
    sandbox.nacre(["layer-sizes"]).fails(2);
}
