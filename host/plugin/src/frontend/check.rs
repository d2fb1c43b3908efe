//! What a frontend's graph may have: so many operations, and only such sources as its capabilities allow. Whether the
//! graph makes sense is decided where it is carried out.

use nacre_oci::Reference;
use serde_json::{Map, Value};
use url::Url;

use super::{BuildImage, BuildRequest};
use crate::capability::{Ask, Capabilities, Denied, source_port};
use crate::error::{Fault, one_line};
use crate::graph::{Definition, ImageName, Operation, Source};
use crate::types::Platform;

/// Operations that one graph may have: a hundred times the longest Dockerfile.
const MAX_VERTICES: usize = 20_000;
/// Bytes of one configuration.
const MAX_CONFIG: usize = 4 << 20;

/// Why a graph is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is no answer.
    Bad(String),
    /// The plugin was not granted what it would take.
    Denied(Denied),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        match refusal {
            Refusal::Bad(what) => Fault::Answer(one_line(&what)),
            Refusal::Denied(denied) => Fault::Denied(denied),
        }
    }
}

/// The images in the order of the request's platforms, each checked.
pub(crate) fn answer(mut images: Vec<BuildImage>, request: &BuildRequest, granted: &Capabilities) -> Result<Vec<BuildImage>, Fault> {
    if request.check {
        return Ok(Vec::new());
    }
    // Without a platform of the user's, the frontend says what it is for.
    let wanted = request.platforms.len().max(1);
    if images.len() != wanted {
        return Err(Fault::Answer(format!("{} images for {wanted} platforms", images.len())));
    }
    let mut sorted = if request.platforms.is_empty() { std::mem::take(&mut images) } else { Vec::with_capacity(wanted) };
    for platform in &request.platforms {
        let Some(found) = images.iter().position(|image| image.platform == *platform) else {
            return Err(Fault::Answer(format!("no image for {}", shown(platform))));
        };
        sorted.push(images.swap_remove(found));
    }
    for image in &sorted {
        definition(&image.definition, granted)?;
        config(&image.config).map_err(Fault::Answer)?;
    }
    Ok(sorted)
}

fn shown(platform: &Platform) -> String {
    let variant = platform.variant.as_ref().map(|variant| format!("/{variant}"));
    format!("{}/{}{}", platform.os, platform.arch, variant.unwrap_or_default())
}

fn config(text: &str) -> Result<(), String> {
    if text.len() > MAX_CONFIG {
        return Err(format!("a configuration of {} bytes, more than {MAX_CONFIG}", text.len()));
    }
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(config) if config.contains_key("rootfs") => Err("a configuration with a rootfs, which is nacre's to make".into()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("a configuration that is no JSON object: {error}")),
    }
}

/// Whether a graph is small enough and takes only what `granted` allows.
pub(super) fn definition(definition: &Definition, granted: &Capabilities) -> Result<(), Refusal> {
    let count = definition.vertices.len();
    if count > MAX_VERTICES {
        return Err(Refusal::Bad(format!("a graph of {count} operations, more than {MAX_VERTICES}")));
    }
    let sources = definition.vertices.iter().filter_map(|vertex| match &vertex.operation {
        Operation::Source(source) => Some(source),
        _ => None,
    });
    for source in sources {
        match source {
            Source::Scratch | Source::Folder(_) => {}
            Source::Image(image) => name(&image.name, granted)?,
            Source::Http(http) => remote(&http.url, granted)?,
            Source::Git(git) => repository(&git.remote, granted)?,
        }
    }
    Ok(())
}

/// Whether `granted` allows the image of this name. The user's own contexts are the user's.
pub(super) fn name(name: &ImageName, granted: &Capabilities) -> Result<(), Refusal> {
    let ImageName::Reference(text) = name else { return Ok(()) };
    let reference: Reference = text.parse().map_err(|error: nacre_oci::Error| Refusal::Bad(error.to_string()))?;
    granted.allows(&Ask::Registry(reference.registry())).map_err(Refusal::Denied)
}

