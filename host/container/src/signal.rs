//! Signals by name and number, as moby's `sys/signal` reads them.

use crate::{Error, Result};

const NAMES: [(&str, i32); 34] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
];

pub(crate) const KILL: i32 = 9;
pub(crate) const TERM: i32 = 15;
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// A signal's number: from a number (1 to 64) or a name with or without `SIG`, such as `SIGTERM`, `hup`, `RTMIN+3`.
///
/// # Errors
/// In Docker's words.
pub fn signal(text: &str) -> Result<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = || NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = text.parse().ok().or_else(known).or_else(|| real_time(name));
    number.filter(|number| (1..=RTMAX).contains(number)).ok_or_else(|| Error::invalid(format!("Invalid signal: {text}")))
}

/// `RTMIN`, `RTMIN+1` to `RTMIN+15`, `RTMAX-14` to `RTMAX-1`, `RTMAX`.
fn real_time(name: &str) -> Option<i32> {
    let offset = |rest: &str, most: i32| rest.parse().ok().filter(|number| (1..=most).contains(number));
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => Some(RTMIN),
        (_, Some("")) => Some(RTMAX),
        (Some(rest), _) => Some(RTMIN + offset(rest.strip_prefix('+')?, 15)?),
        (_, Some(rest)) => Some(RTMAX - offset(rest.strip_prefix('-')?, 14)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_linux() {
        for (text, number) in [("SIGTERM", 15), ("kill", 9), ("1", 1), ("64", 64), ("SIGRTMIN+3", 37), ("rtmax-14", 50), ("RTMIN", 34)] {
            assert_eq!(signal(text).ok(), Some(number), "{text}");
        }
        for wrong in ["", "0", "65", "-9", "FOO", "SIG", "RTMIN+16", "RTMAX+1", "RTMIN+", "TERM KILL"] {
            let why = signal(wrong).map_err(|error| error.to_string());
            assert_eq!(why, Err(format!("Invalid signal: {wrong}")));
        }
    }
}
