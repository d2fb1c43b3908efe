//! Tags, catalog, search and referrers.

use nacre_oci::{Digest, Error};

use crate::{
    client,
    fake::{Fake, Reply},
    quick, repository,
};

#[test]
fn follows_pages() {
    let fake = Fake::start(|seen, _| match seen.target.as_str() {
        "/v2/a/tags/list?n=1000" => Reply::new(200).with("Link", "</v2/a/tags/list?last=2>; rel=\"next\"").body(r#"{"tags":["1","2"]}"#),
        _ => Reply::new(200).body(r#"{"name":"a","tags":["3"]}"#),
    });
    assert_eq!(repository(quick(), &fake.address, "a").tags(usize::MAX).unwrap(), ["1", "2", "3"]);
    let empty = Fake::start(|_, _| Reply::new(200).body(r#"{"tags":null}"#));
    assert!(repository(quick(), &empty.address, "a").tags(5).unwrap().is_empty());
}

#[test]
fn pages_in_a_circle_on_another_host_or_without_end_are_refused() {
    for (link, expected) in [("</v2/a/tags/list?n=1000>", "circle"), ("<http://other.example/v2/>", "another host")] {
        let fake = Fake::start(move |_, _| Reply::new(200).with("Link", format!("{link}; rel=\"next\"")).body(r#"{"tags":["1"]}"#));
        let error = repository(quick(), &fake.address, "a").tags(usize::MAX).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let endless = Fake::start(|_, n| Reply::new(200).with("Link", format!("<?last={n}>; rel=\"next\"")).body(r#"{"tags":["1"]}"#));
    assert!(matches!(repository(quick(), &endless.address, "a").tags(usize::MAX), Err(Error::TooLarge { .. })));
    assert_eq!(repository(quick(), &endless.address, "a").tags(7).unwrap().len(), 7);
}

#[test]
fn searches_the_index_and_else_the_catalog() {
    let results = r#"{"results":[{"name":"nginx","description":null,"star_count":7,"is_official":true},{"name":"x","star_count":-1}]}"#;
    let fake = Fake::start(move |_, _| Reply::new(200).body(results));
    let hits = client(quick()).search(Some(&fake.address), "a b&c", 25).unwrap();
    assert_eq!((hits[0].name.as_str(), hits[0].stars, hits[0].official, hits[1].stars), ("nginx", 7, true, 0));
    assert_eq!(fake.asked().last().unwrap(), "GET /v1/search?q=a+b%26c&n=25");
    let plain = Fake::start(|seen, _| match seen.target.as_str() {
        "/v2/_catalog?n=1000" => Reply::new(200).body(r#"{"repositories":["acme/app","other","my/app"]}"#),
        _ => Reply::new(404),
    });
    let names: Vec<String> = client(quick()).search(Some(&plain.address), "app", 25).unwrap().into_iter().map(|hit| hit.name).collect();
    assert_eq!(names, ["acme/app", "my/app"]);
    assert!(client(quick()).search(Some(&plain.address), "http://x", 25).is_err());
    assert!(client(quick()).search(Some(&plain.address), "x", 0).is_err());
}

#[test]
fn lists_referrers_by_the_api_and_filters() {
    let entry = |kind: &str, text: &[u8]| {
        let digest = Digest::of(text);
        format!(r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":3,"artifactType":"{kind}"}}"#)
    };
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#, entry("a/sig", b"1"), entry("a/sbom", b"2"));
    let fake = Fake::start(move |_, _| Reply::new(200).with("Content-Type", "application/vnd.oci.image.index.v1+json").body(&*index));
    let repository = repository(quick(), &fake.address, "a");
    let subject = Digest::of(b"subject");
    assert_eq!(repository.referrers(&subject, None).unwrap().len(), 2);
    assert_eq!(repository.referrers(&subject, Some("a/sbom")).unwrap()[0].digest, Digest::of(b"2"));
    assert_eq!(fake.asked().last().unwrap(), &format!("GET /v2/a/referrers/{subject}?artifactType=a%2Fsbom"));
}
