//! `--filter KEY=VALUE`, repeated: what `images`, `search` and `image prune` share.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use nacre_oci::Reference;

use super::glob;

/// The filters of one command, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(Vec<(String, String)>);

impl Filters {
    /// Reads the arguments. Keys are lower-cased and blanks around key and value do not count, as in Docker.
    ///
    /// # Errors
    /// If one has no `=`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut filters = Vec::new();
        for argument in arguments.iter().filter(|argument| !argument.is_empty()) {
            let Some((key, value)) = argument.split_once('=') else {
                bail!("bad format of filter '{argument}' (expected name=value)");
            };
            filters.push((key.trim().to_lowercase(), value.trim().to_owned()));
        }
        Ok(Self(filters))
    }

    /// Checks that every key is one of `known`.
    ///
    /// # Errors
    /// On the first unknown one, naming those that exist.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => bail!("invalid filter '{key}': there are {}", known.join(", ")),
            None => Ok(()),
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The values given for `key`.
    pub(crate) fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(own, _)| *own == key).map(|(_, value)| value)
    }

    /// The value of a yes-or-no filter, if it is given.
    ///
    /// # Errors
    /// If it is not `true`, `1`, `false` or `0`, or is given as both.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let mut flag = None;
        for value in self.values(key) {
            let read = match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => bail!("invalid filter '{key}={value}': write true or false"),
            };
            if flag.replace(read).is_some_and(|earlier| earlier != read) {
                bail!("invalid filter '{key}': it is given as true and as false");
            }
        }
        Ok(flag)
    }

    /// Whether an image with these labels passes `label` (all must fit) and `label!` (none may).
    pub(crate) fn labels_pass(&self, labels: &BTreeMap<String, String>) -> bool {
        self.values("label").all(|wanted| label_fits(wanted, labels)) && !self.values("label!").any(|not| label_fits(not, labels))
    }

    /// Whether one of the `reference` patterns, if there are any, fits the name.
    ///
    /// # Errors
    /// If a pattern is malformed.
    pub(crate) fn reference_passes(&self, name: &Reference) -> Result<bool> {
        let mut patterns = self.values("reference").peekable();
        if patterns.peek().is_none() {
            return Ok(true);
        }
        for pattern in patterns {
            if reference_fits(pattern, name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `key` or `key=value`.
fn label_fits(wanted: &str, labels: &BTreeMap<String, String>) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|own| own == value),
        None => labels.contains_key(wanted),
    }
}

/// Docker's four forms: familiar and canonical, each whole and without the tag.
fn reference_fits(pattern: &str, name: &Reference) -> Result<bool> {
    for form in [name.familiar(), name.familiar_name(), name.to_string(), name.name()] {
        if glob::matches(pattern, &form)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn filters(arguments: &[&str]) -> Filters {
        Filters::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn reads_keys_and_values() {
        let read = filters(&["Dangling = true", "label=a=b", "label!=c", ""]);
        assert_eq!(read.iter().collect::<Vec<_>>(), [("dangling", "true"), ("label", "a=b"), ("label!", "c")]);
        assert_eq!(read.flag("dangling").unwrap(), Some(true));
        assert_eq!(read.flag("other").unwrap(), None);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let bad = Filters::parse(&["dangling".into()]).unwrap_err().to_string();
        assert_eq!(bad, "bad format of filter 'dangling' (expected name=value)");
        let unknown = filters(&["x=1"]).only(&["before", "since"]).unwrap_err().to_string();
        assert_eq!(unknown, "invalid filter 'x': there are before, since");
        assert!(filters(&["dangling=maybe"]).flag("dangling").is_err());
        assert!(filters(&["dangling=1", "dangling=false"]).flag("dangling").is_err());
        assert!(filters(&["before=a"]).only(&["before"]).is_ok());
    }

    #[test]
    fn labels() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        for (given, passes) in [
            (&["label=a"][..], true),
            (&["label=a=1", "label=b"], true),
            (&["label=a=1", "label=c"], false),
            (&["label=a=2"], false),
            (&["label=b="], true),
            (&["label!=a"], false),
            (&["label!=a=2"], true),
            (&["label!=c", "label!=b"], false),
            (&[], true),
        ] {
            assert_eq!(filters(given).labels_pass(&labels), passes, "{given:?}");
        }
    }

    #[test]
    fn references() {
        let name: Reference = "nginx:1.27".parse().unwrap();
        for (pattern, passes) in [
            ("nginx", true),
            ("ngin*", true),
            ("nginx:1.*", true),
            ("docker.io/library/nginx", true),
            ("docker.io/*/nginx:*", true),
            ("*/nginx", false),
            ("nginx:latest", false),
            ("docker.io/*", false),
        ] {
            assert_eq!(filters(&[&format!("reference={pattern}")]).reference_passes(&name).unwrap(), passes, "{pattern}");
        }
        assert!(filters(&[]).reference_passes(&name).unwrap());
        assert!(filters(&["reference=no", "reference=nginx"]).reference_passes(&name).unwrap());
        assert!(filters(&["reference=[a"]).reference_passes(&name).is_err());
    }
}
