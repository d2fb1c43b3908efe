//! Pull: manifests and blobs are read as they were stored.

use nacre_oci::{Memory, Options, Select, Silent, copy, media_type, plan, read_small};
use nacre_tests::images::{self, Recipe};

use crate::harness::{Server, nowhere};

#[tokio::test(flavor = "multi_thread")]
async fn the_base_says_which_protocol() {
    let server = Server::start().await;
    for path in ["/v2/", "/v2"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    }
    server.get("/v1/_ping").await.text().parse::<serde_json::Value>().unwrap();
    for path in ["/", "/v2/x", "/v2/a/b/c", "/v3/", "/v2/a/nonsense/x"] {
        server.get(path).await.fails(404, "NAME_UNKNOWN");
    }
    server.send("POST", "/v2/", &[], []).await.fails(405, "UNSUPPORTED");
    server.send("DELETE", "/v2/a/tags/list", &[], []).await.fails(405, "UNSUPPORTED");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_come_by_tag_and_digest_byte_for_byte() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    server.place(&memory, &root, "docker.io/library/busybox:1");
    let bytes = read_small(&memory, &root, u64::MAX).unwrap();
    let digest = root.digest.to_string();
    for path in ["busybox/manifests/1".to_owned(), "library/busybox/manifests/1".into(), format!("busybox/manifests/{digest}")] {
        for method in ["GET", "HEAD"] {
            let answer = server.send(method, &format!("/v2/{path}"), &[], []).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.header("content-type"), media_type::OCI_INDEX);
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.header("content-length"), bytes.len().to_string());
            assert!(answer.body == if method == "GET" { bytes.as_slice() } else { b"" });
        }
    }
    for raw in plan(&memory, &root, &Select::All).unwrap().documents {
        let child = server.get(&format!("/v2/busybox/manifests/{}", raw.descriptor.digest)).await;
        assert!(child.status == 200 && child.body == raw.bytes);
        assert_eq!(child.header("content-type"), raw.descriptor.media_type);
    }
    let tag = format!("\"{digest}\"");
    let again = server.send("GET", "/v2/busybox/manifests/1", &[("if-none-match", &tag)], []).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_says_so() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    server.place(&memory, &root, "docker.io/team/app:1");
    server.get("/v2/team/app/manifests/2").await.fails(404, "MANIFEST_UNKNOWN");
    server.get("/v2/team/app/manifests/.INVALID_MANIFEST_NAME").await.fails(404, "MANIFEST_UNKNOWN");
    server.get(&format!("/v2/team/app/manifests/{}", nowhere())).await.fails(404, "MANIFEST_UNKNOWN");
    server.get(&format!("/v2/team/other/manifests/{}", root.digest)).await.fails(404, "MANIFEST_UNKNOWN");
    server.get("/v2/team/app/manifests/sha256:abc").await.fails(400, "DIGEST_INVALID");
    server.get(&format!("/v2/team/app/blobs/{}", nowhere())).await.fails(404, "BLOB_UNKNOWN");
    server.get("/v2/team/app/blobs/sha256:..%2F..%2Fmeta.db").await.fails(404, "NAME_UNKNOWN");
    server.get(&format!("/v2/team/app/blobs/{}", nowhere().to_string().to_uppercase())).await.fails(400, "DIGEST_INVALID");
    server.get("/v2/team/App/manifests/1").await.fails(400, "NAME_INVALID");
    let head = server.send("HEAD", "/v2/team/app/manifests/2", &[], []).await;
    assert_eq!((head.status, head.body.len()), (404, 0));
    let layer = read_small(&memory, &root, u64::MAX).unwrap();
    assert!(server.get(&format!("/v2/team/app/manifests/{}", root.digest)).await.body == layer);
    // A blob's digest names no manifest.
    let config = plan(&memory, &root, &Select::All).unwrap().blobs[0].digest.clone();
    server.get(&format!("/v2/team/app/manifests/{config}")).await.fails(404, "MANIFEST_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_come_whole_and_in_parts() {
    let server = Server::start().await;
    let noise = images::noise(3_000_001, 7);
    let digest = server.push_blob("a/b", &noise).await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let whole = server.get(&path).await;
    assert!(whole.status == 200 && whole.body == noise);
    assert_eq!((whole.header("docker-content-digest"), whole.header("accept-ranges")), (digest.to_string().as_str(), "bytes"));
    let head = server.send("HEAD", &path, &[], []).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "3000001", 0));
    let escaped = server.get(&path.replace("sha256:", "sha256%3A")).await;
    assert!(escaped.status == 200 && escaped.body == noise);
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1000000-", 1_000_000, 3_000_001),
        ("bytes=-5", 2_999_996, 3_000_001),
        ("bytes=7-99999999", 7, 3_000_001),
    ] {
        let part = server.send("GET", &path, &[("range", range)], []).await;
        assert!(part.status == 206 && part.body == noise[from..to], "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/3000001", to - 1));
    }
    let beyond = server.send("GET", &path, &[("range", "bytes=3000001-")], []).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */3000001"));
    let changed = server.send("GET", &path, &[("range", "bytes=0-0"), ("if-range", "\"other\"")], []).await;
    assert!(changed.status == 200 && changed.body == noise);
    let empty = server.push_blob("a/b", b"").await;
    let answer = server.get(&format!("/v2/a/b/blobs/{empty}")).await;
    assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, "0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_one_platform_is_served_as_it_is() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    let select = Select::Platforms(vec!["linux/arm64".parse().unwrap()]);
    let options = Options { select, parallel: 1, progress: &Silent };
    copy(&memory, &server.store, &root, &["ghcr.io/o/r:1".into()], &options).unwrap();
    let index = server.get("/v2/ghcr.io/o/r/manifests/1").await;
    assert!(index.status == 200 && index.body == read_small(&memory, &root, u64::MAX).unwrap());
    let children = index.json()["manifests"].as_array().unwrap().clone();
    let child = |n: usize| format!("/v2/ghcr.io/o/r/manifests/{}", children[n]["digest"].as_str().unwrap());
    let missing = server.get(&child(0)).await;
    missing.fails(404, "MANIFEST_UNKNOWN");
    assert!(missing.text().contains("index"), "the message says why: {}", missing.text());
    assert_eq!(server.get(&child(1)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_outlives_its_tag_until_a_prune() {
    let server = Server::start().await;
    let memory = Memory::new();
    let old = images::image(&memory, &Recipe::default());
    let new = images::image(&memory, &Recipe { created: "2026-02-02T03:04:05Z", ..Recipe::default() });
    server.place(&memory, &old, "docker.io/team/app:1");
    server.place(&memory, &new, "docker.io/team/app:1");
    assert_eq!(server.get(&format!("/v2/team/app/manifests/{}", old.digest)).await.status, 200);
    assert_eq!(server.get("/v2/team/app/manifests/1").await.header("docker-content-digest"), new.digest.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_a_download_end() {
    let server = Server::start().await;
    let noise = images::noise(32 << 20, 7);
    let digest = server.push_blob("a/b", &noise).await;
    let download = server.open(&format!("/v2/a/b/blobs/{digest}")).await;
    let address = server.address.clone();
    let (body, _folder) = tokio::join!(download.bytes(), server.stop());
    assert!(body.unwrap() == noise);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_are_logged_and_recorded_as_use() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    server.place(&memory, &root, "docker.io/team/app:1");
    assert_eq!(server.send("HEAD", "/v2/team/app/manifests/1", &[], []).await.status, 200);
    assert_eq!(server.get("/v2/team/app/manifests/1").await.status, 200);
    assert!(server.log.lock().unwrap().iter().any(|line| line.starts_with("GET /v2/team/app/manifests/1 200 ")));
    let store = server.store.clone();
    assert_eq!(store.image(&root.digest).unwrap().unwrap().last_used, None);
    let _folder = server.stop().await;
    assert!(store.image(&root.digest).unwrap().unwrap().last_used.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_a_limit() {
    let server = Server::start().await;
    let long = "x".repeat(80 << 10);
    assert_eq!(server.send("GET", "/v2/", &[("x-long", &long)], []).await.status, 431);
    let many: Vec<(String, &str)> = (0..200).map(|n| (format!("x-{n}"), "y")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(server.send("GET", "/v2/", &many, []).await.status, 431);
}
