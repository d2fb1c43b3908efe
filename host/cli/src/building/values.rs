//! Values of options: `key=value,key=value`, sizes, limits, hosts.

use std::{cell::Cell, net::IpAddr};

use anyhow::{Context as _, Result, bail};

/// A value of several fields, such as `type=oci,dest=out.tar`: comma-separated values (RFC 4180) as in Docker, so that a field
/// with a comma in it is written as `"dest=a,b"`, in quotes.
pub(super) struct Fields<'a> {
    option: &'static str,
    text: &'a str,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    value: String,
    taken: Cell<bool>,
}

impl<'a> Fields<'a> {
    /// Reads the value of `option`. A field without a value is `true`.
    ///
    /// # Errors
    /// If a quote has no end.
    pub(super) fn parse(option: &'static str, text: &'a str) -> Result<Self> {
        let split = split(text).with_context(|| format!("{option} {text}: a field is in quotes as a whole: \"NAME=VALUE\""))?;
        let field = |field: String| {
            let (name, value) = field.split_once('=').unwrap_or((&field, "true"));
            Field { name: name.to_owned(), value: value.to_owned(), taken: Cell::new(false) }
        };
        Ok(Self { option, text, fields: split.into_iter().map(field).collect() })
    }

    /// Takes a field by the first of its names that is there.
    pub(super) fn take(&self, names: &[&str]) -> Option<&str> {
        let field = self.fields.iter().find(|field| !field.taken.get() && names.contains(&field.name.as_str()))?;
        field.taken.set(true);
        Some(&field.value)
    }

    /// As [`Fields::take`], if it has to be there.
    pub(super) fn need(&self, names: &[&str]) -> Result<&str> {
        let (option, text, name) = (self.option, self.text, names[0]);
        self.take(names).filter(|value| !value.is_empty()).with_context(|| format!("{option} {text}: {name} is missing"))
    }

    /// What a field says, if it is there: `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.take(&[name]) {
            None => Ok(None),
            Some("false" | "0") => Ok(Some(false)),
            Some("true" | "1") => Ok(Some(true)),
            Some(other) => bail!("{} {}: {name}={other}: want true or false", self.option, self.text),
        }
    }

    /// Whether a field says `true`.
    pub(super) fn is(&self, name: &str) -> Result<bool> {
        Ok(self.flag(name)?.unwrap_or(false))
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<()> {
        match self.fields.iter().find(|field| !field.taken.get()) {
            None => Ok(()),
            Some(field) => bail!("{} {}: unknown field '{}'", self.option, self.text, field.name),
        }
    }

    /// An error about this value.
    pub(super) fn wrong<T>(&self, why: &str) -> Result<T> {
        bail!("{} {}: {why}", self.option, self.text)
    }
}

/// The fields of one line of comma-separated values; none if a quote is where none can be.
fn split(text: &str) -> Option<Vec<String>> {
    let (mut fields, mut rest) = (Vec::new(), text);
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (field, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (Some(field.to_owned()).filter(|field| !field.contains('"'))?, behind)
            }
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => return behind.is_empty().then_some(fields),
        }
    }
}

/// What is in quotes, up to the one that ends it, and what is behind that; `""` is a quote itself.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (part, behind) = rest.split_once('"')?;
        field += part;
        match behind.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, behind)),
        }
    }
}

/// `KEY=VALUE` with an empty value if there is no `=`.
pub(super) fn pair(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

/// A size as Docker takes it: `64m`, `1g`, `65536`, `1.5GiB`; units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = lower[digits.len()..].trim_end_matches('b').trim_end_matches('i');
    let shift = ["", "k", "m", "g", "t"].iter().position(|known| *known == unit);
    let number = digits.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let (Some(shift), Some(number)) = (shift, number) else { bail!("'{text}' is no size: want a number and a unit, such as 64m") };
    Ok((number * 1024_f64.powi(i32::try_from(shift).unwrap_or_default())) as u64)
}

/// `NAME=SOFT[:HARD]`; -1 is no limit.
pub(crate) fn limit(text: &str) -> Result<nacre_runtime::Limit> {
    let number = |text: &str| if text == "-1" { Some(u64::MAX) } else { text.parse().ok() };
    let parsed = text.split_once('=').and_then(|(name, values)| {
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        Some(nacre_runtime::Limit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? })
    });
    parsed.with_context(|| format!("--ulimit {text}: want NAME=SOFT[:HARD], such as nofile=1024:2048"))
}

/// `HOST:IP` or `HOST=IP`; an IPv6 address may stand in brackets.
pub(crate) fn host(text: &str) -> Result<(String, IpAddr)> {
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    let parsed = parts.and_then(|(name, address)| {
        let address = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some((name.to_owned(), address)).filter(|(name, _)| !name.is_empty())
    });
    parsed.with_context(|| format!("--add-host {text}: want HOST:IP, such as db:10.0.0.7"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_by_name() {
        let fields = Fields::parse("--output", "type=oci,dest=a=b,rewrite-timestamp,tar=0").expect("it has no quotes");
        assert_eq!((fields.take(&["type"]), fields.need(&["dest", "d"]).ok()), (Some("oci"), Some("a=b")));
        assert!(fields.is("rewrite-timestamp").is_ok_and(|is| is) && fields.flag("tar").is_ok_and(|tar| tar == Some(false)));
        assert!(fields.end().is_ok() && fields.take(&["type"]).is_none());
        let left = Fields::parse("-o", "x=1").and_then(|fields| fields.end()).map_err(|error| error.to_string());
        assert_eq!(left, Err("-o x=1: unknown field 'x'".into()));
    }

    #[test]
    fn fields_in_quotes_have_commas_and_quotes() {
        let split = |text| split(text).map(|fields| fields.join("|"));
        for (text, fields) in [
            ("a=b,c", "a=b|c"),
            (r#""type=local","dest=a,b""#, "type=local|dest=a,b"),
            (r#"type=local,"dest=say ""hi"", you""#, r#"type=local|dest=say "hi", you"#),
            (r#""",x"#, "|x"),
            ("", ""),
        ] {
            assert_eq!(split(text).as_deref(), Some(fields), "{text}");
        }
        for wrong in [r#""a"#, r#"a="b,c""#, r#""a"b,c"#, r#"""#, r#"a,"b""c"#] {
            assert!(split(wrong).is_none() && Fields::parse("-o", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_limits_and_hosts() {
        assert_eq!(
            ["64m", "1g", "10", "2KiB", "1.5kb"].map(|text| size(text).ok()),
            [Some(64 << 20), Some(1 << 30), Some(10), Some(2048), Some(1536)]
        );
        assert!(["", "m", "1x", "-1", "nanm"].iter().all(|text| size(text).is_err()));
        assert_eq!(limit("nofile=1:2").map(|l| (l.name, l.soft, l.hard)).ok(), Some(("nofile".into(), 1, 2)));
        assert!(limit("nofile").is_err() && limit("nofile=a").is_err());
        assert_eq!(host("a:::1").ok(), Some(("a".into(), "::1".parse().expect("an address"))));
        assert!(host("a=[fd00::1]").is_ok() && host("a").is_err() && host(":1.2.3.4").is_err());
    }
}
