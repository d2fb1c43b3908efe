//! `nacre tag`.

use nacre_tests::sandbox::Sandbox;

use crate::fixture::{add, assert_whole};

fn names(sandbox: &Sandbox) -> Vec<String> {
    let output = sandbox.nacre(["images", "-a", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).ok();
    let mut names: Vec<String> = output.lines().into_iter().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn gives_names_and_takes_them_over() {
    let sandbox = Sandbox::new();
    let (one, two) = (add(&sandbox, &["one:1"], 1), add(&sandbox, &["two:1"], 2));
    for (source, target) in [("one:1", "acme/one"), (one.short(), "registry.example:5000/one:x"), ("two:1", "one:1")] {
        let output = sandbox.nacre(["tag", source, target]).ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    }
    let named = |name: &str, id: &nacre_oci::Digest| format!("{name} {}", id.short());
    let expected = [named("acme/one:latest", &one), named("one:1", &two), named("registry.example:5000/one:x", &one), named("two:1", &two)];
    assert_eq!(names(&sandbox), expected);
    sandbox.nacre(["image", "tag", "two:1", "acme/one"]).ok();
    sandbox.nacre(["tag", "two:1", "registry.example:5000/one:x"]).ok();
    assert_eq!(names(&sandbox)[0], named("<none>:<none>", &one), "the last name is gone, the image is not");
    assert_whole(&sandbox);
}

#[test]
fn refuses_what_is_no_name() {
    let sandbox = Sandbox::new();
    let id = add(&sandbox, &["one:1"], 1);
    for (source, target, line) in [
        ("ghost", "a", "image 'ghost' was not found".to_owned()),
        ("one:1", "Upper", "invalid reference 'Upper': the repository must be lower case".to_owned()),
        (
            "one:1",
            "a:b c",
            "invalid reference 'a:b c': a tag is 1 to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'".to_owned(),
        ),
        ("one:1", &format!("a@{id}"), format!("'a@{id}' names a digest: give a name with a tag")),
    ] {
        let output = sandbox.nacre(["tag", source, target]).fails(1);
        assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("nacre: {line}\n")), "{source} {target}");
    }
    assert_eq!(names(&sandbox), [format!("one:1 {}", id.short())]);
    sandbox.nacre(["tag", "one:1"]).fails(2);
}
