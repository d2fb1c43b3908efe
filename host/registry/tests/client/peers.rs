//! The contract of a source and a sink, against Debian's `docker-registry`.

use nacre_oci::{Content, Error, Memory, Options, Put, Select, Silent, Sink, Source, copy, media_type};
use nacre_registry::{Config, Credentials};
use nacre_tests::{
    conformance, images,
    peers::{self, PASSWORD, Registry, USER},
};

use crate::{client, logged_in, quick, repository};

#[test]
fn plain() {
    let Some(registry) = Registry::start(&peers::Options::default()) else { return };
    let repository = repository(quick(), &registry.address(), "conformance/plain");
    conformance::round_trip(&repository, "v1");
    conformance::refuses_damage(&repository);
}

#[test]
fn in_pieces() {
    let Some(registry) = Registry::start(&peers::Options::default()) else { return };
    let repository = repository(Config { chunk: Some(10_000), ..quick() }, &registry.address(), "conformance/pieces");
    conformance::round_trip(&repository, "v1");
    conformance::refuses_damage(&repository);
}

#[test]
fn with_a_password() {
    let Some(registry) = Registry::start(&peers::Options { htpasswd: true, ..Default::default() }) else { return };
    let address = registry.address();
    let trusted = repository(logged_in(&address, PASSWORD), &address, "conformance/password");
    conformance::round_trip(&trusted, "v1");
    conformance::refuses_damage(&trusted);
    for config in [quick(), logged_in(&address, "wrong")] {
        let error = repository(config, &address, "conformance/password").resolve("v1").unwrap_err();
        assert!(matches!(&error, Error::Denied { why, .. } if why.contains("nacre login")), "{error}");
    }
}

#[test]
fn login_and_logout() {
    let Some(registry) = Registry::start(&peers::Options { htpasswd: true, ..Default::default() }) else { return };
    let file = registry.folder().join("auth.json");
    let config = Config { credentials: Credentials::from_files(vec![file]), ..quick() };
    let client = client(config);
    assert!(matches!(client.login(&registry.address(), USER, "wrong"), Err(Error::Denied { .. })));
    client.login(&registry.address(), USER, PASSWORD).unwrap();
    assert!(client.catalog(&registry.address()).unwrap().is_empty());
    assert!(client.logout(&registry.address()).unwrap());
}

#[test]
fn over_tls_with_its_own_authority() {
    let Some(registry) = Registry::start(&peers::Options { tls: true, htpasswd: true }) else { return };
    let address = registry.address();
    let authorities = [(address.clone(), vec![registry.authority()])].into();
    let trusted = repository(Config { authorities, ..logged_in(&address, PASSWORD) }, &address, "conformance/tls");
    conformance::round_trip(&trusted, "v1");
    conformance::refuses_damage(&trusted);
    // As in Docker, nobody has to vouch for a registry on this machine, unless an authority is named.
    repository(logged_in(&address, PASSWORD), &address, "conformance/tls").resolve("v1").unwrap();
    let Some(other) = Registry::start(&peers::Options { tls: true, ..Default::default() }) else { return };
    let authorities = [(address.clone(), vec![other.authority()])].into();
    let error = repository(Config { authorities, ..quick() }, &address, "conformance/tls").resolve("v1").unwrap_err().to_string();
    assert!(error.contains("certificate") && error.contains("--insecure-registry"), "{error}");
}

#[test]
fn lists_mounts_and_deletes() {
    let Some(registry) = Registry::start(&peers::Options::default()) else { return };
    let (address, client) = (registry.address(), client(quick()));
    let at = |name: &str| client.repository(&format!("{address}/{name}").parse().unwrap());
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    let tags = ["b", "a", "c"].map(str::to_owned);
    let everything = Options { select: Select::All, parallel: 3, progress: &Silent };
    copy(&memory, &at("acme/app"), &root, &tags, &everything).unwrap();
    assert_eq!(at("acme/app").tags(usize::MAX).unwrap(), ["a", "b", "c"]);
    assert_eq!(at("acme/app").tags(2).unwrap().len(), 2);
    assert!(matches!(at("acme/none").tags(9), Err(Error::NotFound { .. })));
    assert_eq!(client.catalog(&address).unwrap(), ["acme/app"]);
    assert_eq!(client.search(Some(&address), "app", 25).unwrap()[0].name, "acme/app");

    let blob = nacre_oci::plan(&memory, &root, &Select::All).unwrap().blobs.remove(0);
    let mounted = at("acme/other").put(&blob, &Content::new(&at("acme/app"), &blob, &Silent)).unwrap();
    assert_eq!(mounted, Put::Mounted);
    assert!(at("acme/other").contains(&blob).unwrap());

    at("acme/app").delete(&root.digest.to_string()).unwrap();
    assert!(matches!(at("acme/app").resolve("a"), Err(Error::NotFound { .. })));
    assert!(matches!(at("acme/app").delete(&root.digest.to_string()), Err(Error::NotFound { .. })));
}

#[test]
fn referrers_by_the_fallback_tag() {
    let Some(registry) = Registry::start(&peers::Options::default()) else { return };
    let repository = repository(quick(), &registry.address(), "acme/app");
    let memory = Memory::new();
    let subject = images::image(&memory, &images::Recipe::default());
    let everything = Options { select: Select::All, parallel: 3, progress: &Silent };
    copy(&memory, &repository, &subject, &[], &everything).unwrap();
    assert!(repository.referrers(&subject.digest, None).unwrap().is_empty());
    let empty = memory.add("application/vnd.oci.empty.v1+json", b"{}".as_slice());
    for kind in ["test/signature", "test/sbom", "test/sbom"] {
        let manifest = nacre_oci::Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.into(),
            artifact_type: Some(kind.into()),
            config: empty.clone(),
            layers: vec![empty.clone()],
            subject: Some(nacre_oci::Descriptor { platform: None, ..subject.clone() }),
            annotations: [("kind".to_owned(), kind.to_owned())].into(),
        };
        let artifact = memory.add(media_type::OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap());
        copy(&memory, &repository, &artifact, &[], &everything).unwrap();
    }
    assert_eq!(repository.referrers(&subject.digest, None).unwrap().len(), 2);
    let boms = repository.referrers(&subject.digest, Some("test/sbom")).unwrap();
    assert_eq!((boms.len(), boms[0].annotations["kind"].as_str()), (1, "test/sbom"));
    repository.delete(&boms[0].digest.to_string()).unwrap();
    let left = repository.referrers(&subject.digest, None).unwrap();
    assert_eq!((left.len(), left[0].artifact_type.as_deref()), (1, Some("test/signature")));
}
