//! What a hostile registry may answer, whatever the documents are.

use nacre_oci::Digest;

use super::{
    http::Head,
    registries::{
        Ends::{self, Either, Error, Success},
        Verb::{self, Pull, PullAll, Push},
    },
    scripted::{Place, Reply, Script, Then, blob},
};

/// A name, what is asked of the registry, how that has to end, and the answers.
pub(super) type Behaviour = (&'static str, Verb, Ends, Script);

const ESCAPES: &str = "\u{1b}[31mred\u{7}\u{9b}2J\u{202e}evil";
/// Who may see the image of a registry that asks.
pub(super) const SECRET: &str = "bmFjcmU6b3BlbiBzZXNhbWU=";

fn is_tag(ask: &Head) -> bool {
    ask.target().ends_with("/manifests/1")
}

fn is_manifest(ask: &Head) -> bool {
    ask.target().contains("/manifests/")
}

fn is_blob(ask: &Head) -> bool {
    ask.target().contains("/blobs/sha256:")
}

fn reads(ask: &Head) -> bool {
    ask.method() == "GET"
}

/// An answer where `here`; else what an honest registry says.
fn at(here: bool, status: &str, fields: &str, body: &[u8]) -> Option<Reply> {
    here.then(|| Reply::new(status, fields, body))
}

/// Exactly these bytes for each request of a manifest.
fn raw(ask: &Head, bytes: impl Into<Vec<u8>>) -> Option<Reply> {
    is_manifest(ask).then(|| Reply::raw(bytes))
}

/// `401` until there is a password; then a redirect.
fn sent_on(ask: &Head, here: bool, to: &str) -> Option<Reply> {
    if ask.field("authorization").is_empty() {
        return Some(Reply::new("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b""));
    }
    at(here, "307 Temporary Redirect", &format!("Location: {to}\r\n"), b"")
}

/// A challenge with this realm.
fn realm(ask: &Head, realm: &str) -> Option<Reply> {
    let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
    at(ask.field("authorization").is_empty(), "401 Unauthorized", &challenge, b"")
}

/// A challenge whose realm is the registry's own, which answers this.
fn token(ask: &Head, place: &Place, answer: Reply) -> Option<Reply> {
    if ask.target().starts_with("/token") { Some(answer) } else { realm(ask, &format!("http://{}/token", place.own)) }
}

fn token_text(ask: &Head, place: &Place, text: &str) -> Option<Reply> {
    token(ask, place, Reply::new("200 OK", "", text.as_bytes()))
}

/// Pages of tags with this `Link`.
fn link(ask: &Head, to: &str) -> Option<Reply> {
    at(ask.target().contains("/tags/"), "200 OK", &format!("Link: <{to}>; rel=\"next\"\r\n"), br#"{"tags":["1"]}"#)
}

fn tags(ask: &Head, text: &str) -> Option<Reply> {
    at(ask.target().contains("/tags/"), "200 OK", "", text.as_bytes())
}

/// A blob's first half, and after that this answer.
fn after_half(ask: &Head, place: &Place, then: impl Fn(&[u8], usize) -> Reply) -> Option<Reply> {
    let bytes = whole(ask, place).filter(|bytes| bytes.len() > 100_000)?;
    if !ask.field("range").is_empty() {
        return Some(then(bytes, bytes.len() / 2));
    }
    let mut half = blob(ask, bytes);
    half.bytes.truncate(half.bytes.len() - bytes.len() / 2);
    Some(half.then(Then::Close))
}

fn whole<'a>(ask: &Head, place: &'a Place) -> Option<&'a Vec<u8>> {
    place.image.blobs.get(ask.target().rsplit('/').next()?).filter(|_| is_blob(ask) && reads(ask))
}

fn partial(first: usize, last: usize, total: &str, body: &[u8]) -> Reply {
    Reply::new("206 Partial Content", &format!("Content-Range: bytes {first}-{last}/{total}\r\n"), body)
}

fn begins(ask: &Head) -> bool {
    ask.method() == "POST"
}

fn stores(ask: &Head) -> bool {
    ask.method() == "PUT" && ask.target().contains("/uploads/")
}

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    ("a digest of HEAD that GET has not", Pull, Error, |ask, _| {
        let other = format!("Docker-Content-Digest: {}\r\nContent-Type: {TYPE}\r\nContent-Length: 9\r\n", Digest::of(b"other"));
        at(ask.method() == "HEAD" && is_tag(ask), "200 OK", &other, b"")
    }),
    ("other bytes than the digest says", Pull, Error, |ask, _| {
        at(reads(ask) && is_manifest(ask), "200 OK", &format!("Content-Type: {TYPE}\r\n"), br#"{"schemaVersion":2,"manifests":[]}"#)
    }),
    ("a digest that climbs", Pull, Either, |ask, place| {
        let fields = format!("Docker-Content-Digest: sha256:../../x\r\nContent-Type: {TYPE}\r\n");
        at(is_tag(ask), "200 OK", &fields, if reads(ask) { &place.image.manifest } else { b"" })
    }),
    ("a wrong digest of the right bytes", Pull, Error, |ask, place| {
        let fields = format!("Docker-Content-Digest: {}\r\nContent-Type: {TYPE}\r\n", Digest::of(b"x"));
        at(is_manifest(ask) && reads(ask), "200 OK", &fields, &place.image.manifest)
    }),
    ("a size of HEAD that is one too small", Pull, Error, |ask, place| {
        let (digest, size) = (&place.image.digest, place.image.manifest.len() - 1);
        let fields = format!("Docker-Content-Digest: {digest}\r\nContent-Type: {TYPE}\r\nContent-Length: {size}\r\n");
        at(ask.method() == "HEAD" && is_tag(ask), "200 OK", &fields, b"")
    }),
    ("a digest with control characters", Pull, Either, |ask, place| {
        let fields = format!("Docker-Content-Digest: {ESCAPES}\r\nContent-Type: {ESCAPES}\r\n");
        at(is_tag(ask), "200 OK", &fields, if reads(ask) { &place.image.manifest } else { b"" })
    }),
    ("a media type of 60 KiB", Pull, Either, |ask, place| {
        let fields = format!("Content-Type: {}\r\n", "x".repeat(60_000));
        at(is_tag(ask), "200 OK", &fields, if reads(ask) { &place.image.manifest } else { b"" })
    }),
    ("a blob of other bytes", Pull, Error, |ask, place| whole(ask, place).map(|bytes| Reply::new("200 OK", "", &vec![0; bytes.len()]))),
    ("a blob one byte shorter", Pull, Error, |ask, place| whole(ask, place).map(|bytes| Reply::new("200 OK", "", &bytes[1..]))),
    ("a blob one byte longer", Pull, Error, |ask, place| {
        whole(ask, place).map(|bytes| Reply::new("200 OK", "", &[&bytes[..], b"x"].concat()))
    }),
    ("a blob without a length, one byte longer", Pull, Error, |ask, place| {
        whole(ask, place).map(|bytes| Reply::raw([&b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..], bytes, b"x"].concat()))
    }),
    ("a blob without an end", Pull, Error, |ask, place| {
        whole(ask, place)?;
        Some(
            Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .then(Then::Repeat([&b"1000\r\n"[..], &[7; 4096], b"\r\n"].concat())),
        )
    }),
    ("an empty blob", Pull, Error, |ask, place| whole(ask, place).map(|_| Reply::new("200 OK", "", b""))),
    ("a blob that drips", Pull, Error, |ask, place| {
        whole(ask, place)
            .map(|bytes| Reply::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len())).then(Then::Drip(vec![0])))
    }),
    ("a blob that never comes", Pull, Error, |ask, place| {
        whole(ask, place).map(|bytes| Reply::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len())).then(Then::Hang))
    }),
    ("a blob that says it is compressed", Pull, Either, |ask, place| {
        whole(ask, place).map(|bytes| Reply::new("200 OK", "Content-Encoding: gzip\r\n", bytes))
    }),
    ("204 for a blob", Pull, Error, |ask, place| whole(ask, place).map(|_| Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"))),
    ("206 where all was asked for", Pull, Error, |ask, place| {
        whole(ask, place).map(|bytes| partial(1, bytes.len() - 1, &bytes.len().to_string(), &bytes[1..]))
    }),
    ("everything again where a part was asked for", Pull, Success, |ask, place| {
        after_half(ask, place, |bytes, _| Reply::new("200 OK", "", bytes))
    }),
    ("another part than was asked for", Pull, Error, |ask, place| {
        after_half(ask, place, |bytes, _| partial(0, bytes.len() - 1, &bytes.len().to_string(), bytes))
    }),
    ("a part that is not what it says", Pull, Error, |ask, place| {
        after_half(ask, place, |bytes, half| partial(half, bytes.len() - 1, &bytes.len().to_string(), &bytes[..bytes.len() - half]))
    }),
    ("a part of more than there is", Pull, Error, |ask, place| {
        after_half(ask, place, |bytes, half| {
            partial(half, bytes.len() + 9, &(bytes.len() + 10).to_string(), &[&bytes[half..], &[0; 10]].concat())
        })
    }),
    ("a part without a range", Pull, Error, |ask, place| {
        after_half(ask, place, |bytes, half| Reply::new("206 Partial Content", "", &bytes[half..]))
    }),
    ("416 where a part was asked for", Pull, Error, |ask, place| {
        after_half(ask, place, |_, _| Reply::new("416 Range Not Satisfiable", "Content-Range: bytes */1\r\n", b""))
    }),
    ("a manifest without an end", Pull, Error, |ask, _| {
        let chunk = [&b"1000\r\n"[..], &[b' '; 4096], b"\r\n"].concat();
        (is_manifest(ask) && reads(ask))
            .then(|| Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").then(Then::Repeat(chunk)))
    }),
    ("a manifest that drips", Pull, Error, |ask, _| {
        (is_manifest(ask) && reads(ask)).then(|| Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").then(Then::Drip(vec![b' '])))
    }),
    ("a head that drips", Pull, Error, |ask, _| {
        is_manifest(ask).then(|| Reply::raw("HTTP/1.1 200 OK\r\nX: ").then(Then::Drip(vec![b'x'])))
    }),
    ("no answer", Pull, Error, |ask, _| is_manifest(ask).then(|| Reply::raw("").then(Then::Hang))),
    ("an index below itself", Pull, Error, |ask, place| {
        let own = &place.image.digest;
        let body = format!(r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{INDEX}","digest":"{own}","size":253}}]}}"#);
        at(
            is_manifest(ask),
            "200 OK",
            &format!("Docker-Content-Digest: {own}\r\nContent-Type: {INDEX}\r\n"),
            if reads(ask) { body.as_bytes() } else { b"" },
        )
    }),
    ("a redirect to itself", Pull, Error, |ask, _| at(true, "307 Temporary Redirect", &format!("Location: {}\r\n", ask.target()), b"")),
    ("redirects without an end", Pull, Error, |ask, _| {
        at(is_manifest(ask), "307 Temporary Redirect", &format!("Location: {}x\r\n", ask.target()), b"")
    }),
    ("a manifest that is at another host", Pull, Success, |ask, place| {
        sent_on(ask, is_manifest(ask), &format!("http://{}{}", place.other, ask.target()))
    }),
    ("a blob that is at another host", Pull, Success, |ask, place| {
        sent_on(ask, is_blob(ask), &format!("http://{}{}", place.other, ask.target()))
    }),
    ("another host that has a name and password in its URL", Pull, Either, |ask, place| {
        sent_on(ask, is_blob(ask), &format!("http://user:password@{}{}", place.other, ask.target()))
    }),
    ("a redirect to a file", Pull, Error, |ask, _| sent_on(ask, is_manifest(ask), "file:///etc/passwd")),
    ("a redirect to a program's port", Pull, Error, |ask, _| sent_on(ask, is_manifest(ask), "gopher://127.0.0.1:25/_HELO")),
    ("a redirect to nothing", Pull, Error, |ask, _| at(is_manifest(ask), "302 Found", "", b"")),
    ("a redirect to nonsense", Pull, Error, |ask, _| at(is_manifest(ask), "302 Found", "Location: http://[::1:::/%zz\r\n", b"")),
    ("a redirect with escapes", Pull, Error, |ask, _| at(is_manifest(ask), "302 Found", &format!("Location: http://x/{ESCAPES}\r\n"), b"")),
    ("a realm on another host, without TLS", Pull, Error, |ask, _| realm(ask, "http://192.0.2.1/token")),
    ("a realm on the link's own addresses", Pull, Error, |ask, _| realm(ask, "http://169.254.169.254/latest/meta-data")),
    ("a realm on the link's own addresses, with TLS", Pull, Error, |ask, _| realm(ask, "https://169.254.169.254/token")),
    ("a realm in a private network", Pull, Error, |ask, _| realm(ask, "https://10.0.0.1/token")),
    ("a realm in a private network of IPv6", Pull, Error, |ask, _| realm(ask, "https://[fd00::1]/token")),
    ("a realm that is a file", Pull, Error, |ask, _| realm(ask, "file:///etc/passwd")),
    ("a realm without a host", Pull, Error, |ask, _| realm(ask, "/token")),
    ("a realm of nothing", Pull, Error, |ask, _| realm(ask, "")),
    ("a realm with escapes", Pull, Error, |ask, _| realm(ask, ESCAPES)),
    ("a challenge of nonsense", Pull, Error, |ask, _| at(is_manifest(ask), "401 Unauthorized", "WWW-Authenticate: ,,,=\"\r\n", b"")),
    ("a challenge of a scheme nobody knows", Pull, Error, |ask, _| {
        at(true, "401 Unauthorized", &format!("X: {}\r\nWWW-Authenticate: Negotiate\r\n", ask.method()), b"")
    }),
    ("a challenge again and again", Pull, Error, |_, _| at(true, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b"")),
    ("tokens that are never good", Pull, Error, |ask, place| {
        if ask.target().starts_with("/token") {
            return at(true, "200 OK", "", br#"{"token":"t"}"#);
        }
        at(true, "401 Unauthorized", &format!("WWW-Authenticate: Bearer realm=\"http://{}/token\"\r\n", place.own), b"")
    }),
    ("a token that is null", Pull, Error, |ask, place| token_text(ask, place, r#"{"token":null,"access_token":null}"#)),
    ("a token that is a number", Pull, Error, |ask, place| token_text(ask, place, r#"{"token":7}"#)),
    ("a token that is a page", Pull, Error, |ask, place| token_text(ask, place, "<html>")),
    ("a token with a header in it", Pull, Error, |ask, place| token_text(ask, place, r#"{"token":"t\r\nX-Evil: 1\r\n\r\nGET /"}"#)),
    ("a token of 2 MiB", Pull, Error, |ask, place| token_text(ask, place, &format!(r#"{{"token":"{}"}}"#, "t".repeat(2 << 20)))),
    ("a token of no length of life", Pull, Either, |ask, place| token_text(ask, place, r#"{"token":"t","expires_in":-1}"#)),
    ("a token answer without an end", Pull, Error, |ask, place| {
        token(ask, place, Reply::raw("HTTP/1.1 200 OK\r\n\r\n").then(Then::Repeat(vec![b' '; 4096])))
    }),
    ("a token answer that is elsewhere", Pull, Either, |ask, place| {
        token(ask, place, Reply::new("307 Temporary Redirect", &format!("Location: http://{}/token\r\n", place.other), b""))
    }),
    ("pages in a circle", PullAll, Error, |ask, _| link(ask, "/v2/app/tags/list?n=1000")),
    ("pages at another host", PullAll, Error, |ask, place| link(ask, &format!("http://{}/v2/app/tags/list", place.other))),
    ("pages without an end", PullAll, Error, |ask, _| link(ask, &format!("{}x", ask.target()))),
    ("a page that is nonsense", PullAll, Either, |ask, _| link(ask, "http://[")),
    ("a page without an end", PullAll, Error, |ask, _| {
        ask.target().contains("/tags/").then(|| Reply::raw("HTTP/1.1 200 OK\r\n\r\n{\"tags\":[").then(Then::Repeat(b"\"1\",".repeat(1000))))
    }),
    ("tags that are null", PullAll, Either, |ask, _| tags(ask, r#"{"tags":null}"#)),
    ("tags that are numbers", PullAll, Error, |ask, _| tags(ask, r#"{"tags":[1]}"#)),
    ("a tag that climbs", PullAll, Error, |ask, _| tags(ask, r#"{"tags":["../../../etc/passwd"]}"#)),
    ("a tag with escapes", PullAll, Error, |ask, _| tags(ask, r#"{"tags":["\u001b[31m\r\nred\u0000"]}"#)),
    ("a tag like an option", PullAll, Error, |ask, _| tags(ask, r#"{"tags":["--root=/"]}"#)),
    ("an empty tag", PullAll, Error, |ask, _| tags(ask, r#"{"tags":[""]}"#)),
    ("a list that is no list", PullAll, Error, |ask, _| tags(ask, "7")),
    ("an upload at another host", Push, Either, |ask, place| {
        if ask.field("authorization").is_empty() {
            return Some(Reply::new("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b""));
        }
        at(begins(ask), "202 Accepted", &format!("Location: http://{}/v2/app/blobs/uploads/1\r\n", place.other), b"")
    }),
    ("an upload without a place", Push, Error, |ask, _| at(begins(ask), "202 Accepted", "", b"")),
    ("an upload to a file", Push, Error, |ask, _| at(begins(ask), "202 Accepted", "Location: file:///etc/passwd\r\n", b"")),
    ("an upload to nonsense", Push, Error, |ask, _| at(begins(ask), "202 Accepted", "Location: http://[\r\n", b"")),
    ("an upload that is refused at once", Push, Error, |ask, _| at(begins(ask), "403 Forbidden", "", ESCAPES.as_bytes())),
    ("an upload that never begins", Push, Error, |ask, _| begins(ask).then(|| Reply::raw("").then(Then::Hang))),
    ("an upload that never ends", Push, Error, |ask, _| stores(ask).then(|| Reply::raw("").then(Then::Hang))),
    ("an upload that breaks off", Push, Error, |ask, _| stores(ask).then(|| Reply::raw(""))),
    ("another blob stored than was sent", Push, Error, |ask, _| {
        at(stores(ask), "201 Created", &format!("Docker-Content-Digest: {}\r\n", Digest::of(b"x")), b"")
    }),
    ("another manifest stored than was sent", Push, Error, |ask, _| {
        let here = ask.method() == "PUT" && is_manifest(ask);
        at(here, "201 Created", &format!("Docker-Content-Digest: {}\r\n", Digest::of(b"x")), b"")
    }),
    ("413 for every blob", Push, Error, |ask, _| at(stores(ask), "413 Payload Too Large", "", b"")),
    ("a redirect of an upload", Push, Error, |ask, place| {
        at(stores(ask), "307 Temporary Redirect", &format!("Location: http://{}/x\r\n", place.other), b"")
    }),
    ("a piece of at least 2^60 bytes", Push, Either, |ask, _| {
        at(begins(ask), "202 Accepted", "Location: /v2/app/blobs/uploads/1\r\nOCI-Chunk-Min-Length: 1152921504606846976\r\n", b"")
    }),
    ("HTTP/1.0", Pull, Either, |ask, place| {
        let head = format!("HTTP/1.0 200 OK\r\nContent-Type: {TYPE}\r\nDocker-Content-Digest: {}\r\n\r\n", place.image.digest);
        raw(ask, [head.as_bytes(), if reads(ask) { &place.image.manifest } else { b"" }].concat())
    }),
    ("HTTP/0.9", Pull, Error, |ask, place| raw(ask, &place.image.manifest[..])),
    ("HTTP/7.7", Pull, Error, |ask, _| raw(ask, "HTTP/7.7 200 OK\r\n\r\n")),
    ("status 999", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n")),
    ("status 42", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 42 X\r\n\r\n")),
    ("escapes in the status", Pull, Error, |ask, _| raw(ask, format!("HTTP/1.1 418 {ESCAPES}\r\nContent-Length: 0\r\n\r\n"))),
    ("bytes that are no HTTP", Pull, Error, |ask, _| raw(ask, vec![0x9b; 4000])),
    ("an end without an answer", Pull, Error, |ask, _| raw(ask, "")),
    ("101", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\n\r\n")),
    ("304 to a plain request", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 304 Not Modified\r\n\r\n")),
    ("100 without an end", Pull, Error, |ask, _| {
        is_manifest(ask).then(|| Reply::raw("").then(Then::Repeat(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100))))
    }),
    ("headers without an end", Pull, Error, |ask, _| {
        is_manifest(ask).then(|| Reply::raw("HTTP/1.1 200 OK\r\n").then(Then::Repeat(b"X-Flood: xxxxxxxxxxxxxxxxxxxx\r\n".repeat(100))))
    }),
    ("one header without an end", Pull, Error, |ask, _| {
        is_manifest(ask).then(|| Reply::raw("HTTP/1.1 200 OK\r\nX-Flood: ").then(Then::Repeat(vec![b'x'; 4096])))
    }),
    ("chunks of no size", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n")),
    ("a chunk of 2^64 bytes", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx")),
    ("a chunk above all numbers", Pull, Error, |ask, _| {
        raw(ask, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff1\r\nx")
    }),
    ("two lengths", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x")),
    ("a length and chunks", Pull, Error, |ask, _| {
        raw(ask, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    }),
    ("a negative length", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}")),
    ("a length of an exbibyte", Pull, Error, |ask, _| raw(ask, "HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\n\r\n{}")),
    ("an error with escapes", Pull, Error, |ask, _| {
        let body = r#"{"errors":[{"code":"DENIED\u001b[2J","message":"\u001b]0;evil\u0007\r\nnacre: fine\u202e","detail":"\u009b"}]}"#;
        at(is_manifest(ask), "403 Forbidden", "", if reads(ask) { body.as_bytes() } else { b"" })
    }),
    ("an error that is a page", Pull, Error, |ask, _| at(is_manifest(ask), "400 Bad Request", "", b"")),
    ("an error of nulls", Pull, Error, |ask, _| {
        at(is_blob(ask), "400 Bad Request", "", br#"{"errors":[null,{"code":null,"message":null}]}"#)
    }),
    ("an error without an end", Pull, Error, |ask, _| {
        (is_blob(ask) && reads(ask)).then(|| Reply::raw("HTTP/1.1 500 X\r\n\r\n").then(Then::Repeat(vec![b'x'; 4096])))
    }),
    ("a refusal for ever", Pull, Error, |ask, _| at(is_manifest(ask), "429 Too Many Requests", "Retry-After: 99999999999\r\n", b"")),
    ("a refusal until tomorrow", Pull, Error, |ask, _| {
        at(is_manifest(ask), "503 X", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", b"")
    }),
    ("a refusal until nobody knows", Pull, Error, |ask, _| at(is_manifest(ask), "503 X", &format!("Retry-After: {ESCAPES}\r\n"), b"")),
];

const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
