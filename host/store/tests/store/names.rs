use nacre_oci::{Digest, Error, Reference, Source};
use nacre_store::{Acquired, By};

use crate::support::Fixture;

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

#[test]
fn finds_by_every_rule() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.pulled("1", &["nginx", "acme/app:v1"]), fixture.pulled("2", &["nginx:old"]));
    let by_name = |name: &str| By::Name(reference(name));
    let digest = |of: &Digest, name: &str| format!("{name}@{of}");
    for (text, image, by) in [
        (one.digest.to_string(), &one, By::Id),
        (one.digest.hex().to_owned(), &one, By::Id),
        (one.digest.hex()[..12].to_owned(), &one, By::Id),
        (format!("sha256:{}", &one.digest.hex()[..20]), &one, By::Id),
        ("nginx".into(), &one, by_name("nginx:latest")),
        ("docker.io/library/nginx:latest".into(), &one, by_name("nginx:latest")),
        ("acme/app:v1".into(), &one, by_name("acme/app:v1")),
        ("nginx:old".into(), &two, by_name("nginx:old")),
        (digest(&two.digest, "nginx"), &two, by_name(&digest(&two.digest, "nginx"))),
        // The digest decides, whatever the tag says.
        (digest(&two.digest, "nginx:latest"), &two, by_name(&digest(&two.digest, "nginx"))),
    ] {
        let found = fixture.store.find(&text).unwrap();
        assert_eq!((&found.image.id, &found.by), (&image.digest, &by), "{text}");
    }
    for text in ["nginx:new", "acme/app", "redis", &digest(&two.digest, "acme/app"), &Digest::of(b"no").to_string(), "zz", "g"] {
        let error = fixture.store.find(text).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{text}: {error}");
    }
    assert!(matches!(fixture.store.find("Not/A:Valid:Name"), Err(Error::InvalidReference { .. })));
    assert_eq!(fixture.store.resolve("nginx").unwrap().size, one.size);
}

#[test]
fn a_short_id_has_to_be_one_images_and_a_name_goes_first() {
    let fixture = Fixture::new();
    // Seventeen images share a first digit at least once.
    let ids: Vec<Digest> = (0..17).map(|n| fixture.pulled(&n.to_string(), &[&format!("i:{n}")]).digest).collect();
    let first = |id: &Digest| id.hex()[..1].to_owned();
    let shared = ids.iter().map(first).find(|digit| ids.iter().filter(|id| first(id) == *digit).count() > 1).unwrap();
    let count = ids.iter().filter(|id| first(id) == shared).count();
    match fixture.store.find(&shared) {
        Err(Error::Ambiguous { count: told, .. }) => assert_eq!(told, count),
        other => panic!("{other:?}"),
    }
    let short = ids[0].short();
    fixture.store.tag(&reference(short), &ids[1]).unwrap();
    assert_eq!(fixture.store.find(short).unwrap().image.id, ids[1], "a name that looks like an id is a name");
}

#[test]
fn retagging_leaves_the_old_image_dangling() {
    let fixture = Fixture::new();
    let (old, new) = (fixture.pulled("old", &["app:1"]), fixture.image("new"));
    fixture.get(&new, &[], nacre_oci::Select::All, Acquired::Loaded);
    assert!(fixture.store.image(&new.digest).unwrap().unwrap().is_dangling());
    assert_eq!(fixture.store.tag(&reference("app:1"), &new.digest).unwrap(), Some(old.digest.clone()));
    assert_eq!(fixture.store.tag(&reference("app:1"), &new.digest).unwrap(), None, "nothing else had the name");
    assert!(fixture.store.image(&old.digest).unwrap().unwrap().is_dangling());
    assert_eq!(fixture.store.untag(&reference("app:1")).unwrap(), new.digest);
    assert!(matches!(fixture.store.untag(&reference("app:1")), Err(Error::NotFound { .. })));
    assert_eq!(fixture.store.images().unwrap().len(), 2);
}

#[test]
fn names_are_kept_by_repository() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["b:2", "b:10", "a", "ghcr.io/o/r:x"]);
    fixture.store.tag(&reference(&format!("b@{}", root.digest)), &root.digest).unwrap();
    assert_eq!(fixture.store.repositories().unwrap(), ["docker.io/library/a", "docker.io/library/b", "ghcr.io/o/r"]);
    assert_eq!(fixture.store.tags("docker.io/library/b").unwrap(), ["10", "2"]);
    assert!(fixture.store.tags("docker.io/library/c").unwrap().is_empty());
    let wrong = reference(&format!("b@{}", Digest::of(b"other")));
    assert!(matches!(fixture.store.tag(&wrong, &root.digest), Err(Error::Mismatch { .. })));
    assert!(matches!(fixture.store.tag(&reference("x"), &Digest::of(b"other")), Err(Error::NotFound { .. })));
    let origins: Vec<String> = fixture.store.origins(&root).iter().map(Reference::name).collect();
    assert_eq!(origins, ["docker.io/library/a", "docker.io/library/b", "ghcr.io/o/r"]);
    let layer = crate::support::layer_of(&fixture, &root);
    assert_eq!(fixture.store.origins(&layer).len(), 3);
}
