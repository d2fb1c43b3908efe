//! What the OCI distribution specification 1.1 asks for and the other modules do not show, by workflow: pull, push, content
//! discovery, content management.

use nacre_oci::{Algorithm, Descriptor, Digest, Hasher, Index, Manifest, media_type};
use serde_json::json;

use crate::harness::{Server, nowhere};

const REPOSITORY: &str = "conformance/suite";

fn url(rest: &str) -> String {
    format!("/v2/{REPOSITORY}/{rest}")
}

fn document(manifests: Vec<Descriptor>) -> Vec<u8> {
    let media_type = media_type::OCI_INDEX.into();
    serde_json::to_vec(&Index { schema_version: 2, media_type, artifact_type: None, manifests, subject: None, annotations: [].into() })
        .unwrap()
}

/// Pushes an image of an empty config and one layer, and returns it.
async fn image(server: &Server, tag: &str, layer: &[u8]) -> Descriptor {
    let config = server.push_blob(REPOSITORY, b"{}").await;
    let digest = server.push_blob(REPOSITORY, layer).await;
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: None,
        config: Descriptor::new(media_type::OCI_CONFIG, config, 2),
        layers: vec![Descriptor::new(media_type::OCI_LAYER, digest, layer.len() as u64)],
        subject: None,
        annotations: [].into(),
    };
    put(server, tag, media_type::OCI_MANIFEST, &serde_json::to_vec(&manifest).unwrap()).await
}

