//! `nacre images` and `nacre image ls`.

use nacre_oci::{Digest, Memory};
use nacre_tests::{
    images::{Recipe, image, index, multi_platform},
    sandbox::Sandbox,
};

use crate::fixture::{add, add_labelled, in_utc, put, store};

/// Three named images and a dangling one, newest first.
struct Shelf {
    sandbox: Sandbox,
    new: Digest,
    dangling: Digest,
    middle: Digest,
    old: Digest,
}

fn shelf() -> Shelf {
    let sandbox = Sandbox::new();
    let old = add_labelled(&sandbox, &["acme/web:1.0", "registry.example:5000/web:1.0"], 72, &[("tier", "web"), ("team", "a")]);
    let dangling = add(&sandbox, &["busybox"], 5);
    let new = add(&sandbox, &["busybox"], 3);
    let middle = add_labelled(&sandbox, &["acme/web:2.0"], 24, &[("tier", "web")]);
    Shelf { sandbox, new, dangling, middle, old }
}

/// What a template prints for each image, joined by blanks.
fn listed(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let all = ["images", "--format", "{{.Repository}}:{{.Tag}}"].iter().chain(arguments);
    sandbox.nacre(all).ok().lines().join(" ")
}

#[test]
fn the_table_is_dockers_newest_first() {
    let Shelf { sandbox, new, middle, old, .. } = shelf();
    let output = sandbox.nacre(["images"]).ok();
    let size_of = |id: &Digest| store(&sandbox).image(id).unwrap().unwrap().size;
    let row = |repository: &str, tag: &str, id: &Digest, age: &str| {
        format!("{repository:<28}{tag:<10}{}   {age:<15}{:.2}kB\n", id.short(), size_of(id) as f64 / 1000.0)
    };
    let expected = format!("{:<28}{:<10}{:<15}{:<15}SIZE\n", "REPOSITORY", "TAG", "IMAGE ID", "CREATED")
        + &row("busybox", "latest", &new, "3 hours ago")
        + &row("acme/web", "2.0", &middle, "24 hours ago")
        + &row("acme/web", "1.0", &old, "3 days ago")
        + &row("registry.example:5000/web", "1.0", &old, "3 days ago");
    assert_eq!(output.stdout, expected);
    for alias in [["image", "ls"], ["image", "list"]] {
        assert_eq!(sandbox.nacre(alias).ok().stdout, output.stdout);
    }
}

#[test]
fn an_empty_store_lists_headings_only() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.nacre(["images"]).ok().stdout, "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
    assert_eq!(sandbox.nacre(["images", "-q"]).ok().stdout, "");
    assert_eq!(sandbox.nacre(["images", "--format", "json"]).ok().stdout, "");
}

#[test]
fn dangling_images_show_only_when_asked_for() {
    let Shelf { sandbox, new, dangling, middle, old } = shelf();
    let quiet = |arguments: &[&str]| sandbox.nacre(["images", "-q"].iter().chain(arguments)).ok().stdout;
    let short = |ids: &[&Digest]| ids.iter().map(|id| format!("{}\n", id.short())).collect::<String>();
    assert_eq!(quiet(&[]), short(&[&new, &middle, &old]));
    assert_eq!(quiet(&["-a"]), short(&[&new, &dangling, &middle, &old]));
    assert_eq!(quiet(&["--filter", "dangling=true"]), short(&[&dangling]));
    assert_eq!(quiet(&["--filter", "dangling=false", "-a"]), short(&[&new, &middle, &old]));
    assert_eq!(quiet(&["--no-trunc", "-f", "dangling=1"]), format!("{dangling}\n"));
    assert_eq!(listed(&sandbox, &["-f", "dangling=true"]), "<none>:<none>");
}

#[test]
fn filters_choose() {
    let Shelf { sandbox, middle, .. } = shelf();
    for (arguments, expected) in [
        (&["acme/web"][..], "acme/web:2.0 acme/web:1.0"),
        (&["acme/web:1.0"], "acme/web:1.0"),
        (&["acme/*"], "acme/web:2.0 acme/web:1.0"),
        (&["busybox"], "busybox:latest"),
        (&["docker.io/library/busybox"], "busybox:latest"),
        (&["nothing"], ""),
        (&["-f", "reference=*/web:2*"], "acme/web:2.0"),
        (&["-f", "reference=busybox", "-f", "reference=acme/web:1*"], "busybox:latest acme/web:1.0"),
        (&["-f", "label=tier=web", "-f", "label=team"], "acme/web:1.0 registry.example:5000/web:1.0"),
        (&["-f", "label!=tier"], "busybox:latest"),
        (&["-f", "since=acme/web:2.0"], "busybox:latest"),
        (&["-f", "before=acme/web:2.0"], "acme/web:1.0 registry.example:5000/web:1.0"),
        (&["-f", "since=acme/web:1.0", "-f", "before=busybox"], "acme/web:2.0"),
        (&["-f", "until=48h"], "acme/web:1.0 registry.example:5000/web:1.0"),
        (&["-f", "pinned=true"], ""),
    ] {
        assert_eq!(listed(&sandbox, arguments), expected, "{arguments:?}");
    }
    assert_eq!(listed(&sandbox, &["-f", &format!("before={}", middle.short()), "acme/web"]), "acme/web:1.0");
    sandbox.nacre(["pin", "busybox"]).ok();
    assert_eq!(listed(&sandbox, &["-f", "pinned=true"]), "busybox:latest");
}

