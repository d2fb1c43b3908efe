#![allow(clippy::unwrap_used, reason = "tests")]

use super::Expander;

/// `SEA=calm`, `EMPTY=`, `PATHS=/usr/local/lib:/opt/lib`, `NAME=reef.tar.gz`, `TWO=a b`.
fn lookup(name: &str) -> Option<String> {
    let value = match name {
        "SEA" => "calm",
        "EMPTY" => "",
        "PATHS" => "/usr/local/lib:/opt/lib",
        "NAME" => "reef.tar.gz",
        "TWO" => "a b",
        "STAR" => "a*b*c",
        "LINES" => "one\ntwo",
        _ => return None,
    };
    Some(value.into())
}

fn word(text: &str) -> String {
    Expander::new('\\').word(text, &lookup).unwrap().text
}

fn error(text: &str) -> String {
    Expander::new('\\').word(text, &lookup).unwrap_err().message
}

fn words(text: &str) -> Vec<String> {
    Expander::new('\\').words(text, &lookup).unwrap()
}

#[test]
fn variables_end_where_a_name_ends() {
    assert_eq!(word("$SEA-${SEA}s $SEA.x"), "calm-calms calm.x");
    assert_eq!(word("$SEAS|$NONE|"), "||");
    assert_eq!(word("$ 5$ $"), "$ 5$ $");
    assert_eq!(word("[$1a|$12|$@|$$SEA|$?]"), "[a|||SEA|]", "positional and special parameters are never set");
}

#[test]
fn quotes_and_escapes() {
    assert_eq!(word(r#"a"b c"'d e'f\ g"#), "ab cd ef g");
    assert_eq!(word(r"'$SEA\' \$SEA \\$SEA"), r"$SEA\ $SEA \calm");
    assert_eq!(word(r#""$SEA \$SEA \x \" \\""#), r#"calm $SEA \x " \"#);
    assert_eq!(word(r#""it's" 'say "hi"' end\"#), r#"it's say "hi" end"#);
    assert_eq!(Expander::new('`').word(r"a\b`c``", &lookup).unwrap().text, r"a\bc`");
}

#[test]
fn raw_forms_keep_what_is_written() {
    let raw = Expander { raw_quotes: true, raw_escapes: true, keep_unset: true, ..Expander::new('\\') };
    for text in [r#"'a b' "c\" $NONE" \d ${NONE} ${NONE:-x} ${NONE//a/b}"#, "<<  EOF"] {
        assert_eq!(raw.word(text, &lookup).unwrap().text, text);
    }
    assert_eq!(raw.word("$SEA \"${SEA}\"", &lookup).unwrap().text, "calm \"calm\"");
    assert_eq!(Expander::document().word(r#"it's "$SEA" \$SEA"#, &lookup).unwrap().text, r#"it's "calm" $SEA"#);
}

#[test]
fn defaults_and_alternatives() {
    assert_eq!(word("${NONE:-x}${NONE-y}${EMPTY:-z}[${EMPTY-w}]"), "xyz[]");
    assert_eq!(word("${SEA:+x}${SEA+y}[${EMPTY:+z}]${EMPTY+w}[${NONE+v}]"), "xy[]w[]");
    assert_eq!(word("${NONE:-${EMPTY:-a b \"c}\"}}"), "a b c}");
    assert_eq!(word("${SEA?}${EMPTY?x}"), "calm");
    assert_eq!(error("${NONE?}"), r#"failed to process "${NONE?}": NONE: is not allowed to be unset"#);
    assert!(error("${NONE:?needs $SEA}").ends_with(": NONE: needs calm"));
    assert!(error("\"${EMPTY:?}\"").ends_with(r#""\"${EMPTY:?}\"": EMPTY: is not allowed to be empty"#));
}

#[test]
fn patterns_cut_the_ends() {
    assert_eq!(word("${NAME%.*} ${NAME%%.*} ${NAME#*.} ${NAME##*.}"), "reef.tar reef tar.gz gz");
    assert_eq!(word("${PATHS##*/} ${PATHS#/*/} ${PATHS%x}"), "lib local/lib:/opt/lib /usr/local/lib:/opt/lib");
    assert_eq!(word("${NAME#?} ${NAME%??} ${NAME#} ${STAR#a\\*} ${STAR%\\*c}"), "eef.tar.gz reef.tar. reef.tar.gz b*c a*b");
    assert_eq!(word("[${LINES#*e}][${LINES##*}]"), "[\ntwo][\ntwo]", "`*` ends with its line");
    assert!(error(r"${NAME#a\b}").ends_with(r"invalid pattern (a\b) in substitution: invalid escape '\b'"));
}

#[test]
fn patterns_replace() {
    assert_eq!(
        word("${PATHS/lib/bin} ${PATHS//lib/bin} ${PATHS//o?t/x}"),
        "/usr/local/bin:/opt/lib /usr/local/bin:/opt/bin /usr/local/lib:/x/lib"
    );
    assert_eq!(word("${PATHS/\\//+} ${NAME//./} ${STAR/*/x} ${STAR//\\*/-} ${SEA/x*/y}"), "+usr/local/lib:/opt/lib reeftargz x a-b-c calm");
    assert_eq!(word("${SEA//''/.}"), ".c.a.l.m.");
    assert!(error("${SEA/a").ends_with("syntax error: missing '/' in ${}"));
    assert!(error("${SEA/a/b").ends_with("syntax error: missing '}'"));
}

#[test]
fn what_is_no_substitution() {
    for (text, reason) in [
        ("${", "syntax error: missing '}'"),
        ("${SEA:", "syntax error: missing '}'"),
        ("${SEA:-x", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${{SEA}}", "syntax error: bad substitution"),
        ("${SEA", "unsupported modifier (\u{fffd}) in substitution"),
        ("${a.b}", "unsupported modifier (.) in substitution"),
        ("${#SEA}", "unsupported modifier (S) in substitution"),
        ("${SEA:x}", "unsupported modifier (:x) in substitution"),
        ("${SEA:#x}", "unsupported modifier (:#) in substitution"),
        ("'x", "unexpected end of statement while looking for matching single-quote"),
        ("\"x", "unexpected end of statement while looking for matching double-quote"),
    ] {
        assert_eq!(error(text), format!("failed to process {text:?}: {reason}").replace("\\u{fffd}", "\u{fffd}"));
    }
}

#[test]
fn words_are_split_after_the_expansion() {
    assert_eq!(words(" $TWO \"$TWO\" x$TWO\\ y '' "), ["a", "b", "a b", "xa", "b y"]);
    assert_eq!(words("8${NONE:-0}80 <<  EOF"), ["8080", "<<  EOF"]);
}

#[test]
fn names_are_told() {
    let told = Expander::new('\\').word("$SEA ${NONE:-$OTHER} '$QUOTED' \"$EMPTY\"", &lookup).unwrap();
    assert_eq!(told.found.into_iter().collect::<Vec<_>>(), ["EMPTY", "SEA"]);
    assert_eq!(told.missing.into_iter().collect::<Vec<_>>(), ["NONE", "OTHER"]);
}

#[test]
fn depth_has_an_end() {
    let deep = |levels: usize| format!("{}x{}", "${a:-".repeat(levels), "}".repeat(levels));
    assert_eq!(word(&deep(50)), "x");
    assert!(error(&deep(50_000)).ends_with("too many substitutions in one another"));
}
