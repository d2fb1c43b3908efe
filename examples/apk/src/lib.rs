//! `nacre import busybox-static.apk` makes an image of an Alpine package; `--add musl.apk` puts more into it.
//!
//! A package is one tar in several gzip members: the signature, what is known about the package, and its files
//! (apk-package(5)). What is not to be installed has a name that begins with a dot.

use nacre_sdk::bytes::{Codec, Source};
use nacre_sdk::files::{Content, Entry, Kind, Listing, read_tar};
use nacre_sdk::images::Builder;
use nacre_sdk::import::{Confidence, Head};
use nacre_sdk::{Error, Options, Platform, invalid};

/// The most bytes of a `.PKGINFO`.
const MAX_INFO: u32 = 64 << 10;

pub fn probe(_format: &str, head: &Head) -> Confidence {
    let first = head.plain.split(|byte| *byte == 0).next().unwrap_or_default();
    let marked = first.starts_with(b".SIGN.") || first == b".PKGINFO";
    if head.compression == Some(Codec::Gzip) && marked { Confidence::Certain } else { Confidence::No }
}

pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, _opts: &Options) -> Result<(), Error> {
    sources.iter().try_for_each(|package| add(package, image))
}

/// Adds the layer of one package.
fn add(package: &Source, image: &Builder) -> Result<(), Error> {
    let files = read_tar(&package.decompress(Some(Codec::Gzip))?)?;
    let mut layer = None;
    let mut index = 0;
    loop {
        let entries = files.next(1000)?;
        if entries.is_empty() {
            return if layer.is_some() { Ok(()) } else { Err(invalid("no-package", "there is no .PKGINFO: is it an Alpine package?")) };
        }
        for entry in entries {
            if entry.path == ".PKGINFO" {
                layer = Some(image.layer(&begin(&files.open(index)?, image)?)?);
            } else if let (false, Some(layer)) = (entry.path.starts_with('.'), &layer) {
                let content = content(&files, &entry, index)?;
                layer.add(&entry, &content.as_ref().map_or(Content::None, Content::Source))?;
            }
            index += 1;
        }
    }
}

fn content(files: &Listing, entry: &Entry, index: u32) -> Result<Option<Source>, Error> {
    if entry.kind == Kind::File && entry.size > 0 { files.open(index).map(Some) } else { Ok(None) }
}

/// Sets the platform that a package is for, and returns what the history says about it.
fn begin(info: &Source, image: &Builder) -> Result<String, Error> {
    let info = info.read(MAX_INFO)?;
    let info = String::from_utf8_lossy(&info);
    let value = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('=').map(str::trim));
    if let Some(arch) = value("arch").and_then(go_arch) {
        image.set_platform(&arch)?;
    }
    Ok(format!("apk add {}={}", value("pkgname").unwrap_or("?"), value("pkgver").unwrap_or("?")))
}

/// Alpine's names of processors as image configurations have them; none for `noarch`.
fn go_arch(alpine: &str) -> Option<Platform> {
    let (arch, variant) = match alpine {
        "x86_64" => ("amd64", None),
        "x86" => ("386", None),
        "aarch64" => ("arm64", None),
        "armv7" => ("arm", Some("v7")),
        "armhf" => ("arm", Some("v6")),
        "ppc64le" | "s390x" | "riscv64" | "loongarch64" => (alpine.strip_prefix("loongarch").map_or(alpine, |_| "loong64"), None),
        _ => return None,
    };
    Some(Platform { os: "linux".into(), arch: arch.into(), variant: variant.map(str::to_owned) })
}

nacre_sdk::import_format!(probe, convert);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_or_plain_package_is_told_by_its_first_name() {
        let probe = |name: &[u8], compression| {
            let plain = [name, b"\0\0\0"].concat();
            probe("apk", &Head { name: None, raw: Vec::new(), compression, plain })
        };
        assert_eq!(probe(b".SIGN.RSA.key.rsa.pub", Some(Codec::Gzip)), Confidence::Certain);
        assert_eq!(probe(b".PKGINFO", Some(Codec::Gzip)), Confidence::Certain);
        assert_eq!(probe(b"etc/passwd", Some(Codec::Gzip)), Confidence::No);
        assert_eq!(probe(b".PKGINFO", None), Confidence::No);
    }

    #[test]
    fn processors_have_gos_names() {
        let arch = |alpine| go_arch(alpine).map(|platform| platform.arch);
        assert_eq!(arch("x86_64").as_deref(), Some("amd64"));
        assert_eq!(arch("loongarch64").as_deref(), Some("loong64"));
        assert_eq!(arch("noarch"), None);
    }
}
