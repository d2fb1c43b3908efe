//! What of a rule an image breaks.

use nacre_sdk::admission::Request;
use nacre_sdk::{Kv, size, time};

use crate::pattern::Pattern;
use crate::settings::Rule;

/// The conditions that are not met: each one's key in the settings, and what is wrong.
pub fn broken(rule: &Rule, request: &Request) -> Vec<(&'static str, String)> {
    let conditions = &rule.conditions;
    let found = [
        ("allow", conditions.allow.as_ref().and_then(|allow| not_allowed(allow, request))),
        ("deny", denied(&conditions.deny, request)),
        ("required-labels", missing_labels(&conditions.required_labels, &request.labels)),
        ("max-size", conditions.max_size.as_ref().and_then(|(text, most)| too_large(text, *most, request.size))),
        ("max-age", conditions.max_age.as_ref().and_then(|(text, most)| too_old(text, *most, request))),
        ("require-digest", (rule.wants_digest(request.operation) && !request.by_digest).then(no_digest)),
        ("forbid-root", (conditions.forbid_root && is_root(&request.user)).then(|| "its containers run as root".into())),
    ];
    found.into_iter().filter_map(|(code, what)| Some((code, what?))).collect()
}

/// The images and registries that are allowed are few enough to be named, as a rule.
fn not_allowed(allow: &[Pattern], request: &Request) -> Option<String> {
    match &request.name {
        Some(name) if allow.iter().any(|pattern| pattern.matches(name)) => None,
        Some(_) => Some(format!("it is none of the allowed images, which are {}", listed(allow))),
        None => Some(format!("it has no name, and only named images are allowed: {}", listed(allow))),
    }
}

fn listed(patterns: &[Pattern]) -> String {
    const MOST: usize = 5;
    let mut names: Vec<String> = patterns.iter().take(MOST).map(ToString::to_string).collect();
    if patterns.len() > MOST {
        names.push(format!("{} more", patterns.len() - MOST));
    }
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn denied(deny: &[Pattern], request: &Request) -> Option<String> {
    let name = request.name.as_ref()?;
    let pattern = deny.iter().find(|pattern| pattern.matches(name))?;
    Some(format!("{pattern} is denied"))
}

fn missing_labels(required: &[String], labels: &[Kv]) -> Option<String> {
    let has = |wanted: &&String| {
        let (key, value) = wanted.split_once('=').map_or((wanted.as_str(), None), |(key, value)| (key, Some(value)));
        labels.iter().any(|label| label.key == key && value.is_none_or(|value| label.value == value))
    };
    let missing: Vec<&str> = required.iter().filter(|wanted| !has(wanted)).map(String::as_str).collect();
    (!missing.is_empty()).then(|| format!("it lacks the label{} {}", if missing.len() == 1 { "" } else { "s" }, missing.join(", ")))
}

fn too_large(text: &str, most: u64, bytes: u64) -> Option<String> {
    (bytes > most).then(|| format!("it has {}, more than {text}", size::show(bytes)))
}

fn too_old(text: &str, most: u64, request: &Request) -> Option<String> {
    let Some(created) = request.created else {
        return Some(format!("it does not say when it was made, and may be at most {text} old"));
    };
    let age = request.now.saturating_sub(created);
    (age > most).then(|| format!("it was made {} ago, more than {text}", time::show_duration(age)))
}

fn no_digest() -> String {
    "it is not named by digest: write NAME@sha256:…".into()
}

/// By name or number, and with any group.
fn is_root(user: &str) -> bool {
    let user = user.split(':').next().unwrap_or_default();
    user.is_empty() || user == "root" || user.parse() == Ok(0_u64)
}
