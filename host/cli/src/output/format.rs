//! `--format`: how the rows of `images`, `history`, `search` and the like, and the documents of `inspect`, are written.

use std::collections::HashMap;

use anyhow::{Result, anyhow};
use gtmpl_ng::Value;
use serde::Serialize;

use super::{escape, table, template, template::Template};

/// What a command's rows consist of: for each column the field of templates and JSON, and the heading in tables.
pub(crate) type Columns<'a> = [(&'a str, &'a str)];

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Text from anywhere; it is escaped here.
    Text(String),
    /// `[OK]` or nothing; in JSON `"true"` or `"false"`.
    Flag(bool),
    /// Text for people, and what it stands for in JSON.
    Value(String, serde_json::Value),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl Cell {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Value(text, _) => text,
            Self::Flag(true) => "[OK]",
            Self::Flag(false) => "",
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Flag(true) => "true".into(),
            Self::Flag(false) => "false".into(),
            Self::Value(_, value) => value.clone(),
        }
    }
}

/// How rows are written: a parsed `--format`.
pub(crate) struct Format(Kind);

enum Kind {
    /// Aligned, under a line of headings.
    Table { heading: Box<Template>, row: Template },
    /// A JSON object on each line, keys sorted, as Docker does it: of strings, but for the cells that have a value.
    Json,
    /// A template for each row, with a line break after it.
    Rows(Template),
}

impl Format {
    /// Reads `--format`: nothing or `table` (the command's `default` columns, as `{{.ID}}\t{{.Size}}`), `table TEMPLATE`,
    /// `json`, `raw` where the command has a template for that, or a template. `\t` and `\n` in it are a tab and a line break.
    ///
    /// # Errors
    /// If the template is malformed.
    pub(crate) fn parse(text: &str, default: &str, raw: Option<&str>) -> Result<Self> {
        match (text.trim(), raw) {
            ("json" | "{{json .}}" | "{{ json . }}", _) => return Ok(Self(Kind::Json)),
            ("raw", Some(raw)) => return Ok(Self(Kind::Rows(Template::parse(raw)?))),
            _ => {}
        }
        let unescaped = |text: &str| text.replace("\\t", "\t").replace("\\n", "\n");
        let columns = match text.strip_prefix("table") {
            Some(columns) => columns.trim_matches(' '),
            None if text.is_empty() => "",
            None => return Ok(Self(Kind::Rows(Template::parse(&unescaped(text))?))),
        };
        let columns = unescaped(if columns.is_empty() { default } else { columns });
        Ok(Self(Kind::Table { heading: Box::new(Template::parse_header(&columns)?), row: Template::parse(&columns)? }))
    }

    /// Writes the rows, whose cells stand in the order of `columns`. The text is safe for a terminal and ends each
    /// record with a line break.
    ///
    /// # Errors
    /// If the template names a field that is not there.
    pub(crate) fn render(&self, columns: &Columns, rows: impl IntoIterator<Item: AsRef<[Cell]>>) -> Result<String> {
        let lines = self.lines(columns);
        let written = rows.into_iter().map(|row| lines.of(row.as_ref())).collect::<Result<Vec<_>>>()?;
        lines.joined(&written)
    }

    /// To write rows one at a time: of very many nothing but their text has to be kept.
    pub(crate) fn lines<'a>(&'a self, columns: &'a Columns<'a>) -> Lines<'a> {
        let template = match &self.0 {
            Kind::Json => None,
            Kind::Rows(row) | Kind::Table { row, .. } => Some(row),
        };
        Lines { kind: &self.0, columns, plain: template.and_then(|row| plain(row.source(), columns)) }
    }

    /// Whether a column's values are looked at: others need not be worked out.
    pub(crate) fn uses(&self, column: &str) -> bool {
        let (Kind::Table { row: template, .. } | Kind::Rows(template)) = &self.0 else { return true };
        let used = |action: &str| action.strip_prefix('.').is_none_or(|field| field == column || !is_name(field));
        template.source().split("{{").skip(1).any(|rest| rest.split_once("}}").is_none_or(|(action, _)| used(action.trim_matches(' '))))
    }
}

/// Rows that are being written.
pub(crate) struct Lines<'a> {
    kind: &'a Kind,
    columns: &'a Columns<'a>,
    plain: Option<Vec<Piece<'a>>>,
}

