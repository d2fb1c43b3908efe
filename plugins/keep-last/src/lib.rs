//! Keeps the newest images of each repository.
//!
//! An image with names in several repositories goes only if it is beyond the limit in each of them.
//! Dangling images are in no repository, so nothing keeps them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use nacre_sdk::prune::{Verdict, deletable, delete, repository_and_tag};
use nacre_sdk::{Error, Options, Summary, invalid};
use semver::{BuildMetadata, Prerelease, Version};

/// Each repository's images: positions, in their order, each with what it is sorted by, larger for newer.
type Ranked<'a, K> = BTreeMap<&'a str, Vec<(u32, K)>>;

/// The policy `keep-last`.
pub fn decide(_policy: &str, _now: u64, opts: &Options, candidates: &[Summary]) -> Result<Vec<Verdict>, Error> {
    let keep: usize = opts.parse("keep", "a number")?.unwrap_or(5);
    let beyond = match opts.one("by")? {
        None | Some("created") => beyond(keep, candidates.len(), rank(candidates, |image, _| Some(image.created))),
        Some("semver") => beyond(keep, candidates.len(), rank(candidates, |_, tag| version(tag))),
        Some(other) => {
            let message = format!("invalid option 'by={other}': want created or semver");
            return Err(invalid("bad-value", message));
        }
    };
    let reason = |index: u32, image: &Summary| match beyond[index as usize] {
        Some(repository) => Some(format!("not among the newest {keep} of {repository}")),
        None => image.dangling.then(|| "dangling, in no repository".to_owned()),
    };
    Ok(deletable(candidates).filter_map(|(index, image)| Some(delete(index, reason(index, image)?))).collect())
}

/// Groups the images by repository. One without a key, such as a tag that is no version, ranks
/// nowhere. With several tags in a repository, an image's newest counts.
fn rank<K: Ord>(images: &[Summary], key: impl Fn(&Summary, &str) -> Option<K>) -> Ranked<'_, Option<K>> {
    // Many repositories begin alike, which makes it slow to compare them: they are sorted when each is there only once.
    let mut ranked: HashMap<&str, Vec<(u32, Option<K>)>, BuildHasherDefault<DefaultHasher>> = HashMap::default();
    for (index, image) in (0..).zip(images) {
        for (repository, tag) in image.names.iter().filter_map(|name| repository_and_tag(name)) {
            let (found, images) = (key(image, tag), ranked.entry(repository).or_default());
            match images.last_mut().filter(|(last, _)| *last == index) {
                Some((_, best)) if found > *best => *best = found,
                Some(_) => {}
                None => images.push((index, found)),
            }
        }
    }
    ranked.into_iter().collect()
}

/// For each of `count` images, if it is beyond the first `keep` in every repository it is in, one of these.
fn beyond<K: Ord>(keep: usize, count: usize, ranked: Ranked<'_, Option<K>>) -> Vec<Option<&str>> {
    let (mut beyond, mut kept) = (vec![None; count], vec![false; count]);
    for (repository, images) in ranked {
        let (mut newest_first, without): (Vec<_>, Vec<_>) = images.into_iter().partition(|(_, key)| key.is_some());
        without.into_iter().for_each(|(index, _)| kept[index as usize] = true);
        newest_first.sort_by(|(a, newer), (b, older)| older.cmp(newer).then(a.cmp(b)));
        for (place, (index, _)) in newest_first.into_iter().enumerate() {
            if place < keep {
                kept[index as usize] = true;
            } else {
                beyond[index as usize] = Some(repository);
            }
        }
    }
    let kept = beyond.iter_mut().zip(kept).filter(|(_, kept)| *kept);
    kept.for_each(|(beyond, _)| *beyond = None);
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
