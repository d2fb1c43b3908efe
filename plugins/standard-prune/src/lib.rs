//! Docker's rules for `image prune`.
//!
//! Docker tests `until` against an image's creation time with its older store and against the
//! time of its arrival with its newer one. Here `until-by` says which, and the reason tells.

use nacre_sdk::prune::{Verdict, deletable, delete};
use nacre_sdk::time::{parse_until, show_duration};
use nacre_sdk::{Error, Options, Summary, invalid};

/// The policy `standard`.
pub fn decide(_policy: &str, now: u64, opts: &Options, candidates: &[Summary]) -> Result<Vec<Verdict>, Error> {
    let all = opts.switch("all")?.unwrap_or(false);
    let age = Age::from_options(opts, now)?;
    Ok(deletable(candidates)
        .filter(|(_, image)| all || image.dangling)
        .filter(|(_, image)| opts.all("label").all(|wanted| has_label(image, wanted)))
        .filter(|(_, image)| !opts.all("label!").any(|unwanted| has_label(image, unwanted)))
        .filter_map(|(index, image)| {
            let kind = if image.dangling { "dangling" } else { "unused" };
            match &age {
                None => Some(delete(index, kind)),
                Some(age) => age.reason(image, now).map(|old| delete(index, format!("{kind}, {old}"))),
            }
        })
        .collect())
}

/// What `until` and `until-by` ask for.
struct Age<'a> {
    /// As the user wrote it.
    text: &'a str,
    /// Seconds since 1970.
    until: u64,
    by_pulled: bool,
}

impl<'a> Age<'a> {
    fn from_options(opts: &'a Options, now: u64) -> Result<Option<Age<'a>>, Error> {
        let by_pulled = match opts.one("until-by")? {
            None | Some("created") => false,
            Some("pulled") => true,
            Some(other) => {
                let message = format!("invalid option 'until-by={other}': want created or pulled");
                return Err(invalid("bad-value", message));
            }
        };
        let Some(text) = opts.one("until")? else { return Ok(None) };
        let wrong = || format!("invalid filter 'until={text}': want a duration (24h, 30d), a date, a time or Unix seconds");
        let until = parse_until(text, now).ok_or_else(|| invalid("bad-value", wrong()))?;
        Ok(Some(Age { text, until, by_pulled }))
    }

    /// Why the image is old enough. An image of unknown arrival arrived when it was built here, and
    /// if it was not, it counts as new.
    fn reason(&self, image: &Summary, now: u64) -> Option<String> {
        let (verb, time) = match self.by_pulled {
            true => ("pulled", image.pulled.or(image.built)?),
            false => ("created", image.created),
        };
        let ago = show_duration(now.saturating_sub(time));
        (time < self.until).then(|| format!("{verb} {ago} ago, before until={}", self.text))
    }
}

/// Whether the image has the label `key`, or `key=value`.
fn has_label(image: &Summary, wanted: &str) -> bool {
    let (key, value) = wanted.split_once('=').map_or((wanted, None), |(key, value)| (key, Some(value)));
    image.labels.iter().any(|label| label.key == key && value.is_none_or(|value| label.value == value))
}

nacre_sdk::prune_policy!(decide);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use nacre_sdk::Kv;
    use nacre_sdk::prune::image;

    const NOW: u64 = 100 * 86400;

    fn labelled(key: &str, value: &str) -> Summary {
        Summary { labels: vec![Kv { key: key.into(), value: value.into() }], ..image() }
    }

    fn deleted<const N: usize>(opts: [(&str, &str); N], images: &[Summary]) -> Vec<(u32, String)> {
        let verdicts = decide("standard", NOW, &opts.into(), images).unwrap();
        verdicts.into_iter().map(|verdict| (verdict.index, verdict.reason)).collect()
    }

    fn indices<const N: usize>(opts: [(&str, &str); N], images: &[Summary]) -> Vec<u32> {
        deleted(opts, images).into_iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn dangling_by_default_and_unused_with_all() {
        let images = [
            image(),
            Summary { dangling: false, ..image() },
            Summary { dangling: false, in_use: true, ..image() },
            Summary { pinned: true, ..image() },
        ];
        assert_eq!(deleted([], &images), [(0, "dangling".into())]);
        assert_eq!(indices([("all", "true")], &images), [0, 1]);
        assert_eq!(indices([("all", "false")], &images), [0]);
    }

    #[test]
    fn until_tests_the_time_that_was_asked_for() {
        let images = [
            Summary { created: NOW - 40 * 86400, pulled: Some(NOW - 60), ..image() },
            Summary { created: NOW - 60, built: Some(NOW - 60), ..image() },
        ];
        let reason = "dangling, created 40 days ago, before until=30d";
        assert_eq!(deleted([("until", "30d")], &images), [(0, reason.into())]);
        assert_eq!(indices([("until", "30d"), ("until-by", "pulled")], &images), []);
        assert_eq!(indices([("until", "30s"), ("until-by", "pulled")], &images), [0, 1]);
        assert_eq!(indices([("until", "1970-03-02")], &images), []);
    }

    #[test]
    fn labels_are_wanted_together_and_unwanted_singly() {
        let images = [image(), labelled("keep", "yes"), labelled("keep", "no")];
        assert_eq!(indices([("label", "keep")], &images), [1, 2]);
        assert_eq!(indices([("label", "keep"), ("label", "keep=no")], &images), [2]);
        assert_eq!(indices([("label!", "keep=yes")], &images), [0, 2]);
        assert_eq!(indices([("label!", "keep=yes"), ("label!", "keep=no")], &images), [0]);
    }

    #[test]
    fn bad_options_are_refused() {
        for opts in [("until", "soon"), ("until-by", "used"), ("all", "perhaps")] {
            assert!(decide("standard", NOW, &[opts].into(), &[]).is_err(), "{opts:?}");
        }
        assert!(decide("standard", NOW, &[("until", "1h"), ("until", "2h")].into(), &[]).is_err());
    }
}
