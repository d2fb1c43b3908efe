//! Nothing is pushed as `latest`: whoever deploys it would not know what it is.

use nacre_sdk::admission::{Decision, Operation, Request};
use nacre_sdk::{Diagnostic, Error};

pub fn review(request: &Request) -> Result<Decision, Error> {
    let name = request.name.as_deref().unwrap_or_default();
    if request.operation != Operation::Push || !name.ends_with(":latest") {
        return Ok(Decision::Allow);
    }
    let message = format!("{name} has the tag latest");
    let help = Some("push it with a version as its tag".to_owned());
    Ok(Decision::Deny(vec![Diagnostic { code: "latest".to_owned(), message, help, at: None }]))
}

nacre_sdk::admission!(review);
