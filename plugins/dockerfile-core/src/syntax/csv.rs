//! Fields with commas between them, as in `--mount=`: one line of CSV (RFC 4180, as `encoding/csv` of Go takes it).

/// The fields without their quotes, or what is wrong with the line.
pub(super) fn fields(line: &str) -> Result<Vec<String>, String> {
    let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err("EOF".into());
    }
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, behind) = field(text).map_err(|(at, reason)| {
            let column = line.len() - text.len() + at + 1;
            format!("parse error on line 1, column {column}: {reason}")
        })?;
        fields.push(field);
        rest = behind;
    }
    Ok(fields)
}

/// A field, and what stands behind the comma that ends it.
fn field(text: &str) -> Result<(String, Option<&str>), (usize, &'static str)> {
    if let Some(inner) = text.strip_prefix('"') {
        return quoted_field(inner);
    }
    let (field, behind) = text.split_once(',').map_or((text, None), |(field, behind)| (field, Some(behind)));
    match field.find('"') {
        Some(at) => Err((at, "bare \" in non-quoted-field")),
        None => Ok((field.into(), behind)),
    }
}

/// The same behind the first quote; two quotes are one of the field's.
fn quoted_field(text: &str) -> Result<(String, Option<&str>), (usize, &'static str)> {
    const OPEN: &str = "extraneous or missing \" in quoted-field";
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"').ok_or((1 + text.len() - rest.len(), OPEN))?;
        field.push_str(part);
        match behind.chars().next() {
            None => return Ok((field, None)),
            Some(',') => return Ok((field, Some(&behind[1..]))),
            Some('"') => field.push('"'),
            Some(_) => return Err((text.len() - behind.len(), OPEN)),
        }
        rest = &behind[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn fields_are_split() {
        assert_eq!(fields("type=bind,\"src=a,\"\"b\"\"\",,").unwrap(), ["type=bind", "src=a,\"b\"", "", ""]);
        assert_eq!(fields("one\r\n").unwrap(), ["one"]);
    }

    #[test]
    fn quotes_stand_around_whole_fields() {
        assert_eq!(fields("").unwrap_err(), "EOF");
        assert_eq!(fields("a,b\"c").unwrap_err(), "parse error on line 1, column 4: bare \" in non-quoted-field");
        for text in ["\"a", "\"a\"b", "a,\"b"] {
            assert!(fields(text).unwrap_err().ends_with("extraneous or missing \" in quoted-field"), "{text}");
        }
    }
}
