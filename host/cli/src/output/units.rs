//! Sizes and ages as Docker writes them, and sizes as people do.

use gtmpl_ng::{FloatFormat, format_float};
use jiff::{Timestamp, tz::TimeZone};
use nacre_container::in_words;
use unicode_width::UnicodeWidthChar;

/// Creation times up to 2000-01-01 are placeholders of reproducible builds.
const EPOCH_2000: i64 = 946_684_800;

/// A decimal size with three digits: `0B`, `1.23MB`, `187MB`.
pub(crate) fn size(bytes: u64) -> String {
    human_size(bytes, 3)
}

/// A decimal size with four digits, as in `Total reclaimed space: 1.234MB`.
pub(crate) fn total_size(bytes: u64) -> String {
    human_size(bytes, 4)
}

/// Unlike Docker, which writes `1e+03kB` for 999,999 bytes, what rounds to 1000 takes the next unit.
#[expect(clippy::cast_precision_loss, reason = "only the first digits are shown")]
fn human_size(bytes: u64, digits: usize) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    for unit in units {
        let shown = format_float(value, FloatFormat::General, Some(digits));
        if shown.parse::<f64>().is_ok_and(|shown| shown < 1000.0) {
            return format!("{shown}{unit}");
        }
        value /= 1000.0;
    }
    format!("{bytes}B")
}

/// How long ago `created` was, both in Unix seconds; `N/A` for times that mean nothing.
pub(crate) fn ago(now: i64, created: i64) -> String {
    if created <= EPOCH_2000 {
        return "N/A".into();
    }
    format!("{} ago", in_words(now.saturating_sub(created)))
}

/// A time in Unix seconds as `images` shows it: `2026-01-31 09:00:00 +0100 CET`.
pub(crate) fn created_at(seconds: i64, zone: &TimeZone) -> String {
    in_zone(seconds, zone, "%Y-%m-%d %H:%M:%S %z %Z")
}

/// A time in Unix seconds as `history` shows it: RFC 3339 in `zone`.
pub(crate) fn rfc3339(seconds: i64, zone: &TimeZone) -> String {
    let text = in_zone(seconds, zone, "%Y-%m-%dT%H:%M:%S%:z");
    text.strip_suffix("+00:00").map_or(text.clone(), |utc| format!("{utc}Z"))
}

fn in_zone(seconds: i64, zone: &TimeZone, format: &str) -> String {
    let time = Timestamp::from_second(seconds).ok();
    time.map_or_else(|| "N/A".into(), |time| time.to_zoned_datetime(zone.clone()).strftime(format).to_string())
}

/// The text on one line, cut to `width` columns with `…` at the end. (Docker cuts descriptions and commands at 45.)
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    let columns = |c: char| c.width().unwrap_or(0);
    let line: String = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
    if line.chars().map(columns).sum::<usize>() <= width {
        return line;
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| left.checked_sub(columns(*c)).inspect(|rest| left = *rest).is_some();
    line.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_dockers() {
        for (bytes, three, four) in [
            (0, "0B", "0B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1kB"),
            (1_234_567, "1.23MB", "1.235MB"),
            (187_654_321, "188MB", "187.7MB"),
            (999_999, "1MB", "1MB"),
            (4_260_000_000, "4.26GB", "4.26GB"),
            (u64::MAX, "18.4EB", "18.45EB"),
        ] {
            assert_eq!((size(bytes).as_str(), total_size(bytes).as_str()), (three, four), "{bytes}");
        }
    }

    #[test]
    fn placeholder_times_have_no_age() {
        let now = 1_700_000_000;
        assert_eq!(ago(now, 0), "N/A");
        assert_eq!(ago(now, EPOCH_2000), "N/A");
        assert_eq!(ago(now, now - 3 * 3600), "3 hours ago");
        assert_eq!(ago(now, now + 100), "Less than a second ago");
    }

    #[test]
    fn times_are_gos() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(created_at(1_136_214_245, &TimeZone::UTC), "2006-01-02 15:04:05 +0000 UTC");
        assert_eq!(rfc3339(1_136_214_245, &TimeZone::UTC), "2006-01-02T15:04:05Z");
        assert_eq!(rfc3339(1_136_214_245, &zone), "2006-01-02T17:04:05+02:00");
        assert_eq!(created_at(i64::MAX, &zone), "N/A");
    }

    #[test]
    fn long_text_is_cut_by_columns() {
        assert_eq!(ellipsis("short", 45), "short");
        assert_eq!(ellipsis(&"x".repeat(45), 45), "x".repeat(45));
        assert_eq!(ellipsis(&"x".repeat(46), 45), format!("{}…", "x".repeat(44)));
        assert_eq!(ellipsis("漢字漢字", 6), "漢字…");
        assert_eq!(ellipsis("a\tb\nc", 45), "a b c");
    }
}
