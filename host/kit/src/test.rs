//! `nacre plugin test`: what a plugin imports and exports, and its golden cases.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::Error;
use crate::call::{Outcome, Subject};
use crate::case::{self, Case};

/// How one check or case ended.
#[derive(Debug)]
pub struct Line {
    /// What was checked: `interfaces`, or the case's name.
    pub name: String,
    /// What is wrong with it; nothing if all is well.
    pub wrong: Option<String>,
    /// How many calls were made.
    pub calls: usize,
    /// The time that they took.
    pub time: Duration,
    /// The most memory that one of them had, in bytes.
    pub memory: u64,
    /// The answer is now the expected one.
    pub updated: bool,
}

/// Checks the plugin in `folder`, and calls it twice for each case: both answers must be the expected one. With `update`
/// the answers become the expected ones. Compiled code is kept in `cache`. `each` gets every line as it comes.
///
/// # Errors
/// There is no plugin or no case, or one cannot be read. A failed case is no error: see [`Line::wrong`].
pub fn test(folder: &Path, cache: &Path, update: bool, mut each: impl FnMut(&Line)) -> Result<bool, Error> {
    let cases = case::all(folder)?;
    let interfaces = interfaces(folder, cache)?;
    let mut good = interfaces.wrong.is_none();
    each(&interfaces);
    if good {
        for case in &cases {
            let line = run(folder, cache, case, update).unwrap_or_else(|error| line(&case.name, Some(error.to_string())));
            good &= line.wrong.is_none();
            each(&line);
        }
    }
    Ok(good)
}

fn line(name: &str, wrong: Option<String>) -> Line {
    Line { name: name.into(), wrong, calls: 0, time: Duration::ZERO, memory: 0, updated: false }
}

/// Whether the component imports no more than its manifest allows, and exports what it promises.
fn interfaces(folder: &Path, cache: &Path) -> Result<Line, Error> {
    let plugins = nacre_plugin::Plugins::open(folder, cache, &nacre_plugin::Settings::new())?;
    let mut problem = None;
    for plugin in plugins.list() {
        problem = plugin.inspect()?.problem;
    }
    Ok(line("interfaces", problem))
}

fn run(folder: &Path, cache: &Path, case: &Case, update: bool) -> Result<Line, Error> {
    let subject = Subject::open(folder, cache, case)?;
    let (first, second) = (subject.call(case)?, subject.call(case)?);
    let expected = case.expected()?;
    let mut line = line(&case.name, wrong(&first, &second, expected.as_ref()));
    line.calls = first.stats.len();
    line.time = first.stats.iter().map(|stats| stats.wall).sum();
    line.memory = first.stats.iter().map(|stats| stats.memory).max().unwrap_or_default();
    if update && first.answer == second.answer && expected.as_ref() != Some(&first.answer) {
        case.expect(&first.answer)?;
        (line.wrong, line.updated) = (None, true);
    }
    Ok(line)
}

fn wrong(first: &Outcome, second: &Outcome, expected: Option<&Value>) -> Option<String> {
    if let Some(difference) = difference("", &first.answer, &second.answer) {
        return Some(format!("the same input gave another answer the second time: {difference}"));
    }
    match expected {
        None => Some("no output.json: write it, or run with --update and read what came out".into()),
        Some(expected) => difference("", expected, &first.answer).map(|what| format!("{what} (--update takes the new answer)")),
    }
}

/// The first place where two answers differ.
fn difference(at: &str, expected: &Value, found: &Value) -> Option<String> {
    let show = |value: &Value| value.to_string().chars().take(200).collect::<String>();
    match (expected, found) {
        _ if expected == found => None,
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let part = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or(Value::Null);
                difference(&format!("{at}.{key}"), &part(a), &part(b))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(index, (a, b))| difference(&format!("{at}[{index}]"), a, b))
        }
        (Value::Array(a), Value::Array(b)) => Some(format!("{at}: want {} items, got {}: {}", a.len(), b.len(), show(found))),
        _ => Some(format!("{at}: want {}, got {}", show(expected), show(found))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named_by_its_place() {
        let said = |a, b| difference("", &a, &b);
        assert_eq!(said(json!({"ok": [1]}), json!({"ok": [1]})), None);
        assert_eq!(said(json!({"ok": [{"a": 1}]}), json!({"ok": [{"a": 2}]})).as_deref(), Some(".ok[0].a: want 1, got 2"));
        assert_eq!(said(json!({"ok": [1]}), json!({"ok": []})).as_deref(), Some(".ok: want 1 items, got 0: []"));
        assert_eq!(said(json!({"ok": 1}), json!({"err": 1})).as_deref(), Some(".err: want null, got 1"));
    }
}
