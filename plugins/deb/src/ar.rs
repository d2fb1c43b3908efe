//! The `ar` archive that a package is (`deb(5)`): a version, the control files and the data.

use nacre_sdk::bytes::Range;
use nacre_sdk::read::{ReadAt, Window, cut_off};
use nacre_sdk::{Error, invalid};

/// What an `ar` archive begins with.
pub const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;
/// Members of a package: three, and such as begin with `_`.
const MAX_MEMBERS: usize = 16;
/// The compressions that a package's archives may have, by what their names end with.
const COMPRESSIONS: [&[u8]; 5] = [b"", b".gz", b".xz", b".zst", b".bz2"];

/// Where the two archives in a package lie.
#[derive(Debug)]
pub struct Parts {
    pub control: Range,
    pub data: Range,
}

/// Finds them.
///
/// # Errors
/// It is no package of format 2, or cut off.
pub fn parts(source: &impl ReadAt) -> Result<Parts, Error> {
    let mut window = Window::new(source, 512)?;
    if window.up_to(0, MAGIC.len())? != MAGIC {
        return Err(invalid("no-package", "it does not begin like a Debian package"));
    }
    let (mut at, mut control, mut version) = (MAGIC.len() as u64, None, false);
    for _ in 0..MAX_MEMBERS {
        let (name, range) = member(&mut window, at)?;
        at = range.offset.saturating_add(range.size.next_multiple_of(2));
        match &name[..] {
            b"debian-binary" => {
                let text = window.bytes(range.offset, range.size.min(2) as usize)?;
                if text != b"2." {
                    return Err(Error::Unsupported("a Debian package of another format than 2".to_owned()));
                }
                version = true;
            }
            _ if name.starts_with(b"_") => {}
            _ if !version => return Err(invalid("no-package", "its first member is not 'debian-binary'")),
            name => match (control, compressed(name, b"control.tar"), compressed(name, b"data.tar")) {
                (None, true, _) => control = Some(range),
                (Some(control), _, true) => return Ok(Parts { control, data: range }),
                _ => return Err(unknown(name, range.offset)),
            },
        }
    }
    Err(invalid("no-package", "it has no 'data.tar'"))
}

fn compressed(name: &[u8], what: &[u8]) -> bool {
    name.strip_prefix(what).is_some_and(|suffix| COMPRESSIONS.contains(&suffix))
}

fn unknown(name: &[u8], at: u64) -> Error {
    let shown = name.escape_ascii();
    invalid(
        "bad-member",
        format!("the member '{shown}' at byte {at}: want control.tar and then data.tar, plain or with .gz, .xz, .zst or .bz2"),
    )
}

/// The member at `at`: its name without what fills it up, and its content.
fn member(window: &mut Window<'_, impl ReadAt>, at: u64) -> Result<(Vec<u8>, Range), Error> {
    let size = window.size();
    let mut header = window.fields(at, HEADER)?;
    let name = header.take(16)?.trim_ascii_end();
    let name = name.strip_suffix(b"/").unwrap_or(name).to_vec();
    header.skip(32)?;
    let content = header.digits(10, 10)?;
    if header.take(2)? != b"`\n" {
        return Err(invalid("no-header", format!("no header of a member at byte {at}")));
    }
    let offset = header.offset();
    match offset.checked_add(content).is_some_and(|end| end <= size) {
        true => Ok((name, Range { offset, size: content })),
        false => Err(cut_off(offset)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use nacre_sdk::mutate::damage;

    fn ar(members: &[(&str, &str)]) -> Vec<u8> {
        let member = |(name, content): &(&str, &str)| {
            let fill = if content.len() % 2 == 1 { "\n" } else { "" };
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n{content}{fill}", 0, 0, 0, 100_644, content.len())
        };
        format!("!<arch>\n{}", members.iter().map(member).collect::<String>()).into_bytes()
    }

    fn found(members: &[(&str, &str)]) -> Result<[String; 2], Error> {
        let bytes = ar(members);
        let parts = parts(&&bytes[..])?;
        let text = |Range { offset, size }| String::from_utf8_lossy(&bytes[offset as usize..][..size as usize]).into_owned();
        Ok([text(parts.control), text(parts.data)])
    }

    #[test]
    fn both_archives_are_found() {
        let expected = ["abc", "d"].map(String::from);
        assert_eq!(found(&[("debian-binary", "2.0\n"), ("control.tar.gz", "abc"), ("data.tar.xz", "d")]).unwrap(), expected);
        let more = [("debian-binary/", "2.1\nx"), ("_sig", "s"), ("control.tar", "abc"), ("_b", ""), ("data.tar.zst", "d"), ("later", "")];
        assert_eq!(found(&more).unwrap(), expected);
    }

    #[test]
    fn other_archives_are_refused() {
        for members in [
            &[("control.tar.gz", "abc"), ("data.tar.xz", "d")][..],
            &[("debian-binary", "3.0\n"), ("control.tar", ""), ("data.tar", "")],
            &[("debian-binary", "2.0\n"), ("data.tar", ""), ("control.tar", "")],
            &[("debian-binary", "2.0\n"), ("control.tar.lzma", "")],
            &[("debian-binary", "2.0\n"), ("control.tar", "")],
            &[("debian-binary", "")],
            &[],
        ] {
            assert!(found(members).is_err(), "{members:?}");
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for size in ["9999999999", "-1        ", "0x10      ", "7         "] {
            let text = String::from_utf8(ar(&[("debian-binary", "2.0\n")])).unwrap().replace("4         `", &format!("{size}`"));
            assert!(parts(&text.as_bytes()).is_err(), "{size}");
        }
    }

    #[test]
    fn damage_never_panics_and_a_cut_never_goes_unseen() {
        let bytes = ar(&[("debian-binary", "2.0\n"), ("control.tar.gz", "abc"), ("data.tar.xz", "da")]);
        for end in 0..bytes.len() {
            assert!(parts(&&bytes[..end]).is_err(), "cut at {end}");
        }
        damage(&bytes, 20_000, |file| drop(parts(&file)));
    }
}
