//! Subcommands: the world `command`.

#[doc(hidden)]
#[allow(missing_docs, reason = "the comments are in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "command",
        with: {
            "nacre:plugin/types@0.1.0": crate::bindings::nacre::plugin::types,
            "nacre:plugin/host@0.1.0": crate::bindings::nacre::plugin::host,
            "nacre:plugin/bytes@0.1.0": crate::bindings::nacre::plugin::bytes,
            "nacre:plugin/files@0.1.0": crate::bindings::nacre::plugin::files,
            "nacre:plugin/images@0.1.0": crate::bindings::nacre::plugin::images,
            "nacre:plugin/store@0.1.0": crate::bindings::nacre::plugin::store,
            "nacre:plugin/store-write@0.1.0": crate::bindings::nacre::plugin::store_write,
            "nacre:plugin/registry@0.1.0": crate::bindings::nacre::plugin::registry,
            "nacre:plugin/fetch@0.1.0": crate::bindings::nacre::plugin::fetch,
            "nacre:plugin/context@0.1.0": crate::bindings::nacre::plugin::context,
            "nacre:plugin/terminal@0.1.0": crate::bindings::nacre::plugin::terminal,
        },
        pub_export_macro: true,
    });
}

pub use crate::bindings::nacre::plugin::terminal::{Cell, confirm, note, table, text, write};
use crate::images::Image;
use crate::{Error, Options, store};

/// The image of the local store that the argument `key` names, for this machine. Needs `store = "read"`.
pub fn image(args: &Options, key: &str) -> Result<Image, Error> {
    store::open(args.required(key)?, None)
}

/// A table in the making: [`Table::show`] prints it as the user's `--format` says.
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// With these columns, named in words such as `CreatedAt`.
    pub fn new<const N: usize>(columns: [&str; N]) -> Table {
        Table { columns: columns.map(String::from).to_vec(), rows: Vec::new() }
    }

    /// Adds a row, a cell for each column: `table.row([path.into(), Cell::Size(7)])`.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Prints it.
    pub fn show(&self) -> Result<(), Error> {
        table(&self.columns, &self.rows)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Cell {
        Cell::Flag(flag)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Cell {
        Cell::Number(number)
    }
}

/// Exports a `fn run(command: &str, args: &Options) -> Result<u8, Error>` as this component's commands.
#[macro_export]
macro_rules! command {
    ($run:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;
            impl $crate::command::bindings::exports::nacre::plugin::runner::Guest for Plugin {
                fn run(command: String, args: Vec<$crate::Kv>) -> Result<u8, $crate::Error> {
                    $run(&command, &args.into())
                }
            }
    $crate::command::bindings::export!(Plugin with_types_in $crate::command::bindings);
        };
    };
}
