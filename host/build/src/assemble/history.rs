//! The image's history: one row for each layer, whatever the frontend left out (BuildKit's
//! `exporter/containerimage/writer.go`, `normalizeLayersAndHistory`).

use nacre_oci::History;

/// What BuildKit's exporter writes into rows that it adds.
const COMMENT: &str = "buildkit.exporter.image.v0";

/// How a layer came about.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    /// When, RFC 3339; not for an image's.
    pub(super) created: Option<String>,
    /// What the user sees of the operation.
    pub(super) description: String,
}

/// Makes the rows and the layers fit: rows with too many layers lose them, layers without a row get one, and times that are
/// missing are those of the layers, or of the layer before.
pub(super) fn normalise(rows: &mut Vec<History>, layers: &[Made]) {
    let mut with_layer = 0;
    for row in rows.iter_mut().filter(|row| !row.empty_layer) {
        row.empty_layer = with_layer == layers.len();
        with_layer += usize::from(!row.empty_layer);
    }
    rows.extend(layers[with_layer..].iter().map(|made| History {
        created: made.created.clone(),
        created_by: Some(made.description.clone()),
        comment: Some(COMMENT.into()),
        ..History::default()
    }));
    for (row, made) in rows.iter_mut().filter(|row| !row.empty_layer).zip(layers) {
        row.created = row.created.take().or_else(|| made.created.clone());
    }
    fill(rows);
}

/// Gives a time to rows without one: that of the row before, or at first that of the first new layer, so that it is not a
/// base image's.
fn fill(rows: &mut [History]) {
    let missing = rows.iter().position(|row| row.created.is_none()).unwrap_or(rows.len());
    let next = rows[missing..].iter().find_map(|row| row.created.clone());
    let mut at = next.or_else(|| rows[..missing].iter().rev().find_map(|row| row.created.clone()));
    let mut new = false;
    for row in rows {
        match &row.created {
            Some(created) if new => at = Some(created.clone()),
            Some(_) => {}
            None => {
                new = true;
                row.created.clone_from(&at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> History {
        let (by, created) = text.split_once('@').map_or((text, None), |(by, at)| (by, Some(at.to_owned())));
        let by_layer = by.trim_start_matches('-');
        History { created, created_by: Some(by_layer.into()), empty_layer: by != by_layer, ..History::default() }
    }

    fn shown(rows: &[History]) -> String {
        let one = |row: &History| {
            let stray = if row.comment.as_deref() == Some(COMMENT) { "+" } else { "" };
            let empty = if row.empty_layer { "-" } else { "" };
            format!("{stray}{empty}{}@{}", row.created_by.as_deref().unwrap_or_default(), row.created.as_deref().unwrap_or("?"))
        };
        rows.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn check(rows: &[&str], layers: &[&str], expected: &str) {
        let mut rows: Vec<History> = rows.iter().map(|text| row(text)).collect();
        let made =
            |created: &&str| Made { created: (!created.is_empty()).then(|| (*created).into()), description: format!("step{created}") };
        let layers: Vec<Made> = layers.iter().map(made).collect();
        normalise(&mut rows, &layers);
        assert_eq!(shown(&rows), expected);
    }

    #[test]
    fn rows_get_the_times_of_their_layers() {
        check(&["COPY", "-ENV", "RUN", "-CMD"], &["5", "7"], "COPY@5 -ENV@7 RUN@7 -CMD@7");
        check(&["base@1", "-LABEL", "COPY"], &["", "5"], "base@1 -LABEL@5 COPY@5");
        check(&["base@1", "-LABEL"], &[""], "base@1 -LABEL@1");
        check(&["-LABEL"], &[], "-LABEL@?");
    }

    #[test]
    fn rows_and_layers_are_made_to_fit() {
        check(&["-LABEL", "COPY"], &["3", "4"], "-LABEL@3 COPY@3 +step4@4");
        check(&["COPY", "RUN"], &["3"], "COPY@3 -RUN@3");
        check(&[], &["3"], "+step3@3");
    }
}
