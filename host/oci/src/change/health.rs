//! `HEALTHCHECK`: NONE, or CMD with how often and how long.

use serde_json::{Map, Value, json};

use super::{
    lines::{Line, split},
    words,
};

/// A flag and its name in the config.
const TIMES: [(&str, &str); 4] =
    [("interval", "Interval"), ("timeout", "Timeout"), ("start-period", "StartPeriod"), ("start-interval", "StartInterval")];

/// Docker's `Healthcheck` object. Times are in nanoseconds, at least a millisecond.
pub(super) fn check(line: &Line<'_>) -> Result<Value, String> {
    let (kind, rest) = split(line.rest);
    match kind.to_ascii_uppercase().as_str() {
        "" => Err("HEALTHCHECK requires CMD or NONE".into()),
        "NONE" if !rest.is_empty() => Err("HEALTHCHECK NONE takes no arguments".into()),
        "NONE" => line.no_flags().map(|()| json!({"Test": ["NONE"]})),
        "CMD" => {
            let test: Vec<String> = match words::json(rest)? {
                Some(list) if list.is_empty() => return Err("there is no command after HEALTHCHECK CMD".into()),
                None if rest.is_empty() => return Err("there is no command after HEALTHCHECK CMD".into()),
                Some(list) => std::iter::once("CMD".to_owned()).chain(list).collect(),
                None => vec!["CMD-SHELL".into(), rest.into()],
            };
            let mut check = Map::from_iter([("Test".to_owned(), json!(test))]);
            line.flags.iter().try_for_each(|flag| add(&mut check, flag))?;
            Ok(check.into())
        }
        other => Err(format!("HEALTHCHECK {other} is not known: there are CMD and NONE")),
    }
}

fn add(check: &mut Map<String, Value>, flag: &str) -> Result<(), String> {
    let (name, value) = flag.split_once('=').ok_or_else(|| format!("the flag --{flag} has no value: want --{flag}=VALUE"))?;
    let (key, value): (&str, Value) = match TIMES.iter().find(|(flag, _)| *flag == name) {
        Some((_, key)) => (key, nanoseconds(value).ok_or_else(|| format!("--{flag}: want a time of at least 1ms, such as 30s"))?.into()),
        None if name == "retries" => ("Retries", retries(value).ok_or_else(|| format!("--{flag}: want a number of at least 1"))?.into()),
        None => return Err(format!("unknown flag --{name}: there are {} and retries", TIMES.map(|(flag, _)| flag).join(", "))),
    };
    match check.insert(key.to_owned(), value) {
        Some(_) => Err(format!("the flag --{name} stands there twice")),
        None => Ok(()),
    }
}

fn retries(text: &str) -> Option<u32> {
    text.parse().ok().filter(|retries| (1..=i32::MAX.unsigned_abs()).contains(retries))
}

/// Go's `time.ParseDuration`: `1m30s`, `1.5h`.
fn nanoseconds(text: &str) -> Option<i64> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let end = rest[unit..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| unit + end);
        let scale = match &rest[unit..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += rest[..unit].parse::<f64>().ok()? * scale;
        rest = &rest[end..];
    }
    // Below 2^53 nanoseconds, 104 days, a float is exact.
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    (1e6..9.2e18).contains(&total).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_gos() {
        assert_eq!(nanoseconds("1m30s"), Some(90_000_000_000));
        assert_eq!(nanoseconds("1.5h"), Some(5_400_000_000_000));
        assert_eq!(nanoseconds("1ms"), Some(1_000_000));
        for wrong in ["", "0", "5", "1us", "-1s", "1d", "s", "1..5s", "9999999999h"] {
            assert_eq!(nanoseconds(wrong), None, "{wrong}");
        }
    }
}
