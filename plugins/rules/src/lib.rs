//! An organisation's rules on images, from the configuration:
//!
//! ```toml
//! [plugins.rules]
//! contact = "ask platform@acme.com"
//! allow = ["docker.io/library/*", "ghcr.io", "registry.acme.com/team/**"]
//! deny = ["docker.io/library/*:latest"]
//! required-labels = ["org.opencontainers.image.source", "team=platform"]
//! max-size = "2GB"
//! max-age = "90d"
//! require-digest = true
//! forbid-root = true
//!
//! [[plugins.rules.rule]]
//! name = "production"
//! images = ["registry.acme.com/prod/**"]
//! operations = ["push", "remove"]
//! deny = ["**"]
//! message = "production images are pushed by CI"
//! ```
//!
//! Every rule has to be kept. What stands at the top holds for all images and everything but their removal;
//! a `[[plugins.rules.rule]]` says for which `images` and `operations` it is. Of the same key in two configuration files
//! the system's counts, so that a user can only add to an organisation's rules.

mod check;
mod pattern;
mod settings;

use nacre_sdk::admission::{Decision, Request};
use nacre_sdk::{Diagnostic, Error};
use settings::Settings;

/// Checks an image against the rules of the configuration.
pub fn review(request: &Request) -> Result<Decision, Error> {
    let settings = Settings::parse(&nacre_sdk::settings())?;
    Ok(decide(&settings, request))
}

/// One broken rule that does not only warn is enough to refuse; all that are broken are told.
fn decide(settings: &Settings, request: &Request) -> Decision {
    let (mut denials, mut warnings) = (Vec::new(), Vec::new());
    for rule in settings.rules.iter().filter(|rule| rule.concerns(request)) {
        let broken = check::broken(rule, request).into_iter().map(|(code, what)| Diagnostic {
            code: code.into(),
            message: rule.explain(&what),
            help: Some(settings.help(code)),
            at: None,
        });
        if rule.warn { warnings.extend(broken) } else { denials.extend(broken) }
    }
    match (denials.is_empty(), warnings.is_empty()) {
        (false, _) => Decision::Deny(denials),
        (true, false) => Decision::Warn(warnings),
        (true, true) => Decision::Allow,
    }
}

nacre_sdk::admission!(review);

#[cfg(test)]
mod tests;
