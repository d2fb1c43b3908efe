//! Permissions as chmod(1) takes them, with the rules of BSD's `setmode` that BuildKit follows.

use nacre_oci::{Error, Result};
use nacre_plugin::graph::Permissions;

use super::fail;

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const EXECUTE: u32 = 0o111;
/// What `a` and `=` are about.
const STANDARD: u32 = SETUID | SETGID | 0o777;

/// What is to become of the permissions of what is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Keep,
    Octal(u32),
    Symbolic(Vec<Change>),
}

/// One change of a symbolic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(u32),
    Clear(u32),
    /// `X`: set for folders, and for files that somebody could run before.
    SetIfRunnable(u32),
    /// `g=u`: the permissions of one class (shifted by so many bits) go to those that `to` covers.
    Copy {
        shift: u32,
        to: u32,
        operator: char,
    },
}

impl Mode {
    /// Reads what the graph says.
    ///
    /// # Errors
    /// If a symbolic mode is malformed or an octal one too large.
    pub(super) fn new(permissions: Option<&Permissions>) -> Result<Self> {
        Ok(match permissions {
            None => Self::Keep,
            Some(Permissions::Octal(mode)) if *mode > 0o7777 => {
                let text = format!("invalid chmod parameter: '{mode:o}'. it should be octal string and between 0 and 07777");
                return Err(fail(text));
            }
            Some(Permissions::Octal(mode)) => Self::Octal(*mode),
            Some(Permissions::Symbolic(text)) => Self::Symbolic(parse(text)?),
        })
    }

    /// The permissions of a folder that is made on the way to the destination.
    pub(super) fn of_made(&self) -> u32 {
        match self {
            Self::Octal(mode) => mode & 0o777,
            _ => 0o755,
        }
    }

    /// The twelve bits of what had `mode` before.
    pub(super) fn apply(&self, mode: u32, folder: bool) -> u32 {
        match self {
            Self::Keep => mode,
            Self::Octal(octal) => *octal,
            Self::Symbolic(changes) => changes.iter().fold(mode, |now, change| change.apply(now, mode, folder)),
        }
    }
}

impl Change {
    fn apply(self, now: u32, before: u32, folder: bool) -> u32 {
        match self {
            Self::Set(bits) => now | bits,
            Self::Clear(bits) => now & !bits,
            Self::SetIfRunnable(bits) if folder || before & EXECUTE != 0 => now | bits,
            Self::SetIfRunnable(_) => now,
            Self::Copy { shift, to, operator } => {
                let bits = (((now >> shift) & 7) * EXECUTE) & to;
                match operator {
                    '+' => now | bits,
                    '-' => now & !bits,
                    _ => now & !(to & 0o777) | bits,
                }
            }
        }
    }
}

fn parse(text: &str) -> Result<Vec<Change>> {
    let bad = || Error::malformed(format!("the mode '{text}'"), "invalid syntax; write such as u=rwX,go=rX");
    let mut changes = Vec::new();
    for clause in text.split(',') {
        let operators = clause.find(|character| !matches!(character, 'a' | 'u' | 'g' | 'o')).ok_or_else(bad)?;
        let (who, mut rest) = clause.split_at(operators);
        let mut who = who.chars().fold(0, |bits, class| bits | covered(class));
        while let Some(operator) = rest.chars().next() {
            if !matches!(operator, '+' | '-' | '=') {
                return Err(bad());
            }
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
            who = operation(&mut changes, who & !STICKY, operator, &rest[1..end]).ok_or_else(bad)?;
            rest = &rest[end..];
        }
    }
    Ok(changes)
}

/// The bits that a class of users is about.
fn covered(class: char) -> u32 {
    match class {
        'u' => SETUID | 0o700,
        'g' => SETGID | 0o070,
        'o' => 0o007,
        _ => STANDARD,
    }
}

