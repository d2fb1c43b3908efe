//! PAX extended headers (POSIX.1-2017, pax, "pax Extended Header").

use crate::Xattr;

/// The records that hold extended attributes (star's, which Go, GNU tar and Docker write).
pub(crate) const XATTR: &str = "SCHILY.xattr.";

/// What extended headers say about members. Later ones win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) mtime: Option<(i64, u32)>,
    pub(crate) uid: Option<i64>,
    pub(crate) gid: Option<i64>,
    pub(crate) xattrs: Vec<Xattr>,
    pub(crate) sparse: bool,
}

impl Pax {
    /// Adds the records `LENGTH KEY=VALUE\n`. An empty value takes an earlier one back.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or("a PAX record is malformed")?;
            self.set(key, value)?;
            bytes = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => self.path = text(value)?,
            b"linkpath" => self.link = text(value)?,
            b"size" => self.size = given(value, number).ok_or("a PAX size is no number")?,
            b"uid" => self.uid = given(value, signed).ok_or("a PAX uid is no number")?,
            b"gid" => self.gid = given(value, signed).ok_or("a PAX gid is no number")?,
            b"mtime" => self.mtime = given(value, time).ok_or("a PAX mtime is no number")?,
            key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            key => {
                if let Some(name) = key.strip_prefix(XATTR.as_bytes()) {
                    self.set_xattr(name, value)?;
                }
            }
        }
        Ok(())
    }

    fn set_xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let name = std::str::from_utf8(name).map_err(|_| "an extended attribute's name is not UTF-8")?;
        if name.is_empty() {
            return Err("an extended attribute has no name");
        }
        self.xattrs.retain(|xattr| xattr.name != name);
        self.xattrs.push(Xattr { name: name.into(), value: value.to_vec() });
        Ok(())
    }
}

/// Key, value and what follows. Values may hold newlines: only the length counts.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(12).position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let clean = equals > 0 && !record[..equals].contains(&0);
    clean.then(|| (&record[..equals], &record[equals + 1..], &bytes[length..]))
}

/// A record for `key`, whose length counts itself.
pub(crate) fn write(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

fn text(value: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    if value.contains(&0) {
        return Err("a PAX path has a NUL byte");
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

/// `Some(None)` for an empty value.
fn given<T>(value: &[u8], parse: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    if value.is_empty() { Some(None) } else { parse(value).map(Some) }
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => Some(-i64::try_from(number(digits)?).ok()?),
        None => i64::try_from(number(text)?).ok(),
    }
}

/// Seconds with any number of decimals; those beyond the ninth are dropped.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = signed(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos = (0..9).fold(0, |sum, place| sum * 10 + fraction.get(place).map_or(0, |digit| u32::from(digit - b'0')));
    // Before 1970 the fraction counts backwards.
    if whole.starts_with(b"-") && nanos > 0 { Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)) } else { Some((seconds, nanos)) }
}

/// The spelling that [`time`] reads.
pub(crate) fn spell_time(seconds: i64, nanos: u32) -> String {
    let (sign, whole, nanos) = match (seconds < 0, nanos) {
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, nanos) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos),
        (false, nanos) => ("", seconds.unsigned_abs(), nanos),
    };
    if nanos == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{}", format!("{nanos:09}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let bad = [
            b"9 path=x".as_slice(),
            b"99 path=x\n",
            b"0 a=b\n",
            b"path=x\n",
            b"8 =abcd\n",
            b"11 size=-2\n",
            b"2 \n",
            b"6 abc\n",
            b"12 path=a\0b\n",
            b"13 mtime=1e3\n",
            b"11 uid=1.5\n",
            b"18 SCHILY.xattr.=\n",
        ];
        for bytes in bad {
            assert!(Pax::default().add(bytes).is_err(), "{:?} was accepted", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn reads_times() {
        assert_eq!(time(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(time(b"-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time(b"12.1234567899"), Some((12, 123_456_789)));
        assert_eq!(time(b"-0.25"), Some((-1, 750_000_000)));
        assert_eq!(spell_time(-1, 750_000_000), "-0.25");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(path in proptest::collection::vec(1_u8.., 1..300), seconds in -(1_i64 << 40)..1 << 40, nanos in 0..1_000_000_000_u32) {
            let mut records = Vec::new();
            write(&mut records, "path", &path);
            write(&mut records, "mtime", spell_time(seconds, nanos).as_bytes());
            let mut pax = Pax::default();
            pax.add(&records).expect("valid");
            prop_assert_eq!(pax.path, Some(path));
            prop_assert_eq!(pax.mtime, Some((seconds, nanos)));
        }
    }
}
