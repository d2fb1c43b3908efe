//! JSON as image documents need it: no object may name a key twice (CVE-2021-41190).

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::{Error, Result};

/// Parses `bytes` as a `T`; `what` names the document in errors.
///
/// # Errors
/// If the bytes are not JSON of that shape, or an object names a key twice.
pub fn parse_strict<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    let strict: Result<Unique, _> = serde_json::from_slice(bytes);
    strict.and_then(|_| serde_json::from_slice(bytes)).map_err(|e| Error::malformed(what, e))
}

/// Any JSON without repeated keys; keeps nothing.
struct Unique;

impl<'de> serde::Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        while let Some((key, Unique)) = map.next_entry::<String, Unique>()? {
            if let Some(key) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("the key \"{key}\" stands there twice")));
            }
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_repeated_keys_at_any_depth() {
        assert!(parse_strict::<serde_json::Value>(br#"{"a":1,"b":[{"c":null}]}"#, "x").is_ok());
        for text in [r#"{"a":1,"a":2}"#, r#"{"b":[{"c":1,"c":1}]}"#, r#"{"a":1} x"#, ""] {
            assert!(parse_strict::<serde_json::Value>(text.as_bytes(), "x").is_err(), "{text} was accepted");
        }
    }
}
