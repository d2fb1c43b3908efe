//! `nacre image prune --policy {{name}},days=7` deletes images that were not used for a week.

use nacre_sdk::prune::{Verdict, deletable, delete};
use nacre_sdk::{Error, Options, Summary};

const DAY: u64 = 24 * 60 * 60;

pub fn decide(_policy: &str, now: u64, opts: &Options, images: &[Summary]) -> Result<Vec<Verdict>, Error> {
    let days = opts.parse("days", "a number of days")?.unwrap_or(30);
    let idle = |image: &Summary| now.saturating_sub(image.last_used.or(image.pulled).unwrap_or(image.created)) / DAY;
    let old = deletable(images).filter(|(_, image)| idle(image) > days);
    Ok(old.map(|(index, image)| delete(index, format!("unused for {} days", idle(image)))).collect())
}

nacre_sdk::prune_policy!(decide);

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_sdk::prune::image;

    #[test]
    fn only_what_is_old_goes() {
        let used = |day: u64| Summary { last_used: Some(day * DAY), ..image() };
        let verdicts = decide("{{name}}", 100 * DAY, &Options::default(), &[used(69), used(70)]).expect("no option is wrong");
        assert_eq!(verdicts.iter().map(|verdict| verdict.index).collect::<Vec<_>>(), [0]);
    }
}
