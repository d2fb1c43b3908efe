//! `nacre cat IMAGE PATH`: a file of an image, as a container of it would read it.

use std::collections::BTreeMap;

use nacre_sdk::command::{self, write};
use nacre_sdk::files::{self, Entry, Kind};
use nacre_sdk::{Error, Options, invalid};

/// Links that are followed for one path, as on Linux (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// The files of an image by path, each with its position.
type Files = BTreeMap<String, (u32, Kind, Option<String>)>;

/// The command `cat`.
pub fn run(_command: &str, args: &Options) -> Result<u8, Error> {
    let path = args.required("path")?;
    let image = command::image(args, "image")?;
    let listing = image.files()?;
    let all: Files = (0..).zip(files::all(&listing)).map(|(index, entry)| Ok(keyed(index, entry?))).collect::<Result<_, Error>>()?;
    let index = find(&all, path).map_err(|error| in_image(error, &image.name()))?;
    write(&listing.open(index)?)?;
    Ok(0)
}

fn keyed(index: u32, entry: Entry) -> (String, (u32, Kind, Option<String>)) {
    (entry.path, (index, entry.kind, entry.link))
}

fn in_image(error: Error, image: &str) -> Error {
    match error {
        Error::NotFound(path) => Error::NotFound(format!("{path} in {image}")),
        other => other,
    }
}

/// The position of the file that `path` leads to.
fn find(files: &Files, path: &str) -> Result<u32, Error> {
    let real = resolve(files, path)?;
    match files.get(&real) {
        Some((index, Kind::File | Kind::Hardlink, _)) => Ok(*index),
        Some((_, Kind::Directory, _)) => Err(no_file(path, "a folder")),
        None if real.is_empty() => Err(no_file(path, "a folder")),
        Some(_) => Err(no_file(path, "a device or a pipe")),
        None => Err(Error::NotFound(path.into())),
    }
}

fn no_file(path: &str, kind: &str) -> Error {
    invalid("no-file", format!("{path} is {kind}, not a file"))
}

/// Where a path leads, with all links followed: below the image's root, whatever they say.
fn resolve(files: &Files, path: &str) -> Result<String, Error> {
    let mut ahead: Vec<&str> = path.split('/').rev().collect();
    let mut real: Vec<&str> = Vec::new();
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        match part {
            "" | "." => continue,
            // The parent of the root is the root.
            ".." => {
                real.pop();
                continue;
            }
            _ => real.push(part),
        }
        match files.get(&real.join("/")) {
            Some((_, Kind::Symlink, Some(link))) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(invalid("too-many-links", format!("{path} leads through more than {MAX_LINKS} links")));
                }
                real.pop();
                if link.starts_with('/') {
                    real.clear();
                }
                ahead.extend(link.split('/').rev());
            }
            Some((_, Kind::Directory, _)) => {}
            Some(_) if ahead.iter().all(|part| part.is_empty()) => {}
            _ => return Err(Error::NotFound(path.into())),
        }
    }
    Ok(real.join("/"))
}

nacre_sdk::command!(run);

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let link = |path: &'static str, to: &str| (path, Kind::Symlink, Some(to.to_owned()));
        let all = [
            ("etc", Kind::Directory, None),
            ("etc/os-release", Kind::File, None),
            link("etc/mtab", "/proc/self/mounts"),
            link("etc/up", "../../../etc/os-release"),
            link("lib", "usr/lib"),
            link("loop", "loop"),
            link("conf", "/etc/"),
            ("usr", Kind::Directory, None),
            ("usr/lib", Kind::Directory, None),
            ("usr/lib/x.so", Kind::Hardlink, Some("usr/lib/y.so".into())),
            link("usr/lib/rel", "./../lib//x.so"),
            ("dev", Kind::Directory, None),
            ("dev/null", Kind::CharDevice, None),
        ];
        (0..).zip(all).map(|(index, (path, kind, link))| (path.to_owned(), (index, kind, link))).collect()
    }

    fn found(path: &str) -> String {
        let files = files();
        match find(&files, path) {
            Ok(index) => files.iter().find(|(_, file)| file.0 == index).map(|(path, _)| path.clone()).unwrap_or_default(),
            Err(Error::NotFound(_)) => "not found".into(),
            Err(Error::Invalid(found)) => found[0].code.clone(),
            Err(_) => "another error".into(),
        }
    }

    #[test]
    fn links_are_followed_inside_the_image() {
        for path in
            ["etc/os-release", "/etc/os-release", "./etc//os-release", "etc/../etc/os-release", "../../etc/os-release", "etc/up", "conf/up"]
        {
            assert_eq!(found(path), "etc/os-release", "{path}");
        }
        assert_eq!((found("lib/x.so"), found("/lib/rel")), ("usr/lib/x.so".into(), "usr/lib/x.so".into()));
    }

    #[test]
    fn what_is_no_file_is_said() {
        for path in ["etc/nothing", "nothing/at/all", "etc/mtab", "etc/os-release/x", "etc/os-release/.."] {
            assert_eq!(found(path), "not found", "{path}");
        }
        for path in ["", "/", "etc", "etc/", "conf", "dev/null"] {
            assert_eq!(found(path), "no-file", "{path}");
        }
        assert_eq!(found("loop"), "too-many-links");
        assert_eq!(found("etc/os-release/"), "etc/os-release", "as nobody means a folder");
    }
}
