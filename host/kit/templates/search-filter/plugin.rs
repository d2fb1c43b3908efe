//! `nacre search --filter {{name}}=10 TERM` shows the results that at least ten people starred.

use nacre_sdk::search::{Hit, Pick, pick};
use nacre_sdk::{Error, Options};

pub fn filter(_term: &str, opts: &Options, hits: &[Hit]) -> Result<Vec<Pick>, Error> {
    let least = opts.parse("{{name}}", "a number of stars")?.unwrap_or(0);
    Ok(pick(hits, |hit| hit.stars >= least))
}

nacre_sdk::search_filter!(filter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_are_a_number() {
        assert!(filter("web", &Options::from([("{{name}}", "10")]), &[]).is_ok());
        assert!(filter("web", &Options::from([("{{name}}", "many")]), &[]).is_err());
    }
}
