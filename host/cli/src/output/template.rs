//! Go templates with the functions that Docker adds.
//!
//! Data is marked on its way in and revealed on its way out (see [`super::escape`]): what a field holds cannot break
//! the line or the terminal, while the template's own line breaks and tabs pass. Differences from Go: a struct prints
//! as `map[…]`, a null as `<no value>`, and `json` sorts the keys of what it prints.

use std::collections::HashMap;

use anyhow::{Result, anyhow};
use gtmpl_ng::{Context, ExecError, Func, FuncError, Limits, NumberKind, ParseError, Value, funcs};
use serde_json::Value as Json;

use super::escape;

/// Objects that are maps in Docker's types: an absent key prints `<no value>`. In any other object it is an error.
const MAPS: [&str; 9] = ["Labels", "labels", "Annotations", "annotations", "ExposedPorts", "Volumes", "Data", "Settings", "settings"];

/// The engine's words for a field of a text or number.
const NO_FIELDS: &str = "only maps and objects have fields";

/// A parsed template.
pub(super) struct Template {
    source: String,
    template: gtmpl_ng::Template,
}

impl Template {
    /// Parses a template that sees data.
    ///
    /// # Errors
    /// In Docker's words, with line and column.
    pub(super) fn parse(source: &str) -> Result<Self> {
        Self::with_functions(source, &FUNCTIONS)
    }

    /// Parses a template that sees the names of columns instead of their values: functions leave them alone.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub(super) fn parse_header(source: &str) -> Result<Self> {
        Self::with_functions(source, &FUNCTIONS.map(|(name, _)| (name, header as Func)))
    }

    fn with_functions(source: &str, functions: &[(&str, Func)]) -> Result<Self> {
        let mut template = gtmpl_ng::Template::with_limits(Limits::unlimited());
        template.add_func("index", index);
        template.add_funcs(functions);
        template.parse(source).map_err(|error| malformed(&error))?;
        Ok(Self { source: source.to_owned(), template })
    }

    /// Fills it in; the text is safe for a terminal.
    ///
    /// # Errors
    /// On a field that does not exist and whatever else Go's templates refuse, in Docker's words.
    pub(super) fn render(&self, data: Value) -> Result<String> {
        let text = self.template.render(&Context::from(data));
        text.map(|text| escape::reveal(&text)).map_err(|error| self.explain(&error))
    }

    /// `template: :1:2: executing "" at <.Foo>: can't evaluate field Foo`
    fn explain(&self, error: &ExecError) -> anyhow::Error {
        let Some(error) = error.as_structured() else {
            return anyhow!("template parsing error: template: {}", escape::visible(&escape::unmark(&error.to_string())));
        };
        let (line, column) = (error.context.line, error.context.col.saturating_sub(1));
        let text = self.source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let node: String = text.chars().skip(column).take(error.context.len).collect();
        let missing = error.message.strip_prefix("no field `").and_then(|rest| rest.split_once('`'));
        let why = match missing {
            Some((field, _)) => format!("can't evaluate field {field}"),
            None if error.message == NO_FIELDS => "can't evaluate a field of what has no fields".into(),
            None => escape::unmark(&error.message),
        };
        anyhow!(
            "template parsing error: template: :{line}:{column}: executing \"\" at <{}>: {}",
            escape::visible(&node),
            escape::visible(&why)
        )
    }
}

/// `template: :1: unclosed action`
fn malformed(error: &ParseError) -> anyhow::Error {
    let why = match error {
        ParseError::WithContext(at, why) => format!(":{}: {why}", at.line),
        other => other.to_string(),
    };
    anyhow!("template parsing error: template: {}", escape::visible(&why))
}

/// JSON as template data, marked.
pub(super) fn value(json: &Json) -> Value {
    value_named("", json)
}

fn value_named(name: &str, json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::String(text) => Value::String(escape::mark(text)),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(unsigned), _) => Value::from(unsigned),
            (None, Some(signed)) => Value::from(signed),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::Object(entries) => {
            let entries: HashMap<_, _> = entries.iter().map(|(key, item)| (escape::mark(key), value_named(key, item))).collect();
            if MAPS.contains(&name) { Value::Map(entries) } else { Value::Object(entries) }
        }
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::NoValue | Value::Nil | Value::Function(_) => Json::Null,
        Value::Bool(bool) => Json::Bool(*bool),
        Value::String(text) => Json::String(escape::unmark(text)),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Object(entries) | Value::Map(entries) => {
            Json::Object(entries.iter().map(|(key, item)| (escape::unmark(key), to_json(item))).collect())
        }
        Value::Number(number) => match number.kind() {
            NumberKind::Signed(signed) => signed.into(),
            NumberKind::Unsigned(unsigned) => unsigned.into(),
            NumberKind::Float(float) => float.into(),
        },
    }
}

