//! Starting and saying what there is.

use nacre_tests::sandbox::Sandbox;

#[test]
fn version_and_help_touch_nothing() {
    let sandbox = Sandbox::new();
    let version = sandbox.nacre(["--version"]).ok();
    assert!(version.stdout.starts_with("nacre ") && version.stdout.lines().count() == 1, "{}", version.stdout);
    let help = sandbox.nacre(["--help"]).ok();
    assert!(help.stdout.contains("pull") && help.stderr.is_empty(), "{}", help.stdout);
    assert!(!sandbox.root().exists(), "a store was made for nothing");
}

#[test]
fn an_unknown_command_is_named_and_fails() {
    let output = Sandbox::new().nacre(["no-such-command"]);
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.contains("no-such-command"), "{}", output.stderr);
}
