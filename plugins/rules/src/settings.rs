//! The settings, read strictly: a rule that cannot be read must not pass for one that is kept.

use nacre_sdk::admission::{Operation, Request};
use nacre_sdk::{Error, invalid, size, time};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::pattern::Pattern;

/// `[plugins.rules]`.
pub struct Settings {
    /// How to ask for a change.
    contact: Option<String>,
    /// Every rule; the first is what stands at the top.
    pub rules: Vec<Rule>,
}

/// What an image has to be like. A condition that is not set is met.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Conditions {
    /// Only these images and registries.
    pub allow: Option<Vec<Pattern>>,
    /// Not these, even if they are allowed.
    pub deny: Vec<Pattern>,
    /// `key` or `key=value`, all of them.
    pub required_labels: Vec<String>,
    /// Bytes of all blobs.
    #[serde(deserialize_with = "bytes")]
    pub max_size: Option<(String, u64)>,
    /// Seconds since the image was made.
    #[serde(deserialize_with = "seconds")]
    pub max_age: Option<(String, u64)>,
    /// Named by digest when it is pulled; also when it is pushed, if the rule's `operations` say so.
    pub require_digest: bool,
    /// Its containers do not run as root.
    pub forbid_root: bool,
}

/// Conditions, and when they have to be met.
#[derive(Default)]
pub struct Rule {
    /// What it is called in a refusal.
    name: Option<String>,
    /// Which images it is for; all if there are none.
    images: Vec<Pattern>,
    /// What it is for; everything but removal if it does not say.
    operations: Option<Vec<Operation>>,
    /// Why there is such a rule, for whoever breaks it.
    message: Option<String>,
    /// Tell, but let it happen.
    pub warn: bool,
    /// What it demands.
    pub conditions: Conditions,
}

/// `[[plugins.rules.rule]]` without its conditions.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Scope {
    name: Option<String>,
    images: Vec<Pattern>,
    operations: Option<Vec<String>>,
    message: Option<String>,
    warn: bool,
}

const SCOPE: [&str; 5] = ["name", "images", "operations", "message", "warn"];

impl Settings {
    /// Reads the settings' JSON.
    pub fn parse(json: &str) -> Result<Settings, Error> {
        let wrong = |error: serde_json::Error| bad(&error.to_string());
        let mut map: Map<String, Value> = serde_json::from_str(json).map_err(wrong)?;
        let mut take = |key: &str| map.remove(key);
        let contact = take("contact").map(serde_json::from_value).transpose().map_err(wrong)?;
        let rules: Vec<Map<String, Value>> =
            take("rule").map(serde_json::from_value).transpose().map_err(|error| bad(&format!("rule: {error}")))?.unwrap_or_default();
        let conditions = serde_json::from_value(Value::Object(map)).map_err(wrong)?;
        let top = Rule { conditions, ..Rule::default() };
        let rules = rules.into_iter().map(Rule::parse);
        Ok(Settings { contact, rules: std::iter::once(Ok(top)).chain(rules).collect::<Result<_, _>>()? })
    }

    /// What to do about a broken rule.
    pub fn help(&self, code: &str) -> String {
        let default = || format!("whoever looks after '{code}' of [plugins.rules] in nacre's configuration can change it");
        self.contact.clone().unwrap_or_else(default)
    }
}

impl Rule {
    fn parse(mut map: Map<String, Value>) -> Result<Rule, Error> {
        let scope: Map<String, Value> = SCOPE.iter().filter_map(|key| map.remove_entry(*key)).collect();
        let scope: Scope = serde_json::from_value(scope.into()).map_err(|error| bad(&format!("rule: {error}")))?;
        let name = scope.name.clone().unwrap_or_else(|| "rule".into());
        let conditions = serde_json::from_value(map.into()).map_err(|error| bad(&format!("{name}: {error}")))?;
        let operations = scope.operations.map(|names| names.iter().map(|name| operation(name)).collect()).transpose()?;
        Ok(Rule { name: scope.name, images: scope.images, operations, message: scope.message, warn: scope.warn, conditions })
    }

    /// Whether the rule is for this request.
    pub fn concerns(&self, request: &Request) -> bool {
        let operation = match &self.operations {
            Some(operations) => operations.contains(&request.operation),
            None => request.operation != Operation::Remove,
        };
        let named = |name: &String| self.images.iter().any(|pattern| pattern.matches(name));
        operation && (self.images.is_empty() || request.name.as_ref().is_some_and(named))
    }

    /// Whether the image has to be named by digest now.
    pub fn wants_digest(&self, operation: Operation) -> bool {
        let push = self.operations.as_ref().is_some_and(|operations| operations.contains(&Operation::Push));
        self.conditions.require_digest && (operation == Operation::Pull || (operation == Operation::Push && push))
    }

    /// What is broken, with the rule's name and its reason.
    pub fn explain(&self, what: &str) -> String {
        let rule = self.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let reason = self.message.as_ref().map(|message| format!("; {message}")).unwrap_or_default();
        format!("{rule}{what}{reason}")
    }
}

fn bad(why: &str) -> Error {
    // serde counts lines of a text that the user never saw.
    let why = why.split(" at line ").next().unwrap_or(why);
    invalid("bad-settings", format!("[plugins.rules] of the configuration cannot be read: {why}"))
}

fn operation(name: &str) -> Result<Operation, Error> {
    Ok(match name {
        "pull" => Operation::Pull,
        "push" => Operation::Push,
        "build" => Operation::Build,
        "import" => Operation::Import,
        "load" => Operation::Load,
        "tag" => Operation::Tag,
        "remove" => Operation::Remove,
        other => return Err(bad(&format!("operations: '{other}' is none of pull, push, build, import, load, tag and remove"))),
    })
}

/// `"500MB"`, with its text for messages.
fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(String, u64)>, D::Error> {
    let text = String::deserialize(from)?;
    let bytes = size::parse(&text).ok_or_else(|| D::Error::custom(format!("max-size = \"{text}\": want a size such as \"500MB\"")))?;
    Ok(Some((text, bytes)))
}

/// `"90d"`, with its text for messages.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(String, u64)>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || D::Error::custom(format!("max-age = \"{text}\": want a duration such as \"90d\""));
    let seconds = time::parse_duration(&text).ok_or_else(wrong)?;
    Ok(Some((text, seconds)))
}
