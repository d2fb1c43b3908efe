//! Paths of instructions: clean ones, and such relative to the working folder.

/// The path without `.`, `..` and doubled slashes; an absolute one never climbs above the root.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// `path` seen from the absolute folder `parent`, clean.
pub(super) fn join(parent: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => clean(path),
        false => clean(&format!("/{parent}/{path}")),
    }
}

/// Where a copy goes to: clean, but with the `/` or `/.` at its end, which says that it is a folder.
pub(super) fn destination(parent: &str, path: &str) -> String {
    let path = if matches!(path, "" | ".") { "./" } else { path };
    let mut dest = join(parent, path);
    if path.ends_with('/') && dest != "/" {
        dest.push('/');
    } else if path.ends_with("/.") {
        dest.push_str(if dest == "/" { "." } else { "/." });
    }
    dest
}

/// The last part of a path, as Go's `path.Base`.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next().unwrap_or_default() {
        "" if path.is_empty() => ".",
        "" => "/",
        last => last,
    }
}

/// Whether it has a `*`, `?` or `[` that no backslash protects.
pub(super) fn has_wildcards(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        let cases = [("", "."), ("/", "/"), ("a//b/./c/../d", "a/b/d"), ("../a", "../a"), ("/../a/", "/a"), ("a/..", ".")];
        for (path, cleaned) in cases {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn destinations_keep_what_says_that_they_are_folders() {
        let cases = [(".", "/w/"), ("", "/w/"), ("/", "/"), ("a", "/w/a"), ("a/", "/w/a/"), ("/x/.", "/x/."), ("..", "/"), ("/.", "/.")];
        for (path, dest) in cases {
            assert_eq!(destination("/w", path), dest, "{path}");
        }
    }

    #[test]
    fn last_parts_and_wildcards() {
        assert_eq!([base(""), base("/"), base("/a/b/"), base("c")], [".", "/", "b", "c"]);
        assert_eq!(["a*", r"a\*", r"\\[x]", "a"].map(has_wildcards), [true, false, true, false]);
    }
}
