//! Go templates with the functions that Docker adds.
//!
//! Data is marked on its way in and revealed on its way out (see [`super::escape`]): what a field holds cannot break
//! the line or the terminal, while the template's own line breaks and tabs pass. Differences from Go: a struct prints
//! as `map[…]`, a null as `<no value>`, and `json` sorts the keys of what it prints.

use std::collections::HashMap;

use anyhow::{Result, anyhow};
use gtmpl_ng::{Context, ExecError, Func, Limits, ParseError, Value};
use serde_json::Value as Json;

use super::{
    escape,
    functions::{FUNCTIONS, header},
};

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
        template.add_funcs(functions);
        template.parse(source).map_err(|error| malformed(&error))?;
        Ok(Self { source: source.to_owned(), template })
    }

    /// What was parsed.
    pub(super) fn source(&self) -> &str {
        &self.source
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
        // Go's nil map is an empty one: `index .Config.Labels "x"` is nothing, and no error.
        Json::Null if MAPS.contains(&name) => Value::Map(HashMap::new()),
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
