//! Content management: deleting tags, manifests and blobs.

use nacre_oci::{Memory, Select, plan};
use nacre_tests::images::{self, Recipe};
use serde_json::json;

use crate::harness::{Server, nowhere};

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_goes_and_its_image_stays_until_its_digest_goes_too() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    server.push_image(&memory, &root, "team/app", "1").await;
    let by_digest = format!("/v2/team/app/manifests/{}", root.digest);
    let delete = async |path: &str| server.send("DELETE", path, &[], []).await;

    assert_eq!(delete("/v2/team/app/manifests/1").await.status, 202);
    server.get("/v2/team/app/manifests/1").await.fails(404, "MANIFEST_UNKNOWN");
    delete("/v2/team/app/manifests/1").await.fails(404, "MANIFEST_UNKNOWN");
    assert_eq!(server.get(&by_digest).await.status, 200);
    assert_eq!(delete(&by_digest).await.status, 202);
    server.get(&by_digest).await.fails(404, "MANIFEST_UNKNOWN");
    delete(&by_digest).await.fails(404, "MANIFEST_UNKNOWN");
    assert_eq!(server.get("/v2/team/app/tags/list").await.json(), json!({ "name": "team/app", "tags": [] }));
    assert_eq!(server.get("/v2/_catalog").await.json()["repositories"], json!([]));
    delete("/v2/team/app/manifests/sha256:x").await.fails(400, "DIGEST_INVALID");
    delete("/v2/team/app/manifests/.x").await.fails(404, "MANIFEST_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_goes_with_all_its_tags_but_only_in_its_repository() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    for name in ["docker.io/team/app:1", "docker.io/team/app:2", "docker.io/team/copy:1"] {
        server.place(&memory, &root, name);
    }
    assert_eq!(server.send("DELETE", &format!("/v2/team/app/manifests/{}", root.digest), &[], []).await.status, 202);
    server.get("/v2/team/app/manifests/1").await.fails(404, "MANIFEST_UNKNOWN");
    server.get("/v2/team/app/manifests/2").await.fails(404, "MANIFEST_UNKNOWN");
    server.get(&format!("/v2/team/app/manifests/{}", root.digest)).await.fails(404, "MANIFEST_UNKNOWN");
    assert_eq!(server.get("/v2/team/copy/manifests/1").await.status, 200);
    nacre_oci::validate(&server.store, &root, &Select::All).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_need_stays() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    server.push_image(&memory, &root, "team/app", "1").await;
    let parts = plan(&memory, &root, &Select::All).unwrap();
    let blob = |n: usize| format!("/v2/team/app/blobs/{}", parts.blobs[n].digest);
    let manifest = |n: usize| format!("/v2/team/app/manifests/{}", parts.documents[n].descriptor.digest);
    let delete = async |path: &str| server.send("DELETE", path, &[], []).await;

    delete(&blob(0)).await.fails(405, "UNSUPPORTED");
    delete(&manifest(0)).await.fails(405, "UNSUPPORTED");
    server.store.pin(&root.digest, true).unwrap();
    assert_eq!(delete("/v2/team/app/manifests/1").await.status, 202);
    delete(&manifest(2)).await.fails(405, "UNSUPPORTED");
    nacre_oci::validate(&server.store, &root, &Select::All).unwrap();
    server.store.pin(&root.digest, false).unwrap();
    assert_eq!(delete(&manifest(2)).await.status, 202);
    delete(&manifest(1)).await.fails(404, "MANIFEST_UNKNOWN");
    assert!(server.store.images().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_nothing_needs_goes() {
    let server = Server::start().await;
    let digest = server.push_blob("team/app", b"nobody needs it").await;
    let path = format!("/v2/team/app/blobs/{digest}");
    assert_eq!(server.send("HEAD", &path, &[], []).await.status, 200);
    assert_eq!(server.send("DELETE", &path, &[], []).await.status, 202);
    server.get(&path).await.fails(404, "BLOB_UNKNOWN");
    server.send("DELETE", &path, &[], []).await.fails(404, "BLOB_UNKNOWN");
    server.send("DELETE", &format!("/v2/team/app/blobs/{}", nowhere()), &[], []).await.fails(404, "BLOB_UNKNOWN");
}
