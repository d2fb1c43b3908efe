//! `STOPSIGNAL`: Linux's signals as moby's `sys/signal` names them.

const NAMES: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT",
    "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Whether a signal's number or name, with or without `SIG`, means one.
pub(super) fn check(text: &str) -> Result<(), String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = text.parse().is_ok_and(|number: u8| (1..=64).contains(&number));
    if number || NAMES.contains(&name) || is_real_time(name) {
        return Ok(());
    }
    Err(format!("'{text}' is no signal: want a number from 1 to 64 or a name such as SIGTERM"))
}

/// `RTMIN`, `RTMIN+1` to `RTMIN+15`, `RTMAX-14` to `RTMAX-1`, `RTMAX`.
fn is_real_time(name: &str) -> bool {
    let within = |rest: &str, sign: char, most: u8| {
        let number = rest.strip_prefix(sign).and_then(|digits| digits.parse().ok());
        rest.is_empty() || number.is_some_and(|number: u8| (1..=most).contains(&number))
    };
    let (min, max) = (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX"));
    min.is_some_and(|rest| within(rest, '+', 15)) || max.is_some_and(|rest| within(rest, '-', 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_linux() {
        for good in ["SIGTERM", "term", "9", "64", "SIGRTMIN+3", "RTMAX-14", "RTMIN"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for wrong in ["", "0", "65", "-9", "FOO", "SIG", "SIGRTMIN+16", "RTMAX+1", "TERM KILL"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
