//! `STOPSIGNAL`: the signals of Linux.

const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT",
    "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
    "RTMIN", "RTMAX",
];

/// Whether it is a signal's number or name, with or without `SIG`.
pub(super) fn check(signal: &str) -> Result<(), String> {
    let upper = signal.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = match signal.parse::<i64>() {
        Ok(number) => number != 0,
        Err(_) => NAMES.contains(&name) || is_real_time(name),
    };
    if known { Ok(()) } else { Err(format!("invalid signal: {signal}")) }
}

/// `RTMIN+1` to `RTMIN+15`, `RTMAX-14` to `RTMAX-1`.
fn is_real_time(name: &str) -> bool {
    let within = |prefix, last: u8| {
        let number =
            name.strip_prefix(prefix).filter(|digits: &&str| !digits.starts_with(['0', '+'])).and_then(|digits| digits.parse().ok());
        number.is_some_and(|number: u8| (1..=last).contains(&number))
    };
    within("RTMIN+", 15) || within("RTMAX-", 14)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_and_numbers() {
        for good in ["9", "-1", "SIGTERM", "term", "sigrtmin+15", "RTMAX-1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["0", "", "SIGNACRE", "RTMIN+16", "RTMIN+01", "RTMAX-15"] {
            assert_eq!(check(bad), Err(format!("invalid signal: {bad}")));
        }
    }
}
