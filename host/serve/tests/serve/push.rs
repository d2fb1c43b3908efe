//! Push: every way to upload a blob, manifests that are refused, and what protects an unfinished push.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use nacre_oci::{Algorithm, Descriptor, Digest, Hasher, MAX_MANIFEST, Manifest, Memory, Select, media_type, plan};
use nacre_store::Store;
use nacre_tests::images::{self, Recipe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Answer, Server, nowhere};

async fn begin(server: &Server, repository: &str) -> String {
    let answer = server.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[("content-length", "0")], []).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert!(!answer.header("docker-upload-uuid").is_empty());
    answer.header("location").to_owned()
}

async fn stored(server: &Server, answer: &Answer, repository: &str, bytes: &[u8]) {
    let digest = Digest::of(bytes);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    let location = format!("/v2/{repository}/blobs/{digest}");
    assert_eq!(answer.header("location"), location);
    assert!(server.get(&location).await.body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_arrives_in_one_two_or_three_requests() {
    let server = Server::start().await;
    let bytes = images::noise(2_500_000, 3);
    let finish = |location: &str, bytes: &[u8]| format!("{location}?digest={}", Digest::of(bytes));

    let one = server.send("POST", &format!("/v2/a/b/blobs/uploads/?digest={}", Digest::of(&bytes)), &[], bytes.clone()).await;
    stored(&server, &one, "a/b", &bytes).await;

    let location = begin(&server, "a/b").await;
    let two = server.send("PUT", &finish(&location, &bytes[1..]), &[], &bytes[1..]).await;
    stored(&server, &two, "a/b", &bytes[1..]).await;
    server.send("GET", &location, &[], []).await.fails(404, "BLOB_UPLOAD_UNKNOWN");

    let location = begin(&server, "a/b").await;
    let streamed = server.send("PATCH", &location, &[], &bytes[2..]).await;
    assert_eq!((streamed.status, streamed.header("range")), (202, "0-2499997"));
    let three = server.send("PUT", &finish(&location, &bytes[2..]), &[], []).await;
    stored(&server, &three, "a/b", &bytes[2..]).await;

    let again = server.send("POST", &format!("/v2/a/b/blobs/uploads/?digest={}", Digest::of(&bytes)), &[], bytes.clone()).await;
    stored(&server, &again, "a/b", &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_come_in_order_or_not_at_all() {
    let server = Server::start().await;
    let bytes = images::noise(30, 9);
    let location = begin(&server, "a/b").await;
    let chunk = async |method: &str, path: &str, range: &str, bytes: &[u8]| {
        server.send(method, path, &[("content-range", range), ("content-type", "application/octet-stream")], bytes).await
    };
    let early = chunk("PATCH", &location, "10-19", &bytes[10..20]).await;
    early.fails(416, "BLOB_UPLOAD_INVALID");
    let first = chunk("PATCH", &location, "0-9", &bytes[..10]).await;
    assert_eq!((first.status, first.header("range")), (202, "0-9"));
    let location = first.header("location").to_owned();
    let repeated = chunk("PATCH", &location, "0-9", &bytes[..10]).await;
    repeated.fails(416, "BLOB_UPLOAD_INVALID");
    assert_eq!((repeated.header("range"), repeated.header("location")), ("0-9", location.as_str()));
    chunk("PATCH", &location, "10-19", &bytes[10..15]).await.fails(400, "SIZE_INVALID");
    chunk("PATCH", &location, "nonsense", &bytes[10..15]).await.fails(400, "BLOB_UPLOAD_INVALID");
    let status = server.get(&location).await;
    assert_eq!((status.status, status.header("range"), status.header("location")), (204, "0-9", location.as_str()));
    assert_eq!(chunk("PATCH", &location, "10-19", &bytes[10..20]).await.status, 202);
    let put = format!("{location}?digest={}", Digest::of(&bytes));
    chunk("PUT", &put, "25-29", &bytes[25..]).await.fails(416, "BLOB_UPLOAD_INVALID");
    let last = chunk("PUT", &put, "20-29", &bytes[20..]).await;
    stored(&server, &last, "a/b", &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_cancelled_and_wrong_ones_refused() {
    let server = Server::start().await;
    let location = begin(&server, "a/b").await;
    assert_eq!(server.send("DELETE", &location, &[], []).await.status, 204);
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let path = format!("{location}?digest={}", nowhere());
        server.send(method, &path, &[], []).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
    }
    server.get("/v2/a/b/blobs/uploads/..%2F..%2Fmeta.db").await.fails(404, "NAME_UNKNOWN");
    let location = begin(&server, "a/b").await;
    server.send("PUT", &location, &[], b"bytes").await.fails(400, "DIGEST_INVALID");
    server.send("PUT", &format!("{location}?digest=sha256:abc"), &[], b"bytes").await.fails(400, "DIGEST_INVALID");
    let location = begin(&server, "a/b").await;
    let wrong = server.send("PUT", &format!("{location}?digest={}", nowhere()), &[], b"bytes").await;
    wrong.fails(400, "DIGEST_INVALID");
    let wrong = server.send("POST", &format!("/v2/a/b/blobs/uploads/?digest={}", nowhere()), &[], b"bytes").await;
    wrong.fails(400, "DIGEST_INVALID");
    server.get(&format!("/v2/a/b/blobs/{}", nowhere())).await.fails(404, "BLOB_UNKNOWN");
    server.get(&format!("/v2/a/b/blobs/{}", Digest::of(b"bytes"))).await.fails(404, "BLOB_UNKNOWN");
    server.send("POST", "/v2/team/App/blobs/uploads/", &[], []).await.fails(400, "NAME_INVALID");
    // An upload belongs to the repository that it was begun in.
    let location = begin(&server, "a/b").await;
    server.get(&location.replace("/a/b/", "/a/c/")).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn mounting_needs_no_bytes() {
    let server = Server::start().await;
    let digest = server.push_blob("a/b", b"a layer").await;
    for query in [format!("mount={digest}&from=a/b"), format!("mount={digest}")] {
        let mounted = server.send("POST", &format!("/v2/c/d/blobs/uploads/?{query}"), &[], []).await;
        stored(&server, &mounted, "c/d", b"a layer").await;
    }
    let missing = server.send("POST", &format!("/v2/c/d/blobs/uploads/?mount={}&from=a/b", nowhere()), &[], []).await;
    assert_eq!(missing.status, 202);
    assert!(missing.header("location").starts_with("/v2/c/d/blobs/uploads/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sha512_is_as_good() {
    let server = Server::start().await;
    let digest512 = |bytes: &[u8]| {
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(bytes);
        hasher.digest()
    };
    let (config, layer) = (b"{}".as_slice(), b"a layer".as_slice());
    let mut parts = Vec::new();
    for bytes in [config, layer] {
        let digest = digest512(bytes);
        let location = begin(&server, "a/b").await;
        server.send("PATCH", &location, &[], bytes).await;
        let put = server.send("PUT", &format!("{location}?digest={digest}"), &[], []).await;
        assert_eq!((put.status, put.header("docker-content-digest")), (201, digest.to_string().as_str()), "{}", put.text());
        assert!(server.get(&format!("/v2/a/b/blobs/{digest}")).await.body == bytes);
        parts.push(Descriptor::new("application/octet-stream", digest, bytes.len() as u64));
    }
    let manifest = serde_json::to_vec(&manifest(parts[0].clone(), parts[1..].to_vec(), None)).unwrap();
    let digest = digest512(&manifest).to_string();
    let put = server.push_manifest("a/b", &digest, media_type::OCI_MANIFEST, &manifest).await;
    assert_eq!((put.status, put.header("docker-content-digest")), (201, digest.as_str()), "{}", put.text());
    assert!(server.get(&format!("/v2/a/b/manifests/{digest}")).await.body == manifest);
}

fn manifest(config: Descriptor, layers: Vec<Descriptor>, subject: Option<Descriptor>) -> Manifest {
    let media_type = media_type::OCI_MANIFEST.into();
    Manifest { schema_version: 2, media_type, artifact_type: None, config, layers, subject, annotations: Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_image_is_an_image_of_the_store() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    server.push_image(&memory, &root, "team/app", "1").await;
    nacre_oci::validate(&server.store, &root, &Select::All).unwrap();
    assert_eq!(nacre_oci::Source::resolve(&server.store, "docker.io/team/app:1").unwrap().digest, root.digest);
    let again = server.get("/v2/team/app/manifests/1").await;
    assert_eq!(again.header("docker-content-digest"), root.digest.to_string());
    let empty = server.push_blob("team/app", b"{}").await;
    let none = manifest(Descriptor::new(media_type::OCI_CONFIG, empty, 2), vec![], Some(root.clone()));
    let answer = server.push_manifest("team/app", "none", media_type::OCI_MANIFEST, &serde_json::to_vec(&none).unwrap()).await;
    assert_eq!((answer.status, answer.header("oci-subject")), (201, root.digest.to_string().as_str()), "{}", answer.text());
    assert_eq!(answer.header("location"), format!("/v2/team/app/manifests/{}", answer.header("docker-content-digest")));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_manifests_are_refused() {
    let server = Server::start().await;
    let config = Descriptor::new(media_type::OCI_CONFIG, server.push_blob("a/b", b"{}").await, 2);
    let layer = Descriptor::new(media_type::OCI_LAYER, server.push_blob("a/b", b"layer").await, 5);
    let json = |manifest: &Manifest| serde_json::to_vec(manifest).unwrap();
    let good = json(&manifest(config.clone(), vec![layer.clone()], None));
    let put = async |reference: &str, media_type: &str, bytes: &[u8]| server.push_manifest("a/b", reference, media_type, bytes).await;

    put("1", media_type::OCI_INDEX, &good).await.fails(400, "MANIFEST_INVALID");
    put("1", "application/json", &good).await.fails(400, "MANIFEST_INVALID");
    put("1", media_type::OCI_MANIFEST, b"{").await.fails(400, "MANIFEST_INVALID");
    put("1", media_type::OCI_MANIFEST, b"").await.fails(400, "MANIFEST_INVALID");
    let both = String::from_utf8(good.clone()).unwrap().replacen('{', r#"{"manifests":[],"#, 1);
    put("1", media_type::OCI_MANIFEST, both.as_bytes()).await.fails(400, "MANIFEST_INVALID");
    let twice = String::from_utf8(good.clone()).unwrap().replacen('{', r#"{"schemaVersion":2,"#, 1);
    put("1", media_type::OCI_MANIFEST, twice.as_bytes()).await.fails(400, "MANIFEST_INVALID");
    let old = put("1", "application/vnd.docker.distribution.manifest.v1+prettyjws", br#"{"schemaVersion":1,"fsLayers":[]}"#).await;
    old.fails(400, "MANIFEST_INVALID");
    assert!(old.text().contains("schema 1"), "{}", old.text());
    put(&nowhere().to_string(), media_type::OCI_MANIFEST, &good).await.fails(400, "DIGEST_INVALID");
    put("-bad-tag", media_type::OCI_MANIFEST, &good).await.fails(400, "MANIFEST_INVALID");

    let missing = Descriptor::new(media_type::OCI_LAYER, nowhere(), 5);
    put("1", media_type::OCI_MANIFEST, &json(&manifest(config.clone(), vec![missing], None))).await.fails(404, "MANIFEST_BLOB_UNKNOWN");
    let longer = Descriptor { size: 6, ..layer.clone() };
    put("1", media_type::OCI_MANIFEST, &json(&manifest(config.clone(), vec![longer], None))).await.fails(404, "MANIFEST_BLOB_UNKNOWN");
    let large = vec![b' '; usize::try_from(MAX_MANIFEST).unwrap() + 1];
    put("1", media_type::OCI_MANIFEST, &large).await.fails(413, "SIZE_INVALID");
    server.get("/v2/a/b/manifests/1").await.fails(404, "MANIFEST_UNKNOWN");
    assert!(server.store.images().unwrap().is_empty(), "nothing of it was kept");

    assert_eq!(put("1", "application/vnd.oci.image.manifest.v1+json; charset=utf-8", &good).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_upload_goes_on_where_it_ended() {
    let server = Server::start().await;
    let bytes = images::noise(4 << 20, 5);
    let location = begin(&server, "a/b").await;
    let mut broken = TcpStream::connect(&server.address).await.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", bytes.len());
    broken.write_all(head.as_bytes()).await.unwrap();
    broken.write_all(&bytes[..3 << 20]).await.unwrap();
    broken.shutdown().await.unwrap();
    let _ = broken.read_to_end(&mut Vec::new()).await;
    drop(broken);
    let status = server.get(&location).await;
    let held: usize = status.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert_eq!(held, 3 << 20, "all that came is kept");
    let range = format!("{held}-{}", bytes.len() - 1);
    let rest = server.send("PATCH", &location, &[("content-range", &range)], &bytes[held..]).await;
    assert_eq!(rest.status, 202, "{}", rest.text());
    let done = server.send("PUT", &format!("{location}?digest={}", Digest::of(&bytes)), &[], []).await;
    stored(&server, &done, "a/b", &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_push_survives_a_prune_by_another_process() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    let plan = plan(&memory, &root, &Select::All).unwrap();
    for blob in &plan.blobs {
        server.push_blob("team/app", &nacre_oci::read_small(&memory, blob, u64::MAX).unwrap()).await;
    }
    let half = begin(&server, "team/app").await;
    assert_eq!(server.send("PATCH", &half, &[], b"half of it").await.status, 202);
    let other = Store::open(server.store.root()).unwrap();
    prune(&other);
    let raw = &plan.documents[0];
    let answer = server.push_manifest("team/app", "1", &raw.descriptor.media_type, &raw.bytes).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(server.get(&half).await.header("range"), "0-9");
    // With its manifest there the image alone keeps them: once it is gone a prune frees all.
    assert_eq!(server.send("DELETE", &format!("/v2/team/app/manifests/{}", root.digest), &[], []).await.status, 202);
    prune(&other);
    for blob in &plan.blobs {
        server.get(&format!("/v2/team/app/blobs/{}", blob.digest)).await.fails(404, "BLOB_UNKNOWN");
    }
}

/// Ends the pruner, also where the test fails.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_push_at_once_while_another_process_prunes() {
    let server = Server::start().await;
    let other = Store::open(server.store.root()).unwrap();
    let done = Done(Arc::default());
    let stop = Arc::clone(&done.0);
    let pruner = tokio::task::spawn_blocking(move || {
        while !stop.load(Ordering::Relaxed) {
            prune(&other);
        }
    });
    let shared = images::layer("shared", &images::noise(100_000, 1));
    let push = async |n: u64| {
        let memory = Memory::new();
        let layers = vec![shared.clone(), images::layer("own", &images::noise(50_000, 2 + n % 4))];
        let created = format!("2026-01-02T03:04:{n:02}Z");
        let root = images::image(&memory, &Recipe { layers, created: &created, ..Recipe::default() });
        server.push_image(&memory, &root, "team/app", &n.to_string()).await;
        root
    };
    let roots = futures_util::future::join_all((0..16).map(push)).await;
    drop(done);
    pruner.await.unwrap();
    for root in roots {
        nacre_oci::validate(&server.store, &root, &Select::All).unwrap();
    }
}

/// A prune without any decision: garbage only.
fn prune(store: &Store) {
    let plan = store.plan(Vec::new()).unwrap();
    store.apply(&plan).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_changes_nothing() {
    let server = Server::read_only().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    server.place(&memory, &root, "docker.io/team/app:1");
    let manifest = format!("/v2/team/app/manifests/{}", root.digest);
    for (method, path) in [("POST", "/v2/team/app/blobs/uploads/"), ("PUT", "/v2/team/app/manifests/2"), ("DELETE", &manifest)] {
        server.send(method, path, &[], []).await.fails(405, "UNSUPPORTED");
    }
    assert_eq!(server.get(&manifest).await.status, 200);
}
