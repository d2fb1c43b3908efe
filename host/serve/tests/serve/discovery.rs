//! Content discovery: tags, catalog, referrers and search.

use nacre_oci::{Descriptor, Digest, Manifest, Memory, media_type};
use nacre_tests::images::{self, Recipe};
use serde_json::{Value, json};

use crate::harness::{Server, nowhere};

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_listed_in_pages() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    for tag in ["b", "a", "C", "1.0", "1"] {
        server.place(&memory, &root, &format!("docker.io/team/app:{tag}"));
    }
    let all = server.get("/v2/team/app/tags/list").await;
    assert_eq!(all.json(), json!({ "name": "team/app", "tags": ["1", "1.0", "C", "a", "b"] }));
    assert_eq!(all.header("link"), "");
    let mut path = "/v2/team/app/tags/list?n=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path).await;
        let tags = page.json()["tags"].as_array().unwrap().clone();
        assert!((1..=2).contains(&tags.len()));
        seen.extend(tags);
        let Some(next) = page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else { break };
        path = next.to_owned();
    }
    assert_eq!(Value::from(seen), json!(["1", "1.0", "C", "a", "b"]));
    assert_eq!(server.get("/v2/team/app/tags/list?n=0").await.json()["tags"], json!([]));
    assert_eq!(server.get("/v2/team/app/tags/list?last=C&n=1").await.json()["tags"], json!(["a"]));
    server.get("/v2/team/app/tags/list?n=x").await.fails(400, "PAGINATION_NUMBER_INVALID");
    server.get("/v2/team/other/tags/list").await.fails(404, "NAME_UNKNOWN");
    server.get("/v2/team/App/tags/list").await.fails(400, "NAME_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_shows_familiar_names() {
    let server = Server::start().await;
    assert_eq!(server.get("/v2/_catalog").await.json(), json!({ "repositories": [] }));
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    for name in ["docker.io/library/busybox:1", "docker.io/library/busybox:2", "ghcr.io/o/r:1", "docker.io/team/app:1"] {
        server.place(&memory, &root, name);
    }
    assert_eq!(server.get("/v2/_catalog").await.json(), json!({ "repositories": ["busybox", "ghcr.io/o/r", "team/app"] }));
    let page = server.get("/v2/_catalog?n=1&last=busybox").await;
    assert_eq!(page.json(), json!({ "repositories": ["ghcr.io/o/r"] }));
    assert_eq!(page.header("link"), "</v2/_catalog?n=1&last=ghcr.io/o/r>; rel=\"next\"");
}

/// Pushes something about `subject` and returns its descriptor.
async fn attach(server: &Server, repository: &str, subject: &Descriptor, artifact_type: &str) -> Descriptor {
    let config = server.push_blob(repository, b"{}").await;
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: Some(artifact_type.into()),
        config: Descriptor::new("application/vnd.oci.empty.v1+json", config, 2),
        layers: vec![],
        subject: Some(subject.clone()),
        annotations: [("org.example.kind".to_owned(), artifact_type.to_owned())].into(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let digest = Digest::of(&bytes);
    let answer = server.push_manifest(repository, &digest.to_string(), media_type::OCI_MANIFEST, &bytes).await;
    assert_eq!((answer.status, answer.header("oci-subject")), (201, subject.digest.to_string().as_str()), "{}", answer.text());
    Descriptor::new(media_type::OCI_MANIFEST, digest, bytes.len() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_found_filtered_and_forgotten() {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe::default());
    let list = format!("/v2/team/app/referrers/{}", root.digest);
    let digests = |index: &Value| -> Vec<String> {
        index["manifests"].as_array().unwrap().iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
    };
    let none = server.get(&list).await;
    assert_eq!((none.status, none.header("content-type")), (200, media_type::OCI_INDEX));
    assert_eq!(none.json(), json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [] }));

    // The subject need not be there first.
    let signature = attach(&server, "team/app", &root, "application/vnd.example.signature").await;
    let sbom = attach(&server, "team/app", &root, "application/vnd.example.sbom").await;
    attach(&server, "team/other", &root, "application/vnd.example.elsewhere").await;
    server.push_image(&memory, &root, "team/app", "1").await;
    let all = server.get(&list).await.json();
    let mut wanted = vec![signature.digest.to_string(), sbom.digest.to_string()];
    wanted.sort();
    assert_eq!(digests(&all), wanted);
    let filtered = server.get(&format!("{list}?artifactType=application/vnd.example.sbom")).await;
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let one = &filtered.json()["manifests"][0];
    assert_eq!((one["artifactType"].as_str(), one["size"].as_u64()), (Some("application/vnd.example.sbom"), Some(sbom.size)));
    assert_eq!(one["annotations"]["org.example.kind"], "application/vnd.example.sbom");
    assert_eq!(digests(&filtered.json()), [sbom.digest.to_string()]);

    assert_eq!(server.send("DELETE", &format!("/v2/team/app/manifests/{}", sbom.digest), &[], []).await.status, 202);
    assert_eq!(digests(&server.get(&list).await.json()), [signature.digest.to_string()]);
    assert_eq!(server.get(&format!("/v2/team/app/referrers/{}", nowhere())).await.status, 200);
    server.get("/v2/team/app/referrers/sha256:x").await.fails(400, "DIGEST_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn search_ranks_and_describes() {
    let server = Server::start().await;
    let memory = Memory::new();
    let label = [("org.opencontainers.image.description", "Small \u{1b}[31mtools")];
    let described = images::image(&memory, &Recipe { labels: &label, ..Recipe::default() });
    let plain = images::image(&memory, &Recipe::default());
    server.place(&memory, &described, "docker.io/library/busybox:latest");
    server.place(&memory, &plain, "docker.io/library/busybox:z");
    for name in ["docker.io/team/busybox:1", "ghcr.io/o/busybox:1", "docker.io/library/busybox-extra:1", "docker.io/library/alpine:1"] {
        server.place(&memory, &plain, name);
    }
    let found = server.get("/v1/search?q=busybox&n=10").await.json();
    let names: Vec<&str> = found["results"].as_array().unwrap().iter().map(|hit| hit["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["busybox", "busybox-extra", "ghcr.io/o/busybox", "team/busybox"]);
    assert_eq!((&found["query"], &found["num_results"]), (&json!("busybox"), &json!(4)));
    let best = json!({ "name": "busybox", "description": label[0].1, "star_count": 0, "is_official": true, "is_automated": false });
    assert_eq!(found["results"][0], best);
    assert_eq!(found["results"][3]["is_official"], false);
    assert_eq!(server.get("/v1/search?q=library/BUSYBOX&n=1").await.json()["num_results"], 1);
    assert_eq!(server.get("/v1/search?q=nothing").await.json()["results"], json!([]));
    assert_eq!(server.get("/v1/search").await.json()["num_results"], 5);
    server.get("/v1/search?q=x&n=many").await.fails(400, "PAGINATION_NUMBER_INVALID");
}