const FUNCTIONS: [(&str, Func); 8] = [
    ("json", json),
    ("split", split),
    ("join", join),
    ("title", title),
    ("lower", lower),
    ("upper", upper),
    ("pad", pad),
    ("truncate", truncate),
];

type Answer = std::result::Result<Value, FuncError>;

fn wrong(text: impl Into<String>) -> FuncError {
    FuncError::Generic(text.into())
}

fn arguments<'a, const N: usize>(name: &str, given: &'a [Value]) -> std::result::Result<&'a [Value; N], FuncError> {
    given.try_into().map_err(|_| wrong(format!("wrong number of args for {name}: want {N} got {}", given.len())))
}

fn string<'a>(name: &str, value: &'a Value) -> std::result::Result<&'a str, FuncError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(format!("wrong type of value for {name}: {other} is not a string"))),
    }
}

fn count(name: &str, value: &Value) -> std::result::Result<usize, FuncError> {
    let number = match value {
        Value::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        _ => None,
    };
    number.filter(|number| *number <= 10_000).ok_or_else(|| wrong(format!("{name} needs a number from 0 to 10000, not {value}")))
}

fn json(given: &[Value]) -> Answer {
    let [value] = arguments("json", given)?;
    Ok(Value::String(escape::json(&to_json(value).to_string()).into_owned()))
}

fn split(given: &[Value]) -> Answer {
    let [text, separator] = arguments("split", given)?;
    let (text, separator) = (string("split", text)?, escape::mark(string("split", separator)?));
    if separator.is_empty() {
        return Ok(Value::Array(text.chars().map(|c| Value::from(c.to_string())).collect()));
    }
    Ok(Value::Array(text.split(&separator).map(Value::from).collect()))
}

fn join(given: &[Value]) -> Answer {
    let [items, separator] = arguments("join", given)?;
    let texts = match items {
        Value::Array(items) => items.iter().map(|item| string("join", item)).collect::<std::result::Result<Vec<_>, _>>()?,
        Value::Nil | Value::NoValue => Vec::new(),
        other => return Err(wrong(format!("wrong type of value for join: {other} is not a list"))),
    };
    Ok(Value::from(texts.join(string("join", separator)?)))
}

fn title(given: &[Value]) -> Answer {
    let [text] = arguments("title", given)?;
    let mut out = String::new();
    let mut inside_word = false;
    for c in string("title", text)?.chars() {
        if inside_word {
            out.push(c)
        } else {
            out.extend(c.to_uppercase())
        }
        inside_word = c.is_alphanumeric() || c == '_' || !(c.is_ascii() || c.is_whitespace());
    }
    Ok(Value::from(out))
}

fn lower(given: &[Value]) -> Answer {
    let [text] = arguments("lower", given)?;
    Ok(Value::from(string("lower", text)?.to_lowercase()))
}

fn upper(given: &[Value]) -> Answer {
    let [text] = arguments("upper", given)?;
    Ok(Value::from(string("upper", text)?.to_uppercase()))
}

fn pad(given: &[Value]) -> Answer {
    let [text, before, after] = arguments("pad", given)?;
    let (text, before, after) = (string("pad", text)?, count("pad", before)?, count("pad", after)?);
    let padded = || format!("{}{text}{}", " ".repeat(before), " ".repeat(after));
    Ok(Value::from(if text.is_empty() { String::new() } else { padded() }))
}

fn truncate(given: &[Value]) -> Answer {
    let [text, length] = arguments("truncate", given)?;
    Ok(Value::from(string("truncate", text)?.chars().take(count("truncate", length)?).collect::<String>()))
}

/// The engine's `index` with Go's empty string for a label that is not there, and an error that does not recite the data.
fn index(given: &[Value]) -> Answer {
    match funcs::index(given) {
        Ok(Value::NoValue) => Ok(Value::from("")),
        Ok(found) => Ok(found),
        Err(_) => {
            let keys: Vec<String> = given.iter().skip(1).map(ToString::to_string).collect();
            Err(wrong(format!("error calling index: there is no {}", keys.join(" "))))
        }
    }
}

