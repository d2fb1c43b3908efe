//! Huge blobs take little memory. Alone in a process of its own, because the peak is the whole process's.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../serve/harness.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod harness;

use bytes::Bytes;
use futures_util::StreamExt;
use nacre_oci::{Algorithm, Digest, Hasher};

use crate::harness::Server;

const MIB: usize = 1 << 20;
const SIZE: usize = 192 * MIB;
/// For the server, the client and all their buffers.
const ROOM: usize = 48 * MIB;

/// The most memory that the process has had so far.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn zeros() -> impl Iterator<Item = Bytes> {
    std::iter::repeat_n(Bytes::from(vec![0; MIB]), SIZE / MIB)
}

fn digest() -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    zeros().for_each(|part| hasher.update(&part));
    hasher.digest()
}

async fn pushes_and_pulls(server: &Server) {
    let digest = digest();
    let location = server.send("POST", "/v2/a/b/blobs/uploads/", &[], []).await.header("location").to_owned();
    let patched = server.stream("PATCH", &location, zeros()).await;
    assert_eq!((patched.status, patched.header("range")), (202, format!("0-{}", SIZE - 1).as_str()), "{}", patched.text());
    let put = server.send("PUT", &format!("{location}?digest={digest}"), &[], []).await;
    assert_eq!(put.status, 201, "{}", put.text());
    let mut body = server.open(&format!("/v2/a/b/blobs/{digest}")).await.bytes_stream();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while let Some(part) = body.next().await {
        hasher.update(&part.unwrap());
    }
    assert_eq!(hasher.digest(), digest);
}

#[test]
fn a_huge_blob_takes_little_memory_in_and_out() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start().await;
        let before = peak();
        pushes_and_pulls(&server).await;
        let grown = peak() - before;
        assert!(grown < ROOM, "{} MiB for {} MiB", grown / MIB, SIZE / MIB);
    });
}
