//! Python: `componentize-py` puts the interpreter and the module `app` into one component.

use std::path::Path;
use std::process::Command;

use super::{read, tool::Tool};
use crate::Error;

const COMPONENTIZE: Tool = Tool { name: "componentize-py", install: "pip install componentize-py==0.25.1" };

pub(super) fn build(folder: &Path) -> Result<Vec<u8>, Error> {
    let mut command = Command::new(COMPONENTIZE.name);
    command.args(["--quiet", "--wit-path", "build/wit", "--world", "plugin", "componentize"]);
    // Without stubs the component asks for sockets.
    command.args(["--stub-wasi", "--output", "build/component.wasm", "app"]);
    command.current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONHASHSEED", "0");
    COMPONENTIZE.run(&mut command)?;
    read(&folder.join("build/component.wasm"))
}
