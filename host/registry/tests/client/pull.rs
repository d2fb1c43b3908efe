//! Reading from registries that drop, stall, refuse and lie.

use nacre_oci::{Digest, Error, MAX_MANIFEST, Memory, Source, media_type, read_small};
use nacre_tests::images;

use crate::{
    blob,
    fake::{Fake, Reply},
    quick, read, repository,
};

#[test]
fn a_connection_that_drops_at_90_percent_costs_only_the_rest() {
    let body = images::noise(4_000_000, 1);
    let content = body.clone();
    let fake = Fake::start(move |seen, _| match seen.from() {
        None => Reply::range(seen, &content).cut(content.len() * 9 / 10),
        Some(_) => Reply::range(seen, &content),
    });
    let got = read(&repository(quick(), &fake.address, "a"), &blob(&body), 0).unwrap();
    assert!(got == body);
    assert!(fake.sent() <= body.len() * 115 / 100, "{} bytes were sent", fake.sent());
    assert_eq!(fake.seen().len(), 2);
}

#[test]
fn many_drops_are_survived_as_long_as_something_comes() {
    let body = images::noise(2_000_000, 2);
    let content = body.clone();
    let fake = Fake::start(move |seen, _| {
        let reply = Reply::range(seen, &content);
        let left = content.len() - seen.from().unwrap_or(0);
        if left > 200_000 { reply.cut(200_000) } else { reply }
    });
    assert!(read(&repository(quick(), &fake.address, "a"), &blob(&body), 0).unwrap() == body);
    assert!(fake.seen().len() >= 10);
}

#[test]
fn a_connection_that_always_drops_ends_in_an_error() {
    let fake = Fake::start(|_, _| Reply::new(200).body(vec![0; 100]).cut(0));
    let error = read(&repository(quick(), &fake.address, "a"), &blob(&[0; 100]), 0).unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    assert!(fake.seen().len() <= 6, "{} requests", fake.seen().len());
}

#[test]
fn a_stalled_connection_is_given_up_and_resumed() {
    let body = images::noise(300_000, 3);
    let content = body.clone();
    let fake = Fake::start(move |seen, _| match seen.from() {
        None => Reply::range(seen, &content).cut(100_000).hang(),
        Some(_) => Reply::range(seen, &content),
    });
    assert!(read(&repository(quick(), &fake.address, "a"), &blob(&body), 0).unwrap() == body);
}

#[test]
fn a_wrong_206_is_not_taken() {
    let body = images::noise(10_000, 4);
    let content = body.clone();
    let fake = Fake::start(move |seen, before| match before {
        0 => Reply::new(206).with("Content-Range", "bytes 4999-9999/10000").body(&content[4999..]),
        1 => Reply::new(206).body(&content[5000..]),
        2 => Reply::new(206).with("Content-Range", "bytes 5000-9999/20000").body(&content[5000..]),
        _ => Reply::range(seen, &content),
    });
    assert!(read(&repository(quick(), &fake.address, "a"), &blob(&body), 5000).unwrap() == body[5000..]);
    let stubborn = Fake::start(|_, _| Reply::new(206).with("Content-Range", "bytes 0-9/10").body("0123456789"));
    let error = read(&repository(quick(), &stubborn.address, "a"), &blob(b"0123456789"), 5).unwrap_err().to_string();
    assert!(error.contains("bytes 0-9/10"), "{error}");
}

#[test]
fn a_registry_without_ranges_is_read_from_the_start() {
    let body = images::noise(500_000, 5);
    let content = body.clone();
    let fake = Fake::start(move |_, before| {
        let reply = Reply::new(200).body(&*content);
        if before == 0 { reply.cut(300_000) } else { reply }
    });
    assert!(read(&repository(quick(), &fake.address, "a"), &blob(&body), 100_000).unwrap() == body[100_000..]);
}

#[test]
fn too_many_requests_wait_as_told() {
    let fake = Fake::start(|_, before| match before {
        0 => Reply::new(429).with("Retry-After", 0),
        1 => Reply::new(503).with("Retry-After", 0),
        _ => Reply::new(200).body("content"),
    });
    assert_eq!(read(&repository(quick(), &fake.address, "a"), &blob(b"content"), 0).unwrap(), b"content");
    let error = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}"#;
    let closed = Fake::start(move |_, _| Reply::new(429).with("Retry-After", 100_000).body(error));
    let error = read(&repository(quick(), &closed.address, "a"), &blob(b"content"), 0).unwrap_err().to_string();
    assert!(error.contains("429") && error.contains("pull rate limit"), "{error}");
    assert_eq!(closed.seen().len(), 1, "nobody waits a day");
}

