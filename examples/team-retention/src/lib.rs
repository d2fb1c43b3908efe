//! How long our team keeps images on laptops and CI machines:
//!
//! - a release (a tag such as `v1.2.0`) and whatever is labelled `acme.keep=true` stays for ever,
//! - a CI build (a tag such as `ci-1234` or `pr-56`) goes a week after its last use,
//! - everything else after 90 days.

use nacre_sdk::prune::{Verdict, deletable, delete, keep, repository_and_tag};
use nacre_sdk::time::{parse_duration, show_duration};
use nacre_sdk::{Error, Options, Summary, invalid};

pub fn decide(_policy: &str, now: u64, opts: &Options, images: &[Summary]) -> Result<Vec<Verdict>, Error> {
    let builds = duration(opts, "builds", "7d")?;
    let others = duration(opts, "others", "90d")?;
    let mut verdicts = Vec::new();
    for (index, image) in deletable(images) {
        let idle = now.saturating_sub(last_use(image));
        let (kind, limit) = if is_build(image) { ("build", builds) } else { ("image", others) };
        if is_labelled(image) {
            verdicts.push(keep(index, "labelled acme.keep=true"));
        } else if tags(image).any(is_release) {
            verdicts.push(keep(index, "a release"));
        } else if idle > limit {
            verdicts.push(delete(index, format!("{kind} unused for {}", show_duration(idle))));
        }
    }
    Ok(verdicts)
}

fn duration(opts: &Options, key: &str, default: &str) -> Result<u64, Error> {
    let text = opts.one(key)?.unwrap_or(default);
    parse_duration(text).ok_or_else(|| invalid("bad-duration", format!("{key}={text}: want a duration such as {default}")))
}

fn last_use(image: &Summary) -> u64 {
    let known = [image.last_used, image.pulled, image.built];
    known.into_iter().flatten().max().unwrap_or(image.created)
}

fn tags(image: &Summary) -> impl Iterator<Item = &str> {
    image.names.iter().filter_map(|name| Some(repository_and_tag(name)?.1))
}

fn is_labelled(image: &Summary) -> bool {
    image.labels.iter().any(|label| label.key == "acme.keep" && label.value == "true")
}

fn is_build(image: &Summary) -> bool {
    tags(image).count() > 0 && tags(image).all(|tag| tag.starts_with("ci-") || tag.starts_with("pr-"))
}

fn is_release(tag: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    tag.strip_prefix('v').is_some_and(|version| version.split('.').count() == 3 && version.split('.').all(is_number))
}

nacre_sdk::prune_policy!(decide);

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_sdk::prune::{Action, image};

    const DAY: u64 = 86_400;

    fn decided(tag: &str, idle_days: u64) -> Option<Action> {
        let names = vec![format!("acme.example/web:{tag}")];
        let image = Summary { names, last_used: Some((100 - idle_days) * DAY), ..image() };
        let verdicts = decide("team-retention", 100 * DAY, &Options::default(), &[image]).expect("no options, no errors");
        verdicts.first().map(|verdict| verdict.action)
    }

    #[test]
    fn releases_stay_and_builds_go_first() {
        assert_eq!(decided("v1.2.0", 99), Some(Action::Keep));
        assert_eq!(decided("ci-1234", 8), Some(Action::Delete));
        assert_eq!(decided("ci-1234", 7), None);
        assert_eq!(decided("latest", 8), None);
        assert_eq!(decided("latest", 91), Some(Action::Delete));
    }
}
