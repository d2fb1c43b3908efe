//! Writing to registries.

use std::sync::Mutex;

use nacre_oci::{Content, Descriptor, Digest, Error, Memory, Put, Reference, Result, Silent, Sink, Source, media_type};
use nacre_registry::{Config, Repository};
use nacre_tests::images;

use crate::{
    blob,
    fake::{Fake, Reply, Seen},
    logged_in, quick, repository,
};

/// A source that knows where else its content is.
struct Elsewhere(Memory, Reference);

impl Source for Elsewhere {
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        self.0.resolve(name)
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn std::io::Read + Send>> {
        self.0.open_unverified(descriptor, offset)
    }

    fn origins(&self, _: &Descriptor) -> Vec<Reference> {
        vec![self.1.clone()]
    }
}

/// Uploads bytes.
fn put(repository: &Repository, bytes: &[u8]) -> Result<Put> {
    let memory = Memory::new();
    let descriptor = memory.add(media_type::OCI_LAYER, bytes);
    repository.put(&descriptor, &Content::new(&memory, &descriptor, &Silent))
}

fn put_from(repository: &Repository, bytes: &[u8], origin: &str) -> Result<Put> {
    let source = Elsewhere(Memory::new(), origin.parse().unwrap());
    let descriptor = source.0.add(media_type::OCI_LAYER, bytes);
    repository.put(&descriptor, &Content::new(&source, &descriptor, &Silent))
}

/// A registry that takes uploads.
fn taking(seen: &Seen) -> Reply {
    match seen.method.as_str() {
        "POST" => Reply::new(202).with("Location", "/v2/a/blobs/uploads/1?state=x"),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    }
}

#[test]
fn uploads_in_one_piece() {
    let body = images::noise(3_500_000, 7);
    let fake = Fake::start(|seen, _| taking(seen));
    assert_eq!(put(&repository(quick(), &fake.address, "a"), &body).unwrap(), Put::Stored);
    let seen = fake.seen();
    let digest = Digest::of(&body).to_string().replace(':', "%3A");
    assert_eq!(fake.asked(), ["POST /v2/a/blobs/uploads/".to_owned(), format!("PUT /v2/a/blobs/uploads/1?state=x&digest={digest}")]);
    assert!(seen[1].body == body);
    assert_eq!((seen[1].header("content-length"), seen[1].header("transfer-encoding")), ("3500000", ""));
}

#[test]
fn uploads_nothing_at_all() {
    let fake = Fake::start(|seen, _| taking(seen));
    assert_eq!(put(&repository(quick(), &fake.address, "a"), b"").unwrap(), Put::Stored);
    assert_eq!(fake.seen()[1].header("content-length"), "0");
}

#[test]
fn an_upload_that_fails_for_a_while_starts_again() {
    let body = images::noise(100_000, 8);
    let fake = Fake::start(|seen, before| match (seen.method.as_str(), before) {
        ("PUT", 1) => Reply::new(502),
        ("PUT", 3) => Reply::new(201).body("x").cut(0),
        _ => taking(seen),
    });
    put(&repository(quick(), &fake.address, "a"), &body).unwrap();
    assert!(fake.seen().last().unwrap().body == body);
}

#[test]
fn damaged_content_never_leaves_whole() {
    let fake = Fake::start(|seen, _| taking(seen));
    let repository = repository(quick(), &fake.address, "a");
    let liar = Memory::new();
    let descriptor = blob(&images::noise(3_000_000, 9));
    liar.add_unchecked(descriptor.digest.clone(), images::noise(3_000_000, 10));
    let error = repository.put(&descriptor, &Content::new(&liar, &descriptor, &Silent)).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert!(fake.seen().iter().all(|seen| seen.method != "PUT"), "the whole request came through");
}

#[test]
fn a_digest_that_the_registry_did_not_store_is_an_error() {
    let fake = Fake::start(|seen, _| taking(seen).with("Docker-Content-Digest", Digest::of(b"other")));
    assert!(matches!(put(&repository(quick(), &fake.address, "a"), b"content"), Err(Error::Mismatch { .. })));
}

#[test]
fn a_location_on_another_host_gets_the_bytes_but_no_credentials() {
    let storage = Fake::start(|_, _| Reply::new(201));
    let target = format!("http://{}/upload", storage.address);
    let fake = Fake::start(move |seen, _| match seen.header("authorization") {
        "" => Reply::new(401).with("WWW-Authenticate", "Basic realm=x"),
        _ => Reply::new(202).with("Location", &target),
    });
    put(&repository(logged_in(&fake.address, "secret"), &fake.address, "a"), b"content").unwrap();
    let seen = storage.seen();
    assert_eq!((seen.len(), seen[0].body.as_slice(), seen[0].header("authorization")), (1, b"content".as_slice(), ""));
}

