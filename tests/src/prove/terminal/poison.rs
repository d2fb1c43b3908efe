//! What does harm on a terminal, and an image, an archive and a registry that are full of it.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    ops::RangeInclusive,
    thread,
};

use nacre_oci::{Digest, Memory, media_type};
use serde_json::{Value, json};

use crate::images;

/// Characters that may reach no terminal: controls, and what reverses, hides or breaks text.
const RAW: &[RangeInclusive<char>] = &[
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{61c}'..='\u{61c}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
    '\u{e0001}'..='\u{e0001}',
    '\u{e0020}'..='\u{e007f}',
];

/// Whether a character may not be printed.
pub(super) fn is_raw(c: char) -> bool {
    RAW.iter().any(|range| range.contains(&c))
}

/// The text that does no harm, with which the others are compared.
pub(super) const HARMLESS: &str = "evil text of the same kind";

/// Each character in a text of its own, or three texts with all of them.
pub(super) fn poisons(full: bool) -> Vec<String> {
    let all = || RAW.iter().cloned().flatten();
    let sequences = "evil\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]8;;http://x\u{1b}\\\u{9b}31m\u{90}q\u{9c}\r\nnacre: all is well\u{8}\u{8}";
    let mut poisons =
        vec![format!("evil{}end", all().collect::<String>()), sequences.to_owned(), "\u{202e}\nlive\n\n\t\u{200b}".to_owned()];
    if full {
        poisons.extend(all().map(|c| format!("evil{c}text{c}")));
    }
    poisons
}

/// An OCI layout's files as a tar, with `text` wherever a document takes text.
pub(super) fn archive(text: &str) -> Vec<u8> {
    let (config, manifest, layer) = documents(text);
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "annotations": {text: text},
        "manifests": [{
            "mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(&manifest), "size": manifest.len(),
            "platform": {"architecture": text, "os": text, "variant": text, "os.version": text},
            "annotations": {"org.opencontainers.image.ref.name": text, "io.containerd.image.name": "app:1", text: text},
        }],
    });
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    add("index.json", index.to_string().as_bytes());
    for blob in [&config, &manifest, &layer] {
        add(&format!("blobs/sha256/{}", Digest::of(blob).hex()), blob);
    }
    tar.into_inner().unwrap()
}

/// A config, a manifest and a layer.
fn documents(text: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let name: String = text.chars().filter(|c| !matches!(c, '\0' | '/')).collect();
    let layer = images::layer(&format!("etc/{name}"), b"x");
    let step = json!({"created": "2026-01-02T03:04:05Z", "created_by": text, "comment": text, "author": text});
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "author": text, "history": [step, step],
        "variant": text, "os.version": text, "os.features": [text],
        "config": {
            "Labels": {text: text, "plain": text, "org.opencontainers.image.description": text}, "Env": [text, format!("A={text}")],
            "Cmd": [text, text], "Entrypoint": [text], "User": text, "WorkingDir": text, "StopSignal": text,
            "ExposedPorts": {text: {}}, "Volumes": {text: {}}, "Shell": [text], "OnBuild": [text],
        },
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]},
    });
    let memory = Memory::new();
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": memory.add(media_type::OCI_CONFIG, config.clone()),
        "layers": [memory.add(media_type::OCI_LAYER, layer.clone())], "annotations": {text: text},
    });
    (config, manifest.to_string().into_bytes(), layer)
}

/// Starts a registry that answers everything with `text`, in bodies and in headers, and returns its `HOST:PORT`. It ends with
/// the process.
pub(super) fn registry(text: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let text = text.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(client);
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|count| count > 2) {}
            // Whoever does not listen any more has ended.
            _ = reader.into_inner().write_all(&answer(&head, &text));
        }
    });
    address
}

fn answer(head: &str, text: &str) -> Vec<u8> {
    let asked = |part: &str| head.lines().next().is_some_and(|line| line.contains(part));
    let errors = || json!({"errors": [{"code": text, "message": text, "detail": {text: text}}]});
    // Other headers are no HTTP, and are refused as a whole.
    let header: String = text.chars().filter(|c| !c.is_ascii_control()).collect();
    let (status, body): (&str, Value) = if head.starts_with("GET /v2/ ") {
        ("200 OK", json!({}))
    } else if asked("/v1/search") || asked("/_catalog") {
        let found = json!({"name": text, "description": text, "star_count": 1, "is_official": false});
        ("200 OK", json!({"num_results": 2, "num_pages": 1, "query": text, "results": [found, found], "repositories": [text, text]}))
    } else if asked("/tags/list") {
        ("200 OK", json!({"name": text, "tags": [text, text]}))
    } else if asked("/denied/") {
        ("403 Forbidden", errors())
    } else if asked("/asks/") {
        ("401 Unauthorized", errors())
    } else if asked("/broken/") {
        ("200 OK", json!({"schemaVersion": 2, "mediaType": text, "config": text, text: text}))
    } else {
        ("404 Not Found", errors())
    };
    let body = body.to_string();
    let mut answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    answer.extend_from_slice(format!("Content-Type: {header}\r\nDocker-Content-Digest: {header}\r\n").as_bytes());
    answer.extend_from_slice(
        format!("Warning: 299 - \"{header}\"\r\nWww-Authenticate: Basic realm=\"{header}\",error=\"{header}\"\r\n\r\n").as_bytes(),
    );
    answer.extend_from_slice(body.as_bytes());
    answer
}
