//! `# check=skip=Rule,Rule;error=true;experimental=Rule`

use super::Rule;
use crate::syntax::{boolean, check_comment, quoted};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Which rules hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks {
    /// `skip=`
    pub skip: Names,
    /// `experimental=`
    pub experimental: Names,
    /// `error=true`: a warning fails the build.
    pub error: bool,
}

/// Names of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// `all`
    pub all: bool,
    /// Each as it is written, whether or not there is such a rule.
    pub names: BTreeSet<String>,
}

impl Checks {
    /// Reads what stands behind `check=`, at most three options (BuildKit's `ParseLintOptions`).
    pub fn parse(text: &str) -> Result<Checks, String> {
        let mut checks = Checks::default();
        for option in text.trim().splitn(3, ';').filter(|_| !text.trim().is_empty()) {
            let (key, value) = option.split_once('=').ok_or_else(|| invalid(option))?;
            let value = value.trim();
            match key.trim() {
                "skip" => checks.skip = Names::parse(value),
                "experimental" => checks.experimental = Names::parse(value),
                "error" => checks.error = boolean(value).ok_or_else(|| no_boolean(option, value))?,
                key => return Err(invalid(key)),
            }
        }
        Ok(checks)
    }

    /// Whether warnings of this rule are wanted.
    pub fn holds(&self, rule: Rule) -> bool {
        if rule.experimental() { self.experimental.has(rule) } else { !self.skip.has(rule) }
    }

    /// With the first `check=` of the comments above an instruction, unless it cannot be read.
    pub(super) fn with(&self, comments: &[String]) -> Cow<'_, Checks> {
        let more = comments.iter().find_map(|comment| check_comment(comment)).map(Checks::parse);
        let Some(Ok(more)) = more else { return Cow::Borrowed(self) };
        let mut checks = self.clone();
        checks.skip.add(more.skip);
        checks.experimental.add(more.experimental);
        Cow::Owned(checks)
    }
}

impl Names {
    fn parse(text: &str) -> Names {
        match text {
            "all" => Names { all: true, names: BTreeSet::new() },
            _ => Names { all: false, names: text.split(',').map(|name| name.trim().to_owned()).collect() },
        }
    }

    fn has(&self, rule: Rule) -> bool {
        self.all || self.names.contains(rule.name())
    }

    fn add(&mut self, more: Names) {
        self.all |= more.all;
        self.names.extend(more.names);
    }
}

fn invalid(option: &str) -> String {
    format!("invalid check option {}", quoted(option))
}

fn no_boolean(option: &str, value: &str) -> String {
    let reason = format!("strconv.ParseBool: parsing {}: invalid syntax", quoted(value));
    format!("failed to parse check option {}: {reason}", quoted(option))
}
