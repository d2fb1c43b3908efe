//! The filters of `docker search`, with Docker's rules and messages.

use nacre_sdk::search::{Hit, Pick, invalid_filter, pick};
use nacre_sdk::{Error, Options};

/// Keeps the registry's order.
pub fn filter(_term: &str, opts: &Options, hits: &[Hit]) -> Result<Vec<Pick>, Error> {
    let official = opts.switch("is-official")?;
    let automated = opts.switch("is-automated")?.unwrap_or(false);
    let stars = most_stars(opts)?;
    Ok(pick(hits, |hit| {
        !automated && official.is_none_or(|official| hit.official == official) && stars.is_none_or(|stars| i64::from(hit.stars) >= stars)
    }))
}

/// The largest of all `stars` given.
fn most_stars(opts: &Options) -> Result<Option<i64>, Error> {
    let number = |text: &str| text.parse().map_err(|_| invalid_filter("stars", text));
    opts.all("stars").try_fold(None, |most, text| Ok(most.max(Some(number(text)?))))
}

nacre_sdk::search_filter!(filter);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn hit(name: &str, stars: u32, official: bool) -> Hit {
        let (name, registry) = (name.into(), "docker.io".into());
        Hit { name, description: String::new(), stars, official, automated: true, registry, extra: Vec::new() }
    }

    fn shown<const N: usize>(opts: [(&str, &str); N]) -> Result<Vec<u32>, Error> {
        let hits = [hit("nginx", 100, true), hit("a/nginx", 10, false), hit("b/nginx", 0, false)];
        Ok(filter("nginx", &opts.into(), &hits)?.iter().map(|pick| pick.index).collect())
    }

    #[test]
    fn each_filter_and_all_together() {
        assert_eq!(shown([]).unwrap(), [0, 1, 2]);
        assert_eq!(shown([("is-official", "true")]).unwrap(), [0]);
        assert_eq!(shown([("is-official", "0")]).unwrap(), [1, 2]);
        assert_eq!(shown([("stars", "10"), ("stars", "5")]).unwrap(), [0, 1]);
        assert_eq!(shown([("stars", "10"), ("is-official", "false")]).unwrap(), [1]);
        assert_eq!(shown([("is-automated", "false")]).unwrap(), [0, 1, 2]);
        assert_eq!(shown([("is-automated", "true")]).unwrap(), []);
    }

    #[test]
    fn bad_values_are_refused_in_dockers_words() {
        for (key, value) in [("stars", "many"), ("is-official", "yes"), ("is-automated", "")] {
            let Err(Error::Invalid(found)) = shown([(key, value)]) else { panic!("{key}={value} passed") };
            assert_eq!(found[0].message, format!("invalid filter '{key}={value}'"));
        }
    }
}
