//! What the official conformance suite does, case by case: every way to push a blob with each algorithm, and every shape of
//! image, index and artifact through push, list, pull, referrers and delete.

use bytes::Bytes;
use nacre_oci::{Algorithm, Digest, media_type};
use nacre_tests::images::noise;
use serde_json::json;

use crate::{
    harness::{Answer, Server, nowhere},
    samples::{self, KIND, Pushed, Sample, digest},
};

const REPOSITORY: &str = "conformance/repo1";
const OTHER: &str = "conformance/repo2";
/// The suite's smallest chunk; its chunked blobs have three of them, the last one shorter.
const CHUNK: usize = 1024;
const CHUNKED: usize = 3 * CHUNK - 5;

fn url(rest: &str) -> String {
    format!("/v2/{REPOSITORY}/{rest}")
}

fn blob_url(digest: &Digest) -> String {
    url(&format!("blobs/{digest}"))
}

/// How a blob is pushed.
#[derive(Clone, Copy, Debug)]
enum Way {
    PostOnly,
    PostPut,
    Stream,
    /// In chunks; `put_last` sends the last one with the digest, `disorder` tries a wrong one before each right one.
    Chunks {
        put_last: bool,
        disorder: bool,
    },
}

const WAYS: [Way; 7] = [
    Way::PostOnly,
    Way::PostPut,
    Way::Stream,
    Way::Chunks { put_last: false, disorder: false },
    Way::Chunks { put_last: true, disorder: false },
    Way::Chunks { put_last: false, disorder: true },
    Way::Chunks { put_last: true, disorder: true },
];

/// Begins an upload and returns its location.
async fn begin(server: &Server, query: &str) -> String {
    let begun = server.send("POST", &url(&format!("blobs/uploads/{query}")), &[], []).await;
    assert_eq!((begun.status, begun.body.len()), (202, 0), "{}", begun.text());
    assert_eq!(begun.header("oci-chunk-min-length"), "", "chunks of any size are taken");
    begun.header("location").to_owned()
}

/// Pushes bytes under a digest and returns the last answer.
async fn push(server: &Server, way: Way, bytes: &[u8], digest: &Digest) -> Answer {
    match way {
        Way::PostOnly => server.send("POST", &url(&format!("blobs/uploads/?digest={digest}")), &[], bytes).await,
        Way::PostPut => put(server, &begin(server, "").await, digest, &[], bytes).await,
        Way::Stream => {
            let parts: Vec<Bytes> = bytes.chunks(100).map(Bytes::copy_from_slice).collect();
            let patched = server.stream("PATCH", &begin(server, "").await, parts.into_iter()).await;
            assert_eq!(patched.status, 202, "{}", patched.text());
            put(server, patched.header("location"), digest, &[], b"").await
        }
        Way::Chunks { put_last, disorder } => push_chunks(server, put_last, disorder, bytes, digest).await,
    }
}

async fn put(server: &Server, location: &str, digest: &Digest, headers: &[(&str, &str)], bytes: &[u8]) -> Answer {
    server.send("PUT", &format!("{location}?digest={digest}"), headers, bytes).await
}

async fn push_chunks(server: &Server, put_last: bool, disorder: bool, bytes: &[u8], digest: &Digest) -> Answer {
    let mut location = begin(server, "").await;
    let mut start = 0;
    while start < bytes.len() {
        let end = bytes.len().min(start + CHUNK);
        // A single chunk has no other place.
        if disorder && bytes.len() > CHUNK {
            location = out_of_order(server, &location, start, bytes, put_last.then_some(digest)).await;
        }
        let range = format!("{start}-{}", end - 1);
        let headers = [("content-range", range.as_str()), ("content-type", "application/octet-stream")];
        if put_last && end == bytes.len() {
            return put(server, &location, digest, &headers, &bytes[start..end]).await;
        }
        let patched = server.send("PATCH", &location, &headers, &bytes[start..end]).await;
        assert_eq!((patched.status, patched.header("range")), (202, format!("0-{}", end - 1).as_str()), "{}", patched.text());
        (location, start) = (patched.header("location").to_owned(), end);
    }
    put(server, &location, digest, &[], b"").await
}

