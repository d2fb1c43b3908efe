//! Times and durations in the forms Docker takes, in seconds since 1970 and UTC.
//!
//! Docker reads a time without a zone in the client's zone. A plugin has none, so it is UTC here.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The point in time that `text` names: a duration before `now` (`36h`, `30d`), a date and time
/// (`2026-11-23T10:00:00Z`, with or without the parts from the right), a date, or Unix seconds
/// (with or without a fraction). `None` if it is none of these.
pub fn parse_until(text: &str, now: u64) -> Option<u64> {
    if let Some(ago) = parse_duration(text) {
        return Some(now.saturating_sub(ago));
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !fraction.is_empty() && [seconds, fraction].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit())) {
        return seconds.parse().ok();
    }
    parse_timestamp(text)
}

/// Seconds from Go's durations (`1h30m`, `1.5h`, `300ms`), with days and weeks besides: `30d`,
/// `2w`. `None` if it is no duration or negative. Parts of a second are dropped.
pub fn parse_duration(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        total += rest[..digits].parse::<f64>().ok()? * unit_seconds(&unit[..end])?;
        rest = &unit[end..];
    }
    (!text.is_empty() && total < 9.2e18).then_some(total as u64)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => MINUTE as f64,
        "h" => HOUR as f64,
        "d" => DAY as f64,
        "w" => (7 * DAY) as f64,
        _ => return None,
    })
}

/// RFC 3339 and its shorter forms down to a date alone.
fn parse_timestamp(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked("2006-01-02".len())?;
    let time = match rest.strip_prefix('T') {
        Some(time) => (!time.is_empty()).then_some(time)?,
        None => (rest.is_empty() || rest.starts_with(['Z', '+', '-'])).then_some(rest)?,
    };
    let (time, offset) = split_offset(time)?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?[..] else { return None };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let clock = if clock.is_empty() { Vec::new() } else { fields(clock, ':', [2, 2, 2])? };
    let part = |i: usize| clock.get(i).copied().unwrap_or(0);
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && part(0) < 24
        && part(1) < 60
        && part(2) < 60
        && fraction.bytes().all(|b| b.is_ascii_digit());
    let seconds = days_since_1970(year, month, day) * DAY as i64 + part(0) * HOUR as i64 + part(1) * MINUTE as i64 + part(2) - offset;
    (valid && (clock.len() == 3 || !time.contains('.'))).then(|| u64::try_from(seconds).ok())?
}

/// Splits `10:00:00+02:00` into the time and its distance from UTC in seconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let [hours, minutes] = fields(&time[at + 1..], ':', [2, 2])?[..] else { return None };
    let offset = hours * HOUR as i64 + minutes * MINUTE as i64;
    (hours < 24 && minutes < 60).then_some((&time[..at], if time[at..].starts_with('-') { -offset } else { offset }))
}

/// Numbers between separators, each of exactly its width; fewer than expected are fine.
fn fields<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<Vec<i64>> {
    let parts: Vec<&str> = text.split(separator).collect();
    if parts.len() > N {
        return None;
    }
    let number =
        |(part, width): (&&str, usize)| (part.len() == width && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?;
    parts.iter().zip(widths).map(number).collect()
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_since_1970(next_year, next, 1) - days_since_1970(year, month, 1)
}

/// Days of the proleptic Gregorian calendar. The year begins in March, so that the day that leap
/// years add is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + day_of_year - 719_468
}

/// A duration for people, in its largest whole unit: `40 days`.
pub fn show_duration(seconds: u64) -> String {
    let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_gos_forms_and_days() {
        assert_eq!(parse_duration("1h30m"), Some(5400));
        assert_eq!(parse_duration("1.5h"), Some(5400));
        assert_eq!(parse_duration("300ms"), Some(0));
        assert_eq!(parse_duration("1500ms"), Some(1));
        assert_eq!(parse_duration("30d"), Some(30 * 86400));
        assert_eq!(parse_duration("2w12h"), Some(14 * 86400 + 43200));
        assert_eq!(parse_duration("0"), Some(0));
        for wrong in ["", "h", "10", "-1h", "1 h", "1y", "1..5h", "1h30"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn timestamps_in_all_their_lengths() {
        let now = 2_000_000_000;
        let at = |text| parse_until(text, now);
        assert_eq!(at("24h"), Some(now - 86400));
        assert_eq!(at("1136073600"), Some(1_136_073_600));
        assert_eq!(at("1136073600.000000001"), Some(1_136_073_600));
        assert_eq!(at("2006-01-02"), Some(1_136_160_000));
        assert_eq!(at("2006-01-02Z"), Some(1_136_160_000));
        assert_eq!(at("2006-01-02+01:00"), Some(1_136_156_400));
        assert_eq!(at("2006-01-02T15"), Some(1_136_214_000));
        assert_eq!(at("2006-01-02T15:04"), Some(1_136_214_240));
        assert_eq!(at("2006-01-02T15:04:05"), Some(1_136_214_245));
        assert_eq!(at("2006-01-02T15:04:05Z"), Some(1_136_214_245));
        assert_eq!(at("2006-01-02T15:04:05.999999999-07:00"), Some(1_136_239_445));
        assert_eq!(at("2006-01-02T15:04:05+02:00"), Some(1_136_207_045));
        assert_eq!(at("2024-02-29T00:00:00Z"), Some(1_709_164_800));
        for wrong in [
            "2023-02-29",
            "2006-13-01",
            "2006-1-2",
            "2006-01",
            "2006-01-02T",
            "2006-01-0215",
            "2006-01-02T25:00",
            "2006-01-02T15:04.5",
            "1969-12-31",
            "yesterday",
            "12.",
            ".",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_shown_in_whole_units() {
        assert_eq!([0, 1, 119, 7200, 40 * 86400].map(show_duration), ["0 seconds", "1 second", "1 minute", "2 hours", "40 days"]);
    }
}
