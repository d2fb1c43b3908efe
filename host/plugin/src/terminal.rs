//! What a command shows its user: the interface `terminal` of `wit/command.wit`.
//!
//! The command line makes everything safe for a terminal and reads `--format`. Here the shape of tables is checked.

use std::io::Read;
use std::time::Instant;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Resource};

use crate::data::{Outcome, Source, Trouble, function};
use crate::state::State;
use crate::types::GuestError;

/// Columns that a table may have.
const MAX_COLUMNS: usize = 64;
/// Characters of a column's name.
const MAX_NAME: usize = 64;

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum Cell {
    /// Nothing.
    #[component(name = "none")]
    None,
    /// Text from anywhere.
    #[component(name = "text")]
    Text(String),
    /// A number.
    #[component(name = "number")]
    Number(i64),
    /// Bytes.
    #[component(name = "size")]
    Size(u64),
    /// Seconds since 1970.
    #[component(name = "time")]
    Time(u64),
    /// Yes or nothing.
    #[component(name = "flag")]
    Flag(bool),
}

/// The user of a command. Whatever it is given comes from a plugin: nothing of it is safe to be shown as it is.
pub trait Terminal: Send {
    /// A line of the result.
    fn text(&mut self, line: &str) -> Result<(), GuestError>;
    /// A table. The columns' names are letters and digits, and all rows have as many cells as there are columns.
    fn table(&mut self, columns: &[String], rows: Vec<Vec<Cell>>) -> Result<(), GuestError>;
    /// Bytes as they are, or made safe if a person reads them.
    fn write(&mut self, content: &mut dyn Read) -> Result<(), GuestError>;
    /// A line that is not the result.
    fn note(&mut self, line: &str);
    /// Asks; `false` where nobody can be asked.
    fn confirm(&mut self, question: &str) -> Result<bool, GuestError>;
}

/// Adds the interface to a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut terminal = linker.instance("nacre:plugin/terminal@0.1.0")?;
    function(&mut terminal, "text", |state, (line,): (String,)| state.show(|terminal| terminal.text(&line)))?;
    function(&mut terminal, "table", |state, (columns, rows): (Vec<String>, Vec<Vec<Cell>>)| {
        check(&columns, &rows)?;
        state.show(|terminal| terminal.table(&columns, rows))
    })?;
    function(&mut terminal, "write", write)?;
    function(&mut terminal, "confirm", |state, (question,): (String,)| state.show(|terminal| terminal.confirm(&question)))?;
    terminal.func_wrap("note", |mut store: StoreContextMut<'_, State>, (line,): (String,)| {
        if let Some(terminal) = &mut store.data_mut().outside.terminal {
            terminal.note(&line);
        }
        Ok(())
    })
}

impl State {
    /// Shows the user something. However long a person or a pipe takes, the plugin's clock stands.
    fn show<T>(&mut self, work: impl FnOnce(&mut dyn Terminal) -> Result<T, GuestError>) -> Outcome<T> {
        let terminal = self.outside.terminal.as_mut().ok_or_else(|| Trouble::unsupported("only a command has a terminal"))?;
        let begun = Instant::now();
        let outcome = work(&mut **terminal);
        self.clock.stand(begun.elapsed(), u64::MAX);
        outcome.map_err(Trouble::Guest)
    }
}

fn write(state: &mut State, (source,): (Resource<Source>,)) -> Outcome<()> {
    let reader = state.bytes(&source)?.reader_from_start()?;
    let mut reader = state.watch.over(reader);
    state.show(|terminal| terminal.write(&mut reader))
}

/// Whether this is a table.
pub(crate) fn check(columns: &[String], rows: &[Vec<Cell>]) -> Result<(), GuestError> {
    let bad = |message: String| Err(GuestError::invalid("bad-table", message));
    if columns.is_empty() || columns.len() > MAX_COLUMNS {
        return bad(format!("a table has 1 to {MAX_COLUMNS} columns, not {}", columns.len()));
    }
    for (index, name) in columns.iter().enumerate() {
        let word = name.len() <= MAX_NAME
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !word || columns[..index].contains(name) {
            return bad(format!("column {name:?}: want a word of letters and digits that no other column has, such as CreatedAt"));
        }
    }
    match rows.iter().find(|row| row.len() != columns.len()) {
        Some(row) => bad(format!("a row has {} cells, the table {} columns", row.len(), columns.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(columns: &[&str], cells: usize) -> Option<String> {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        check(&columns, &[vec![Cell::None; cells]]).err().map(|error| error.to_string())
    }

    #[test]
    fn a_table_has_named_columns_and_full_rows() {
        assert_eq!(refusal(&["Size", "CreatedAt"], 2), None);
        assert_eq!(refusal(&["Size"], 2).as_deref(), Some("a row has 2 cells, the table 1 columns"));
        assert_eq!(refusal(&[], 0).as_deref(), Some("a table has 1 to 64 columns, not 0"));
        for bad in ["", "a b", "{{.", "1st", "é", &"x".repeat(65)] {
            assert!(refusal(&[bad], 1).is_some(), "{bad}");
        }
        assert!(refusal(&["A", "A"], 2).is_some());
        assert!(refusal(&["A"; 65], 65).is_some());
    }
}