/// Sends the chunk after the one that is due, or the first one again, which has to be refused; asks where to go on.
async fn out_of_order(server: &Server, location: &str, due: usize, bytes: &[u8], put: Option<&Digest>) -> String {
    let start = if due + CHUNK < bytes.len() { due + CHUNK } else { 0 };
    let end = bytes.len().min(start + CHUNK);
    let range = format!("{start}-{}", end - 1);
    let (method, path) = match put {
        Some(digest) if end == bytes.len() => ("PUT", format!("{location}?digest={digest}")),
        _ => ("PATCH", location.to_owned()),
    };
    let refused = server.send(method, &path, &[("content-range", &range)], &bytes[start..end]).await;
    refused.fails(416, "BLOB_UPLOAD_INVALID");
    let held = format!("0-{}", due.max(1) - 1);
    assert_eq!((refused.header("location"), refused.header("range")), (location, held.as_str()));
    let status = server.get(&path).await;
    assert_eq!((status.status, status.header("range"), status.body.len()), (204, held.as_str(), 0));
    status.header("location").to_owned()
}

/// Checks that a push ended well, by its answer and by pulling.
async fn arrived(server: &Server, answer: &Answer, digest: &Digest, bytes: &[u8]) {
    assert_eq!((answer.status, answer.body.len()), (201, 0), "{}", answer.text());
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    assert_eq!(answer.header("location"), blob_url(digest));
    for method in ["HEAD", "GET"] {
        let got = server.send(method, answer.header("location"), &[], []).await;
        assert_eq!((got.status, got.header("content-length")), (200, bytes.len().to_string().as_str()));
        assert_eq!(got.header("docker-content-digest"), digest.to_string());
        assert_eq!(got.header("content-type"), "application/octet-stream");
        assert!(got.body == if method == "GET" { bytes } else { b"" }, "{method} {digest}");
    }
}