impl Lines<'_> {
    /// The text of a row, without a line break at its end.
    ///
    /// # Errors
    /// If the template names a field that is not there.
    pub(crate) fn of(&self, row: &[Cell]) -> Result<String> {
        match (self.kind, &self.plain) {
            (Kind::Json, _) => Ok(json_line(self.columns, row)),
            (_, Some(pieces)) => Ok(fill_in(pieces, row)),
            (Kind::Rows(template) | Kind::Table { row: template, .. }, None) => self.filled(template, data(self.columns, row)),
        }
    }

    /// The rows' texts as one, under a table's heading.
    ///
    /// # Errors
    /// As [`Lines::of`].
    pub(crate) fn joined(&self, rows: &[impl AsRef<str>]) -> Result<String> {
        let mut out = String::with_capacity(rows.iter().map(|row| row.as_ref().len() + 1).sum::<usize>() + 200);
        if let Kind::Table { heading, .. } = self.kind {
            let names = self.columns.iter().map(|(field, heading)| ((*field).to_owned(), Value::from(*heading)));
            out.push_str(&self.filled(heading, names.collect())?);
            out.push('\n');
        }
        for row in rows {
            out.push_str(row.as_ref());
            out.push('\n');
        }
        Ok(if matches!(self.kind, Kind::Table { .. }) { table::align(&out) } else { out })
    }

    fn filled(&self, template: &Template, fields: HashMap<String, Value>) -> Result<String> {
        template.render(Value::Object(fields)).map_err(|error| with_fields(&error, self.columns))
    }
}

/// A part of a template that consists of nothing but text and fields. Very many rows are filled in quickly that way.
enum Piece<'a> {
    Text(&'a str),
    /// The field's position among the columns.
    Field(usize),
}

/// A template's pieces, unless it does more or names a field that is not there: then the engine has to see it.
fn plain<'a>(source: &'a str, columns: &Columns) -> Option<Vec<Piece<'a>>> {
    let (text, actions) = source.split_once("{{").map_or((source, None), |(text, rest)| (text, Some(rest)));
    let mut pieces = vec![Piece::Text(text)];
    for part in actions.into_iter().flat_map(|rest| rest.split("{{")) {
        let (action, text) = part.split_once("}}")?;
        let field = action.trim_matches(' ').strip_prefix('.')?;
        pieces.extend([Piece::Field(columns.iter().position(|(name, _)| *name == field)?), Piece::Text(text)]);
    }
    Some(pieces)
}

fn is_name(field: &str) -> bool {
    !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn fill_in(pieces: &[Piece<'_>], row: &[Cell]) -> String {
    let mut out = String::with_capacity(128);
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Field(column) => out.push_str(&escape::visible(row.get(*column).map_or("", Cell::text))),
        }
    }
    out
}

fn data(columns: &Columns, row: &[Cell]) -> HashMap<String, Value> {
    let cells = columns.iter().zip(row);
    cells.map(|((field, _), cell)| ((*field).to_owned(), Value::String(escape::mark(cell.text())))).collect()
}

fn json_line(columns: &Columns, row: &[Cell]) -> String {
    let object: serde_json::Map<_, _> = columns.iter().zip(row).map(|((field, _), cell)| ((*field).to_owned(), cell.json())).collect();
    escape::json(&serde_json::Value::Object(object).to_string()).into_owned()
}

fn with_fields(error: &anyhow::Error, columns: &Columns) -> anyhow::Error {
    let names: Vec<String> = columns.iter().map(|(field, _)| format!(".{field}")).collect();
    anyhow!("{error}; the fields are {}", names.join(" "))
}

/// Writes what `inspect` found: without a template an indented JSON list, with `json` the same on one line, else the
/// template's text for each, with a line break after it. (Unlike in tables `\t` and `\n` stay as they are, as in Docker.)
///
/// # Errors
/// If the template is malformed or does not fit.
pub(crate) fn inspect<T: Serialize>(format: &str, items: &[T]) -> Result<String> {
    let mut out = match format {
        "" => indented(items)?,
        "json" => serde_json::to_string(items)?,
        _ => return inspect_with(&Template::parse(format)?, items),
    };
    out.push('\n');
    Ok(escape::json(&out).into_owned())
}

fn inspect_with<T: Serialize>(template: &Template, items: &[T]) -> Result<String> {
    let line = |item| Ok(template.render(template::value(&serde_json::to_value(item)?))? + "\n");
    items.iter().map(line).collect()
}

