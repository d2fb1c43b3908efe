//! What a user says about a container, and what its image says (moby's `daemon/commit.go`, `merge`, which `create` and
//! `commit` share).

use nacre_oci::RunConfig;
use serde_json::Value;

/// Adds to `own` what only `image` says.
pub(crate) fn merge(own: &mut RunConfig, image: &RunConfig) {
    if own.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if own.cmd.as_ref().is_none_or(Vec::is_empty) {
            own.cmd.clone_from(&image.cmd);
        }
        if own.entrypoint.is_none() {
            own.entrypoint.clone_from(&image.entrypoint);
        }
    }
    let named = |one: &str| one.split('=').next().unwrap_or_default().to_owned();
    let known: Vec<String> = own.env.iter().map(|one| named(one)).collect();
    own.env.extend(image.env.iter().filter(|one| !known.contains(&named(one))).cloned());
    if own.user.is_empty() {
        own.user.clone_from(&image.user);
    }
    if own.working_dir.is_empty() {
        own.working_dir.clone_from(&image.working_dir);
    }
    if own.stop_signal.is_none() {
        own.stop_signal.clone_from(&image.stop_signal);
    }
    fill(&mut own.exposed_ports, &image.exposed_ports);
    fill(&mut own.volumes, &image.volumes);
    fill(&mut own.labels, &image.labels);
    health(own, image);
}

fn fill<V: Clone>(own: &mut std::collections::BTreeMap<String, V>, image: &std::collections::BTreeMap<String, V>) {
    for (key, value) in image {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// The image's health check; of one that says only a part, the rest is the image's. Of the other things that an image may say,
/// `OnBuild` and `Shell`, a container has nothing.
fn health(own: &mut RunConfig, image: &RunConfig) {
    let Some(theirs) = image.rest.get("Healthcheck") else { return };
    let held = own.rest.entry("Healthcheck").or_insert_with(|| theirs.clone());
    if let (Value::Object(held), Value::Object(theirs)) = (held, theirs) {
        for (key, value) in theirs {
            held.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        (text != "-").then(|| text.split_whitespace().map(str::to_owned).collect())
    }

    /// Docker's table of how `ENTRYPOINT` and `CMD` interact. `-` is what is not given.
    #[test]
    fn an_entrypoint_takes_the_images_command_away() {
        for (own, image, entrypoint, cmd) in [
            (("-", "-"), ("-", "c d"), "-", "c d"),
            (("-", "x"), ("-", "c d"), "-", "x"),
            (("-", "-"), ("e", "c"), "e", "c"),
            (("-", "x y"), ("e", "c"), "e", "x y"),
            (("f", "-"), ("e", "c"), "f", "-"),
            (("f", "x"), ("e", "c"), "f", "x"),
            (("-", ""), ("e", "c"), "e", "c"),
        ] {
            let config =
                |(entrypoint, cmd): (&str, &str)| RunConfig { entrypoint: words(entrypoint), cmd: words(cmd), ..RunConfig::default() };
            let mut merged = config(own);
            merge(&mut merged, &config(image));
            assert_eq!((merged.entrypoint, merged.cmd), (words(entrypoint), words(cmd)), "{own:?} over {image:?}");
        }
    }

    #[test]
    fn variables_are_merged_by_name_and_what_was_said_stays() {
        let env = |list: &[&str]| RunConfig { env: list.iter().map(ToString::to_string).collect(), ..RunConfig::default() };
        let mut own = env(&["A=mine", "C=c", "GONE"]);
        merge(&mut own, &env(&["A=image", "B=two", "GONE=here"]));
        assert_eq!(own.env, ["A=mine", "C=c", "GONE", "B=two"]);
    }
}