#[test]
fn wrong_filters_say_what_exists() {
    let Shelf { sandbox, .. } = shelf();
    for (filter, line) in [
        ("colour=red", "invalid filter 'colour': there are before, since, until, reference, label, label!, dangling, pinned"),
        ("dangling", "bad format of filter 'dangling' (expected name=value)"),
        ("dangling=maybe", "invalid filter 'dangling=maybe': write true or false"),
        ("before=ghost", "image 'ghost' was not found"),
        ("until=soon", "invalid time 'soon': write a duration (24h), a date (2026-01-31), RFC 3339 or Unix seconds"),
        ("reference=[a", "invalid pattern '[a': a '[' without its ']' or a '\\' at the end"),
    ] {
        let output = sandbox.nacre(["images", "--filter", filter]).fails(1);
        assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("nacre: {line}\n")), "{filter}");
    }
}

#[test]
fn formats() {
    let Shelf { sandbox, new, .. } = shelf();
    let line = |arguments: &[&str]| sandbox.nacre(["images", "busybox"].iter().chain(arguments)).ok().stdout;
    assert_eq!(line(&["--format", "{{.ID}} {{.Tag}}"]), format!("{} latest\n", new.short()));
    assert_eq!(line(&["--no-trunc", "--format", "{{.ID}}"]), format!("{new}\n"));
    assert_eq!(line(&["--format", "table {{.Repository}}\\t{{.ID}}"]), format!("REPOSITORY   IMAGE ID\nbusybox      {}\n", new.short()));
    let raw = line(&["--format", "raw"]);
    let start = format!("repository: busybox\ntag: latest\nimage_id: {}\ncreated_at: 20", new.short());
    assert!(raw.starts_with(&start) && raw.contains("\nvirtual_size: "), "{raw}");
    assert_eq!(line(&["-q", "--format", "raw"]), format!("image_id: {}\n", new.short()));
    let json: serde_json::Value = serde_json::from_str(&line(&["--format", "json"])).unwrap();
    assert_eq!((&json["Repository"], &json["ID"], &json["Digest"]), (&"busybox".into(), &new.short().into(), &new.to_string().into()));
    assert_eq!((&json["Containers"], &json["SharedSize"], &json["CreatedSince"]), (&"0".into(), &"0B".into(), &"3 hours ago".into()));
    let digests = line(&["--digests"]);
    assert!(digests.starts_with("REPOSITORY   TAG       DIGEST ") && digests.contains(&format!("latest    {new}   ")), "{digests}");
    let unknown = sandbox.nacre(["images", "--format", "{{.Nope}}"]).fails(1).stderr;
    assert!(unknown.contains("can't evaluate field Nope; the fields are .Repository .Tag .Digest .ID "), "{unknown}");
}

/// An image that has a name by digest only shows without a tag; parts of an index do not show at all.
#[test]
fn names_by_digest_and_parts() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let index = multi_platform(&memory);
    put(&sandbox, &memory, &index, &[]);
    store(&sandbox).tag(&format!("acme/app@{}", index.digest).parse().unwrap(), &index.digest).unwrap();
    let format = ["images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}} {{.Platforms}}"];
    let line = format!("acme/app <none> {} linux/amd64,linux/arm64", index.digest);
    assert_eq!(sandbox.nacre(format).ok().lines(), [line.as_str()]);
    let tagged = line.replace("<none>", "1");
    sandbox.nacre(["tag", &format!("acme/app@{}", index.digest), "acme/app:1"]).ok();
    assert_eq!(sandbox.nacre(format).ok().lines(), [tagged.as_str()], "the digest reference shows beside no tag of its repository");
}

/// What buildkit says about a build belongs to the image and is no platform of it.
#[test]
fn attestations_are_no_platforms() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let app = image(&memory, &Recipe::default());
    let mut attestation = image(&memory, &Recipe { created: "2030-01-01T00:00:00Z", ..Recipe::default() });
    attestation.platform = Some("unknown/unknown".parse().unwrap());
    attestation.annotations.insert("vnd.docker.reference.type".into(), "attestation-manifest".into());
    let root = index(&memory, &[attestation, app]);
    put(&sandbox, &memory, &root, &["app:1"]);
    let listed = in_utc(&sandbox, ["images", "--format", "{{.Platforms}} {{.CreatedAt}}"]).ok();
    assert_eq!(listed.stdout, "linux/amd64 2026-01-02 03:04:05 +0000 UTC\n");
    assert_eq!(sandbox.nacre(["inspect", "-f", "{{.Architecture}} {{json .Platforms}}", "app:1"]).ok().stdout, "amd64 [\"linux/amd64\"]\n");
}

#[test]
fn two_thousand_images_are_in_order() {
    let sandbox = Sandbox::new();
    let base = add(&sandbox, &["base:0"], 1);
    // Through the store each would take a flush of the disk.
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                INSERT INTO images (digest, media_type, bytes, created, recorded, uses, pinned, size, labels, platforms, annotations)
                SELECT format('sha256:%064x', i * 7919 % 10007), 'application/vnd.oci.image.index.v1+json', 1,
                       1700000000 + i * 104729 % 100003, 0, 0, 0, 1, '', '', '' FROM n";
    let db = rusqlite::Connection::open(sandbox.root().join("meta.db")).unwrap();
    let tags = "INSERT INTO refs SELECT 'docker.io/library/many', substr(digest, 40), digest FROM images WHERE size = 1";
    db.execute_batch(&format!("{many}; {tags}")).unwrap();
    drop(db);
    let output = sandbox.nacre(["images", "--format", "{{.CreatedAt}} {{.ID}}"]).ok();
    let lines = output.lines();
    assert_eq!((lines.len(), lines[0].ends_with(base.short())), (2_001, true));
    assert!(lines.windows(2).all(|pair| pair[0][..19] >= pair[1][..19]), "not in order");
}
