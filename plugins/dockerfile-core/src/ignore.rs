//! `.dockerignore` (moby's `ignorefile`).

/// The patterns of a `.dockerignore`, in their order: comments and blank lines are gone, paths are cleaned and
/// relative. `!` stays at the front of an exception.
///
/// What a pattern matches, and whether it is one at all, is for whoever uses it.
pub fn patterns(content: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(content);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    text.lines().filter(|line| !line.starts_with('#')).filter_map(pattern).collect()
}

fn pattern(line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let (sign, path) = line.strip_prefix('!').map_or(("", line), |path| ("!", path.trim()));
    Some(format!("{sign}{}", relative(path)))
}

/// The shortest path that says the same (Go's `filepath.Clean`), without the `/` at its front. The root itself stays
/// `/`, and nothing stays nothing.
fn relative(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|&last| last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    match parts.is_empty() {
        false => parts.join("/"),
        true if rooted => "/".into(),
        true if path.is_empty() => String::new(),
        true => ".".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::patterns;

    #[test]
    fn lines_are_patterns() {
        assert_eq!(
            patterns(b"*.log\n\n  # no remark: it does not begin the line\n# a remark\n!keep.log\r\n"),
            ["*.log", "# no remark: it does not begin the line", "!keep.log"]
        );
        assert_eq!(patterns("\u{feff}# a remark behind a mark\r\nlast".as_bytes()), ["last"]);
        assert!(patterns(b"").is_empty());
    }

    #[test]
    fn paths_are_cleaned() {
        let text = b"/a/b/\n./a//b/./c\na/../../b\n/../a\n/\n.\n!\n! /a/ \n!!a\na\\ b \n**/x/..\n";
        assert_eq!(patterns(text), ["a/b", "a/b/c", "../b", "a", "/", ".", "!", "!a", "!!a", "a\\ b", "**"]);
    }
}
