//! Rows of the image's history, in BuildKit's words.

use super::image::Row;
use super::stage::Stage;

const COMMENT: &str = "buildkit.dockerfile.v0";

/// A row; without a layer it is `empty`.
pub(super) fn row(created_by: String, empty: bool, created: Option<String>) -> Row {
    Row { created, created_by, comment: COMMENT.into(), empty_layer: empty, ..Row::default() }
}

/// The row of an instruction that runs or copies something.
pub(super) fn built(created_by: String, created: Option<String>) -> Row {
    row(format!("{created_by} # buildkit"), false, created)
}

/// What a `RUN` ran: behind `|2` stand the arguments that were declared, each once, with the values that they have now.
pub(super) fn command(args: &[String], stage: &Stage) -> String {
    let mut declared: Vec<(&str, String)> = Vec::new();
    for (name, value) in &stage.args {
        let now = stage.state.vars.get(name).or(value.as_deref()).unwrap_or_default();
        let pair = format!("{name}={now}");
        match declared.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = pair,
            None => declared.push((name, pair)),
        }
    }
    let count = (!declared.is_empty()).then(|| format!("|{}", declared.len()));
    let words = count.into_iter().chain(declared.into_iter().map(|(_, pair)| pair));
    words.chain(args.iter().cloned()).collect::<Vec<_>>().join(" ")
}
