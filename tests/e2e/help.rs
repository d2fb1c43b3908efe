//! `--help` of every verb, and the main errors, word by word: `NACRE_GOLDEN=update` writes them anew.

use std::{env, fs, path::Path};

use nacre_tests::sandbox::Sandbox;

use crate::fixture::add;

const VERBS: &[&str] = &[
    "",
    "run",
    "create",
    "start",
    "stop",
    "kill",
    "rm",
    "logs",
    "exec",
    "cp",
    "diff",
    "export",
    "commit",
    "wait",
    "ps",
    "container",
    "container ls",
    "container inspect",
    "container prune",
    "pull",
    "push",
    "images",
    "search",
    "inspect",
    "history",
    "tag",
    "rmi",
    "save",
    "load",
    "import",
    "build",
    "copy",
    "pin",
    "unpin",
    "login",
    "logout",
    "serve",
    "image",
    "image pull",
    "image push",
    "image ls",
    "image inspect",
    "image history",
    "image tag",
    "image rm",
    "image prune",
    "image import",
    "image build",
    "plugin",
    "plugin ls",
    "plugin install",
    "plugin update",
    "plugin rm",
    "plugin inspect",
    "plugin verify",
    "plugin enable",
    "plugin disable",
    "plugin doctor",
    "plugin push",
    "plugin logs",
    "plugin new",
    "plugin build",
    "plugin test",
    "plugin bench",
    "plugin run",
    "completion",
    "system",
    "builder",
    "builder prune",
    "builder df",
    "system df",
    "system check",
    "system repair",
    "cat",
    "compare",
    "tree",
];

/// Compares with `golden/NAME.txt`.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/golden").join(format!("{name}.txt"));
    if env::var_os("NACRE_GOLDEN").is_some_and(|value| value == "update") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs: NACRE_GOLDEN=update writes it anew", path.display());
}

#[test]
fn help_of_every_verb() {
    let sandbox = Sandbox::new();
    let mut all = String::new();
    for verb in VERBS {
        // As in Docker, -h of these two is the host's name.
        let help = if ["run", "create"].contains(verb) { "--help" } else { "-h" };
        let output = sandbox.nacre(verb.split_whitespace().chain([help])).ok();
        assert_eq!(output.stderr, "");
        // The options that every command has are shown once.
        let own = output.stdout.split("\nGlobal options:").next().unwrap_or_default();
        all += &format!("$ nacre {verb} {help}\n{}\n\n", if verb.is_empty() { &output.stdout } else { own }.trim_end());
    }
    golden("help", &all);
    let long = sandbox.nacre(["image", "prune", "--help"]).ok();
    assert!(long.stdout.contains("any keep wins"), "{}", long.stdout);
    assert_eq!(sandbox.nacre(["help", "pull"]).ok().stdout, sandbox.nacre(["pull", "--help"]).ok().stdout);
}

#[test]
fn errors_of_usage_and_of_work() {
    let sandbox = Sandbox::new();
    add(&sandbox, &["here:1"], 1);
    let mut all = String::new();
    for (code, line) in [
        (2, "imags"),
        (2, "image"),
        (2, "image lss"),
        (2, "plugin"),
        (2, "images --bad"),
        (2, "tag here:1"),
        (2, "rmi"),
        (2, "inspect --platform a/b/c/d here:1"),
        (2, "pull --progress loud x"),
        (2, "history -H=perhaps here:1"),
        (2, "image prune --plan a --apply b"),
        (2, "search --limit 101 x"),
        (1, "inspect ghost"),
        (1, "inspect --type container ghost"),
        (1, "inspect --type image ghost"),
        (1, "container inspect ghost"),
        (2, "container"),
        (2, "stop"),
        (1, "start ghost"),
        (1, "stop ghost"),
        (1, "kill ghost"),
        (1, "kill -s NO ghost"),
        (1, "rm ghost"),
        (1, "wait ghost"),
        (1, "logs ghost"),
        (1, "logs --tail x ghost"),
        (1, "diff ghost"),
        (1, "export ghost"),
        (1, "commit ghost"),
        (1, "commit ghost INVALID"),
        (1, "cp ghost:/x y"),
        (1, "cp x y"),
        (1, "ps --filter x=1"),
        (1, "history ghost"),
        (1, "rmi ghost"),
        (1, "tag ghost x"),
        (1, "pin ghost"),
        (1, "save -o x.tar ghost"),
        (1, "load -i ghost.tar"),
        (1, "push ghost"),
        (1, "copy ghost oci:x"),
        (1, "copy ftp://x y"),
        (1, "images --format {{.Id"),
        (1, "images --filter x=1"),
        (1, "image prune -f --policy x"),
        (1, "search -f x=1 nginx"),
        (1, "search http://x"),
        (1, "plugin inspect x"),
        (1, "inspect INVALID"),
        (2, "build"),
        (1, "build ghost"),
        (1, "build --frontend ghost ."),
    ] {
        let output = sandbox.nacre(line.split(' ')).fails(code);
        assert!(output.stdout.is_empty() || output.stdout == "[]\n", "{line}: {}", output.stdout);
        assert_eq!(output.stderr.lines().count() == 1, code == 1, "{line}: {}", output.stderr);
        let said = output.stderr.split("\nGlobal options:").next().unwrap_or_default().trim_end();
        all += &format!("$ nacre {line}\n{said}\n[{code}]\n\n");
    }
    golden("errors", &all);
}

#[test]
fn without_a_command_it_says_which_there_are() {
    let output = Sandbox::new().nacre::<&str>([]).fails(2);
    assert!(output.stdout.is_empty() && output.stderr.contains("Usage: nacre [OPTIONS] <COMMAND>"), "{}", output.stderr);
}
