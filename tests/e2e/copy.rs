//! `nacre copy` between every two kinds of place.

use nacre_oci::{Digest, Memory};
use nacre_tests::{
    conformance::everything,
    images::{self, Recipe},
    peers::available,
    sandbox::Sandbox,
};

use crate::support::{peer, place, place_multi_platform, skopeo_digest, store, whole};

#[test]
fn every_place_passes_the_image_on_unchanged() {
    let (sandbox, target) = (Sandbox::new(), Sandbox::new());
    let server = target.serve();
    let digest = place_multi_platform(&sandbox, "start:1");
    let registry = format!("docker://{}", server.name("chain:1"));
    let places = ["start:1", &registry, "oci:layout:v1", "oci-archive:a.tar:v1", "docker-archive:d.tar:chain:1", "end:1"];
    for pair in places.windows(2) {
        let copied = sandbox.nacre(["copy", pair[0], pair[1]]).ok();
        assert_eq!(copied.stdout, format!("{digest}\n"), "{pair:?}");
        assert!(copied.stderr.contains(": Copied\n") || pair[1] == "end:1", "{pair:?}: {}", copied.stderr);
    }
    assert_eq!(store(&sandbox).find("end:1").unwrap().image.id, digest);
    if available("skopeo") {
        for place in ["oci:layout:v1", "oci-archive:a.tar:v1", &registry] {
            assert_eq!(skopeo_digest(&sandbox, place), digest, "{place}");
        }
        peer(&sandbox, "skopeo", &["inspect", "docker-archive:d.tar:docker.io/library/chain:1"]);
    }
    whole(&sandbox);
    whole(&target);
}

#[test]
fn from_registry_to_registry_nothing_is_kept() {
    let (origin, target, sandbox) = (Sandbox::new(), Sandbox::new(), Sandbox::new());
    let (from, to) = (origin.serve(), target.serve());
    let digest = place_multi_platform(&origin, "busybox:1");
    let arguments = ["copy", "-q", &format!("docker://{}", from.name("busybox:1")), &format!("docker://{}", to.name("mine/busybox"))];
    let copied = sandbox.nacre(arguments).ok();
    assert_eq!((copied.stdout, copied.stderr), (format!("{digest}\n"), String::new()));
    assert!(!sandbox.root().exists(), "a store was made for nothing");
    let arrived = store(&target).find("mine/busybox:latest").unwrap().image.descriptor;
    nacre_oci::validate(&store(&target), &arrived, &everything().select).unwrap();
}

#[test]
fn one_platform_is_taken_where_it_is_asked_for() {
    let sandbox = Sandbox::new();
    let digest = place_multi_platform(&sandbox, "busybox:1");
    sandbox.nacre(["copy", "--platform", "linux/arm64", "busybox:1", "oci:layout:v1"]).ok();
    let back = sandbox.nacre(["copy", "oci:layout:v1", "docker-archive:out.tar"]).ok();
    assert_eq!(back.stdout, format!("{digest}\n"));
    let none = sandbox.nacre(["copy", "--platform", "linux/s390x", "busybox:1", "oci-archive:other"]).fails(1);
    assert!(none.stderr.contains("it has linux/amd64, linux/arm64"), "{}", none.stderr);
    assert!(!sandbox.path("other").exists());
    whole(&sandbox);
}

#[test]
fn a_layout_holds_several_images_and_needs_a_tag_then() {
    let sandbox = Sandbox::new();
    let digest = place_multi_platform(&sandbox, "busybox:1");
    for tag in ["v1", "v2"] {
        sandbox.nacre(["copy", "busybox:1", &format!("oci:layout:{tag}")]).ok();
    }
    assert_eq!(sandbox.nacre(["copy", "oci:layout:v2", "two:2"]).ok().stdout, format!("{digest}\n"));
    let missing = sandbox.nacre(["copy", "oci:layout:v3", "three:3"]).fails(1);
    assert!(missing.stderr.contains("v3") && missing.stderr.lines().count() == 1, "{}", missing.stderr);
    whole(&sandbox);
}

