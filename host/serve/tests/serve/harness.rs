//! A server on a free port over a store in a temporary folder, and a plain HTTP client.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use nacre_oci::{Descriptor, Digest, Memory, Select, copy};
use nacre_serve::{Limits, Options};
use nacre_store::Store;
use nacre_tests::conformance::everything;
use reqwest::{Body, Client, Method};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub(crate) struct Server {
    /// Goes first: a server that is shutting down would write into it while it is being deleted.
    folder: TempDir,
    pub(crate) address: String,
    pub(crate) store: Store,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    client: Client,
    stop: oneshot::Sender<()>,
    task: JoinHandle<nacre_oci::Result<()>>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    headers: reqwest::header::HeaderMap,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(false, Limits::default()).await
    }

    pub(crate) async fn read_only() -> Self {
        Self::with(true, Limits::default()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        Self::with(false, limits).await
    }

    async fn with(read_only: bool, limits: Limits) -> Self {
        let folder = TempDir::with_prefix("nacre-serve-").unwrap();
        let store = Store::open(&folder.path().join("root")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&log);
        let options = Options { read_only, log: Some(Arc::new(move |line: &str| hears.lock().unwrap().push(line.to_owned()))) };
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { stopped.await.unwrap_or(()) };
        let task = tokio::spawn(nacre_serve::Server::with_limits(store.clone(), options, limits).unwrap().run(listener, shutdown));
        // Plain HTTP only; but the client wants to know how it would encrypt.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { folder, address, store, log, client, stop, task }
    }

    /// Shuts down and waits for it; the store's folder is left.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        self.folder
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        self.exchange(method, path, headers, body.into()).await
    }

    /// Sends a body of unknown length.
    pub(crate) async fn stream(&self, method: &str, path: &str, parts: impl Iterator<Item = Bytes> + Send + 'static) -> Answer {
        let parts = futures_util::stream::iter(parts.map(Ok::<_, Infallible>));
        self.exchange(method, path, &[], Body::wrap_stream(parts)).await
    }

    async fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let method: Method = method.parse().unwrap();
        let mut request = self.client.request(method, format!("http://{}{path}", self.address)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().into() }
    }

    /// Puts a blob into the store without the server.
    pub(crate) fn place_blob(&self, bytes: &[u8]) -> Digest {
        let mut upload = self.store.upload().unwrap();
        upload.append(bytes).unwrap();
        upload.finish(&Digest::of(bytes), &self.store.lease().unwrap()).unwrap().digest
    }

    /// The files of uploads that are not finished.
    pub(crate) fn unfinished(&self) -> usize {
        std::fs::read_dir(self.store.root().join("ingest/uploads")).unwrap().count()
    }

    /// The answer's head; its body is still on its way.
    pub(crate) async fn open(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], []).await
    }

    /// Uploads a blob in one request.
    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let answer = self.send("POST", &format!("/v2/{repository}/blobs/uploads/?digest={digest}"), &[], bytes).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        digest
    }

    pub(crate) async fn push_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Answer {
        self.send("PUT", &format!("/v2/{repository}/manifests/{reference}"), &[("content-type", media_type)], bytes).await
    }

    /// Pushes the image at `root` as a client does: blobs, children, then the root by `tag`.
    pub(crate) async fn push_image(&self, from: &Memory, root: &Descriptor, repository: &str, tag: &str) {
        let plan = nacre_oci::plan(from, root, &Select::All).unwrap();
        for blob in &plan.blobs {
            self.push_blob(repository, &nacre_oci::read_small(from, blob, u64::MAX).unwrap()).await;
        }
        for raw in &plan.documents {
            let digest = raw.descriptor.digest.to_string();
            let reference = if raw.descriptor.digest == root.digest { tag } else { digest.as_str() };
            let answer = self.push_manifest(repository, reference, &raw.descriptor.media_type, &raw.bytes).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
    }

    /// Puts an image into the store without the server.
    pub(crate) fn place(&self, from: &Memory, root: &Descriptor, name: &str) {
        copy(from, &self.store, root, &[name.to_owned()], &everything()).unwrap();
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks that it is an error of the specification's form.
    #[track_caller]
    pub(crate) fn fails(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/json");
        let error = &self.json()["errors"][0];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
}

/// A digest of nothing that is anywhere.
pub(crate) fn nowhere() -> Digest {
    Digest::of(b"this is nowhere")
}
