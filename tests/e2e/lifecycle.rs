//! A plugin's life: install, grants, update, signatures, verify, doctor, push, removal.

use std::{fs, path::PathBuf, process::Command};

use minisign::KeyPair;
use nacre_tests::sandbox::{Output, Sandbox};
use serde_json::Value;

use crate::{
    fixture::{add, guest, install_example},
    support::peer,
};

/// A policy that keeps everything, as a component that imports what it is told: it cannot be called, but installed.
fn component(imports: &[&str]) -> Vec<u8> {
    let imports: String = imports.iter().map(|name| format!("(import \"nacre:plugin/{name}@0.1.0\" (instance))")).collect();
    wat::parse_str(format!("(component {imports} (instance $i) (export \"nacre:plugin/prune@0.1.0\" (instance $i)))")).unwrap()
}

fn manifest(version: &str, capabilities: &str) -> String {
    format!(
        "plugin = {{ name = 'acme/x', version = '{version}', api = '0.1' }}\nprovides = {{ prune-policy = ['x'] }}\n\
         capabilities = {{ {capabilities} }}\n"
    )
}

/// Writes a plugin's folder below the sandbox, outside of where plugins are looked for.
fn folder(sandbox: &Sandbox, name: &str, manifest: &str, wasm: &[u8]) -> String {
    let folder = sandbox.path(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("plugin.toml"), manifest).unwrap();
    fs::write(folder.join("plugin.wasm"), wasm).unwrap();
    folder.to_str().unwrap().to_owned()
}

fn ls(sandbox: &Sandbox) -> Vec<String> {
    let format = "{{.Name}} {{.Version}} {{.Enabled}} {{.Signer}}";
    let output = sandbox.nacre(["plugin", "ls", "--format", format]).ok();
    output.lines().iter().filter(|line| !line.starts_with("nacre/")).map(|line| line.trim().to_owned()).collect()
}

