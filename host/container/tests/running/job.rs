//! What sandboxes execute: nacre's own program does the same first thing.

use std::process::ExitCode;

fn main() -> ExitCode {
    nacre_runtime::serve(std::env::args_os().nth(1).as_deref()).unwrap_or(ExitCode::FAILURE)
}
