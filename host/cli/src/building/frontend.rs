//! Which frontend reads a build's file: the one that the user names, or `# syntax=` in its first lines, or the bundled one.

use anyhow::{Result, bail};
use nacre_oci::{DEFAULT_REGISTRY, Reference};
use nacre_plugin::{Origin, Plugin, Plugins};

/// The bundled frontend.
pub(super) const DOCKERFILE: &str = "dockerfile";
/// Docker's own frontends, which the bundled one stands for.
const DOCKERS: [&str; 2] = ["docker/dockerfile", "docker/dockerfile-upstream"];

/// The plugin and its frontend for a file. `named` is `--frontend`.
pub(super) fn choose<'a>(plugins: &'a Plugins, named: Option<&str>, content: &[u8]) -> Result<(&'a Plugin, String)> {
    if let Some(name) = named {
        return Ok((plugins.frontend(name)?, name.to_owned()));
    }
    match syntax(content).as_deref() {
        Some(name) if !is_dockers(name) => by_name(plugins, name),
        _ => Ok((plugins.frontend(DOCKERFILE)?, DOCKERFILE.to_owned())),
    }
}

/// By a frontend's name, a plugin's, or the reference that a plugin was installed from.
fn by_name<'a>(plugins: &'a Plugins, name: &str) -> Result<(&'a Plugin, String)> {
    if let Ok(plugin) = plugins.frontend(name) {
        return Ok((plugin, name.to_owned()));
    }
    let wanted = name.parse::<Reference>().ok();
    let from = |plugin: &Plugin| match (&plugin.origin, &wanted) {
        (Origin::Installed { source, .. }, Some(wanted)) => source.parse::<Reference>().is_ok_and(|source| is_same(&source, wanted)),
        _ => false,
    };
    let mut fitting = plugins.list().filter(|plugin| !plugin.manifest.provides.build_frontend.is_empty());
    let short = |plugin: &Plugin| plugin.name().rsplit_once('/').map_or(plugin.name() == name, |(_, short)| short == name);
    match fitting.find(|plugin| plugin.name() == name || short(plugin) || from(plugin)) {
        Some(plugin) => Ok((plugin, plugin.manifest.provides.build_frontend[0].clone())),
        None => {
            let mut known: Vec<&str> = plugins.frontends().map(|(_, name)| name).collect();
            known.sort_unstable();
            known.dedup();
            let known = known.join(", ");
            bail!("# syntax={name} names no frontend that is here (known are {known}): install it with nacre plugin install {name}")
        }
    }
}

/// Whether a plugin from `source` is what is wanted; who names no tag takes any.
fn is_same(source: &Reference, wanted: &Reference) -> bool {
    match wanted.tag().is_some() || wanted.digest().is_some() {
        true => source == wanted || (wanted.digest().is_some() && source.digest() == wanted.digest()),
        false => source.without_tag() == wanted.without_tag(),
    }
}

fn is_dockers(name: &str) -> bool {
    let Ok(reference) = name.parse::<Reference>() else { return false };
    reference.registry() == DEFAULT_REGISTRY && DOCKERS.contains(&reference.repository())
}

/// The frontend that the first lines name: `# syntax=NAME`, `// syntax=NAME`, or `"syntax"` of a JSON object (as BuildKit's
/// `DetectSyntax`). Directives end with the first line that is none.
pub(super) fn syntax(content: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content));
    directive(&text, "#").or_else(|| directive(&text, "//")).or_else(|| {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).ok()?;
        first_word(object.get("syntax")?.as_str()?)
    })
}

fn directive(text: &str, comment: &str) -> Option<String> {
    let lines = text.lines().skip(usize::from(text.starts_with("#!")));
    for line in lines {
        let (name, value) = line.trim().strip_prefix(comment)?.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        if name.eq_ignore_ascii_case("syntax") {
            return first_word(value);
        }
    }
    None
}

fn first_word(text: &str) -> Option<String> {
    text.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_name_the_syntax() {
        let found = |text: &str| syntax(text.as_bytes());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(found("# syntax=docker/dockerfile:1\nFROM x"), some("docker/dockerfile:1"));
        assert_eq!(found("\u{feff}#escape=`\r\n#  SYNTAX = acme/toml  more\r\n"), some("acme/toml"));
        assert_eq!(found("#!/usr/bin/env nacre\n# syntax=a"), some("a"));
        assert_eq!(found("// syntax=a\n{}"), some("a"));
        assert_eq!(found("{\"syntax\": \"a\"}"), some("a"));
        for none in ["FROM x\n# syntax=a", "# a comment\n# syntax=a", "\n# syntax=a", "# syntax=", "", "# a b=c\n# syntax=a"] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn dockers_own_are_ours() {
        for own in ["docker/dockerfile", "docker/dockerfile:1.7-labs", "docker.io/docker/dockerfile:1", "docker/dockerfile-upstream:master"]
        {
            assert!(is_dockers(own), "{own}");
        }
        for other in ["ghcr.io/docker/dockerfile:1", "docker/other", "dockerfile", "A B"] {
            assert!(!is_dockers(other), "{other}");
        }
    }
}