/// The folder that the only installed plugin lies in.
fn installed(sandbox: &Sandbox) -> PathBuf {
    let all: Vec<_> = fs::read_dir(sandbox.plugins().join(".installed")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

fn field(sandbox: &Sandbox, name: &str, template: &str) -> String {
    sandbox.nacre(["plugin", "inspect", "-f", template, name]).ok().stdout.trim().to_owned()
}

#[track_caller]
fn refused(output: Output, line: &str) {
    let output = output.fails(1);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", format!("nacre: {line}\n").as_str()));
}

fn example(sandbox: &Sandbox) -> String {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/team-retention/plugin.toml")).unwrap();
    folder(sandbox, "team", &text, &guest("examples", "team_retention"))
}

#[test]
fn a_plugin_is_installed_used_disabled_and_removed() {
    let sandbox = Sandbox::new();
    let source = example(&sandbox);
    let said = sandbox.nacre(["plugin", "install", &source]).ok();
    assert!(said.stdout.starts_with("Installed acme/team-retention 1.0.0: sha256:"), "{}", said.stdout);
    assert_eq!(said.stderr, "", "it asks for nothing");
    // What it was installed from is needed no more.
    fs::remove_dir_all(&source).unwrap();
    add(&sandbox, &["web:1"], 1);
    let prune = || sandbox.nacre(["image", "prune", "-f", "--policy", "team-retention"]);
    prune().ok();
    sandbox.nacre(["plugin", "verify", "team-retention"]).ok();
    assert_eq!(ls(&sandbox), ["acme/team-retention 1.0.0 yes"]);

    sandbox.nacre(["plugin", "disable", "team-retention"]).ok();
    assert_eq!(ls(&sandbox), ["acme/team-retention 1.0.0 no"]);
    assert!(prune().fails(1).stderr.starts_with("nacre: unknown prune policy 'team-retention': known are "));
    sandbox.nacre(["plugin", "enable", "acme/team-retention"]).ok();
    prune().ok();

    let removed = sandbox.nacre(["plugin", "rm", "team-retention", "ghost"]).fails(1);
    assert_eq!(removed.stdout, "Removed acme/team-retention 1.0.0\n");
    assert_eq!(removed.stderr, "nacre: 'ghost' is not installed: see nacre plugin ls\n");
    assert!(ls(&sandbox).is_empty());
    assert_eq!(fs::read_dir(sandbox.plugins().join(".installed")).unwrap().count(), 0);
}

#[test]
fn a_plugin_that_asks_is_granted_or_refused() {
    let sandbox = Sandbox::new();
    let asks = "store = 'read', net = ['api.example.com']";
    let source = folder(&sandbox, "x", &manifest("1.0.0", asks), &component(&["store", "fetch"]));
    let install = |more: &[&str]| sandbox.nacre([&["plugin", "install", &source][..], more].concat());
    let hint = "grant it with --yes or --grants FILE, or install it on a terminal";
    refused(install(&[]), &format!("plugin acme/x asks for store = \"read\", net = \"api.example.com\": {hint}"));
    let grants = sandbox.path("grants.toml");
    fs::write(&grants, "store = 'read'\n").unwrap();
    let few = format!("{} does not grant all that it asks for: net = \"api.example.com\"", grants.display());
    refused(install(&["--grants", grants.to_str().unwrap()]), &few);
    fs::write(&grants, "store = 'read'\nnet = ['*.example.com']\n").unwrap();
    assert!(
        install(&["--grants", grants.to_str().unwrap()]).fails(1).stderr.contains("grants.toml, line 1: net = \"*.example.com\": want")
    );
    assert!(ls(&sandbox).is_empty() && !sandbox.plugins().join(".installed").exists());

    fs::write(&grants, "store = 'write'\nnet = ['api.example.com', 'other.example']\n").unwrap();
    assert_eq!(install(&["--grants", grants.to_str().unwrap()]).ok().stderr, "");
    // It gets what it asks for, not all that the file allows.
    assert_eq!(field(&sandbox, "x", "{{.granted.store}} {{.granted.net}}"), "read [api.example.com]");

    sandbox.nacre(["plugin", "rm", "x"]).ok();
    let shown = install(&["--yes"]).ok().stderr;
    assert!(shown.starts_with(&format!("acme/x 1.0.0 from {source}, not signed by a key that you trust, asks to:\n")), "{shown}");
    assert!(shown.ends_with("  - read all images of the store (store = \"read\")\n  - fetch from api.example.com (net)\n"), "{shown}");
}

/// Runs nacre on a terminal, where the user types `answer`.
fn on_a_terminal(sandbox: &Sandbox, arguments: &str, answer: &str) -> Output {
    let nacre = sandbox.command(["--version"]);
    let mut script = Command::new("script");
    script.args(["-qec", &format!("{} {arguments}", nacre.get_program().to_str().unwrap()), "/dev/null"]).env_clear();
    script.env("PATH", std::env::var_os("PATH").unwrap());
    script.envs(nacre.get_envs().filter_map(|(name, value)| Some((name, value?))));
    sandbox.run(script, answer.as_bytes())
}

#[test]
fn on_a_terminal_the_user_is_asked() {
    let sandbox = Sandbox::new();
    let source = folder(&sandbox, "x", &manifest("1.0.0", "store = 'write'"), &component(&["store-write"]));
    let install = |answer| on_a_terminal(&sandbox, &format!("plugin install {source}"), answer);
    let no = install("n\n").fails(1).stdout;
    assert!(no.contains("- read, make, name and remove images of the store (store = \"write\")"), "{no}");
    assert!(no.contains("Do you want to grant this? [y/N]") && no.contains("plugin acme/x was not installed"), "{no}");
    assert!(ls(&sandbox).is_empty());
    install("y\n").ok();
    assert_eq!(ls(&sandbox), ["acme/x 1.0.0 yes"]);
    // What was granted is not asked again.
    assert!(!install("").ok().stdout.contains("grant"));
}

#[test]
fn the_manifest_has_to_ask_for_what_the_component_imports() {
    let sandbox = Sandbox::new();
    let source = folder(&sandbox, "x", &manifest("1.0.0", "store = 'read'"), &component(&["store", "store-write"]));
    let line =
        "plugin acme/x: imports nacre:plugin/store-write@0.1.0, which no capability in its plugin.toml allows: nothing of it was run";
    refused(sandbox.nacre(["plugin", "install", "--yes", &source]), line);
}

#[test]
fn what_only_lies_in_a_folder_is_granted_nothing() {
    let sandbox = Sandbox::new();
    let dropped = sandbox.plugins().join("x");
    crate::fixture::install(&sandbox, "x", &manifest("1.0.0", "store = 'read'"), &component(&["store"]));
    add(&sandbox, &["web:1"], 1);
    let prune = || sandbox.nacre(["image", "prune", "-f", "--policy", "x"]);
    let line = format!("plugin acme/x: asks for store = \"read\": install it with nacre plugin install {}", dropped.display());
    refused(prune(), &line);
    sandbox.nacre(["plugin", "install", "--yes", dropped.to_str().unwrap()]).ok();
    // The installed one is used, and has gone past that check.
    assert!(prune().fails(1).stderr.contains("plugin acme/x: cannot be called"));
    let doctor = sandbox.nacre(["plugin", "doctor"]).fails(1).stderr;
    assert!(doctor.contains(&format!("is used, not the one from {}: remove one of them", dropped.display())), "{doctor}");
}

#[test]
fn the_ceiling_bounds_install_and_run() {
    let sandbox = Sandbox::new();
    let source = folder(&sandbox, "x", &manifest("1.0.0", "store = 'write'"), &component(&["store-write"]));
    let install = || sandbox.nacre(["plugin", "install", "--yes", &source]);
    let line = "plugin acme/x: asks for store = \"write\", which the [ceiling] of the configuration does not allow";
    fs::write(sandbox.config(), "[ceiling]\nstore = 'read'\n").unwrap();
    refused(install(), line);
    fs::write(sandbox.config(), "").unwrap();
    install().ok();
    add(&sandbox, &["web:1"], 1);
    fs::write(sandbox.config(), "[ceiling]\nstore = 'read'\nmemory = '1MiB'\ntime = '10ms'\n").unwrap();
    refused(sandbox.nacre(["image", "prune", "-f", "--policy", "x"]), line);
    assert_eq!(field(&sandbox, "x", "{{.granted.store}} {{.limits.memory}} {{.limits.time}}"), "read 1 MiB 10 ms");
    fs::write(sandbox.config(), "[ceiling]\nnet = ['*.example.com']\n").unwrap();
    assert!(install().fails(1).stderr.contains("config.toml, line 1: net = \"*.example.com\": want one exact host"));
}

#[test]
fn an_update_shows_what_is_new_and_asks_only_for_that() {
    let sandbox = Sandbox::new();
    let write = |version: &str, asks: &str, imports: &[&str]| folder(&sandbox, "x", &manifest(version, asks), &component(imports));
    let source = write("1.0.0", "store = 'read', net = ['a.example']", &["store"]);
    sandbox.nacre(["plugin", "install", "--yes", &source]).ok();
    let update = |more: &[&str]| sandbox.nacre([&["plugin", "update"][..], more].concat());
    assert_eq!(update(&["all"]).ok().stdout, "acme/x 1.0.0 is up to date\n");

    write("1.1.0", "store = 'read'", &["store"]);
    let less = update(&["x"]).ok();
    assert!(less.stdout.starts_with("acme/x 1.0.0 -> 1.1.0\n  - net = \"a.example\"\nUpdated acme/x to 1.1.0: sha256:"), "{}", less.stdout);
    assert_eq!(less.stderr, "");

    write("2.0.0", "store = 'write'", &["store-write"]);
    let more = update(&[]).fails(1);
    assert_eq!(more.stdout, "acme/x 1.1.0 -> 2.0.0\n  + store = \"write\"\n  - store = \"read\"\n".replace("  - store = \"read\"\n", ""));
    assert!(more.stderr.starts_with("nacre: acme/x: plugin acme/x asks for store = \"write\": grant it with --yes"), "{}", more.stderr);
    assert_eq!(ls(&sandbox), ["acme/x 1.1.0 yes"]);
    sandbox.nacre(["plugin", "disable", "x"]).ok();
    update(&["--yes"]).ok();
    assert_eq!(ls(&sandbox), ["acme/x 2.0.0 no"], "it stays disabled");
    installed(&sandbox);

    fs::remove_dir_all(source).unwrap();
    assert!(update(&["x"]).fails(1).stderr.starts_with("nacre: acme/x: "));
}

#[test]
fn a_plugin_that_was_changed_is_not_run() {
    let sandbox = Sandbox::new();
    sandbox.nacre(["plugin", "install", &example(&sandbox)]).ok();
    add(&sandbox, &["web:1"], 1);
    let prune = || sandbox.nacre(["image", "prune", "-f", "--policy", "team-retention"]);
    prune().ok();
    let wasm = installed(&sandbox).join("plugin.wasm");
    let good = fs::read(&wasm).unwrap();
    // A custom section changes nothing but the digest.
    fs::write(&wasm, [&good[..], &[0, 2, 1, b'x']].concat()).unwrap();
    let line = "plugin acme/team-retention: plugin.wasm is not what was installed: see nacre plugin verify";
    refused(prune(), line);
    refused(sandbox.nacre(["plugin", "verify", "team-retention"]), line);
    assert_eq!(sandbox.nacre(["plugin", "doctor"]).fails(1).stderr, format!("nacre: {line}\n"));
    fs::write(&wasm, good).unwrap();
    prune().ok();

    let lock = sandbox.plugins().join("plugins.lock");
    let text = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, text.replacen("store = \"none\"", "store = \"write\"", 1)).unwrap();
    let line = "plugin acme/team-retention: its entry in plugins.lock was changed by hand: install it again";
    assert_eq!(sandbox.nacre(["plugin", "doctor"]).fails(1).stderr, format!("nacre: {line}\n"));
    assert!(prune().fails(1).stderr.contains("unknown prune policy"));
    fs::write(&lock, "version = 7\n").unwrap();
    assert!(sandbox.nacre(["plugin", "doctor"]).fails(1).stderr.contains("has version 7, this nacre knows 1: restore it"));
}

#[test]
fn what_a_kill_leaves_is_swept_and_harms_nobody() {
    let sandbox = Sandbox::new();
    let source = example(&sandbox);
    // Before the rename, and after it but before the lock file.
    for half in [".new-half", "acme+team-retention@0000000000000000"] {
        fs::create_dir_all(sandbox.plugins().join(".installed").join(half)).unwrap();
    }
    fs::write(sandbox.plugins().join(".new-lock"), "half").unwrap();
    assert!(ls(&sandbox).is_empty());
    assert_eq!(sandbox.nacre(["plugin", "doctor"]).fails(1).stderr.lines().count(), 2);
    sandbox.nacre(["plugin", "install", &source]).ok();
    installed(&sandbox);
    assert_eq!(sandbox.nacre(["plugin", "doctor"]).ok().stdout, "Nothing is wrong\n");
}

/// Killed at any moment, an update leaves the old plugin or the new one.
#[test]
fn a_killed_update_leaves_the_old_or_the_new() {
    let sandbox = Sandbox::new();
    let source = folder(&sandbox, "x", &manifest("1.0.0", ""), &component(&[]));
    sandbox.nacre(["plugin", "install", &source]).ok();
    for round in 0..12 {
        folder(&sandbox, "x", &manifest(&format!("1.{round}.1"), ""), &component(&[]));
        let mut child = sandbox.command(["plugin", "update"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(round * 7));
        let _ = child.kill();
        child.wait().unwrap();
        sandbox.nacre(["plugin", "verify", "x"]).ok();
    }
    sandbox.nacre(["plugin", "update"]).ok();
    assert_eq!(ls(&sandbox), ["acme/x 1.11.1 yes"]);
    installed(&sandbox);
}

#[test]
fn names_of_nacres_own_are_refused() {
    let sandbox = Sandbox::new();
    let text = manifest("1.0.0", "").replace("acme/x", "nacre/tree");
    let line = "has a name that begins with nacre/, as only the bundled ones may: rename it in its plugin.toml";
    let source = folder(&sandbox, "x", &text, &component(&[]));
    refused(sandbox.nacre(["plugin", "install", &source]), &format!("{source} is no plugin: {line}"));
    crate::fixture::install(&sandbox, "x", &text, &component(&[]));
    assert_eq!(sandbox.nacre(["plugin", "ls"]).ok().stderr, format!("nacre: plugin x: {line}\n"));
}

fn sign(pair: &KeyPair, path: &str) {
    let wasm = fs::read(path).unwrap();
    let signed = minisign::sign(None, &pair.sk, wasm.as_slice(), None, None).unwrap();
    fs::write(format!("{path}.minisig"), signed.into_string()).unwrap();
}

fn trust(sandbox: &Sandbox, rule: &str, pair: &KeyPair) {
    fs::write(sandbox.config(), format!("[trust]\nsignatures = '{rule}'\nkeys = ['{}']\n", pair.pk.to_base64())).unwrap();
}

#[test]
fn a_signature_is_required_wrong_missing_or_good() {
    let sandbox = Sandbox::new();
    let (ours, theirs) = (KeyPair::generate_unencrypted_keypair().unwrap(), KeyPair::generate_unencrypted_keypair().unwrap());
    // Only a component with its manifest inside can be signed for good: what was installed is such a one.
    sandbox.nacre(["plugin", "install", &folder(&sandbox, "x", &manifest("1.0.0", ""), &component(&[]))]).ok();
    let whole = sandbox.path("x.wasm");
    fs::copy(installed(&sandbox).join("plugin.wasm"), &whole).unwrap();
    sandbox.nacre(["plugin", "rm", "x"]).ok();
    let whole = whole.to_str().unwrap();
    let install = |place: &str| sandbox.nacre(["plugin", "install", place]);

    trust(&sandbox, "required", &ours);
    let required = "and the configuration requires a signature";
    refused(install(whole), &format!("plugin acme/x: is not signed: ask its author to sign it with minisign, {required}"));
    sign(&theirs, whole);
    let wrong = "has a signature that no key in [trust] keys made, or was changed since";
    refused(install(whole), &format!("plugin acme/x: {wrong}, {required}"));
    trust(&sandbox, "warn", &ours);
    assert_eq!(install(whole).ok().stderr, format!("nacre: plugin acme/x {wrong}\n"));
    assert_eq!(ls(&sandbox), ["acme/x 1.0.0 yes"]);
    // Installed before it was required.
    trust(&sandbox, "required", &ours);
    assert!(sandbox.nacre(["plugin", "verify", "x"]).fails(1).stderr.contains("was installed without a signature of a trusted key"));

    sign(&ours, whole);
    install(whole).ok();
    let id = format!("{:016X}", u64::from_le_bytes(ours.pk.keynum().try_into().unwrap()));
    assert_eq!(ls(&sandbox), [format!("acme/x 1.0.0 yes {id}")]);
    sandbox.nacre(["plugin", "verify", "x"]).ok();
    // The key is trusted no more.
    trust(&sandbox, "required", &theirs);
    sandbox.nacre(["plugin", "verify", "x"]).fails(1);
    // What nobody installed is held to the same.
    trust(&sandbox, "required", &ours);
    sandbox.nacre(["plugin", "rm", "x"]).ok();
    install_example(&sandbox, "team-retention");
    assert!(sandbox.nacre(["plugin", "verify", "team-retention"]).fails(1).stderr.contains(required));
    fs::write(sandbox.config(), "[trust]\nkeys = ['RWnonsense']\n").unwrap();
    assert!(sandbox.nacre(["plugin", "doctor"]).fails(1).stderr.contains("'RWnonsense' in [trust] keys is no minisign key"));
}

#[test]
fn a_signed_plugin_is_not_replaced_by_an_unsigned_one() {
    let sandbox = Sandbox::new();
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let source = folder(&sandbox, "x", &manifest("1.0.0", ""), &component(&[]));
    sandbox.nacre(["plugin", "install", &source]).ok();
    let wasm = format!("{source}/plugin.wasm");
    fs::copy(installed(&sandbox).join("plugin.wasm"), &wasm).unwrap();
    sign(&pair, &wasm);
    trust(&sandbox, "warn", &pair);
    sandbox.nacre(["plugin", "install", &source]).ok();
    fs::remove_file(format!("{wasm}.minisig")).unwrap();
    let said = sandbox.nacre(["plugin", "install", &source]).fails(1).stderr;
    assert!(said.contains("and this is not: if that is right, remove it first with nacre plugin rm acme/x"), "{said}");
}

#[test]
fn a_plugin_travels_through_a_registry() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve();
    let (name, moved) = (server.name("acme/team:1"), server.name("acme/moved:1"));
    let pushed = sandbox.nacre(["plugin", "push", &example(&sandbox), &name]).ok();
    assert!(pushed.stdout.starts_with("1: digest: sha256:"), "{}", pushed.stdout);

    // Before the download: what it asks for, imports and exports.
    let seen: Value = serde_json::from_str(&sandbox.nacre(["plugin", "inspect", &name]).ok().stdout).unwrap();
    assert_eq!((&seen[0]["plugin"]["name"], &seen[0]["signed"]), (&"acme/team-retention".into(), &false.into()));
    assert_eq!(seen[0]["exports"], Value::from(vec!["nacre:plugin/prune@0.1.0"]));

    // Another client reads it, and what it pushes installs.
    let raw: Value =
        serde_json::from_slice(&peer(&sandbox, "skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")]))
            .unwrap();
    assert_eq!(raw["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!((&raw["layers"][0]["mediaType"], raw["layers"].as_array().unwrap().len()), (&"application/wasm".into(), 1));
    let (from, to) = (format!("docker://{name}"), format!("docker://{moved}"));
    peer(&sandbox, "skopeo", &["copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy", &from, &to]);

    let other = Sandbox::new();
    other.nacre(["plugin", "install", &moved]).ok();
    assert_eq!(field(&other, "team-retention", "{{.origin}} {{.artifact}}"), format!("{moved} {}", seen[0]["digest"].as_str().unwrap()));
    add(&other, &["web:1"], 1);
    other.nacre(["image", "prune", "-f", "--policy", "team-retention"]).ok();
    assert_eq!(other.nacre(["plugin", "update"]).ok().stdout, "acme/team-retention 1.0.0 is up to date\n");
    // An installed plugin is pushed again, the same to the last byte, and a new version is found by its tag.
    let again = server.name("acme/again:1");
    other.nacre(["plugin", "push", "team-retention", &again]).ok();
    let next = sandbox.path("team/plugin.toml");
    let text = fs::read_to_string(&next).unwrap();
    fs::write(&next, text.replace("1.0.0", "1.0.1")).unwrap();
    sandbox.nacre(["plugin", "push", sandbox.path("team").to_str().unwrap(), &moved]).ok();
    assert!(other.nacre(["plugin", "update"]).ok().stdout.starts_with("acme/team-retention 1.0.0 -> 1.0.1\nUpdated"));
}

#[test]
fn a_signature_travels_with_the_plugin() {
    let sandbox = Sandbox::new();
    let (server, pair) = (sandbox.serve(), KeyPair::generate_unencrypted_keypair().unwrap());
    let name = server.name("acme/x:1");
    let source = folder(&sandbox, "x", &manifest("1.0.0", ""), &component(&[]));
    sandbox.nacre(["plugin", "install", &source]).ok();
    let wasm = format!("{source}/plugin.wasm");
    sign(&pair, &wasm);
    let said = sandbox.nacre(["plugin", "push", &source, &name]).fails(1).stderr;
    assert!(said.contains("build it with nacre plugin build, and sign that"), "{said}");
    fs::copy(installed(&sandbox).join("plugin.wasm"), &wasm).unwrap();
    sign(&pair, &wasm);
    sandbox.nacre(["plugin", "push", &source, &name]).ok();
    let other = Sandbox::new();
    trust(&other, "required", &pair);
    other.nacre(["plugin", "install", &name]).ok();
    other.nacre(["plugin", "verify", "x"]).ok();
    assert_eq!(ls(&other)[0].split(' ').count(), 4);
}

#[test]
fn an_image_is_no_plugin() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve();
    add(&sandbox, &["web:1"], 1);
    sandbox.nacre(["tag", "web:1", &server.name("web:1")]).ok();
    sandbox.nacre(["push", &server.name("web:1")]).ok();
    let said = sandbox.nacre(["plugin", "install", &server.name("web:1")]).fails(1).stderr;
    assert!(said.contains("is no plugin: its config is application/vnd.oci.image.config.v1+json"), "{said}");
    sandbox.nacre(["plugin", "install", &server.name("ghost:1")]).fails(1);
    let said = sandbox.nacre(["plugin", "install", "./nowhere"]).fails(1).stderr;
    assert!(said.contains("./nowhere is no plugin: cannot read ./nowhere: No such file"), "{said}");
}

