//! PAX extended headers (POSIX.1-2017, pax, "pax Extended Header"), as far as they name and size a member.

/// What an extended header says about the next member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) sparse: bool,
}

impl Pax {
    /// Adds the records `LENGTH KEY=VALUE\n`; later ones win, an empty value takes an earlier one back.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or("a PAX record is malformed")?;
            let text = (!value.is_empty()).then(|| value.to_vec());
            match key {
                b"path" => self.path = text,
                b"linkpath" => self.link = text,
                b"size" if value.is_empty() => self.size = None,
                b"size" => self.size = Some(number(value).ok_or("a PAX size is no number")?),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            bytes = rest;
        }
        Ok(())
    }
}

/// Key, value and what follows. Values may hold newlines: only the length counts.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(12).position(|b| *b == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    let clean = equals > 0 && !record[..equals].contains(&0);
    clean.then(|| (&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_by_length_and_the_last_record_wins() {
        let mut pax = Pax::default();
        pax.add(b"20 xattr=a\n9 path=x\n9 path=y\n11 size=42\n").expect("valid");
        assert_eq!((pax.path.as_deref(), pax.size), (Some(b"y".as_slice()), Some(42)));
        pax.add(b"8 path=\n8 size=\n").expect("valid");
        assert_eq!(pax, Pax::default());
    }

    #[test]
    fn refuses_records_without_end_or_number() {
        for bytes in [b"9 path=x".as_slice(), b"99 path=x\n", b"0 a=b\n", b"path=x\n", b"8 =abcd\n", b"11 size=-2\n", b"2 \n", b"6 abc\n"] {
            assert!(Pax::default().add(bytes).is_err(), "{:?} was accepted", String::from_utf8_lossy(bytes));
        }
    }
}