/// Whether `granted` allows to fetch this URL.
pub(super) fn remote(text: &str, granted: &Capabilities) -> Result<(), Refusal> {
    let url = Url::parse(text).map_err(|_| no_url(text))?;
    host(url.scheme(), url.host_str().unwrap_or_default(), url.port(), granted)
}

/// Whether `granted` allows to fetch this repository: a URL, or `user@host:path`.
///
/// git reads a URL once more, and not as it is read here: to git `https://a\@b/` is on the host b. So the host has to stand
/// there as it is meant.
fn repository(text: &str, granted: &Capabilities) -> Result<(), Refusal> {
    let Some(written) = written_host(text) else {
        // To git `a::b` is the program a.
        let (at, _) = text.split_once(':').filter(|(_, path)| !path.starts_with(':')).ok_or_else(|| no_url(text))?;
        return host("ssh", at.rsplit_once('@').map_or(at, |(_, host)| host), None, granted);
    };
    remote(text, granted)?;
    let meant = Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    match written.eq_ignore_ascii_case(&meant) {
        true => Ok(()),
        false => Err(Refusal::Bad(format!("a repository whose host has to be written as {meant}: {text}"))),
    }
}

fn no_url(text: &str) -> Refusal {
    Refusal::Bad(format!("a source that is no URL: {text}"))
}

/// Whether `granted` allows this host, in any case of its letters.
fn host(scheme: &str, host: &str, port: Option<u16>, granted: &Capabilities) -> Result<(), Refusal> {
    let port = port.or_else(|| source_port(scheme)).unwrap_or_default();
    granted.allows(&Ask::Source { host: &host.to_lowercase(), port, scheme }).map_err(Refusal::Denied)
}