/// Adds what one operator and the letters behind it do. Returns whom it is about, to which `t` adds the sticky bit;
/// `None` if a letter is unknown.
fn operation(changes: &mut Vec<Change>, mut who: u32, operator: char, letters: &str) -> Option<u32> {
    let (mut bits, mut runnable, mut replaced) = (0, 0, false);
    let within = |who: u32, bits: u32| if who == 0 { bits } else { who & bits };
    let flush = |changes: &mut Vec<Change>, who: u32, bits: u32, runnable: u32, replaced: &mut bool| {
        if operator == '=' && !*replaced {
            changes.push(Change::Clear(if who == 0 { STANDARD } else { who }));
            *replaced = true;
        }
        let bits = within(who, bits);
        changes.push(if operator == '-' { Change::Clear(bits) } else { Change::Set(bits) });
        changes.push(Change::SetIfRunnable(within(who, runnable)));
    };
    for letter in letters.chars() {
        // Set-id and sticky bits are none of "others".
        let special = who == 0 || who & !0o007 != 0;
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= EXECUTE,
            'X' if operator == '-' => bits |= EXECUTE,
            'X' => runnable = EXECUTE,
            's' if special => bits |= SETUID | SETGID,
            't' if special => {
                who |= STICKY;
                bits |= STICKY;
            }
            's' | 't' => {}
            'u' | 'g' | 'o' => {
                if bits != 0 || runnable != 0 {
                    flush(changes, who, bits, runnable, &mut replaced);
                }
                (bits, runnable, replaced) = (0, 0, true);
                let shift = match letter {
                    'u' => 6,
                    'g' => 3,
                    _ => 0,
                };
                changes.push(Change::Copy { shift, to: if who == 0 { 0o777 } else { who & 0o777 }, operator });
            }
            _ => return None,
        }
    }
    flush(changes, who, bits, runnable, &mut replaced);
    Some(who)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn changed(text: &str, mode: u32, folder: bool) -> u32 {
        Mode::new(Some(&Permissions::Symbolic(text.into()))).unwrap().apply(mode, folder)
    }

    #[test]
    fn symbolic_modes_change_what_chmod_would() {
        let cases = [
            ("u=rw,go=r", 0o644, 0o644),
            ("a+x", 0o644, 0o755),
            ("+x", 0o644, 0o755),
            ("u+X,go-rwx", 0o644, 0o600),
            ("u+X,go-rwx", 0o755, 0o700),
            ("g=u,o=", 0o644, 0o660),
            ("go-w,+t", 0o644, 0o1644),
            ("u+s", 0o755, 0o4755),
            ("g+s", 0o755, 0o2755),
            ("o+s", 0o755, 0o755),
            ("ug+s", 0o755, 0o6755),
            ("=", 0o6755, 0),
            ("=r", 0o1777, 0o1444),
            ("u=g", 0o750, 0o550),
            ("o+g", 0o750, 0o755),
            ("g-u", 0o770, 0o700),
            ("u=rwx,go=u-w", 0o600, 0o755),
            ("a-x,+X", 0o755, 0o755),
            ("u+r-w", 0o200, 0o400),
            ("a=rX", 0o700, 0o555),
        ];
        for (text, mode, want) in cases {
            assert_eq!(changed(text, mode, false), want, "{text} {mode:o}");
        }
        assert_eq!(changed("a+X", 0o644, true), 0o755);
    }

    #[test]
    fn malformed_modes_are_refused() {
        for text in ["", "u", "u+x,", ",u+x", "q+x", "u*x", "u+q", "x", "0999"] {
            assert!(Mode::new(Some(&Permissions::Symbolic(text.into()))).is_err(), "{text}");
        }
        assert!(Mode::new(Some(&Permissions::Octal(0o10000))).is_err());
    }

    #[test]
    fn octal_modes_replace_and_made_folders_get_nine_bits_of_them() {
        let mode = Mode::new(Some(&Permissions::Octal(0o4640))).unwrap();
        assert_eq!((mode.apply(0o777, true), mode.of_made()), (0o4640, 0o640));
        assert_eq!((Mode::Keep.apply(0o6711, false), Mode::Keep.of_made()), (0o6711, 0o755));
    }
}
