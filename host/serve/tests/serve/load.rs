//! Load: many clients at once, slow ones, clients that leave in the middle, and a prune during all that.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nacre_oci::{Descriptor, Digest, Select, media_type};
use nacre_serve::Limits;
use nacre_store::Store;
use nacre_tests::images::noise;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{spawn_blocking, yield_now},
};

use crate::{harness::Server, samples::EMPTY};

const MIB: usize = 1 << 20;
/// No test waits for so long; who would is wrong.
const NEVER: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(200);

/// Limits of which a test makes some strict.
fn patient() -> Limits {
    Limits { head: NEVER, stall: NEVER, idle: NEVER, unfinished: NEVER, ..Limits::default() }
}

async fn connect(server: &Server, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// What comes until the server ends the connection.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The status line of an answer, of whose connection nothing else is expected.
async fn status(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

async fn begin(server: &Server) -> String {
    let begun = server.send("POST", "/v2/a/b/blobs/uploads/", &[], []).await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    begun.header("location").to_owned()
}

/// Waits until something is so.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !so().await {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A manifest of one layer.
async fn push(server: &Server, tag: &str, layer: &Digest, size: usize) -> Descriptor {
    let config = server.push_blob("a/b", b"{}").await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "artifactType": "application/vnd.example.kind",
        "config": { "mediaType": EMPTY, "digest": config, "size": 2 },
        "layers": [{ "mediaType": "application/octet-stream", "digest": layer, "size": size }],
    });
    let bytes = manifest.to_string().into_bytes();
    let answer = server.push_manifest("a/b", tag, media_type::OCI_MANIFEST, &bytes).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    Descriptor::new(media_type::OCI_MANIFEST, Digest::of(&bytes), bytes.len() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_push_and_pull_at_once() {
    let server = Server::start().await;
    let client = async |n: usize| {
        let layer = noise(20_000, n as u64);
        let location = begin(&server).await;
        assert_eq!(server.send("PATCH", &location, &[], layer.clone()).await.status, 202);
        let digest = Digest::of(&layer);
        assert_eq!(server.send("PUT", &format!("{location}?digest={digest}"), &[], []).await.status, 201);
        let root = push(&server, &format!("t{n}"), &digest, layer.len()).await;
        let manifest = server.get(&format!("/v2/a/b/manifests/t{n}")).await;
        assert_eq!(manifest.header("docker-content-digest"), root.digest.to_string());
        assert!(server.get(&format!("/v2/a/b/blobs/{digest}")).await.body == layer);
        root
    };
    let roots = join_all((0..200).map(client)).await;
    for root in &roots {
        nacre_oci::validate(&server.store, root, &Select::All).unwrap();
    }
    assert_eq!(server.get("/v2/a/b/tags/list").await.json()["tags"].as_array().unwrap().len(), 200);
    assert_eq!(server.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_share_a_few_connections() {
    let server = Server::limited(Limits { connections: 8, idle: Duration::ZERO, ..patient() }).await;
    let digest = server.place_blob(&noise(10_000, 1));
    let request = format!("GET /v2/a/b/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    // They keep their connections, though they never use them again.
    let client = async |_| {
        let mut stream = connect(&server, &request).await;
        assert_eq!(status(&mut stream).await, "HTTP/1.1 200 OK\r\n");
        stream
    };
    let kept = join_all((0..200).map(client)).await;
    assert_eq!(kept.len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_no_request_is_cut_off() {
    let server = Server::limited(Limits { connections: 1, head: SOON, ..patient() }).await;
    for head in ["", "GET /v2/ HT", "GET /v2/ HTTP/1.1\r\nhost: x\r\nx-"] {
        let _slow = connect(&server, head).await;
        assert_eq!(server.get("/v2/").await.status, 200, "after '{head}'");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_byte_now_and_then_is_cut_off() {
    let server = Server::limited(Limits { connections: 1, stall: SOON, head: SOON, ..patient() }).await;
    let size = 64 * MIB;
    let digest = server.place_blob(&vec![0; size]);
    let mut slow = connect(&server, &format!("GET /v2/a/b/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert_eq!(status(&mut slow).await, "HTTP/1.1 200 OK\r\n");
    // There is only one place, so whoever comes next is answered once the slow one is gone.
    let mut next = pin!(server.get("/v2/"));
    let answered = loop {
        tokio::select! {
            answered = &mut next => break answered,
            () = tokio::time::sleep(Duration::from_millis(5)) => drop(slow.read_u8().await),
        }
    };
    assert_eq!(answered.status, 200);
    // What lay in the system's buffers comes in any case; the end does not.
    assert!(answer(&mut slow).await.len() < size - MIB, "all came");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_stops_nobody() {
    let server = Server::limited(patient()).await;
    let digest = server.place_blob(&vec![0; 16 * MIB]);
    let path = format!("/v2/a/b/blobs/{digest}");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let slow = join_all((0..64).map(|_| connect(&server, &request))).await;
    let write = format!("PATCH {} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n", begin(&server).await);
    let _stuck = connect(&server, &write).await;
    assert_eq!(server.get(&path).await.body.len(), 16 * MIB);
    assert_eq!(server.send("HEAD", &path, &[], []).await.status, 200);
    server.push_blob("a/b", b"a push").await;
    drop(slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_byte_now_and_then_is_cut_off_and_can_go_on() {
    let server = Server::limited(Limits { stall: SOON, min_rate: 1_000_000, ..patient() }).await;
    let location = begin(&server).await;
    let slow = connect(&server, &format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")).await;
    let (mut from, mut to) = slow.into_split();
    let drip = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes).await;
    drip.abort();
    let told = String::from_utf8_lossy(&bytes).into_owned();
    assert!(told.starts_with("HTTP/1.1 408 ") && told.contains("BLOB_UPLOAD_INVALID"), "{told}");
    // It goes on after what came.
    let status = server.get(&location).await;
    let held: usize = status.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    let range = format!("{held}-{}", held + 4);
    assert_eq!(server.send("PATCH", &location, &[("content-range", &range)], b"bytes").await.status, 202);
    let digest = Digest::of(&[&vec![b'x'; held][..], b"bytes"].concat());
    let put = server.send("PUT", &format!("{location}?digest={digest}"), &[], []).await;
    assert_eq!(put.status, 201, "{}", put.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_manifest_slowly_is_cut_off() {
    let server = Server::limited(Limits { stall: SOON, ..patient() }).await;
    let mut slow = connect(&server, "PUT /v2/a/b/manifests/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await;
    let told = answer(&mut slow).await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_hears_why_although_it_was_sending() {
    let server = Server::start().await;
    let location = begin(&server).await;
    let len = 3 * MIB;
    let range = format!("10-{}", len + 9);
    let head =
        format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-range: {range}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n");
    let mut client = connect(&server, &head).await;
    client.write_all(&vec![0; len]).await.unwrap();
    let told = answer(&mut client).await;
    assert!(told.starts_with("HTTP/1.1 416 ") && told.contains("range: 0-0\r\n"), "{told}");
    // Who asks first need not send at all.
    let head = head.replace("connection: close", "expect: 100-continue");
    let mut client = connect(&server, &head).await;
    assert!(status(&mut client).await.starts_with("HTTP/1.1 416 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_the_request_that_writes() {
    let server = Server::limited(patient()).await;
    let location = begin(&server).await;
    let mut writer = connect(&server, &format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 100 * MIB)).await;
    writer.write_all(&vec![0; 2 * MIB]).await.unwrap();
    until(async || server.get(&location).await.header("range") != "0-0").await;
    server.send("PATCH", &location, &[], b"another").await.fails(409, "BLOB_UPLOAD_INVALID");
    assert_eq!(server.send("DELETE", &location, &[], []).await.status, 204);
    assert_eq!(server.unfinished(), 0);
    assert!(status(&mut writer).await.starts_with("HTTP/1.1 404 "));
    server.get(&location).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_leaves_nothing() {
    let server = Server::limited(patient()).await;
    let digest = Digest::of(b"never");
    let head = format!("POST /v2/a/b/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 100 * MIB);
    let mut client = connect(&server, &head).await;
    client.write_all(&vec![0; 2 * MIB]).await.unwrap();
    until(async || server.unfinished() == 1).await;
    drop(client);
    until(async || server.unfinished() == 0).await;
    server.get(&format!("/v2/a/b/blobs/{digest}")).await.fails(404, "BLOB_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_goes_on_with_is_thrown_away() {
    let server = Server::limited(Limits { unfinished: Duration::from_millis(50), ..patient() }).await;
    let location = begin(&server).await;
    until(async || server.unfinished() == 0).await;
    server.get(&location).await.fails(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_cuts_off_who_only_sits_there() {
    let server = Server::limited(patient()).await;
    let mut idle = connect(&server, "GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(status(&mut idle).await, "HTTP/1.1 200 OK\r\n");
    let _silent = connect(&server, "").await;
    let start = Instant::now();
    let _folder = server.stop().await;
    assert!(start.elapsed() < Duration::from_secs(9), "it waited for clients that wanted nothing");
    assert!(answer(&mut idle).await.ends_with("{}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_in_chunks_survive_prunes_by_this_and_another_process() {
    let server = Server::start().await;
    let other = Store::open(server.store.root()).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let pruner = spawn_blocking(move || {
        while !stop.load(Ordering::Relaxed) {
            other.apply(&other.plan(Vec::new()).unwrap()).unwrap();
        }
    });
    let client = async |n: u64| {
        let layer = noise(5000, n);
        let location = begin(&server).await;
        for (chunk, at) in layer.chunks(1000).zip((0..).step_by(1000)) {
            let range = format!("{at}-{}", at + chunk.len() - 1);
            let patched = server.send("PATCH", &location, &[("content-range", &range)], chunk).await;
            assert_eq!(patched.status, 202, "{}", patched.text());
            yield_now().await;
        }
        let digest = Digest::of(&layer);
        let put = server.send("PUT", &format!("{location}?digest={digest}"), &[], []).await;
        assert_eq!(put.status, 201, "{}", put.text());
        server.store.apply(&server.store.plan(Vec::new()).unwrap()).unwrap();
        push(&server, &format!("t{n}"), &digest, layer.len()).await
    };
    let roots = join_all((0..12).map(client)).await;
    done.store(true, Ordering::Relaxed);
    pruner.await.unwrap();
    for root in roots {
        nacre_oci::validate(&server.store, &root, &Select::All).unwrap();
    }
}
