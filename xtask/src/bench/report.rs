//! The tables.

use std::fmt::Write;

use super::{
    Row,
    image::Size,
    measure::{Sample, shown},
};

/// The Markdown of a run. The last of `tools` is nacre.
pub fn tables(size: Size, tools: &[&str], rows: &[Row], limits: &[(String, Sample, Sample)], alone: &[(String, Sample)]) -> String {
    let mut text = format!(
        "An image of five layers, {} MB compressed and {} MB not, from and to `docker-registry` on loopback, {} processors. Wall time \
         (processor time and peak memory of the client; most of docker's work is done by its daemon, whose are not counted). Medians.\n\n",
        size.compressed / 1_000_000,
        size.plain / 1_000_000,
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    works(&mut text, tools, rows);
    text.push_str("\nnacre flushes what it stores and saves before it ends; the peers leave that to the system.\n\n");
    bounds(&mut text, limits);
    singles(&mut text, alone);
    text
}

/// What each program took. The last of `tools` is nacre.
pub fn works(text: &mut String, tools: &[&str], rows: &[Row]) {
    line(text, ["Work"].into_iter().chain(tools.iter().copied()).chain(["nacre / best peer"]));
    line(text, (0..tools.len() + 2).map(|_| "---"));
    for row in rows {
        let cells = row.samples.iter().map(|sample| sample.map_or_else(|| "—".to_owned(), cell));
        line(text, std::iter::once(row.name.clone()).chain(cells).chain([ratio(row)]));
    }
}

/// What bounds nacre's work from below.
pub fn bounds(text: &mut String, limits: &[(String, Sample, Sample)]) {
    line(text, ["Limit", "time", "nacre's work", "ratio"]);
    line(text, ["---"; 4]);
    for (name, limit, own) in limits {
        line(text, [name.clone(), shown(limit.wall), shown(own.wall), format!("{:.2}", own.wall / limit.wall)]);
    }
    text.push('\n');
}

/// What is measured of nacre alone.
pub fn singles(text: &mut String, alone: &[(String, Sample)]) {
    line(text, ["nacre alone, start included", "wall time (processor time, peak memory)"]);
    line(text, ["---"; 2]);
    for (name, sample) in alone {
        line(text, [name.clone(), cell(*sample)]);
    }
}

fn line(text: &mut String, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    let cells: Vec<String> = cells.into_iter().map(|cell| cell.as_ref().to_owned()).collect();
    writeln!(text, "| {} |", cells.join(" | ")).expect("writing to a string");
}

fn cell(sample: Sample) -> String {
    let own = sample.own.map(|(processor, memory)| format!(" ({}, {} MB)", shown(processor), memory / 1_000_000));
    shown(sample.wall) + &own.unwrap_or_default()
}

fn ratio(row: &Row) -> String {
    let Some((own, peers)) = row.samples.split_last() else { return String::new() };
    let best = peers.iter().flatten().map(|sample| sample.wall).min_by(f64::total_cmp);
    own.zip(best).map_or_else(|| "—".to_owned(), |(own, best)| format!("{:.2}", own.wall / best))
}
