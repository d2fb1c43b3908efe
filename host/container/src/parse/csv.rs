//! One line of comma-separated values with quotes (RFC 4180, as Go's `encoding/csv` reads it).

/// The fields.
///
/// # Errors
/// In Go's words.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') { quoted_field(quoted)? } else { bare_field(rest)? };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

type Field<'a> = (String, Option<&'a str>);

fn bare_field(text: &str) -> Result<Field<'_>, String> {
    let (field, after) = text.split_once(',').map_or((text, None), |(field, after)| (field, Some(after)));
    if field.contains('"') {
        return Err("bare \" in non-quoted-field".into());
    }
    Ok((field.to_owned(), after))
}

/// What follows a quote.
fn quoted_field(text: &str) -> Result<Field<'_>, String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("extraneous or missing \" in quoted-field")?;
        field.push_str(part);
        if let Some(after) = after.strip_prefix('"') {
            field.push('"');
            rest = after;
        } else if let Some(after) = after.strip_prefix(',') {
            return Ok((field, Some(after)));
        } else if after.is_empty() {
            return Ok((field, None));
        } else {
            return Err("extraneous or missing \" in quoted-field".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_and_quotes() {
        let read = |text: &str| fields(text).map(|fields| fields.join("|"));
        assert_eq!(read("a,b=c").as_deref(), Ok("a|b=c"));
        assert_eq!(read("a,\"b=c,d\",e").as_deref(), Ok("a|b=c,d|e"));
        assert_eq!(read("\"a\"\"b\",").as_deref(), Ok("a\"b|"));
        for bad in ["a\"b", "\"a", "\"a\"b"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }
}
