//! Points in time as Docker's `until`, `since` and `before` take them.

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset, tz::TimeZone};

/// Reads a point in time: a Go duration before `now`, a date, RFC 3339 or its shorter forms (without seconds, minutes
/// or zone; then `zone` holds), or Unix seconds. Returns Unix seconds.
///
/// # Errors
/// If it is none of these.
pub(crate) fn parse(text: &str, now: i64, zone: &TimeZone) -> Result<i64> {
    let before_now = || parse_duration(text).ok().and_then(|length| now.checked_sub(length.as_secs()));
    let unix = || text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok();
    match unix().or_else(before_now).or_else(|| calendar(text, zone)) {
        Some(seconds) => Ok(seconds),
        None => bail!("invalid time '{text}': write a duration (24h), a date (2026-01-31), RFC 3339 or Unix seconds"),
    }
}

/// A date or time that names no zone, with what it means in `zone`: `2026-01-31` becomes `2026-01-31T00:00:00+01:00`.
/// Anything else stays as it is.
pub(crate) fn with_zone(text: &str, zone: &TimeZone) -> String {
    let is_local = matches!(split_offset(text), Some((_, None)));
    let read = calendar(text, zone).filter(|_| is_local);
    read.map_or_else(|| text.to_owned(), |seconds| super::units::rfc3339(seconds, zone))
}

/// Reads Go's durations: `300ms`, `1.5h`, `2h45m`, `-10m`, `0`.
///
/// # Errors
/// If it is not one; days and longer units do not exist.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "units are small and the sum is in range")]
pub(crate) fn parse_duration(text: &str) -> Result<SignedDuration> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut rest = if unsigned == "0" { "0s" } else { unsigned };
    let mut total = 0.0;
    while let Some((number, unit, after)) = split_unit(rest) {
        total += number * unit as f64;
        rest = after;
    }
    let in_range = !unsigned.is_empty() && rest.is_empty() && total <= i64::MAX as f64 / 2.0;
    if !in_range {
        bail!("invalid duration '{text}': write it in h, m and s, such as 24h or 1h30m");
    }
    let length = SignedDuration::from_nanos(total.round() as i64);
    Ok(if text.starts_with('-') { -length } else { length })
}

/// The number, its unit in nanoseconds, and what follows.
fn split_unit(text: &str) -> Option<(f64, u64, &str)> {
    let number = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, rest) = text.split_at(number);
    let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit);
    let nanoseconds = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    Some((number.parse().ok()?, nanoseconds, after))
}

fn calendar(text: &str, zone: &TimeZone) -> Option<i64> {
    let (civil, offset) = split_offset(text)?;
    let (date, time) = civil.split_once('T').unwrap_or((civil, "00"));
    if date.len() != 10 {
        return None;
    }
    let missing = match time.len() {
        2 => ":00:00",
        5 => ":00",
        _ => "",
    };
    let civil: DateTime = format!("{date}T{time}{missing}").parse().ok()?;
    let instant: Timestamp = match offset {
        Some(offset) => offset.to_timestamp(civil).ok()?,
        None => zone.to_timestamp(civil).ok()?,
    };
    Some(instant.as_second())
}

/// Splits `Z` or `±HH:MM` off the end.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if let Some(civil) = text.strip_suffix(['Z', 'z']) {
        return Some((civil, Some(Offset::UTC)));
    }
    let at = text.rfind(['+', '-']).filter(|at| *at >= "2026-01-31".len());
    let Some((civil, offset)) = at.and_then(|at| text.split_at_checked(at)) else { return Some((text, None)) };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let seconds = hours.parse::<u8>().ok()? as i32 * 3600 + minutes.parse::<u8>().ok()? as i32 * 60;
    let offset = Offset::from_seconds(if offset.starts_with('-') { -seconds } else { seconds }).ok()?;
    Some((civil, Some(offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_reads() {
        let now = 1_700_000_000;
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let base = 1_136_214_245; // 2006-01-02T15:04:05Z
        for (text, seconds) in [
            ("24h", now - 86_400),
            ("1h30m", now - 5400),
            ("-10m", now + 600),
            ("0", 0),
            ("1136073600", 1_136_073_600),
            ("1136073600.000000001", 1_136_073_600),
            ("2006-01-02T15:04:05Z", base),
            ("2006-01-02T15:04:05.999999999Z", base),
            ("2006-01-02T15:04:05+02:00", base - 7200),
            ("2006-01-02T15:04:05-05:30", base + 19_800),
            ("2006-01-02T15:04Z", base - 5),
            ("2006-01-02T15Z", base - 245),
            ("2006-01-02T15:04:05", base - 3600),
            ("2006-01-02T15:04", base - 3605),
            ("2006-01-02T15", base - 3845),
            ("2006-01-02", base - 245 - 15 * 3600 - 3600),
            ("2006-01-02Z", base - 245 - 15 * 3600),
            ("2006-01-02+01:00", base - 245 - 16 * 3600),
        ] {
            assert_eq!(parse(text, now, &zone).ok(), Some(seconds), "{text}");
        }
        for text in
            ["", "yesterday", "2006", "2006-13-01x", "2006-1-2", "2006-02-30", "7d", "1h30", "h", "2006-01-02T", "2006-01-02+1", "é-é"]
        {
            let read = parse(text, now, &zone);
            assert_eq!(read.as_ref().ok(), (text == "2006").then_some(&2006), "{text}");
        }
    }

    #[test]
    fn what_has_no_zone_gets_the_users() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, expected) in [
            ("2026-01-31", "2026-01-31T00:00:00+01:00"),
            ("2026-01-31T10:20", "2026-01-31T10:20:00+01:00"),
            ("2026-01-31Z", "2026-01-31Z"),
            ("2026-01-31T10:20:00-02:00", "2026-01-31T10:20:00-02:00"),
            ("1136073600", "1136073600"),
            ("24h", "24h"),
            ("soon", "soon"),
        ] {
            assert_eq!(with_zone(text, &zone), expected, "{text}");
        }
    }

    #[test]
    fn reads_gos_durations() {
        for (text, milliseconds) in [("300ms", 300), ("1.5h", 5_400_000), ("2h45m", 9_900_000), ("-10m", -600_000), ("0", 0), (".5s", 500)]
        {
            assert_eq!(parse_duration(text).ok(), Some(SignedDuration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "-", "1", "1d", "1w", "h", "1h-1m", "9999999h", "1..5s", "s1"] {
            assert!(parse_duration(text).is_err(), "'{text}' was accepted");
        }
    }
}
