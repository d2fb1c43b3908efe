//! `nacre save --format mtree -o FILE IMAGE` writes what is known about each file, as mtree(5) reads it:
//! to check an unpacked root filesystem against, or to compare two images with diff.

use std::fmt::Write as _;

use nacre_sdk::bytes::Sink;
use nacre_sdk::entries::from_text;
use nacre_sdk::files::{self, Entry, Kind};
use nacre_sdk::images::Image;
use nacre_sdk::{Error, Options, export};

/// Lines that are written at once.
const CHUNK: usize = 64 << 10;

pub fn write(_format: &str, image: &Image, out: &Sink, opts: &Options) -> Result<(), Error> {
    if let Some(codec) = export::compression(opts)? {
        out.compress(codec)?;
    }
    let mut text = "#mtree\n. type=dir mode=0755\n".to_owned();
    for entry in files::all(&image.files()?) {
        text.push_str(&line(&entry?));
        if text.len() > CHUNK {
            out.write(text.as_bytes())?;
            text.clear();
        }
    }
    out.write(text.as_bytes())
}

fn line(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::File | Kind::Hardlink => "file",
        Kind::Directory => "dir",
        Kind::Symlink => "link",
        Kind::CharDevice => "char",
        Kind::BlockDevice => "block",
        Kind::Fifo => "fifo",
        Kind::Whiteout | Kind::Opaque => return String::new(),
    };
    let Entry { mode, uid, gid, mtime, nanos, size, .. } = entry;
    let mut line = format!("./{} type={kind} mode={mode:04o} uid={uid} gid={gid} time={mtime}.{nanos:09}", quoted(&entry.path));
    // Writing to a string cannot fail.
    let _ = match (&entry.link, entry.device) {
        (Some(link), _) if kind == "link" => write!(line, " link={}", quoted(link)),
        (_, Some((major, minor))) => write!(line, " device=linux,{major},{minor}"),
        _ if kind == "file" => write!(line, " size={size}"),
        _ => Ok(()),
    };
    line.push('\n');
    line
}

/// What is no plain letter stands as its three octal digits (vis(3)).
fn quoted(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#=".contains(&byte);
    let quote = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("\\{byte:03o}") };
    from_text(path).into_iter().map(quote).collect()
}

nacre_sdk::export_format!(write);

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_sdk::entries::entry;

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(quoted("usr/bin/a b#c"), "usr/bin/a\\040b\\043c");
        assert_eq!(quoted("caf\u{f7e9}"), "caf\\351");
    }

    #[test]
    fn each_kind_has_what_mtree_knows_of_it() {
        let link = Entry { link: Some("a b".into()), ..entry("l", Kind::Symlink, 0o777) };
        assert_eq!(line(&link), "./l type=link mode=0777 uid=0 gid=0 time=0.000000000 link=a\\040b\n");
        let null = Entry { device: Some((1, 3)), ..entry("dev/null", Kind::CharDevice, 0o666) };
        assert!(line(&null).ends_with(" device=linux,1,3\n"));
        assert_eq!(line(&entry("gone", Kind::Whiteout, 0)), "");
    }
}
