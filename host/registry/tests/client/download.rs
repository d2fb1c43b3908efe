//! Downloads: what they follow, try again and keep to themselves.

use std::io::Read;

use nacre_oci::{Error, Result};
use nacre_registry::Version;
use url::Url;

use crate::{
    client,
    fake::{Fake, Reply},
    logged_in, quick,
};

fn download(fake: &Fake, path: &str) -> Result<(Option<u64>, Vec<u8>)> {
    let url = format!("http://{}/{path}", fake.address).parse().unwrap();
    let mut download = client(logged_in(&fake.address, "secret")).download(&url)?;
    let mut bytes = Vec::new();
    download.read_to_end(&mut bytes).map_err(Error::io("read"))?;
    Ok((download.size, bytes))
}

#[test]
fn redirects_are_followed_without_the_registrys_credentials() {
    let fake = Fake::start(|seen, _| match seen.target.as_str() {
        "/a/old?x=1" => Reply::new(302).with("Location", "../new"),
        _ => Reply::new(200).body(vec![7; 300_000]),
    });
    assert_eq!(download(&fake, "a/old?x=1").unwrap(), (Some(300_000), vec![7; 300_000]));
    let seen = fake.seen();
    assert_eq!(seen.iter().map(|one| one.target.as_str()).collect::<Vec<_>>(), ["/a/old?x=1", "/new"]);
    assert!(seen.iter().all(|one| one.header("authorization").is_empty()));
}

#[test]
fn redirects_lead_nowhere_that_is_not_allowed() {
    let inner = Fake::start(|_, _| Reply::new(200).body("secret"));
    let address = inner.address.clone();
    let outer = Fake::start(move |_, _| Reply::new(302).with("Location", format!("http://{address}/x")));
    let url: Url = format!("http://{}/x", outer.address).parse().unwrap();
    let port = url.port();
    let only_outer = |url: &Url| match url.port() == port {
        true => Ok(()),
        false => Err(Error::Denied { what: url.to_string(), why: "not granted".into() }),
    };
    let denied = client(quick()).download_changed(&url, &Version::default(), &only_outer).err().unwrap();
    assert!(matches!(denied, Error::Denied { .. }), "{denied}");
    assert_eq!((outer.seen().len(), inner.seen().len()), (1, 0));
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    let fake = Fake::start(|_, before| if before < 2 { Reply::new(503) } else { Reply::new(200).body("x") });
    assert_eq!(download(&fake, "file").unwrap().1, b"x");
    assert_eq!(fake.seen().len(), 3);
}

#[test]
fn what_cannot_be_had_is_said_without_secrets() {
    let fake = Fake::start(|seen, _| match seen.target.split('?').next().unwrap() {
        "/gone" => Reply::new(404),
        "/forbidden" => Reply::new(403),
        "/loop" => Reply::new(302).with("Location", "/loop"),
        "/file" => Reply::new(302).with("Location", "file:///etc/passwd"),
        _ => Reply::new(200).body(vec![0; 100]).cut(50),
    });
    let said = |path: &str| {
        let error = download(&fake, &format!("{path}?signature=hidden")).unwrap_err().to_string();
        assert!(!error.contains("hidden") && !error.contains('\n'), "{error}");
        error
    };
    assert_eq!(said("gone"), format!("http://{}/gone was not found", fake.address));
    assert!(said("forbidden").ends_with("failed: the server answered 403 Forbidden"), "{}", said("forbidden"));
    assert!(said("loop").contains("more than 10 redirects"));
    assert!(said("file").contains("a redirect to nowhere"));
    assert!(said("cut").contains("broke off"));
    let secret = "http://user:hidden@127.0.0.1:1/x".parse().unwrap();
    let error = client(quick()).download(&secret).err().unwrap().to_string();
    assert!(!error.contains("hidden"), "{error}");
}

#[test]
fn a_version_that_is_known_is_not_fetched_again() {
    let fake = Fake::start(|seen, _| match seen.header("if-none-match") {
        "\"2\"" => Reply::new(304),
        _ => Reply::new(200).with("ETag", "\"2\"").with("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT").body("x"),
    });
    let url = format!("http://{}/file", fake.address).parse().unwrap();
    let client = client(quick());
    let version = client.download(&url).unwrap().version;
    assert_eq!((version.etag.as_deref(), version.modified.as_deref()), (Some("\"2\""), Some("Tue, 14 Nov 2023 22:13:20 GMT")));
    assert!(client.download_changed(&url, &version, &|_| Ok(())).unwrap().is_none());
    assert_eq!(fake.seen().pop().unwrap().header("if-modified-since"), "Tue, 14 Nov 2023 22:13:20 GMT");
    let old = nacre_registry::Version { etag: Some("\"1\"".into()), modified: None };
    assert!(client.download_changed(&url, &old, &|_| Ok(())).unwrap().is_some());
}
