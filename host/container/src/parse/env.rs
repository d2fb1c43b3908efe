//! `-e`, `--env-file` and `--label`.

use crate::{Error, Result};

/// Reads `-e`: `NAME=value`, or `NAME` with the caller's value. Without one the name alone comes back, which takes an image's
/// variable away (docker/cli's `opts.ValidateEnv`).
///
/// # Errors
/// Without a name.
pub fn env(text: &str, own: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if name.is_empty() {
        return Err(Error::invalid(format!("invalid environment variable: {text}")));
    }
    Ok(match value.map(str::to_owned).or_else(|| own(name)) {
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    })
}

/// Reads what an `--env-file` holds (docker/cli's `opts/file.go`): lines of `NAME=value`, where nothing is quoted or expanded;
/// `NAME` alone takes the caller's value and is left out without one; `#` begins a comment only at the beginning.
///
/// # Errors
/// For a line that is not UTF-8, or whose name is missing or has blanks in it.
pub fn env_file(file: &str, content: &[u8], own: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut variables = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line));
        let line = line.map_err(|_| Error::invalid(format!("env file {file} contains invalid utf8 bytes at line {}", index + 1)))?;
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        let bad = |why: String| Error::invalid(format!("poorly formatted environment: {why}"));
        if name.contains([' ', '\t']) {
            return Err(bad(format!("variable '{name}' contains whitespaces")));
        }
        if name.is_empty() {
            return Err(bad(format!("no variable name on line '{line}'")));
        }
        let value = value.map(str::to_owned).or_else(|| own(name));
        variables.extend(value.map(|value| format!("{name}={value}")));
    }
    Ok(variables)
}

/// Reads `--label`: `key=value`, or `key` for an empty value.
///
/// # Errors
/// Without a key.
pub fn label(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.trim().is_empty() {
        return Err(Error::invalid(format!("invalid label '{text}': empty name")));
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn own(name: &str) -> Option<String> {
        (name == "SEA").then(|| "blue".to_owned())
    }

    #[test]
    fn names_alone_are_the_callers() {
        for (text, read) in [("A=1", "A=1"), ("A=", "A="), ("A=b=c", "A=b=c"), ("SEA", "SEA=blue"), ("GONE", "GONE")] {
            assert_eq!(env(text, &own).unwrap(), read);
        }
        assert_eq!(env("=x", &own).unwrap_err().to_string(), "invalid environment variable: =x");
        assert!(env("", &own).is_err());
    }

    #[test]
    fn files_are_read_as_dockers() {
        let file = b"\xef\xbb\xbfA=1 \n  # a comment\n\n\t B = 2\r\nSEA\nGONE\nC=\"x\" # no comment\nD=\n";
        let text = String::from_utf8_lossy(file).replace(" B = 2", " B= 2");
        let read = env_file("f", text.as_bytes(), &own).unwrap();
        assert_eq!(read, ["A=1 ", "B= 2", "SEA=blue", "C=\"x\" # no comment", "D="]);
    }

    #[test]
    fn bad_lines_are_told_in_dockers_words() {
        for (text, why) in [
            (&b"A B=1"[..], "poorly formatted environment: variable 'A B' contains whitespaces"),
            (b"=1", "poorly formatted environment: no variable name on line '=1'"),
            (b"A=1\nB=\xff", "env file f contains invalid utf8 bytes at line 2"),
        ] {
            assert_eq!(env_file("f", text, &own).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn labels_have_keys() {
        assert_eq!(label("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(label("a").unwrap(), ("a".into(), String::new()));
        assert!(label("=b").is_err());
    }
}
