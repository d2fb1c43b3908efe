//! Who a file belongs to, by the `/etc/passwd` and `/etc/group` of a tree (BuildKit's rules for `--chown`).

use nacre_layer::MAX_ID;
use nacre_oci::Result;
use nacre_plugin::graph::{Id, Owner};

use super::{FileTree, fail, read_small};

/// The most bytes of either file (BuildKit's limit).
const MAX: u64 = 10 << 20;

/// The user's and the group's number. A name that is not known counts as 0, or for a group as the user's own group; so does
/// every name where the file is missing.
///
/// # Errors
/// If there is a name but no base to look it up in, the file cannot be read or is none, or a number is too large.
pub fn account(base: Option<&dyn FileTree>, owner: &Owner) -> Result<(u32, u32)> {
    let (mut uid, mut gid) = (0, 0);
    match &owner.user {
        Some(Id::Number(number)) => (uid, gid) = (*number, *number),
        // `:group` names nobody.
        Some(Id::Name(name)) if name.is_empty() => {}
        Some(Id::Name(name)) => {
            if let Some(fields) = look_up(base, "etc/passwd", name)? {
                (uid, gid) = (number(&fields, 2)?, number(&fields, 3)?);
            }
        }
        None => {}
    }
    match &owner.group {
        Some(Id::Number(number)) => gid = *number,
        Some(Id::Name(name)) => {
            if let Some(fields) = look_up(base, "etc/group", name)? {
                gid = number(&fields, 2)?;
            }
        }
        None => {}
    }
    match [uid, gid].iter().find(|id| **id > MAX_ID) {
        Some(id) => Err(fail(format!("the owner {id} is larger than {MAX_ID}"))),
        None => Ok((uid, gid)),
    }
}

/// The fields of the first line of that name.
fn look_up(base: Option<&dyn FileTree>, file: &str, name: &str) -> Result<Option<Vec<String>>> {
    let base = base.ok_or_else(|| fail(format!("invalid user index: -1: there is no /{file} to look '{name}' up in; give a number")))?;
    // BuildKit takes a file in place of a folder for a missing file.
    let Some(content) = (if base.get(b"etc")?.is_some() { read_small(base, file, MAX)? } else { None }) else { return Ok(None) };
    let lines = content.split(|byte| *byte == b'\n').map(|line| line.trim_ascii());
    let mut fields = lines.map(|line| line.split(|byte| *byte == b':').map(|field| String::from_utf8_lossy(field).into_owned()));
    Ok(fields.find_map(|mut fields| (fields.next()? == name).then(|| std::iter::once(name.to_owned()).chain(fields).collect())))
}

/// A number among the fields; what is none is 0, as in Go's `user` package.
fn number(fields: &[String], index: usize) -> Result<u32> {
    let number = fields.get(index).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    u32::try_from(number).map_err(|_| fail(format!("the account '{}' has the number {number}, which is outside 0 to {MAX_ID}", fields[0])))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::testing::{owner, tree};

    const PASSWD: &str = "etc/passwd 0644 0:0 root:x:0:0::/root:\\n diver:x:1000:1000:::\\nkeeper:x:1001:50\\nodd:x\\nbig:x:99999999999:1\\nlone:x:1234:4321\\n\netc/group 0644 0:0 web:x:33:\\nreef:x:50:diver\\n#c:x:7:";

    #[test]
    fn names_and_numbers_become_numbers() {
        let base = tree(PASSWD);
        let cases = [
            ("diver", (1000, 1000)),
            ("diver:web", (1000, 33)),
            ("keeper", (1001, 50)),
            (":reef", (0, 50)),
            ("lone", (1234, 4321)),
            ("diver:7", (1000, 7)),
            ("1001", (1001, 1001)),
            ("1000:reef", (1000, 50)),
            ("nobody-here", (0, 0)),
            ("diver:nobody-here", (1000, 1000)),
            ("odd", (0, 0)),
        ];
        for (text, want) in cases {
            assert_eq!(account(Some(&base), &owner(text)).unwrap(), want, "{text}");
        }
        assert!(account(Some(&base), &owner("big")).is_err());
        assert!(account(Some(&base), &owner("4294967295")).is_err());
    }

    #[test]
    fn without_a_base_names_are_errors_and_numbers_are_not() {
        assert!(account(None, &owner("diver")).unwrap_err().to_string().contains("invalid user index: -1"));
        assert!(account(None, &owner(":web")).is_err());
        assert_eq!(account(None, &owner("5:6")).unwrap(), (5, 6));
        let unnamed = Owner { user: Some(Id::Name(String::new())), group: Some(Id::Number(50)) };
        assert_eq!(account(None, &unnamed).unwrap(), (0, 50));
    }

    #[test]
    fn a_missing_file_knows_nobody_and_links_to_it_are_followed() {
        assert_eq!(account(Some(&tree("bin/x")), &owner("diver")).unwrap(), (0, 0));
        assert_eq!(account(Some(&tree("etc")), &owner("diver")).unwrap(), (0, 0));
        let linked = tree("etc/passwd -> ../usr/passwd\nusr/passwd 0644 0:0 a:x:7:8\\n");
        assert_eq!(account(Some(&linked), &owner("a")).unwrap(), (7, 8));
        assert!(account(Some(&tree("etc/passwd/\n")), &owner("a")).is_err());
    }
}
