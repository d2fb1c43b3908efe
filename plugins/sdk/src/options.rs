//! The `KEY=VALUE` options of a call.

use std::str::FromStr;

use crate::{Error, Kv, invalid};

/// The options that the user gave, in their order. Keys may repeat.
#[derive(Default)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// All values of `key`.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The value of `key`, if it is given. Twice is an error.
    pub fn one<'a>(&'a self, key: &'a str) -> Result<Option<&'a str>, Error> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(invalid("repeated", format!("{key} may be given only once"))),
            (value, None) => Ok(value),
        }
    }

    /// The value of `key`, which must be there.
    pub fn required<'a>(&'a self, key: &'a str) -> Result<&'a str, Error> {
        self.one(key)?.ok_or_else(|| invalid("missing", format!("{key} is missing")))
    }

    /// The value of `key`, parsed. `what` says what it should be: `a number`.
    pub fn parse<T: FromStr>(&self, key: &str, what: &str) -> Result<Option<T>, Error> {
        let wrong = |value| invalid("bad-value", format!("invalid option '{key}={value}': want {what}"));
        self.one(key)?.map(|value| value.parse().map_err(|_| wrong(value))).transpose()
    }

    /// A switch as Docker reads it: `true` or `1`, `false` or `0`. It may repeat, but not
    /// contradict itself.
    pub fn switch(&self, key: &str) -> Result<Option<bool>, Error> {
        let mut found = None;
        for value in self.all(key) {
            let on = match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return Err(invalid_filter(key, value)),
            };
            if found.is_some_and(|before| before != on) {
                return Err(invalid_filter(key, value));
            }
            found = Some(on);
        }
        Ok(found)
    }
}

/// Docker's words for a filter's bad value.
pub(crate) fn invalid_filter(key: &str, value: &str) -> Error {
    invalid("bad-value", format!("invalid filter '{key}={value}'"))
}

impl From<Vec<Kv>> for Options {
    fn from(opts: Vec<Kv>) -> Options {
        Options(opts.into_iter().map(|Kv { key, value }| (key, value)).collect())
    }
}

/// For tests: `Options::from([("keep", "3")])`.
impl<const N: usize> From<[(&str, &str); N]> for Options {
    fn from(opts: [(&str, &str); N]) -> Options {
        Options(opts.iter().map(|&(key, value)| (key.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_switch_takes_dockers_words_and_no_contradiction() {
        let switch = |values: &[&str]| {
            let opts = Options(values.iter().map(|v| ("on".into(), v.to_string())).collect());
            opts.switch("on").ok()
        };
        assert_eq!(switch(&[]), Some(None));
        assert_eq!(switch(&["1", "true"]), Some(Some(true)));
        assert_eq!(switch(&["false"]), Some(Some(false)));
        assert_eq!(switch(&["yes"]), None);
        assert_eq!(switch(&["true", "0"]), None);
    }

    #[test]
    fn one_value_means_one() {
        let opts = Options::from([("keep", "3"), ("until", "1h"), ("until", "2h")]);
        assert_eq!(opts.parse::<u32>("keep", "a number").unwrap(), Some(3));
        assert_eq!((opts.one("absent").unwrap(), opts.required("keep").unwrap()), (None, "3"));
        assert!(opts.required("absent").is_err());
        assert!(opts.one("until").is_err());
        assert!(Options::from([("keep", "x")]).parse::<u32>("keep", "a number").is_err());
    }
}