/// Pushes a document, which has to be taken with every header that the specification names.
async fn put(server: &Server, tag: &str, media_type: &str, bytes: &[u8]) -> Descriptor {
    let answer = server.push_manifest(REPOSITORY, tag, media_type, bytes).await;
    let digest = Digest::of(bytes);
    assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest.to_string().as_str()), "{}", answer.text());
    assert_eq!(answer.header("location"), url(&format!("manifests/{digest}")));
    Descriptor::new(media_type, digest, bytes.len() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_answers_head_as_get_and_404_for_what_is_not_there() {
    let server = Server::start().await;
    let root = image(&server, "1", b"a layer").await;
    let blob = Digest::of(b"a layer");
    for (path, digest, size) in [
        (url("manifests/1"), &root.digest, root.size),
        (url(&format!("manifests/{}", root.digest)), &root.digest, root.size),
        (url(&format!("blobs/{blob}")), &blob, 7),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server.send(method, &path, &[], []).await;
            assert_eq!((answer.status, answer.header("docker-content-digest")), (200, digest.to_string().as_str()), "{method} {path}");
            assert_eq!(answer.header("content-length"), size.to_string(), "{method} {path}");
            assert_eq!(answer.body.is_empty(), method == "HEAD");
        }
    }
    for path in [url("manifests/none"), url(&format!("manifests/{}", nowhere())), url(&format!("blobs/{}", nowhere()))] {
        assert_eq!(server.send("HEAD", &path, &[], []).await.status, 404, "{path}");
    }
    server.get(&url("manifests/none")).await.fails(404, "MANIFEST_UNKNOWN");
    server.get(&url(&format!("manifests/{}", nowhere()))).await.fails(404, "MANIFEST_UNKNOWN");
    server.get(&url(&format!("blobs/{}", nowhere()))).await.fails(404, "BLOB_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_gives_ranges() {
    let server = Server::start().await;
    let path = url(&format!("blobs/{}", server.push_blob(REPOSITORY, b"0123456789").await));
    for (range, body, told) in
        [("bytes=2-4", "234", "bytes 2-4/10"), ("bytes=7-", "789", "bytes 7-9/10"), ("bytes=-2", "89", "bytes 8-9/10")]
    {
        let part = server.send("GET", &path, &[("range", range)], []).await;
        assert_eq!((part.status, part.text().as_str(), part.header("content-range")), (206, body, told), "{range}");
    }
    assert_eq!(server.send("GET", &path, &[("range", "bytes=10-")], []).await.status, 416);
}

#[tokio::test(flavor = "multi_thread")]
async fn push_takes_the_empty_blob_every_way() {
    let empty = Digest::of(b"");
    for way in ["monolithic", "post and put", "post, patch and put"] {
        let server = Server::start().await;
        if way == "monolithic" {
            server.push_blob(REPOSITORY, b"").await;
        } else {
            let begun = server.send("POST", &url("blobs/uploads/"), &[], []).await;
            assert_eq!(begun.status, 202);
            let mut location = begun.header("location").to_owned();
            if way == "post, patch and put" {
                let patched = server.send("PATCH", &location, &[], []).await;
                assert_eq!(patched.status, 202, "{}", patched.text());
                location = patched.header("location").to_owned();
            }
            let done = server.send("PUT", &format!("{location}?digest={empty}"), &[], []).await;
            assert_eq!((done.status, done.header("docker-content-digest")), (201, empty.to_string().as_str()), "{way}: {}", done.text());
        }
        let got = server.get(&url(&format!("blobs/{empty}"))).await;
        assert_eq!((got.status, got.header("content-length")), (200, "0"), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push_takes_sha512_in_one_request() {
    let server = Server::start().await;
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"bytes");
    let digest = hasher.digest();
    let answer = server.send("POST", &url(&format!("blobs/uploads/?digest={digest}")), &[], b"bytes").await;
    assert_eq!((answer.status, answer.header("location")), (201, url(&format!("blobs/{digest}")).as_str()), "{}", answer.text());
    assert_eq!(server.get(&url(&format!("blobs/{digest}"))).await.text(), "bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn push_takes_nested_and_empty_indexes() {
    let server = Server::start().await;
    let child = image(&server, "child", b"a layer").await;
    let inner = put(&server, "inner", media_type::OCI_INDEX, &document(vec![child])).await;
    let outer = put(&server, "outer", media_type::OCI_INDEX, &document(vec![inner])).await;
    assert_eq!(server.get(&url("manifests/outer")).await.header("docker-content-digest"), outer.digest.to_string());
    put(&server, "empty", media_type::OCI_INDEX, &document(vec![])).await;
    assert_eq!(server.get(&url("manifests/empty")).await.header("content-type"), media_type::OCI_INDEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn push_by_two_hundred_clients_at_once() {
    let server = Server::start().await;
    let push = async |n: usize| image(&server, &format!("t{n}"), format!("layer {n}").as_bytes()).await;
    let pushed = futures_util::future::join_all((0..200).map(push)).await;
    for (n, root) in pushed.iter().enumerate() {
        let got = server.send("HEAD", &url(&format!("manifests/t{n}")), &[], []).await;
        assert_eq!(got.header("docker-content-digest"), root.digest.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push_that_is_cancelled_leaves_no_file() {
    let server = Server::start().await;
    let begun = server.send("POST", &url("blobs/uploads/"), &[], []).await;
    let location = begun.header("location").to_owned();
    assert_eq!(server.send("PATCH", &location, &[], vec![0; 1 << 20]).await.status, 202);
    assert_eq!(server.send("DELETE", &location, &[], []).await.status, 204);
    assert_eq!(std::fs::read_dir(server.store.root().join("ingest/uploads")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_goes_on_after_the_last_tag() {
    let server = Server::start().await;
    for tag in ["a", "b", "c"] {
        image(&server, tag, tag.as_bytes()).await;
    }
    let page = server.get(&url("tags/list?n=2")).await;
    assert_eq!((page.status, page.json()["tags"].clone()), (200, json!(["a", "b"])));
    assert_eq!(page.header("link"), format!("<{}>; rel=\"next\"", url("tags/list?n=2&last=b")));
    assert_eq!(server.get(&url("tags/list?n=2&last=b")).await.json()["tags"], json!(["c"]));
    assert_eq!(server.get(&url("tags/list?last=c")).await.json()["tags"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn management_deletes_tags_manifests_and_blobs() {
    let server = Server::start().await;
    let root = image(&server, "1", b"a layer").await;
    let by_digest = url(&format!("manifests/{}", root.digest));
    assert_eq!(server.send("DELETE", &url("manifests/1"), &[], []).await.status, 202);
    assert_eq!(server.send("HEAD", &url("manifests/1"), &[], []).await.status, 404);
    assert_eq!(server.send("DELETE", &by_digest, &[], []).await.status, 202);
    server.get(&by_digest).await.fails(404, "MANIFEST_UNKNOWN");
    server.send("DELETE", &by_digest, &[], []).await.fails(404, "MANIFEST_UNKNOWN");
    let stray = url(&format!("blobs/{}", server.push_blob(REPOSITORY, b"stray").await));
    assert_eq!(server.send("DELETE", &stray, &[], []).await.status, 202);
    server.get(&stray).await.fails(404, "BLOB_UNKNOWN");
}
