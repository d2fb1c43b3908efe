//! Blocks of README.md that a command writes: between `<!-- NAME -->` and `<!-- /NAME -->`.

use std::fs;

use anyhow::{Context, Result};

use crate::run::root;

/// Replaces the block `name` with `text`.
pub fn replace(name: &str, text: &str) -> Result<()> {
    let path = root().join("README.md");
    let old = fs::read_to_string(&path).context("cannot read README.md")?;
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = old.find(&open).with_context(|| format!("README.md has no {open}"))? + open.len();
    let end = old[start..].find(&close).with_context(|| format!("README.md has no {close}"))? + start;
    fs::write(&path, format!("{}{}\n{}", &old[..start], text.trim_end(), &old[end..])).context("cannot write README.md")
}