fn header(given: &[Value]) -> Answer {
    Ok(given.first().cloned().unwrap_or(Value::NoValue))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn image() -> Json {
        serde_json::json!({
            "Id": "sha256:abc",
            "RepoTags": ["nginx:1", "nginx:latest"],
            "Size": 187_654_321,
            "Big": 18_446_744_073_709_551_615_u64,
            "Parent": "",
            "Comment": "evil\u{1b}[2J\nname: forged",
            "Volumes": {},
            "Config": {"Labels": {"a.b": "x", "b": "y"}, "Env": ["A=1\tx"], "User": null, "Tty": false},
        })
    }

    fn render(template: &str) -> Result<String> {
        Template::parse(template)?.render(value(&image()))
    }

    #[test]
    fn evaluates_what_go_does() {
        for (template, text) in [
            ("{{.Id}}", "sha256:abc"),
            ("{{index .RepoTags 0}}", "nginx:1"),
            ("{{range .RepoTags}}{{println .}}{{end}}", "nginx:1\nnginx:latest\n"),
            ("{{range $i, $t := .RepoTags}}{{if $i}}, {{end}}{{$t}}{{end}}", "nginx:1, nginx:latest"),
            ("{{range .Volumes}}x{{else}}none{{end}}", "none"),
            ("{{with .Config}}{{.Tty}}{{end}}", "false"),
            ("{{with .Parent}}{{.}}{{else}}no parent{{end}}", "no parent"),
            ("a {{- .Id -}} b", "asha256:abcb"),
            ("{{.Config.Labels}}", "map[a.b:x b:y]"),
            ("{{.RepoTags}}", "[nginx:1 nginx:latest]"),
            ("{{index .Config.Labels \"a.b\"}}", "x"),
            ("[{{index .Config.Labels \"zz\"}}]", "[]"),
            ("{{.Config.Labels.zz}}", "<no value>"),
            ("{{.Config.User}}", "<no value>"),
            ("{{len .RepoTags}} {{.Size}} {{.Big}}", "2 187654321 18446744073709551615"),
            ("{{if and (eq .Id \"sha256:abc\") (not .Parent)}}y{{else}}n{{end}}", "y"),
            ("{{if eq .Id \"q\"}}1{{else if gt .Size 5}}2{{end}}", "2"),
            ("{{.Id | printf \"%-12s|\"}}", "sha256:abc  |"),
            ("{{$x := .Id}}{{$x}} {{$.Size}}", "sha256:abc 187654321"),
            ("{{/* nothing */}}{{slice .Id 7}}", "abc"),
            ("{{define \"t\"}}<{{.Id}}>{{end}}{{template \"t\" .}}", "<sha256:abc>"),
        ] {
            assert_eq!(render(template).unwrap(), text, "{template}");
        }
    }

    #[test]
    fn dockers_functions() {
        for (template, text) in [
            ("{{json .RepoTags}}", r#"["nginx:1","nginx:latest"]"#),
            ("{{json .Config.Labels}}", r#"{"a.b":"x","b":"y"}"#),
            ("{{json .Big}} {{json .Config.User}}", "18446744073709551615 null"),
            ("{{join .RepoTags \", \"}}", "nginx:1, nginx:latest"),
            ("{{join .RepoTags \"\\n\"}}", "nginx:1\nnginx:latest"),
            ("{{index (split .Id \":\") 1}}", "abc"),
            ("{{len (split (index .Config.Env 0) \"\\t\")}}", "2"),
            ("{{upper .Id}} {{lower \"ABC\"}} {{title \"o'neil two_words\"}}", "SHA256:ABC abc O'Neil Two_words"),
            ("[{{pad .Id 1 2}}][{{pad .Parent 1 2}}]", "[ sha256:abc  ][]"),
            ("{{truncate .Id 3}} {{truncate .Id 99}}", "sha sha256:abc"),
        ] {
            assert_eq!(render(template).unwrap(), text, "{template}");
        }
    }

    #[test]
    fn data_cannot_break_the_terminal() {
        assert_eq!(render("{{.Comment}}\n").unwrap(), "evil\\x1b[2J\\nname: forged\n");
        assert_eq!(render("{{printf \"%s\" .Comment}}").unwrap(), "evil\\x1b[2J\\nname: forged");
        assert_eq!(render("{{json .Comment}}").unwrap(), r#""evil\u001b[2J\nname: forged""#);
        assert_eq!(render("{{index .Config.Env 0}}\t|").unwrap(), "A=1\\tx\t|");
    }

    #[test]
    fn errors_are_dockers() {
        for (template, text) in [
            ("{{.Foo}}", "template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo"),
            ("a\n{{.Id}}{{.Config.Bar}}", "template: :2:9: executing \"\" at <.Config.Bar>: can't evaluate field Bar"),
            ("{{len .Foo}}", "template: :1:6: executing \"\" at <.Foo>: can't evaluate field Foo"),
            ("{{.Id", "template: :1: unclosed action"),
            ("\n{{nope .Id}}", "template: :2: function nope not defined"),
            ("{{.Id.Foo}}", "template: :1:2: executing \"\" at <.Id.Foo>: can't evaluate a field of what has no fields"),
            ("{{index .RepoTags 7}}", "template: :1:2: executing \"\" at <index .RepoTags 7>: error calling index: there is no 7"),
        ] {
            assert_eq!(render(template).unwrap_err().to_string(), format!("template parsing error: {text}"));
        }
        for template in ["{{end}}", "{{if .Id}}", "{{join .Id \",\"}}", "{{upper 3}}", "{{pad .Id 1}}", "{{pad .Id 99999 1}}"] {
            let error = render(template).unwrap_err().to_string();
            assert!(error.starts_with("template parsing error: template: :1"), "{template}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
