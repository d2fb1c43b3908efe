//! `config.toml`, the options of every command, and their environment variables.

use std::fs;

use nacre_tests::sandbox::Sandbox;

use crate::fixture::add;

/// The one line that a command fails with when this is the configuration file.
fn refused(text: &str) -> String {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), text).unwrap();
    let output = sandbox.nacre(["images"]).fails(1);
    assert_eq!(output.stdout, "");
    assert!(!sandbox.root().exists(), "nothing was done");
    output.stderr.replace(sandbox.config().to_str().unwrap(), "config.toml")
}

#[test]
fn what_is_misspelt_is_named_with_its_line() {
    for (text, line) in [
        ("\n[search]\nfilter = []\n", "line 3: unknown field `filter`, expected `filters`"),
        (
            "[serch]\n",
            "line 1: unknown field `serch`, expected one of `registries`, `build`, `search`, `prune`, `admission`, `trust`, `ceiling`, `plugins`",
        ),
        ("[prune]\n\npolicies = \"standard\"\n", "line 3: invalid type: string \"standard\", expected a sequence"),
        ("[prune\n", "line 1: unclosed table, expected `]`"),
        ("a = 1\na = 2\n", "line 2: duplicate key"),
    ] {
        assert_eq!(refused(text), format!("nacre: config.toml, {line}\n"), "{text:?}");
    }
}

#[test]
fn a_file_that_was_named_has_to_exist() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path("ghost.toml");
    let line = format!("nacre: the configuration file {} does not exist\n", missing.display());
    let mut by_variable = sandbox.command(["images"]);
    by_variable.env("NACRE_CONFIG", &missing);
    assert_eq!(sandbox.run(by_variable, b"").fails(1).stderr, line);
    assert_eq!(sandbox.nacre(["images", "--config", missing.to_str().unwrap()]).fails(1).stderr, line);
    let folder = sandbox.nacre(["--config", ".", "images"]).fails(1);
    assert_eq!(folder.stderr, "nacre: cannot read .: Is a directory (os error 21)\n");
    let mut none = sandbox.command(["images"]);
    none.env_remove("NACRE_CONFIG");
    sandbox.run(none, b"").ok();
}

/// Where no variable says otherwise, all is in the user's folders.
#[test]
fn without_variables_the_users_folders_are_used() {
    let sandbox = Sandbox::new();
    let home = sandbox.path("home");
    fs::create_dir_all(home.join(".config/nacre")).unwrap();
    fs::write(home.join(".config/nacre/config.toml"), "oops = 1\n").unwrap();
    let mut command = sandbox.command(["images"]);
    command.env_remove("NACRE_CONFIG");
    let output = sandbox.run(command, b"").fails(1);
    assert!(output.stderr.contains("/home/.config/nacre/config.toml, line 1: unknown field `oops`"), "{}", output.stderr);
}

#[test]
fn options_win_over_variables() {
    let sandbox = Sandbox::new();
    add(&sandbox, &["here:1"], 1);
    let other = sandbox.path("other");
    let listed = sandbox.nacre(["images", "-q", "--root", other.to_str().unwrap()]).ok();
    assert_eq!((listed.stdout.as_str(), other.join("meta.db").exists()), ("", true));
    let folder = sandbox.path("more-plugins/x");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("plugin.toml"), "plugin = { name = 'acme/x', version = '1.0.0', api = '0.1' }\nprovides.prune-policy = ['x']")
        .unwrap();
    let names = |arguments: &[&str]| sandbox.nacre(["plugin", "ls", "--format", "{{.Name}}"].iter().chain(arguments)).ok().stdout;
    assert!(!names(&[]).contains("acme/x"));
    assert!(names(&["--plugins", "more-plugins"]).contains("acme/x"));
}

#[test]
fn an_empty_variable_is_none() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(["images", "-q", "--root", "r"]);
    command.env("NACRE_CONFIG", "").env("NACRE_PLUGINS", "").env("NACRE_ROOT", "");
    sandbox.run(command, b"").ok();
}

#[test]
fn a_root_that_is_no_store_is_left_alone() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("documents")).unwrap();
    fs::write(sandbox.path("documents/thesis.txt"), "x").unwrap();
    let output = sandbox.nacre(["images", "--root", "documents"]).fails(1);
    assert!(output.stderr.starts_with("nacre: ") && output.stderr.contains("documents"), "{}", output.stderr);
    assert_eq!(fs::read_dir(sandbox.path("documents")).unwrap().count(), 1);
    let file = sandbox.nacre(["images", "--root", "config.toml"]).fails(1);
    assert!(file.stderr.starts_with("nacre: ") && file.stderr.lines().count() == 1, "{}", file.stderr);
}