/// The host of a URL as RFC 3986 parts it, without decoding anything; `None` if it is no URL.
fn written_host(text: &str) -> Option<&str> {
    let authority = text.split_once("://")?.1.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rfind(':').filter(|at| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()));
    Some(port.map_or(host, |at| &host[..at]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::graph::{GitSource, HttpSource, ImageSource, Vertex};

    fn amd64() -> Platform {
        BuildRequest::default().build_platform
    }

    fn graph(source: Source) -> Definition {
        let vertex = Vertex { operation: Operation::Source(source), label: String::new(), at: None, no_cache: false };
        Definition { vertices: vec![vertex], output: 7 }
    }

    fn of_image(name: ImageName) -> Definition {
        graph(Source::Image(ImageSource { name, platform: amd64() }))
    }

    fn http(url: &str) -> Definition {
        graph(Source::Http(HttpSource { url: url.into(), checksum: None, name: "x".into() }))
    }

    fn git(remote: &str) -> Definition {
        let empty = String::new();
        let (reference, folder) = (empty.clone(), empty);
        graph(Source::Git(GitSource { remote: remote.into(), reference, folder, keep_git_dir: false, submodules: false, checksum: None }))
    }

    fn caps(registries: &[&str], net: &[&str]) -> Capabilities {
        let owned = |list: &[&str]| list.iter().map(|entry| (*entry).to_owned()).collect();
        Capabilities { registries: owned(registries), net: owned(net), ..Capabilities::default() }
    }

    fn refused(graph: &Definition, granted: &Capabilities) -> String {
        Fault::from(definition(graph, granted).unwrap_err()).to_string()
    }

    #[test]
    fn every_image_is_of_a_granted_registry() {
        let granted = caps(&["ghcr.io"], &[]);
        let named = |name: &str| of_image(ImageName::Reference(name.into()));
        assert!(definition(&named("ghcr.io/acme/app:1"), &granted).is_ok());
        assert!(definition(&of_image(ImageName::Context("nginx".into())), &granted).is_ok());
        let said = refused(&named("nginx"), &granted);
        assert_eq!(said, "is not allowed to speak to the registry docker.io: it needs the capability registries = [\"docker.io\"]");
        assert!(refused(&named("A B"), &caps(&["*"], &[])).starts_with("returned "));
    }

    #[test]
    fn every_remote_is_on_a_granted_host() {
        let (some, all) = (caps(&[], &["a.example"]), caps(&[], &["*"]));
        for good in [http("https://A.example/x"), git("git@a.example:x/y.git"), git("git://a.example/x"), git("ssh://git@a.example/x")] {
            assert!(definition(&good, &some).is_ok() && definition(&good, &all).is_ok(), "{good:?}");
        }
        // Browsers take this for a URL with the host b.example.
        assert!(definition(&http("http:b.example/x"), &caps(&[], &["http"])).is_err());
        assert!(!refused(&git("a\nb:x"), &some).contains('\n') && !refused(&git("a\nb"), &some).contains('\n'));
        assert!(refused(&http("http://b.example:81/"), &some).contains("net = [\"b.example:81\"]"));
        assert!(definition(&http("http://127.0.0.1:81/"), &all).is_ok());
        for bad in
            [git("file:///srv/secret"), git("ext::sh -c x"), git("--upload-pack=x"), git("/srv/secret"), git("-x:y"), http("data:,x")]
        {
            assert!(definition(&bad, &some).is_err(), "{bad:?}");
        }
        for bad in [git("file:///srv/secret"), git("--upload-pack=x"), git("/srv/secret"), git("-x:y"), git("ext::sh -c x")] {
            assert!(definition(&bad, &all).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_repositorys_host_is_what_git_takes_it_for() {
        let (some, all) = (caps(&[], &["a.example", "[fd00::1]", "127.0.0.1"]), caps(&[], &["*"]));
        for good in ["https://u:p%40@A.example:443/x", "ssh://git@a.example/x@b", "http://[fd00::1]:80", "git://127.0.0.1"] {
            assert!(definition(&git(good), &all).is_ok(), "{good}");
        }
        for bad in
            ["https://a.example\\@b.example/x", "https://a%2eexample/x", "http://0x7f.1/x", "http:///a.example/x", "http://a.exam\tple"]
        {
            assert!(definition(&git(bad), &some).is_err() && definition(&git(bad), &all).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_graph_has_a_largest_size() {
        let vertex = graph(Source::Scratch).vertices.pop().unwrap();
        let of = |count: usize| Definition { vertices: vec![vertex.clone(); count], output: 0 };
        assert!(definition(&of(MAX_VERTICES), &Capabilities::default()).is_ok());
        assert!(refused(&of(MAX_VERTICES + 1), &Capabilities::default()).contains("a graph of 20001 operations, more than 20000"));
    }

    #[test]
    fn images_are_those_that_were_asked_for() {
        let arm64 = Platform { arch: "arm64".into(), ..amd64() };
        let request = BuildRequest { platforms: vec![arm64.clone(), amd64()], ..BuildRequest::default() };
        let image = |platform: Platform, config: &str| BuildImage { platform, definition: graph(Source::Scratch), config: config.into() };
        let answered = |images| answer(images, &request, &Capabilities::default());
        let sorted = answered(vec![image(amd64(), "{}"), image(arm64.clone(), "{}")]).unwrap();
        assert_eq!(sorted[0].platform, arm64);
        for (images, why) in [
            (Vec::new(), "0 images for 2 platforms"),
            (vec![image(amd64(), "{}"), image(amd64(), "{}")], "no image for linux/arm64"),
            (vec![image(amd64(), "{}"), image(arm64.clone(), "[]")], "no JSON object"),
            (vec![image(amd64(), "{}"), image(arm64, "{\"rootfs\":1}")], "with a rootfs"),
        ] {
            let said = answered(images).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
        let unasked = BuildRequest { platforms: Vec::new(), ..BuildRequest::default() };
        let answered = |images| answer(images, &unasked, &Capabilities::default());
        assert_eq!(answered(vec![image(amd64(), "{}")]).unwrap().len(), 1);
        assert!(answered(Vec::new()).unwrap_err().to_string().contains("0 images for 1 platforms"));
    }
}