#[test]
fn places_that_are_none_are_refused() {
    let sandbox = Sandbox::new();
    let unknown = sandbox.nacre(["copy", "containers-storage://x", "y"]).fails(1);
    assert!(unknown.stderr.contains("docker-archive:") && unknown.stderr.contains("oci:"), "{}", unknown.stderr);
    let missing = sandbox.nacre(["copy", "busybox:1", "oci:layout"]).fails(1);
    assert!(missing.stderr.contains("busybox:1"), "{}", missing.stderr);
    assert!(!sandbox.path("layout").exists(), "a layout was made for nothing");
    let file = sandbox.nacre(["copy", "oci-archive:none.tar", "x:1"]).fails(1);
    assert!(file.stderr.contains("none.tar"), "{}", file.stderr);
    sandbox.nacre(["copy", "one"]).fails(2);
}

#[test]
fn a_destination_by_digest_has_to_be_that_images() {
    let (sandbox, target) = (Sandbox::new(), Sandbox::new());
    let server = target.serve();
    let digest = place_multi_platform(&sandbox, "busybox:1");
    let to = |digest: &Digest| format!("docker://{}@{digest}", server.name("busybox"));
    sandbox.nacre(["copy", "-q", "busybox:1", &to(&digest)]).ok();
    let (_, tags) = (store(&target).image(&digest).unwrap().unwrap(), store(&target).tags("docker.io/library/busybox").unwrap());
    assert!(tags.is_empty(), "{tags:?}");
    sandbox.nacre(["copy", "-q", &to(&digest), "back:1"]).ok();
    let refused = sandbox.nacre(["copy", "-q", "busybox:1", &to(&Digest::of(b"other"))]).fails(1);
    assert!(refused.stderr.starts_with(&format!("nacre: the image has the digest {digest}")), "{}", refused.stderr);
    let refused = sandbox.nacre(["copy", "-q", "busybox:1", &format!("x@{digest}")]).fails(1);
    assert!(refused.stderr.contains("give a name with a tag"), "{}", refused.stderr);
    whole(&target);
}

#[test]
fn of_several_images_in_an_archive_one_is_named() {
    let sandbox = Sandbox::new();
    let digest = place_multi_platform(&sandbox, "busybox:1");
    let memory = Memory::new();
    let other = images::image(&memory, &Recipe::default());
    place(&sandbox, &memory, &other, "example.com/other:2");
    sandbox.nacre(["save", "-o", "two.tar", "busybox:1", "example.com/other:2"]).ok();
    let pick = |name: &str| sandbox.nacre(["copy", "-q", &format!("docker-archive:two.tar{name}"), "picked:1"]);
    assert_eq!(pick(":busybox:1").ok().stdout, format!("{digest}\n"));
    assert_eq!(pick(":example.com/other:2").ok().stdout, format!("{}\n", other.digest));
    let unnamed = pick("").fails(1);
    assert!(unnamed.stderr.contains("busybox:1") && unnamed.stderr.contains("example.com/other:2"), "{}", unnamed.stderr);
    let missing = pick(":third:3").fails(1);
    assert!(
        missing.stderr.contains("third:3") && missing.stderr.contains("busybox:1") && missing.stderr.lines().count() == 1,
        "{}",
        missing.stderr
    );
    whole(&sandbox);
}

#[test]
fn an_index_with_holes_is_no_image_for_a_registry() {
    let (origin, target, sandbox) = (Sandbox::new(), Sandbox::new(), Sandbox::new());
    let (from, to) = (origin.serve(), target.serve());
    place_multi_platform(&origin, "busybox:1");
    let (source, name) = (from.name("busybox:1"), format!("docker://{}", to.name("busybox:1")));
    sandbox.nacre(["pull", "-q", "--platform", "linux/arm64", &source]).ok();
    let refused = sandbox.nacre(["copy", "-q", &source, &name]).fails(1);
    assert!(refused.stderr.contains("--all-platforms") && refused.stderr.lines().count() == 1, "{}", refused.stderr);
    let one = sandbox.nacre(["copy", "-q", "--platform", "linux/arm64", &source, &name]).ok();
    let child = sandbox.nacre(["inspect", "--remote", "-f", "{{.Id}} {{.Architecture}}", &to.name("busybox:1")]).ok();
    assert_eq!(child.stdout, format!("{} arm64\n", one.stdout.trim()));
    sandbox.nacre(["copy", "-q", &source, "oci-archive:sparse.tar"]).ok();
    sandbox.nacre(["pull", "-q", "--all-platforms", &source]).ok();
    sandbox.nacre(["copy", "-q", &source, &name]).ok();
    whole(&target);
}
