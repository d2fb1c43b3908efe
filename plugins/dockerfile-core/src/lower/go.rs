//! How Go prints values: the rows of a history have them in that form.

use crate::syntax::quoted;

/// `%q` of a list.
pub(super) fn quoted_list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

/// `%v` of a list.
pub(super) fn list(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

/// A `time.Duration` of so many nanoseconds, such as `1h0m3.5s`.
pub(super) fn duration(nanoseconds: u64) -> String {
    let (unit, divisor) = match nanoseconds {
        0 => return "0s".into(),
        1..1_000 => return format!("{nanoseconds}ns"),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (whole, rest) = (nanoseconds / divisor, nanoseconds % divisor);
    let digits = divisor.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    match (whole / 3600, whole / 60 % 60) {
        (0, _) if unit != "s" || whole < 60 => format!("{whole}{point}{fraction}{unit}"),
        (0, minutes) => format!("{minutes}m{}{point}{fraction}s", whole % 60),
        (hours, minutes) => format!("{hours}h{minutes}m{}{point}{fraction}s", whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(quoted_list(&["a".into(), "b c".into()]), "[\"a\" \"b c\"]");
        assert_eq!(list(&["a".into(), "b".into()]), "[a b]");
    }

    #[test]
    fn durations() {
        let cases = [(0, "0s"), (5, "5ns"), (1_500, "1.5µs"), (2_000_000, "2ms"), (3_000_000_000, "3s"), (90_000_000_000, "1m30s")];
        for (nanoseconds, text) in cases {
            assert_eq!(duration(nanoseconds), text);
        }
        assert_eq!(duration(3_600_500_000_000), "1h0m0.5s");
        assert_eq!(duration(61_000_000_000 * 60), "1h1m0s");
    }
}
