//! Untrusted text on its way to a terminal.
//!
//! Names, labels, history, registries' messages and plugins' reasons are written by strangers. A control or escape
//! sequence in them could rewrite the screen, a line break could fake a record, and characters that reorder or hide
//! text could make one name look like another. All of these are shown as visible escapes: `\n`, `\x1b`, `\u{202e}`.
//!
//! Templates mix the user's own text, whose line breaks are meant, with such data. So data goes in *marked*: each
//! unsafe character is exchanged for one of Unicode's private plane 16, and afterwards the marks are made visible
//! ([`reveal`]), or undone where the encoding is safe by itself, as JSON is ([`unmark`]).

use std::borrow::Cow;

/// The text with everything a terminal must not get made visible. One line stays one line.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if plain || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| push_visible(&mut out, c));
    Cow::Owned(out)
}

/// The text with unsafe characters exchanged for marks, one for one. Plane 16 itself, where no character is assigned,
/// becomes U+FFFD.
pub(super) fn mark(text: &str) -> String {
    text.chars().map(mark_char).collect()
}

/// Undoes [`mark`].
pub(super) fn unmark(text: &str) -> String {
    text.chars().map(|c| unmark_char(c).unwrap_or(c)).collect()
}

/// Makes the marked characters visible and leaves all others as they are.
pub(super) fn reveal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match unmark_char(c) {
            Some(marked) => push_visible(&mut out, marked),
            None => out.push(c),
        }
    }
    out
}

/// JSON whose strings hold no character that a terminal must not get: what serde leaves as it is becomes `\uXXXX`.
/// Line breaks between the tokens stay.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let leave = |c: char| c == '\n' || !is_unsafe(c);
    if text.chars().all(leave) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if leave(c) {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(out)
}

/// Controls, and what Unicode calls default ignorable or bidirectional formatting.
fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{100000}'..)
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if !is_unsafe(c) => out.push(c),
        c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
    }
}

const PLANE: u32 = 0x10_0000;
/// Where plane 16 has no counterpart in the first plane (there are the surrogates), the tags of plane 14 fit in.
const TAGS: u32 = PLANE + 0xd800;

fn mark_char(c: char) -> char {
    let mark = match u32::from(c) {
        _ if !is_unsafe(c) => return c,
        PLANE.. => 0xfffd,
        tag @ 0xe_0000.. => TAGS + (tag & 0x7f),
        other => PLANE + other,
    };
    char::from_u32(mark).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn unmark_char(c: char) -> Option<char> {
    match u32::from(c) {
        tag @ TAGS..0x10_d880 => char::from_u32(0xe_0000 + (tag - TAGS)),
        mark @ PLANE.. => char::from_u32(mark - PLANE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\x1b[2Jb\nc\td\re\u{7f}\u{9b}\u{200b}\u{202e}\u{feff}\u{e0041}é漢";

    #[test]
    fn makes_hostile_text_visible() {
        assert_eq!(visible(HOSTILE), r"a\x1b[2Jb\nc\td\re\x7f\x9b\u{200b}\u{202e}\u{feff}\u{e0041}é漢");
        assert!(matches!(visible("plain é漢 🦀"), Cow::Borrowed(_)));
    }

    #[test]
    fn marks_are_one_for_one_and_come_back() {
        let marked = mark(HOSTILE);
        assert_eq!(marked.chars().count(), HOSTILE.chars().count());
        assert_eq!(unmark(&marked), HOSTILE);
        assert_eq!(reveal(&format!("own\n\t{marked}")), format!("own\n\t{}", visible(HOSTILE)));
        assert_eq!(mark("\u{10000a}"), "\u{fffd}", "data cannot forge a mark");
    }

    #[test]
    fn json_stays_json() {
        let text = serde_json::to_string(HOSTILE).expect("a string");
        let safe = json(&text);
        assert!(!safe.contains(is_unsafe));
        assert_eq!(serde_json::from_str::<String>(&safe).expect("still JSON"), HOSTILE);
    }
}