/// With Docker's four blanks.
fn indented<T: Serialize>(items: &[T]) -> Result<String> {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    items.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))?;
    Ok(String::from_utf8(out)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const COLUMNS: &Columns = &[("Name", "NAME"), ("Description", "DESCRIPTION"), ("StarCount", "STARS"), ("IsOfficial", "OFFICIAL")];
    const DEFAULT: &str = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";

    fn render(format: &str) -> Result<String> {
        let rows = [
            vec!["nginx".into(), "Official build of Nginx.".into(), "20000".into(), true.into()],
            vec!["acme/nginx".into(), "evil\u{1b}[2J\n\ttwo".into(), "3".into(), false.into()],
        ];
        Format::parse(format, DEFAULT, Some("name: {{.Name}}\n"))?.render(COLUMNS, &rows)
    }

    #[test]
    fn tables() {
        let expected = "NAME         DESCRIPTION                STARS     OFFICIAL\n\
                        nginx        Official build of Nginx.   20000     [OK]\n\
                        acme/nginx   evil\\x1b[2J\\n\\ttwo         3         \n";
        assert_eq!(render("").unwrap(), expected);
        assert_eq!(render("table").unwrap(), expected);
        let own = "NAME         STARS\nnginx        20000\nACME/NGINX   3\n".replace("ACME/NGINX", "acme/nginx");
        assert_eq!(render(r"table {{.Name}}\t{{.StarCount}}").unwrap(), own);
        assert_eq!(render("table {{upper .Name}}").unwrap(), "NAME\nNGINX\nACME/NGINX\n");
    }

    #[test]
    fn json_rows_have_strings_in_order_of_their_keys() {
        let expected = concat!(
            r#"{"Description":"Official build of Nginx.","IsOfficial":"true","Name":"nginx","StarCount":"20000"}"#,
            "\n",
            r#"{"Description":"evil\u001b[2J\n\ttwo","IsOfficial":"false","Name":"acme/nginx","StarCount":"3"}"#,
            "\n"
        );
        assert_eq!(render("json").unwrap(), expected);
        assert_eq!(render("{{json .}}").unwrap(), expected);
    }

    #[test]
    fn a_cell_with_a_value_shows_its_text_and_is_itself_in_json() {
        let rows = [[Cell::Value("7.8MB".into(), 7_800_000.into()), Cell::Value(String::new(), serde_json::Value::Null)]];
        let render =
            |format| Format::parse(format, "{{.A}}\t{{.B}}", None).unwrap().render(&[("A", "A"), ("B", "B")], rows.clone()).unwrap();
        assert_eq!((render(""), render("json")), ("A         B\n7.8MB     \n".into(), "{\"A\":7800000,\"B\":null}\n".into()));
    }

    #[test]
    fn templates() {
        assert_eq!(render(r"{{.Name}}\t{{.IsOfficial}}").unwrap(), "nginx\t[OK]\nacme/nginx\t\n");
        assert_eq!(render("raw").unwrap(), "name: nginx\n\nname: acme/nginx\n\n");
        assert_eq!(Format::parse("raw", DEFAULT, None).unwrap().render(COLUMNS, &[vec![]]).unwrap(), "raw\n");
    }

    #[test]
    fn only_what_a_template_names_is_used() {
        let uses = |format: &str, column: &str| Format::parse(format, DEFAULT, None).unwrap().uses(column);
        assert!(uses("", "StarCount") && uses("json", "StarCount") && uses("{{upper .Name}}", "Name") && uses("{{ .Name }}", "Name"));
        assert!(!uses("table {{.Name}}\\t{{.IsOfficial}}", "StarCount"));
        assert!(uses("{{.}}", "StarCount") && uses("{{with .Name}}{{$.StarCount}}{{end}}", "StarCount"));
    }

    #[test]
    fn plain_templates_come_out_as_the_engine_writes_them() {
        for plain in ["{{.Name}}", "a {{ .Description }}\\t{{.IsOfficial}} b}}"] {
            let engine = plain.replacen("{{", "{{/* */}}{{", 1);
            assert_eq!(render(plain).unwrap(), render(&engine).unwrap());
        }
    }

    #[test]
    fn an_unknown_field_names_those_that_exist() {
        for format in ["{{.Foo}}", "table {{.Foo}}"] {
            let error = render(format).unwrap_err().to_string();
            assert_eq!(
                error,
                "template parsing error: template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo; \
                 the fields are .Name .Description .StarCount .IsOfficial"
            );
        }
    }

    #[test]
    fn inspects() {
        let items = [serde_json::json!({"Id": "a\u{202e}b", "Config": {"Env": ["x"], "Labels": {}}})];
        let expected = "[\n    {\n        \"Config\": {\n            \"Env\": [\n                \"x\"\n            ],\n            \
                        \"Labels\": {}\n        },\n        \"Id\": \"a\\u202eb\"\n    }\n]\n";
        assert_eq!(inspect("", &items).unwrap(), expected);
        assert_eq!(inspect("json", &items).unwrap(), "[{\"Config\":{\"Env\":[\"x\"],\"Labels\":{}},\"Id\":\"a\\u202eb\"}]\n");
        assert_eq!(inspect("{{.Id}} {{.Config.Env}}", &items).unwrap(), "a\\u{202e}b [x]\n");
        assert_eq!(inspect::<()>("", &[]).unwrap(), "[]\n");
        assert!(inspect("{{.Nope}}", &items).is_err());
    }
}
