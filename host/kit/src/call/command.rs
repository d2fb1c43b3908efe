//! `runner.run`: arguments and a small world in, what the user sees out.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use nacre_plugin::{Cell, GuestError, Kv, Plugin, Plugins, Terminal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::outside::{Outside, World};
use super::tree::Image;
use crate::Error;
use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    command: String,
    #[serde(default)]
    args: Vec<Kv>,
    /// What is in the store, and in the registries.
    #[serde(default)]
    images: Vec<Image>,
    /// What URLs answer: files of the case.
    #[serde(default)]
    fetch: std::collections::BTreeMap<String, String>,
    /// What the user says when asked; nothing means no.
    #[serde(default)]
    answers: Vec<bool>,
}

/// The exit code, what went to the terminal, and what was changed in the store. The folder `context` of the case is the
/// folder that the command runs in.
pub(super) fn call(plugins: &Plugins, plugin: &Plugin, case: &Case) -> Result<Value, Error> {
    let Command { command, args, images, fetch, answers } = case.parse()?;
    let world = Arc::new(World::new(&images, fetch, case)?);
    let opened = Arc::clone(&world);
    plugins.reach_by(Arc::new(move || Box::new(Outside::new(&opened))));
    let screen = Screen(Arc::new(Mutex::new(Shown { answers, ..Shown::default() })));
    let exit = plugin.run(&command, &args, Box::new(Screen(Arc::clone(&screen.0))))?;
    let shown = std::mem::take(&mut *screen.shown());
    let mut answer = json!({ "exit": exit });
    let texts = [("stdout", shown.out), ("stderr", shown.notes)];
    texts.into_iter().filter(|(_, text)| !text.is_empty()).for_each(|(key, text)| answer[key] = text.into());
    let lists = [("tables", shown.tables), ("changes", world.changes())];
    lists.into_iter().filter(|(_, list)| !list.is_empty()).for_each(|(key, list)| answer[key] = list.into());
    Ok(answer)
}

/// What a person would have seen.
#[derive(Default)]
struct Shown {
    out: String,
    notes: String,
    tables: Vec<Value>,
    answers: Vec<bool>,
}

struct Screen(Arc<Mutex<Shown>>);

impl Screen {
    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminal for Screen {
    fn text(&mut self, line: &str) -> Result<(), GuestError> {
        let shown = &mut self.shown().out;
        shown.push_str(line);
        shown.push('\n');
        Ok(())
    }

    /// A table is its rows, each with the columns' names.
    fn table(&mut self, columns: &[String], rows: Vec<Vec<Cell>>) -> Result<(), GuestError> {
        let row = |cells: Vec<Cell>| Value::Object(columns.iter().cloned().zip(cells.into_iter().map(value)).collect::<Map<_, _>>());
        let table = rows.into_iter().map(row).collect();
        self.shown().tables.push(Value::Array(table));
        Ok(())
    }

    fn write(&mut self, content: &mut dyn Read) -> Result<(), GuestError> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| GuestError::Io(error.to_string()))?;
        self.shown().out.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    fn note(&mut self, line: &str) {
        let notes = &mut self.shown().notes;
        notes.push_str(line);
        notes.push('\n');
    }

    fn confirm(&mut self, question: &str) -> Result<bool, GuestError> {
        self.note(question);
        let answers = &mut self.shown().answers;
        Ok(!answers.is_empty() && answers.remove(0))
    }
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::None => Value::Null,
        Cell::Text(text) => text.into(),
        Cell::Number(number) => number.into(),
        Cell::Size(size) => size.into(),
        Cell::Time(time) => time.into(),
        Cell::Flag(flag) => flag.into(),
    }
}
