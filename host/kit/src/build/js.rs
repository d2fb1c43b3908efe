//! JavaScript: jco puts QuickJS and the module `plugin.js` into one component.

use std::path::Path;
use std::process::Command;

use super::{read, tool::Tool};
use crate::Error;

const JCO: Tool = Tool { name: "jco", install: "npm install --global @bytecodealliance/jco@1.35.0" };

pub(super) fn build(folder: &Path) -> Result<Vec<u8>, Error> {
    let mut command = Command::new(JCO.name);
    command.args(["componentize", "plugin.js", "--wit", "build/wit", "--world-name", "plugin", "--out", "build/component.wasm"]);
    // QuickJS and not the default engine: a tenth of the size. Calls are synchronous, and there is no WASI.
    command.args(["--backend", "qjs", "--backend-qjs-disable-async", "--backend-qjs-stub-wasi"]);
    JCO.run(command.current_dir(folder))?;
    read(&folder.join("build/component.wasm"))
}
