//! The functions that Docker adds to Go's templates. Texts from data come and go marked (see [`super::escape`]).

use gtmpl_ng::{Func, FuncError, NumberKind, Value, funcs};
use serde_json::Value as Json;

use super::escape;

/// Their names and what they do.
pub(super) const FUNCTIONS: [(&str, Func); 9] = [
    ("index", index),
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

/// What all of them are in a heading: the first argument.
pub(super) fn header(given: &[Value]) -> Answer {
    Ok(given.first().cloned().unwrap_or(Value::NoValue))
}