async fn delete_blob(server: &Server, digest: &Digest) {
    let deleted = server.send("DELETE", &blob_url(digest), &[], []).await;
    assert!(matches!(deleted.status, 202 | 404), "{}", deleted.text());
    assert_eq!(server.send("HEAD", &blob_url(digest), &[], []).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_pushed_every_way_with_every_algorithm() {
    let server = Server::start().await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for way in WAYS {
            for bytes in [noise(512, 1), noise(CHUNKED, 2), Vec::new(), b"{}".to_vec()] {
                let digest = digest(algorithm, &bytes);
                server.get(&blob_url(&digest)).await.fails(404, "BLOB_UNKNOWN");
                let answer = push(&server, way, &bytes, &digest).await;
                arrived(&server, &answer, &digest, &bytes).await;
                delete_blob(&server, &digest).await;
            }
        }
    }
    assert_eq!(server.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_with_a_wrong_digest_are_refused_every_way() {
    let server = Server::start().await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for way in WAYS {
            let mut bytes = noise(CHUNKED, 3);
            let digest = digest(algorithm, &bytes);
            bytes.extend_from_slice(b"oh no");
            push(&server, way, &bytes, &digest).await.fails(400, "DIGEST_INVALID");
            server.get(&blob_url(&digest)).await.fails(404, "BLOB_UNKNOWN");
        }
    }
    assert_eq!(server.unfinished(), 0, "what was refused is not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_mounted_from_a_repository_or_from_anywhere() {
    let server = Server::start().await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let bytes = noise(512, 4);
        let digest = digest(algorithm, &bytes);
        for from in [format!("&from={OTHER}"), String::new(), "&from=conformance/unknown".to_owned()] {
            let pushed = server.send("POST", &format!("/v2/{OTHER}/blobs/uploads/?digest={digest}"), &[], bytes.clone()).await;
            assert_eq!(pushed.status, 201, "{}", pushed.text());
            let mounted = server.send("POST", &url(&format!("blobs/uploads/?mount={digest}{from}")), &[], []).await;
            arrived(&server, &mounted, &digest, &bytes).await;
            delete_blob(&server, &digest).await;
            // What is in no repository cannot be mounted: a session begins, and goes on as any other.
            let location = begin(&server, &format!("?mount={digest}{from}")).await;
            let done = put(&server, &location, &digest, &[], &bytes).await;
            arrived(&server, &done, &digest, &bytes).await;
            delete_blob(&server, &digest).await;
        }
    }
    server.send("POST", &url("blobs/uploads/?mount=sha256:x"), &[], []).await.fails(400, "DIGEST_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_cancelled() {
    let server = Server::start().await;
    let location = begin(&server, "").await;
    assert_eq!(server.send("PATCH", &location, &[], vec![0; 1 << 20]).await.status, 202);
    assert_eq!(server.unfinished(), 1);
    let cancelled = server.send("DELETE", &location, &[("content-length", "0")], []).await;
    assert_eq!((cancelled.status, cancelled.body.len()), (204, 0));
    assert_eq!(server.unfinished(), 0);
    server.get(&location).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_come_in_ranges() {
    let server = Server::start().await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let bytes = noise(2048, 5);
        let digest = digest(algorithm, &bytes);
        push(&server, Way::PostPut, &bytes, &digest).await;
        for (range, first, end) in [("500-1499", 500, 1500), ("500-", 500, 2048), ("-500", 1548, 2048), ("2000-5000", 2000, 2048)] {
            let part = server.send("GET", &blob_url(&digest), &[("range", &format!("bytes={range}"))], []).await;
            assert!(part.status == 206 && part.body == bytes[first..end], "{range}");
            assert_eq!(part.header("content-range"), format!("bytes {first}-{}/2048", end - 1));
            assert_eq!(part.header("content-length"), (end - first).to_string());
        }
        for range in ["500-0", "5000-10000", "2048-"] {
            let beyond = server.send("GET", &blob_url(&digest), &[("range", &format!("bytes={range}"))], []).await;
            beyond.fails(416, "SIZE_INVALID");
            assert_eq!(beyond.header("content-range"), "bytes */2048");
        }
    }
}

/// Checks an answer that has, or with `HEAD` describes, a document.
fn is(answer: &Answer, document: &Pushed, method: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), document.media_type);
    assert_eq!(answer.header("content-length"), document.bytes.len().to_string());
    assert_eq!(answer.header("docker-content-digest"), document.digest.to_string());
    assert!(answer.body == if method == "GET" { document.bytes.as_slice() } else { b"" });
}

async fn push_document(server: &Server, reference: &str, document: &Pushed) {
    let answer = server.push_manifest(REPOSITORY, reference, &document.media_type, &document.bytes).await;
    assert_eq!(answer.status, 201, "{reference}: {}", answer.text());
    assert_eq!(answer.header("docker-content-digest"), document.digest.to_string());
    assert_eq!(answer.header("oci-subject"), document.subject().map(|digest| digest.to_string()).unwrap_or_default());
    is(&server.get(answer.header("location")).await, document, "GET");
}

async fn push_sample(server: &Server, sample: &Sample) {
    for ((digest, bytes), way) in sample.blobs.iter().zip(WAYS.iter().cycle()) {
        let answer = push(server, *way, bytes, digest).await;
        arrived(server, &answer, digest, bytes).await;
    }
    for document in &sample.documents {
        push_document(server, &document.digest.to_string(), document).await;
    }
    if let (Some(tag), Some(last)) = (sample.tag, sample.documents.last()) {
        push_document(server, tag, last).await;
    }
}

async fn pull_sample(server: &Server, sample: &Sample) {
    let accept = [("accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")];
    for document in &sample.documents {
        for method in ["HEAD", "GET"] {
            is(&server.send(method, &url(&format!("manifests/{}", document.digest)), &accept, []).await, document, method);
        }
    }
    if let (Some(tag), Some(last)) = (sample.tag, sample.documents.last()) {
        let listed = server.get(&url("tags/list")).await;
        assert_eq!((listed.status, listed.json()), (200, json!({ "name": REPOSITORY, "tags": [tag] })));
        for method in ["HEAD", "GET"] {
            is(&server.send(method, &url(&format!("manifests/{tag}")), &accept, []).await, last, method);
        }
    }
}

async fn list_referrers(server: &Server, sample: &Sample) {
    for subject in sample.documents.iter().filter_map(Pushed::subject) {
        let path = url(&format!("referrers/{subject}"));
        let wanted = sample.referrers(&subject);
        let all = server.get(&path).await;
        assert_eq!((all.status, all.header("content-type"), all.header("oci-filters-applied")), (200, media_type::OCI_INDEX, ""));
        assert_eq!(all.json(), json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": wanted }), "{}", sample.name);
        let filtered = server.get(&format!("{path}?artifactType={}", KIND.replace('/', "%2F"))).await;
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        let of_kind: Vec<_> = wanted.iter().filter(|one| one["artifactType"] == KIND).cloned().collect();
        assert_eq!(filtered.json()["manifests"], json!(of_kind));
    }
}

async fn delete_sample(server: &Server, sample: &Sample) {
    for reference in sample.tag.map(str::to_owned).into_iter().chain(sample.documents.iter().rev().map(|one| one.digest.to_string())) {
        let path = url(&format!("manifests/{reference}"));
        let deleted = server.send("DELETE", &path, &[], []).await;
        // What is in an index goes with it.
        assert!(matches!(deleted.status, 202 | 404), "{reference}: {}", deleted.text());
        assert_eq!(server.send("HEAD", &path, &[], []).await.status, 404);
        server.get(&path).await.fails(404, "MANIFEST_UNKNOWN");
    }
    for digest in sample.blobs.keys() {
        delete_blob(server, digest).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_every_shape_are_pushed_listed_pulled_and_deleted() {
    let server = Server::start().await;
    server.get(&url("tags/list")).await.fails(404, "NAME_UNKNOWN");
    for sample in samples::all() {
        push_sample(&server, &sample).await;
        pull_sample(&server, &sample).await;
        list_referrers(&server, &sample).await;
        delete_sample(&server, &sample).await;
        assert!(server.store.images().unwrap().is_empty(), "{} leaves something", sample.name);
        assert_eq!(server.get(&url("tags/list")).await.json()["tags"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_index_becomes_whole() {
    let server = Server::start().await;
    let sample = samples::all().into_iter().find(|sample| sample.name == "artifact-index").unwrap();
    for (digest, bytes) in &sample.blobs {
        push(&server, Way::PostOnly, bytes, digest).await;
    }
    let (index, children) = sample.documents.split_last().unwrap();
    push_document(&server, "sparse", index).await;
    for child in children {
        server.get(&url(&format!("manifests/{}", child.digest))).await.fails(404, "MANIFEST_UNKNOWN");
    }
    for child in children {
        push_document(&server, &child.digest.to_string(), child).await;
    }
    let root = nacre_oci::Source::resolve(&server.store, &format!("docker.io/{REPOSITORY}:sparse")).unwrap();
    nacre_oci::validate(&server.store, &root, &nacre_oci::Select::All).unwrap();
    // Under the index's name everything is kept.
    let plan = server.store.plan(Vec::new()).unwrap();
    server.store.apply(&plan).unwrap();
    nacre_oci::validate(&server.store, &root, &nacre_oci::Select::All).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sparse_means_manifests_of_an_index_and_nothing_else() {
    let server = Server::start().await;
    let here = server.push_blob(REPOSITORY, b"here").await;
    let index = |media_type: &str, digest: &Digest, size: usize| {
        let child = json!({ "mediaType": media_type, "digest": digest, "size": size });
        json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [child] }).to_string()
    };
    for refused in [
        index("application/octet-stream", &nowhere(), 4),
        index(media_type::OCI_MANIFEST, &here, 5),
        json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
                "config": { "mediaType": media_type::OCI_MANIFEST, "digest": nowhere(), "size": 4 } })
        .to_string(),
    ] {
        let answer = server.push_manifest(REPOSITORY, "1", &json_type(&refused), refused.as_bytes()).await;
        answer.fails(404, "MANIFEST_BLOB_UNKNOWN");
    }
}

fn json_type(document: &str) -> String {
    serde_json::from_str::<serde_json::Value>(document).unwrap()["mediaType"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_references_are_refused() {
    let server = Server::start().await;
    let sample = samples::all().into_iter().find(|sample| sample.name == "image").unwrap();
    push_sample(&server, &sample).await;
    let image = &sample.documents[0];
    let put = async |reference: &str, bytes: &[u8]| server.push_manifest(REPOSITORY, reference, &image.media_type, bytes).await;
    put("sha256:baddigeststring", &image.bytes).await.fails(400, "DIGEST_INVALID");
    put(&image.digest.to_string(), &[&image.bytes[..], b"  "].concat()).await.fails(400, "DIGEST_INVALID");
    server.get(&url("manifests/sha256:totallywrong")).await.fails(400, "DIGEST_INVALID");
    server.get(&url("manifests/.INVALID_MANIFEST_NAME")).await.fails(404, "MANIFEST_UNKNOWN");
    let empty = server.get(&url(&format!("referrers/{}", nowhere()))).await;
    assert_eq!((empty.status, empty.json()["manifests"].clone()), (200, json!([])));
    let unknown = server.get(&format!("/v2/conformance/never/referrers/{}", nowhere())).await;
    assert_eq!((unknown.status, unknown.header("content-type")), (200, media_type::OCI_INDEX));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_by_digest_gives_tags() {
    let server = Server::start().await;
    for name in ["index", "sha512"] {
        let sample = samples::all().into_iter().find(|sample| sample.name == name).unwrap();
        push_sample(&server, &sample).await;
        let index = sample.documents.last().unwrap();
        let put = async |reference: String| server.push_manifest(REPOSITORY, &reference, &index.media_type, &index.bytes).await;
        let answer = put(format!("{}?tag={name}-1.2&tag={name}-1&tag={name}-latest", index.digest)).await;
        assert_eq!((answer.status, answer.header("docker-content-digest")), (201, index.digest.to_string().as_str()), "{}", answer.text());
        assert_eq!(answer.header("oci-tag"), format!("{name}-1.2, {name}-1, {name}-latest"));
        for tag in ["1.2", "1", "latest"] {
            is(&server.get(&url(&format!("manifests/{name}-{tag}"))).await, index, "GET");
        }
        put(format!("{}?tag=-bad", index.digest)).await.fails(400, "MANIFEST_INVALID");
        put(format!("{}?{}", index.digest, "tag=a&".repeat(101))).await.fails(414, "UNSUPPORTED");
        assert_eq!(put(format!("{name}?tag=other")).await.header("oci-tag"), "");
    }
    assert_eq!(server.get(&url("tags/list?n=4")).await.json()["tags"], json!(["index", "index-1", "index-1.2", "index-latest"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_an_end_point_lacks_are_named() {
    let server = Server::start().await;
    let (blob, referrers) = (blob_url(&nowhere()), url(&format!("referrers/{}", nowhere())));
    for (path, methods, allowed) in [
        ("/v2/", &["POST", "PUT", "DELETE"][..], "GET, HEAD"),
        ("/v2/_catalog", &["POST", "DELETE"], "GET, HEAD"),
        (&url("tags/list"), &["POST", "PUT", "PATCH", "DELETE"], "GET, HEAD"),
        (&referrers, &["POST", "PUT", "DELETE"], "GET, HEAD"),
        (&blob, &["POST", "PUT", "PATCH"], "GET, HEAD, DELETE"),
        (&url("blobs/uploads/"), &["GET", "PUT", "PATCH", "DELETE"], "POST"),
        (&url("blobs/uploads/x"), &["POST"], "GET, HEAD, PATCH, PUT, DELETE"),
        (&url("manifests/1"), &["POST", "PATCH"], "GET, HEAD, PUT, DELETE"),
    ] {
        for method in methods {
            let answer = server.send(method, path, &[], []).await;
            answer.fails(405, "UNSUPPORTED");
            assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        }
    }
}
