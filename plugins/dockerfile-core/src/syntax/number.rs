//! Numbers, truth values, times and sizes as Go's libraries read them.

use super::quoted;

/// `strconv.ParseBool`
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `strconv.ParseUint`: digits and nothing else.
pub(super) fn unsigned(text: &str, radix: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
    digits.then(|| u32::from_str_radix(text, radix).ok()).flatten()
}

/// `strconv.ParseInt` for 32 bits.
pub(super) fn integer(text: &str) -> Result<i32, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map_err(|error: std::num::ParseIntError| {
        let reason = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {}: {reason}", quoted(text))
    })
}

/// Bytes in a size such as `64m`, `1.5 GiB` or `100` (`units.RAMInBytes` of docker/go-units): units are powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let split = text.rfind(|next: char| next.is_ascii_digit() || next == '.' || next == ' ')? + 1;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.strip_suffix(' ').unwrap_or(number).parse().ok()?;
    let unit = unit.to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    // A size that does not fit becomes the largest there is.
    (number.is_finite() && number >= 0.0).then(|| (number * 1024_f64.powi(power)) as u64)
}

/// Nanoseconds in a time such as `1h30m`, `1.5s` or `-20ms` (`time.ParseDuration`).
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(0);
    }
    let invalid = || format!("time: invalid duration {}", quoted(text));
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let (value, behind) = decimal(rest).ok_or_else(invalid)?;
        let end = behind.find(|next: char| next == '.' || next.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quoted(text)));
        }
        let scale = nanoseconds(unit).ok_or_else(|| format!("time: unknown unit {} in duration {}", quoted(unit), quoted(text)))?;
        total += value.times(scale);
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = behind;
    }
    let total = if text.starts_with('-') { -total } else { total };
    i64::try_from(total).map_err(|_| invalid())
}

fn nanoseconds(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number by its digits.
struct Decimal<'a> {
    whole: i128,
    fraction: &'a str,
}

/// The decimal number at the front, and what stands behind it. One that has too many digits for a time is none.
fn decimal(text: &str) -> Option<(Decimal<'_>, &str)> {
    let not_digit = |next: char| !next.is_ascii_digit();
    let (whole, rest) = text.split_at(text.find(not_digit).unwrap_or(text.len()));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(not_digit).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let whole = match (whole, fraction) {
        ("", "") => return None,
        ("", _) => 0,
        _ => i128::from(whole.parse::<i64>().ok()?),
    };
    Some((Decimal { whole, fraction }, rest))
}

impl Decimal<'_> {
    /// So often that many nanoseconds; what is less than one is cut off.
    fn times(&self, scale: i128) -> i128 {
        // More digits than these say nothing about nanoseconds.
        let digits = &self.fraction[..self.fraction.len().min(18)];
        let fraction: i128 = digits.parse().unwrap_or(0);
        self.whole * scale + fraction * scale / 10_i128.pow(digits.len() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::{boolean, duration, integer, size, unsigned};

    #[test]
    fn times() {
        let texts = ["0", "1h2m3s", "1.5s", ".5ms", "-20ms", "+1us", "1µs2ns", "0s"];
        let nanoseconds = [0, 3_723_000_000_000, 1_500_000_000, 500_000, -20_000_000, 1_000, 1_002, 0];
        assert_eq!(texts.map(|text| duration(text).unwrap()), nanoseconds);
        for (text, reason) in [
            ("", "time: invalid duration \"\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("-", "time: invalid duration \"-\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5 s", "time: unknown unit \" s\" in duration \"5 s\""),
            ("5x3s", "time: unknown unit \"x\" in duration \"5x3s\""),
            ("9223372036855s", "time: invalid duration \"9223372036855s\""),
        ] {
            assert_eq!(duration(text).unwrap_err(), reason);
        }
    }

    #[test]
    fn sizes() {
        let texts = ["100", "1k", "2Kb", "3MiB", "1.5 g", "7b", "0"];
        assert_eq!(texts.map(|text| size(text).unwrap()), [100, 1024, 2048, 3 << 20, 3 << 29, 7, 0]);
        for text in ["", "k", "-1", "1ib", "1x", "1kbb", "1 2k3", "inf", "1e400"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_and_truth() {
        assert_eq!(["777", "0", "9", "+1", "", "-1"].map(|text| unsigned(text, 8)), [Some(511), Some(0), None, None, None, None]);
        assert_eq!(["1", "False", "yes"].map(boolean), [Some(true), Some(false), None]);
        assert_eq!(integer("-3"), Ok(-3));
        assert_eq!(integer("3x").unwrap_err(), "strconv.ParseInt: parsing \"3x\": invalid syntax");
        assert_eq!(integer("3000000000").unwrap_err(), "strconv.ParseInt: parsing \"3000000000\": value out of range");
    }
}