#[test]
fn the_wrong_size_is_damage() {
    let fake = Fake::start(|_, _| Reply::new(200).body("longer than that"));
    let error = read(&repository(quick(), &fake.address, "a"), &blob(b"content"), 0).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

/// A manifest with its descriptor.
fn manifest() -> (nacre_oci::Descriptor, Vec<u8>) {
    let memory = Memory::new();
    let mut descriptor = images::image(&memory, &images::Recipe::default());
    descriptor.platform = None;
    let bytes = read_small(&memory, &descriptor, MAX_MANIFEST).unwrap();
    (descriptor, bytes)
}

#[test]
fn resolves_by_get_where_head_says_too_little() {
    let (descriptor, bytes) = manifest();
    for head in [Reply::new(200), Reply::new(405), Reply::new(200).with("Docker-Content-Digest", "md5:x").with("Content-Length", 5)] {
        let content = bytes.clone();
        let answer = move |seen: &crate::fake::Seen, _| match seen.method.as_str() {
            "HEAD" => head.clone(),
            _ => Reply::new(200).with("Content-Type", media_type::OCI_MANIFEST).body(&*content),
        };
        let fake = Fake::start(answer);
        assert_eq!(repository(quick(), &fake.address, "a").resolve("1.0").unwrap(), descriptor);
    }
}

#[test]
fn a_digest_header_that_lies_is_damage() {
    let (descriptor, bytes) = manifest();
    let other = Digest::of(b"other");
    let fake = Fake::start(move |seen, _| match seen.method.as_str() {
        "HEAD" if seen.target.contains("sha256") => {
            Reply::new(200).with("Content-Type", media_type::OCI_MANIFEST).with("Docker-Content-Digest", &other).with("Content-Length", 7)
        }
        "HEAD" => Reply::new(200),
        _ => Reply::new(200).with("Docker-Content-Digest", &other).body(&*bytes),
    });
    let repository = repository(quick(), &fake.address, "a");
    for name in ["1.0".to_owned(), descriptor.digest.to_string(), format!("1.0@{}", descriptor.digest)] {
        let error = repository.resolve(&name).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{name}: {error}");
    }
    assert!(matches!(read_small(&repository, &descriptor, MAX_MANIFEST), Err(Error::Mismatch { .. })));
}

#[test]
fn an_oversized_manifest_is_not_read() {
    let fake = Fake::start(|seen, _| match seen.target.as_str() {
        "/v2/a/manifests/announced" => Reply::new(200).with("Content-Length", MAX_MANIFEST + 1).body("{").cut(1),
        _ => Reply::new(200).with("Transfer-Encoding", "chunked").body(flood()).cut(usize::MAX),
    });
    let repository = repository(quick(), &fake.address, "a");
    for name in ["announced", "endless"] {
        let error = repository.resolve(name).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{name}: {error}");
    }
}

/// More than a manifest may have, in HTTP chunks.
fn flood() -> Vec<u8> {
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    chunk.repeat(80)
}

#[test]
fn nothing_that_is_no_tag_or_digest_gets_into_a_url() {
    let fake = Fake::start(|_, _| Reply::new(200));
    let repository = repository(quick(), &fake.address, "a");
    for name in ["", "../../b/manifests/x", "a/b", "a?b", "a b", "sha256:../x", "sha256:abc", "x@sha256:abc"] {
        assert!(repository.resolve(name).is_err(), "{name}");
        assert!(repository.delete(name).is_err(), "{name}");
    }
    assert!(fake.seen().is_empty());
}

#[test]
fn a_mirror_is_asked_first_and_its_failure_does_not_matter() {
    let body = b"content".as_slice();
    let origin = Fake::start(|_, _| Reply::new(200).body("content"));
    let (good, bad) = (Fake::start(|_, _| Reply::new(200).body("content")), Fake::start(|_, _| Reply::new(404)));
    for (mirror, asked) in [(&good, 0), (&bad, 1)] {
        let mirrors = [(origin.address.clone(), vec![format!("http://{}/sub/", mirror.address)])].into();
        let got = read(&repository(nacre_registry::Config { mirrors, ..quick() }, &origin.address, "a"), &blob(body), 0).unwrap();
        assert_eq!((got.as_slice(), origin.seen().len()), (body, asked));
        assert_eq!(mirror.asked(), [format!("GET /sub/v2/a/blobs/{}", Digest::of(body))]);
    }
}
