//! Patterns of image names.

use serde::{Deserialize, Deserializer, de::Error as _};

/// A glob on an image's full name: `docker.io/library/nginx:1.*`, `ghcr.io/acme/**`, or a registry alone, `*.acme.com`.
/// `*` and `?` stay within a part between slashes, `**` does not.
#[derive(Clone, Debug)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Its registry is missing, so that it would match nothing and nobody would notice.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let registry = text.split('/').next().unwrap_or_default();
        if registry == "localhost" || registry.contains(['.', ':', '*']) {
            return Ok(Pattern(text.to_owned()));
        }
        Err(format!("the pattern '{text}' does not begin with a registry: write it in full, such as docker.io/library/nginx"))
    }

    /// Whether it is for the image with this full name: as it is, without tag and digest, or by its registry.
    pub fn matches(&self, name: &str) -> bool {
        let tagged = name.split('@').next().unwrap_or(name);
        let path = tagged.rfind('/').map_or(0, |at| at + 1);
        let repository = tagged[path..].find(':').map_or(tagged, |colon| &tagged[..path + colon]);
        let registry = name.split('/').next().unwrap_or(name);
        let whole = [name, tagged, repository].into_iter().any(|name| glob(self.0.as_bytes(), name.as_bytes()));
        whole || (!self.0.contains('/') && glob(self.0.as_bytes(), registry.as_bytes()))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Pattern, D::Error> {
        Pattern::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Matches from the left; at a star it notes where to go on if the rest does not fit. A `**` that failed is never reached
/// from behind, so only the last star of each kind is kept, and the time is that of both lengths multiplied.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                (double, star) = (Some((p + 2, t)), None);
                p += 2;
                continue;
            }
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'?') if text.get(t).is_some_and(|c| *c != b'/') => (p, t) = (p + 1, t + 1),
            Some(c) if text.get(t) == Some(c) => (p, t) = (p + 1, t + 1),
            None if t == text.len() => return true,
            _ => match (&mut star, &mut double) {
                (Some((after, at)), _) if text.get(*at).is_some_and(|c| *c != b'/') => {
                    *at += 1;
                    (p, t) = (*after, *at);
                }
                (_, Some((after, at))) if *at < text.len() => {
                    *at += 1;
                    (p, t) = (*after, *at);
                    star = None;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn patterns_are_for_names_repositories_and_registries() {
        for (pattern, name, expected) in [
            ("docker.io/library/nginx", "docker.io/library/nginx:1.27", true),
            ("docker.io/library/nginx", "docker.io/library/nginx@sha256:00", true),
            ("docker.io/library/nginx", "docker.io/library/nginx2:1", false),
            ("docker.io/library/nginx:1.*", "docker.io/library/nginx:1.27", true),
            ("docker.io/library/nginx:1.*", "docker.io/library/nginx:1.27@sha256:00", true),
            ("docker.io/library/*:latest", "docker.io/library/a:latest", true),
            ("docker.io/library/*:latest", "docker.io/library/a:1", false),
            ("docker.io/*", "docker.io/library/nginx:1", false),
            ("docker.io/*/*", "docker.io/library/nginx:1", true),
            ("docker.io/**", "docker.io/library/nginx:1", true),
            ("ghcr.io/**/app", "ghcr.io/a/b/c/app:2", true),
            ("ghcr.io/**/a*p/x", "ghcr.io/a/b/ap/app/x:2", true),
            ("ghcr.io/**/a*p/x", "ghcr.io/a/b/ap/axp/y", false),
            ("ghcr.io", "ghcr.io/acme/app:1", true),
            ("*.acme.com", "registry.acme.com/app:1", true),
            ("*.acme.com", "registry.acme.com.evil.org/app:1", false),
            ("localhost:5000", "localhost:5000/app:1", true),
            ("localhost:5000/a?p", "localhost:5000/app:1", true),
            ("**", "docker.io/library/nginx:1", true),
            ("*", "docker.io/library/nginx:1", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_without_a_registry_is_refused() {
        for wrong in ["nginx", "library/nginx", ""] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::parse(&format!("*.x/{}", "a*".repeat(50))).unwrap();
        assert!(!pattern.matches(&format!("y.x/{}b/c", "a".repeat(5_000))));
    }
}
