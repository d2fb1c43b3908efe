//! Prune policies: the world `prune-policy`.

use crate::Summary;

#[doc(hidden)]
#[allow(missing_docs, reason = "the comments are in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "prune-policy",
        with: {
            "nacre:plugin/types@0.1.0": crate::bindings::nacre::plugin::types,
            "nacre:plugin/host@0.1.0": crate::bindings::nacre::plugin::host,
        },
        pub_export_macro: true,
    });
}

pub use bindings::exports::nacre::plugin::prune::{Action, Verdict};

/// The candidates that a policy may delete, with their positions: neither pinned nor in use.
pub fn deletable(candidates: &[Summary]) -> impl Iterator<Item = (u32, &Summary)> {
    (0..).zip(candidates).filter(|(_, image)| !image.pinned && !image.in_use)
}

/// The verdict to delete the candidate at `index`.
pub fn delete(index: u32, reason: impl Into<String>) -> Verdict {
    Verdict { index, action: Action::Delete, reason: reason.into() }
}

/// The verdict to keep the candidate at `index`, whatever other policies say.
pub fn keep(index: u32, reason: impl Into<String>) -> Verdict {
    Verdict { index, action: Action::Keep, reason: reason.into() }
}

/// Splits a full name into repository and tag: `docker.io/library/nginx` and `1.27`. `None` for a
/// name by digest.
pub fn repository_and_tag(name: &str) -> Option<(&str, &str)> {
    let (repository, tag) = name.rsplit_once(':')?;
    (!tag.contains('/') && !repository.contains('@')).then_some((repository, tag))
}

/// An image for tests: dangling, of one byte, from the beginning of 1970. Set what matters:
/// `Summary { created: 5, ..image() }`.
pub fn image() -> Summary {
    Summary {
        id: String::new(),
        names: Vec::new(),
        dangling: true,
        created: 0,
        pulled: None,
        built: None,
        last_used: None,
        size: 1,
        shared: 0,
        in_use: false,
        pinned: false,
        labels: Vec::new(),
        platforms: Vec::new(),
    }
}

/// Exports a `fn(policy: &str, now: u64, opts: &Options, candidates: &[Summary]) ->
/// Result<Vec<Verdict>, Error>` as this component's prune policy.
#[macro_export]
macro_rules! prune_policy {
    ($decide:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;
            impl $crate::prune::bindings::exports::nacre::plugin::prune::Guest for Plugin {
                fn decide(
                    policy: String,
                    now: u64,
                    opts: Vec<$crate::Kv>,
                    candidates: Vec<$crate::Summary>,
                ) -> Result<Vec<$crate::prune::Verdict>, $crate::Error> {
                    $decide(&policy, now, &opts.into(), &candidates)
                }
            }
    $crate::prune::bindings::export!(Plugin with_types_in $crate::prune::bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_the_tag_only() {
        let split = repository_and_tag;
        assert_eq!(split("docker.io/library/nginx:1.27"), Some(("docker.io/library/nginx", "1.27")));
        assert_eq!(split("localhost:5000/a:b"), Some(("localhost:5000/a", "b")));
        assert_eq!(split("localhost:5000/a"), None);
        assert_eq!(split("docker.io/library/nginx@sha256:00"), None);
    }

    #[test]
    fn pinned_and_used_images_are_never_deletable() {
        let images = [Summary { pinned: true, ..image() }, image(), Summary { in_use: true, ..image() }];
        assert_eq!(deletable(&images).map(|(index, _)| index).collect::<Vec<_>>(), [1]);
    }
}