#[test]
fn a_location_that_is_no_web_address_is_refused() {
    for location in ["file:///etc/passwd", "", "http://["] {
        let fake = Fake::start(move |_, _| if location.is_empty() { Reply::new(202) } else { Reply::new(202).with("Location", location) });
        assert!(put(&repository(quick(), &fake.address, "a"), b"content").is_err(), "{location}");
    }
}

#[test]
fn mounts_from_the_same_registry_only() {
    let fake = Fake::start(|seen, _| if seen.target.contains("from=b") { Reply::new(201) } else { taking(seen) });
    let repository = repository(quick(), &fake.address, "a");
    let near = |name: &str| format!("{}/{name}", fake.address);
    assert_eq!(put_from(&repository, b"content", &near("b")).unwrap(), Put::Mounted);
    assert_eq!(fake.asked(), [format!("POST /v2/a/blobs/uploads/?mount={}&from=b", Digest::of(b"content"))]);
    // 202: the registry does not have it there, and opened an upload instead.
    assert_eq!(put_from(&repository, b"content", &near("c")).unwrap(), Put::Stored);
    assert_eq!(fake.seen().len(), 3);
    assert_eq!(put_from(&repository, b"content", "other.example/b").unwrap(), Put::Stored);
    assert_eq!(put_from(&repository, b"content", &near("a")).unwrap(), Put::Stored);
    assert!(fake.asked()[3..].iter().all(|asked| !asked.contains("mount")));
}

#[test]
fn a_mount_asks_for_both_scopes() {
    let fake = Fake::start(|seen, _| match (seen.target.starts_with("/token"), seen.header("authorization")) {
        (true, _) => Reply::new(200).body(r#"{"token":"t"}"#),
        (_, "Bearer t") => Reply::new(201),
        _ => Reply::new(401).with("WWW-Authenticate", format!("Bearer realm=\"http://{}/token\"", seen.header("host"))),
    });
    put_from(&repository(quick(), &fake.address, "a"), b"content", &format!("{}/b", fake.address)).unwrap();
    let token = fake.asked().into_iter().find(|asked| asked.contains("/token")).unwrap();
    assert!(token.contains("scope=repository%3Aa%3Apull%2Cpush") && token.contains("scope=repository%3Ab%3Apull"), "{token}");
}

/// Takes pieces as registries do, and loses some of what comes.
fn in_pieces(seen: &Seen, held: &Mutex<Vec<u8>>, lossy: bool) -> Reply {
    let mut held = held.lock().unwrap();
    let range = |held: &[u8]| format!("0-{}", held.len().saturating_sub(1));
    match seen.method.as_str() {
        "POST" => {
            held.clear();
            Reply::new(202).with("Location", "1")
        }
        "PATCH" if seen.header("content-range").split('-').next() != Some(held.len().to_string().as_str()) => Reply::new(416),
        "PATCH" if lossy && held.len() == 100_000 => {
            held.extend(&seen.body[..50_000]);
            Reply::new(500)
        }
        "PATCH" => {
            held.extend(&seen.body);
            Reply::new(202).with("Location", format!("{}", held.len())).with("Range", range(&held))
        }
        "GET" => Reply::new(204).with("Location", "again").with("Range", range(&held)),
        "PUT" if seen.body.is_empty() && seen.target.contains(&Digest::of(&held).to_string().replace(':', "%3A")) => Reply::new(201),
        _ => Reply::new(413),
    }
}

#[test]
fn uploads_in_pieces_and_goes_on_where_the_registry_stopped() {
    let body = images::noise(350_000, 11);
    let held = Mutex::new(Vec::new());
    let fake = Fake::start(move |seen, _| in_pieces(seen, &held, true));
    let config = Config { chunk: Some(100_000), ..quick() };
    assert_eq!(put(&repository(config, &fake.address, "a"), &body).unwrap(), Put::Stored);
    let ranges: Vec<String> = fake.seen().iter().map(|seen| seen.header("content-range").to_owned()).filter(|r| !r.is_empty()).collect();
    assert_eq!(ranges, ["0-99999", "100000-199999", "150000-199999", "200000-299999", "300000-349999"]);
}

#[test]
fn a_registry_that_takes_no_whole_blob_gets_pieces() {
    let held = Mutex::new(Vec::new());
    let fake = Fake::start(move |seen, _| in_pieces(seen, &held, false));
    assert_eq!(put(&repository(quick(), &fake.address, "a"), b"content").unwrap(), Put::Stored);
    assert!(fake.asked().iter().any(|asked| asked.starts_with("PATCH")));
}
