//! Keeps the newest images of each repository.
//!
//! An image with names in several repositories goes only if it is beyond the limit in each of them.
//! Dangling images are in no repository, so nothing keeps them.

use std::collections::{BTreeMap, BTreeSet};

use nacre_sdk::prune::{Verdict, deletable, delete, repository_and_tag};
use nacre_sdk::{Error, Options, Summary, invalid};
use semver::{BuildMetadata, Prerelease, Version};

/// A repository's images: positions, each with what it is sorted by, larger for newer.
type Ranked<'a, K> = BTreeMap<&'a str, BTreeMap<u32, K>>;

/// The policy `keep-last`.
pub fn decide(_policy: &str, _now: u64, opts: &Options, candidates: &[Summary]) -> Result<Vec<Verdict>, Error> {
    let keep: usize = opts.parse("keep", "a number")?.unwrap_or(5);
    let beyond = match opts.one("by")? {
        None | Some("created") => beyond(keep, rank(candidates, |image, _| Some(image.created))),
        Some("semver") => beyond(keep, rank(candidates, |_, tag| version(tag))),
        Some(other) => {
            let message = format!("invalid option 'by={other}': want created or semver");
            return Err(invalid("bad-value", message));
        }
    };
    let reason = |index, image: &Summary| match beyond.get(&index) {
        Some(repository) => Some(format!("not among the newest {keep} of {repository}")),
        None => image.dangling.then(|| "dangling, in no repository".to_owned()),
    };
    Ok(deletable(candidates).filter_map(|(index, image)| Some(delete(index, reason(index, image)?))).collect())
}

/// Groups the images by repository. One without a key, such as a tag that is no version, ranks
/// nowhere. With several tags in a repository, an image's newest counts.
fn rank<K: Ord>(images: &[Summary], key: impl Fn(&Summary, &str) -> Option<K>) -> Ranked<'_, Option<K>> {
    let mut ranked: Ranked<Option<K>> = BTreeMap::new();
    for (index, image) in (0..).zip(images) {
        for (repository, tag) in image.names.iter().filter_map(|name| repository_and_tag(name)) {
            let found = key(image, tag);
            let best = ranked.entry(repository).or_default().entry(index).or_insert(None);
            if found > *best {
                *best = found;
            }
        }
    }
    ranked
}

/// The images beyond the first `keep` in every repository they are in, each with one of these.
fn beyond<K: Ord>(keep: usize, ranked: Ranked<'_, Option<K>>) -> BTreeMap<u32, &str> {
    let mut beyond = BTreeMap::new();
    let mut kept = BTreeSet::new();
    for (repository, images) in ranked {
        let (with_key, without): (Vec<_>, Vec<_>) = images.into_iter().partition(|(_, key)| key.is_some());
        kept.extend(without.into_iter().map(|(index, _)| index));
        let mut newest_first = with_key;
        newest_first.sort_by(|(a, newer), (b, older)| older.cmp(newer).then(a.cmp(b)));
        for (place, (index, _)) in newest_first.into_iter().enumerate() {
            if place < keep {
                kept.insert(index);
            } else {
                beyond.insert(index, repository);
            }
        }
    }
    beyond.retain(|index, _| !kept.contains(index));
    beyond
}

/// The version in a tag: `1.27.3`, `v2.0.0-rc.1`, `1.27` or `3`, with anything behind a `-` as a
/// pre-release.
fn version(tag: &str) -> Option<Version> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let (numbers, pre) = tag.split_once('-').unwrap_or((tag, ""));
    let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let part = |i: usize| numbers.get(i).copied().unwrap_or(0);
    let pre = Prerelease::new(pre).ok()?;
    let (major, minor, patch) = (part(0), part(1), part(2));
    (numbers.len() <= 3).then_some(Version { major, minor, patch, pre, build: BuildMetadata::EMPTY })
}

nacre_sdk::prune_policy!(decide);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use nacre_sdk::prune::image;

    fn named(created: u64, names: &[&str]) -> Summary {
        let names = names.iter().map(|name| format!("docker.io/{name}")).collect();
        Summary { created, names, dangling: false, ..image() }
    }

    fn deleted<const N: usize>(opts: [(&str, &str); N], images: &[Summary]) -> Vec<u32> {
        let verdicts = decide("keep-last", 0, &opts.into(), images).unwrap();
        verdicts.iter().map(|verdict| verdict.index).collect()
    }

    #[test]
    fn the_newest_of_each_repository_stay() {
        let images = [
            named(1, &["a/x:1"]),
            named(3, &["a/x:3"]),
            named(2, &["a/x:2"]),
            named(1, &["a/y:1"]),
            named(0, &["a/x:0", "a/y:0"]),
            image(),
        ];
        assert_eq!(deleted([("keep", "1")], &images), [0, 2, 4, 5]);
        assert_eq!(deleted([("keep", "2")], &images), [0, 5], "4 is the second of a/y, 5 is dangling");
        assert_eq!(deleted([], &images), [5]);
    }

    #[test]
    fn versions_rank_by_number_and_other_tags_stay() {
        let images = [
            named(9, &["a/x:1.9.0"]),
            named(1, &["a/x:v1.10"]),
            named(5, &["a/x:1.10.0-rc.1"]),
            named(5, &["a/x:latest"]),
            named(5, &["a/x:nightly", "a/x:1.8"]),
        ];
        assert_eq!(deleted([("keep", "1"), ("by", "semver")], &images), [0, 2, 4]);
        assert_eq!(deleted([("keep", "2"), ("by", "semver")], &images), [0, 4]);
    }

    #[test]
    fn pinned_and_used_images_stay_but_count() {
        let images =
            [Summary { pinned: true, ..named(3, &["a/x:3"]) }, named(2, &["a/x:2"]), Summary { in_use: true, ..named(1, &["a/x:1"]) }];
        assert_eq!(deleted([("keep", "1")], &images), [1]);
    }

    #[test]
    fn bad_options_are_refused() {
        assert!(decide("keep-last", 0, &[("keep", "-1")].into(), &[]).is_err());
        assert!(decide("keep-last", 0, &[("by", "size")].into(), &[]).is_err());
    }
}
