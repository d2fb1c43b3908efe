//! Texts in messages, as Go's `%q` shows them: BuildKit's messages have them so.

/// The text in double quotes, with what cannot be printed escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 2);
    shown.push('"');
    for next in text.chars() {
        match next {
            '"' => shown.push_str("\\\""),
            '\\' => shown.push_str("\\\\"),
            '\u{7}' => shown.push_str("\\a"),
            '\u{8}' => shown.push_str("\\b"),
            '\u{c}' => shown.push_str("\\f"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{b}' => shown.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => shown.push_str(&format!("\\x{:02x}", u32::from(next))),
            ' '..='~' => shown.push(next),
            _ if is_printable(next) => shown.push(next),
            '\0'..='\u{ffff}' => shown.push_str(&format!("\\u{:04x}", u32::from(next))),
            _ => shown.push_str(&format!("\\U{:08x}", u32::from(next))),
        }
    }
    shown.push('"');
    shown
}

/// Whether it shows something of its own. Rust's escapes know; what combines shows behind a letter.
fn is_printable(next: char) -> bool {
    let mut letters = [0; 8];
    letters[0] = b'a';
    let end = 1 + next.encode_utf8(&mut letters[1..]).len();
    std::str::from_utf8(&letters[..end]).is_ok_and(|text| text.escape_debug().eq(text.chars()))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        assert_eq!(quoted("a \"b\"\\\n\u{1}\u{7f}é'"), r#""a \"b\"\\\n\x01\x7fé'""#);
        assert_eq!(quoted("\u{a0}\u{200d}\u{e000}\u{10ffff}e\u{301}🐚"), "\"\\u00a0\\u200d\\ue000\\U0010ffffe\u{301}🐚\"");
    }
}
