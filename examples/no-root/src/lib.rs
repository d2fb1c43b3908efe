//! What is pulled, imported, loaded, built or pushed must not run as root, unless the setting `allow` names it.

use nacre_sdk::admission::{Decision, Operation, Request};
use nacre_sdk::{Diagnostic, Error, settings};
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    allow: Vec<String>,
}

pub fn review(request: &Request) -> Result<Decision, Error> {
    let Settings { allow } = serde_json::from_str(&settings()).map_err(|error| format!("the settings are wrong: {error}"))?;
    Ok(decide(request, &allow))
}

fn decide(request: &Request, allow: &[String]) -> Decision {
    let name = request.name.as_deref().unwrap_or(&request.digest);
    let harmless = matches!(request.operation, Operation::Tag | Operation::Remove);
    if harmless || !is_root(&request.user) || allow.iter().any(|pattern| fits(pattern, name)) {
        return Decision::Allow;
    }
    let message = format!("containers of {name} run as root");
    let help = Some("set a USER in its Dockerfile, or ask for it to be allowed".to_owned());
    Decision::Deny(vec![Diagnostic { code: "root".into(), message, help, at: None }])
}

/// `USER`, without its group. Nothing is root.
fn is_root(user: &str) -> bool {
    matches!(user.split(':').next(), None | Some("" | "0" | "root"))
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

nacre_sdk::admission!(review);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_several_names() {
        assert!(["", "0", "root", "root:wheel", "0:0"].into_iter().all(is_root));
        assert!(!["1000", "app", "app:root"].into_iter().any(is_root));
    }

    #[test]
    fn patterns_end_with_a_star() {
        assert!(fits("docker.io/library/*", "docker.io/library/nginx:1.27"));
        assert!(fits("a/b:1", "a/b:1"));
        assert!(!fits("a/b:1", "a/b:12"));
    }
}
