//! The keys that detach a client from a container: Docker's `--detach-keys`.

use std::str::FromStr;

use anyhow::{Result, anyhow};

/// What Docker takes unless told otherwise.
pub(crate) const DEFAULT: &str = "ctrl-p,ctrl-q";

/// Keys that are looked for in what is typed. They never reach the program; the first of them do if others follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    sequence: Vec<u8>,
    seen: usize,
}

/// `ctrl-p,ctrl-q`: letters as they are, and `ctrl-` with a letter or one of `@ [ \ ] ^ _`. Empty for no keys.
impl FromStr for Keys {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let keys = text.split(',').filter(|_| !text.is_empty());
        let sequence =
            keys.map(|key| code(key).ok_or_else(|| anyhow!("unknown character '{key}': want keys such as ctrl-p,ctrl-q or a,b")));
        Ok(Self { sequence: sequence.collect::<Result<_>>()?, seen: 0 })
    }
}

fn code(key: &str) -> Option<u8> {
    let single = |text: &str| <[u8; 1]>::try_from(text.as_bytes()).ok().map(|[byte]| byte);
    match key.strip_prefix("ctrl-") {
        None => single(key).filter(u8::is_ascii),
        Some(key) => match single(key)? {
            letter @ b'a'..=b'z' => Some(letter - b'a' + 1),
            other @ (b'@' | b'['..=b'_') => Some(other - b'@'),
            _ => None,
        },
    }
}

impl Keys {
    /// What of `typed` goes to the program, and whether the keys came; what was typed behind them is lost.
    pub(crate) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len() + self.seen);
        for &byte in typed {
            if self.sequence.get(self.seen) != Some(&byte) {
                passed.extend_from_slice(&self.sequence[..self.seen]);
                self.seen = 0;
            }
            if self.sequence.get(self.seen) != Some(&byte) {
                passed.push(byte);
                continue;
            }
            self.seen += 1;
            if self.seen == self.sequence.len() {
                self.seen = 0;
                return (passed, true);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn keys_are_named_as_in_docker() {
        for (text, sequence) in [
            ("ctrl-p,ctrl-q", &[0x10, 0x11][..]),
            ("a,B,ctrl-@", &[b'a', b'B', 0]),
            ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", &[27, 28, 29, 30, 31]),
            ("", &[]),
        ] {
            assert_eq!(text.parse::<Keys>().unwrap().sequence, sequence, "{text}");
        }
        for text in ["ctrl-", "ctrl-A", "ab", "é", "ctrl-1", "a,,b"] {
            assert!(text.parse::<Keys>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_whole_sequence_detaches() {
        let mut keys: Keys = "ctrl-p,ctrl-q".parse().unwrap();
        assert_eq!(keys.filter(b"ls\n"), (b"ls\n".to_vec(), false));
        assert_eq!(keys.filter(b"a\x10"), (b"a".to_vec(), false), "held back");
        assert_eq!(keys.filter(b"b"), (b"\x10b".to_vec(), false), "passed on with the next");
        assert_eq!(keys.filter(b"\x10\x10\x10x"), (b"\x10\x10\x10x".to_vec(), false));
        assert_eq!(keys.filter(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.filter(b"\x11lost"), (Vec::new(), true));
        let mut none: Keys = "".parse().unwrap();
        assert_eq!(none.filter(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }
}
