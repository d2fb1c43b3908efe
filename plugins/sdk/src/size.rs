//! Sizes as users write and read them.

const UNITS: [(&str, u64); 10] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
    ("", 1),
];

/// Bytes from `500MB`, `1.5GiB` or `1048576`; `10G` means `10GB`. `None` if it is no size.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let scale = UNITS.iter().find(|(name, _)| *name == unit || name.strip_suffix('b') == Some(unit))?.1;
    let bytes = number.parse::<f64>().ok()? * scale as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// Bytes in Docker's manner: three digits and a decimal unit, `1.5GB`.
pub fn show(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let decimals = if value >= 100.0 || unit == "B" {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse("1048576"), Some(1 << 20));
        assert_eq!(parse("1.5GiB"), Some(3 << 29));
        assert_eq!(parse("10g"), Some(10_000_000_000));
        assert_eq!(parse("500 MB"), Some(500_000_000));
        for wrong in ["", "GB", "-1", "1.2.3", "5 parsecs", "1e3", "99999999999TB"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_shown_in_three_digits() {
        let shown = [0, 999, 1_500, 12_345_678, 123_456_789, 1_000_000_000].map(show);
        assert_eq!(shown, ["0B", "999B", "1.5kB", "12.3MB", "123MB", "1GB"]);
    }
}
