//! Frontends: the world `build-frontend`.
//!
//! A frontend reads the user's file and returns, for each platform, a [`Definition`](crate::graph::Definition) and
//! the image's configuration. What it can ask meanwhile is [`crate::build`].

#[doc(hidden)]
#[allow(missing_docs, reason = "the comments are in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "build-frontend",
        with: {
            "nacre:plugin/types@0.1.0": crate::bindings::nacre::plugin::types,
            "nacre:plugin/host@0.1.0": crate::bindings::nacre::plugin::host,
            "nacre:plugin/graph@0.1.0": crate::bindings::nacre::plugin::graph,
            "nacre:plugin/build@0.1.0": crate::bindings::nacre::plugin::build,
        },
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
    });
}

pub use crate::build::{Resolved, Snapshot};
pub use bindings::exports::nacre::plugin::frontend::{Context, ContextKind, Fresh, Image, Request};

use crate::graph::Network;
use crate::{Diagnostic, Error, Platform, Span};

/// The name of the context that is the build's own folder.
pub const MAIN_CONTEXT: &str = "context";
/// The name of the context that the build's own file lies in.
pub const FILE_CONTEXT: &str = "dockerfile";

/// A mistake in a file that the user wrote, at this line of it.
pub fn mistake(code: &str, message: impl Into<String>, file: &str, line: u32) -> Error {
    let at = Some(Span { file: file.into(), line, col: 1 });
    Error::Invalid(vec![Diagnostic { code: code.into(), message: message.into(), help: None, at }])
}

/// The platforms to build for: those that the user named, or the one of this machine.
pub fn platforms(request: &Request) -> &[Platform] {
    match request.platforms.is_empty() {
        true => std::slice::from_ref(&request.build_platform),
        false => &request.platforms,
    }
}

/// A text as JSON writes it, for configurations.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A request for tests: this file, for linux/amd64, without anything else. Set what matters:
/// `Request { check: true, ..request("Dockerfile", b"FROM scratch") }`.
pub fn request(file: &str, content: &[u8]) -> Request {
    let amd64 = Platform { os: "linux".into(), arch: "amd64".into(), variant: None };
    Request {
        file: file.into(),
        content: content.into(),
        target: None,
        args: Vec::new(),
        contexts: Vec::new(),
        platforms: vec![amd64.clone()],
        build_platform: amd64,
        labels: Vec::new(),
        fresh: Fresh::None,
        network: Network::Sandbox,
        check: false,
        opts: Vec::new(),
    }
}

/// Exports a `fn build(frontend: &str, request: Request) -> Result<Vec<Image>, Error>` as this component's frontends.
#[macro_export]
macro_rules! build_frontend {
    ($build:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;
            impl $crate::frontend::bindings::exports::nacre::plugin::frontend::Guest for Plugin {
                fn build(frontend: String, request: $crate::frontend::Request) -> Result<Vec<$crate::frontend::Image>, $crate::Error> {
                    $build(&frontend, request)
                }
            }
    $crate::frontend::bindings::export!(Plugin with_types_in $crate::frontend::bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_are_quoted() {
        assert_eq!(quoted("a \"b\" \\ é\n"), r#""a \"b\" \\ é\u000a""#);
    }
}
