//! Deletes the images that were not used for longest.
//!
//! An image that was never used counts from when it was pulled or built. The budget is compared
//! with the sum of the images' sizes; layers that several of them share count for each, so what
//! remains on disk is at most the budget.

use nacre_sdk::prune::{Verdict, deletable, delete};
use nacre_sdk::time::{parse_duration, show_duration};
use nacre_sdk::{Error, Options, Summary, invalid, size};

/// The policy `least-recently-used`.
pub fn decide(_policy: &str, now: u64, opts: &Options, candidates: &[Summary]) -> Result<Vec<Verdict>, Error> {
    let unused_for = option(opts, "unused-for", "a duration such as 30d or 12h", parse_duration)?;
    let budget = option(opts, "budget", "a size such as 20GB", size::parse)?;
    if unused_for.is_none() && budget.is_none() {
        let message = "want unused-for=DURATION, budget=SIZE or both: --policy least-recently-used,unused-for=30d";
        return Err(invalid("missing-option", message));
    }
    let mut total: u64 = candidates.iter().map(|image| image.size).fold(0, u64::saturating_add);
    let mut oldest_first: Vec<_> = deletable(candidates).collect();
    oldest_first.sort_by_key(|(index, image)| (last_use(image), *index));
    let mut verdicts = Vec::new();
    for (index, image) in oldest_first {
        let idle = now.saturating_sub(last_use(image));
        let reason = match (unused_for, budget) {
            (Some(limit), _) if idle >= limit => format!("unused for {}", show_duration(idle)),
            (_, Some(budget)) if total > budget => {
                format!("unused for {}, all images take more than {}", show_duration(idle), size::show(budget))
            }
            _ => break,
        };
        total = total.saturating_sub(image.size);
        verdicts.push(delete(index, reason));
    }
    Ok(verdicts)
}

/// When the image was last of use, in seconds since 1970.
fn last_use(image: &Summary) -> u64 {
    let known = [image.last_used, image.pulled, image.built];
    known.into_iter().flatten().max().unwrap_or(image.created)
}

/// An option's value, parsed.
fn option(opts: &Options, key: &str, want: &str, parse: fn(&str) -> Option<u64>) -> Result<Option<u64>, Error> {
    let wrong = |text| invalid("bad-value", format!("invalid option '{key}={text}': want {want}"));
    opts.one(key)?.map(|text| parse(text).ok_or_else(|| wrong(text))).transpose()
}

nacre_sdk::prune_policy!(decide);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use nacre_sdk::prune::image;

    const NOW: u64 = 100 * 86400;

    fn used(days_ago: u64, size: u64) -> Summary {
        Summary { last_used: Some(NOW - days_ago * 86400), size, ..image() }
    }

    fn deleted<const N: usize>(opts: [(&str, &str); N], images: &[Summary]) -> Vec<(u32, String)> {
        let verdicts = decide("least-recently-used", NOW, &opts.into(), images).unwrap();
        verdicts.into_iter().map(|verdict| (verdict.index, verdict.reason)).collect()
    }

    #[test]
    fn what_was_unused_for_the_time_goes() {
        let images = [used(40, 1), used(10, 1), Summary { pulled: Some(NOW), ..image() }];
        assert_eq!(deleted([("unused-for", "30d")], &images), [(0, "unused for 40 days".into())]);
        assert_eq!(deleted([("unused-for", "40d")], &images).len(), 1);
        assert_eq!(deleted([("unused-for", "41d")], &images), []);
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let images = [used(1, 500), used(3, 400), used(2, 300), Summary { pinned: true, ..used(9, 100) }];
        let reason = "unused for 3 days, all images take more than 1kB";
        assert_eq!(deleted([("budget", "1000")], &images), [(1, reason.into())]);
        assert_eq!(deleted([("budget", "600")], &images).len(), 2);
        assert_eq!(deleted([("budget", "1300")], &images), []);
        assert_eq!(deleted([("budget", "0")], &images).len(), 3, "all but the pinned one");
    }

    #[test]
    fn both_options_add_up() {
        let images = [used(40, 100), used(20, 100), used(1, 100)];
        let opts = [("unused-for", "30d"), ("budget", "150")];
        assert_eq!(deleted(opts, &images).len(), 2);
    }

    #[test]
    fn an_option_is_needed_and_must_make_sense() {
        for opts in [vec![], vec![("budget", "lots")], vec![("unused-for", "forever")]] {
            let opts: Vec<_> = opts.iter().map(|&(k, v): &(&str, &str)| nacre_sdk::Kv { key: k.into(), value: v.into() }).collect();
            assert!(decide("least-recently-used", NOW, &opts.into(), &[]).is_err());
        }
    }
}