#[test]
fn a_component_without_a_manifest_is_no_plugin() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("bare.wasm");
    fs::write(&file, component(&[])).unwrap();
    let file = file.to_str().unwrap();
    let line = format!("{file} is no plugin: plugin.toml is missing, and plugin.wasm holds none: build it with nacre plugin build");
    refused(sandbox.nacre(["plugin", "install", file]), &line);
}

#[test]
fn the_configuration_is_checked_by_the_doctor() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), "[plugins.ghost]\na = 1\n[plugins.keep-last]\nkeep = 1\n[admission]\nrequired = ['acme/guard']\n").unwrap();
    let said = sandbox.nacre(["plugin", "doctor"]).fails(1).stderr;
    let table = "nacre: [plugins.ghost] in the configuration is of no plugin: correct the name or remove it";
    assert_eq!(said.lines().collect::<Vec<_>>(), [table, "nacre: [admission] requires acme/guard, which is not there: install it"]);
}

#[test]
fn what_a_plugin_logs_is_kept_and_shown() {
    let sandbox = Sandbox::new();
    let text = "plugin = { name = 'acme/bad', version = '1.0.0', api = '0.1' }\nprovides = { search-filter = ['do'], prune-policy = ['bad'] }\n\
                options = { do = 'what' }\n";
    sandbox.nacre(["plugin", "install", &folder(&sandbox, "bad", text, &guest("tests/guests", "misbehave"))]).ok();
    add(&sandbox, &["web:1"], 1);
    assert_eq!(sandbox.nacre(["plugin", "logs", "bad"]).ok().stdout, "");
    let prune = |level: &str| {
        let mut command: Command = sandbox.command(["image", "prune", "-f", "--policy", "bad,do=twice"]);
        command.env("NACRE_LOG", level);
        sandbox.run(command, b"")
    };
    let quiet = prune("off").fails(1).stderr;
    assert_eq!(quiet.lines().count(), 1, "{quiet}");
    let debug = prune("debug").fails(1).stderr;
    assert!(debug.contains("nacre: plugin acme/bad: decide: ") && debug.contains(" of memory, "), "{debug}");
    assert!(prune("loud").fails(1).stderr.contains("NACRE_LOG is 'loud': want off, error, warn, info or debug"));

    let server = sandbox.serve();
    sandbox.nacre(["search", &server.name("web"), "--filter", "do=panic"]).fails(1);
    let logs = sandbox.nacre(["plugin", "logs", "-n", "1", "bad"]).ok().stdout;
    assert!(logs.contains("error: filter failed: plugin acme/bad: crashed: index 7 is out of cheese"), "{logs}");
}
