//! `SOURCE_DATE_EPOCH`: the time that the image claims.

use super::Lowering;
use super::stop::{Lowered, Stop};
use crate::syntax::Command;

const NAME: &str = "SOURCE_DATE_EPOCH";

impl Lowering<'_> {
    /// Reads it from the build arguments or a global `ARG`. The context or a named one as its source says nothing,
    /// since only files are there; then it is as if it were not given.
    pub(super) fn read_epoch(&mut self) -> Lowered<()> {
        let declared = self.global.get(NAME).filter(|text| !text.is_empty()).map(Into::into);
        let Some(text) = self.given.get(NAME).cloned().or(declared) else { return Ok(()) };
        self.epoch = self.epoch_of(&text)?;
        let seconds = self.epoch.map(|seconds| seconds.to_string());
        match &seconds {
            Some(seconds) => drop(self.given.get_mut(NAME).map(|given| given.clone_from(seconds))),
            None => drop(self.given.remove(NAME)),
        }
        if self.global.get(NAME).is_some() {
            self.global.remove(NAME);
            seconds.iter().for_each(|seconds| self.global.set(NAME, seconds));
        }
        Ok(())
    }

    fn epoch_of(&self, text: &str) -> Lowered<Option<i64>> {
        if let Ok(seconds) = text.parse() {
            return Ok(Some(seconds));
        }
        let is_context = text.is_empty() || text == "context" || self.request.contexts.iter().any(|context| context.name == text);
        let is_stage = self.instructions.iter().any(|instruction| match &instruction.command {
            Command::From(from) => from.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(text)),
            _ => false,
        });
        match (is_context, is_stage) {
            (true, _) => Ok(None),
            (false, true) => Err(Stop::Mistake(
                crate::syntax::Mistake::new("epoch-of-stage", format!("{NAME}={text}: a stage's time is not supported"))
                    .help(format!("give {NAME} in seconds")),
            )),
            (false, false) => Err(Stop::mistake("bad-epoch", format!("invalid {NAME}: {text}"))),
        }
    }

    /// It as the time of what is made now.
    pub(super) fn created(&self) -> Option<String> {
        self.epoch.map(timestamp)
    }
}

/// Seconds since 1970 as RFC 3339.
fn timestamp(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The date of a day since 1970 (the civil calendar, by eras of 400 years that begin in March).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn times() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(1_000_000_000), "2001-09-09T01:46:40Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59Z");
    }
}
