//! `nacre search --filter approved=true TERM` shows only what the company approved: the names and
//! patterns in the setting `allow`. A `*` at the end of a pattern stands for anything.

use nacre_sdk::search::{Hit, Pick, pick};
use nacre_sdk::{Error, Options, settings};
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    allow: Vec<String>,
}

pub fn filter(_term: &str, opts: &Options, hits: &[Hit]) -> Result<Vec<Pick>, Error> {
    let settings = serde_json::from_str(&settings());
    let Settings { allow } = settings.map_err(|error| format!("the settings are wrong: {error}"))?;
    let wanted = opts.switch("approved")?.unwrap_or(true);
    Ok(pick(hits, |hit| is_allowed(&allow, &hit.name) == wanted))
}

fn is_allowed(allow: &[String], name: &str) -> bool {
    let name = name.strip_prefix("library/").unwrap_or(name);
    allow.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    })
}

nacre_sdk::search_filter!(filter);

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn names_and_patterns() {
        let allow = ["nginx".to_owned(), "acme/*".to_owned()];
        assert!(is_allowed(&allow, "nginx"));
        assert!(is_allowed(&allow, "library/nginx"));
        assert!(is_allowed(&allow, "acme/web"));
        assert!(!is_allowed(&allow, "nginx2"));
        assert!(!is_allowed(&allow, "evil/acme/web"));
    }
}
