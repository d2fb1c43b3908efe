//! `nacre tree IMAGE`: its layers and their files, largest first, with the bytes that later layers hide.

mod layers;

use nacre_sdk::command::{self, Cell, Table};
use nacre_sdk::images::{Image, LayerInfo};
use nacre_sdk::{Error, Options, files, invalid, size};

use layers::{File, Layers};

/// Files of each layer that are shown unless the user says otherwise.
const LIMIT: usize = 10;

/// The command `tree`.
pub fn run(_command: &str, args: &Options) -> Result<u8, Error> {
    let image = command::image(args, "image")?;
    let infos = image.layers();
    let only = one_layer(args, infos.len())?;
    let all = args.switch("all")?.unwrap_or(false);
    let limit = if all { usize::MAX } else { args.parse("limit", "a number")?.unwrap_or(LIMIT) };
    let layers = read(&image, infos.len())?;
    let mut table = Table::new(["Layer", "Kind", "Size", "Wasted", "Name"]);
    let mut left_out = 0;
    for index in layers.largest_first().into_iter().filter(|index| only.is_none_or(|only| only == *index)) {
        let files = layers.files_of(index, all);
        left_out += files.len().saturating_sub(limit);
        add_layer(&mut table, index, &infos[index], &layers);
        files.into_iter().take(limit).for_each(|file| add_file(&mut table, index, file));
    }
    table.show()?;
    sum_up(&image, &layers, left_out);
    Ok(0)
}

/// The layer that `--layer` names, counted from 0.
fn one_layer(args: &Options, count: usize) -> Result<Option<usize>, Error> {
    let Some(layer) = args.parse::<usize>("layer", "a number")? else { return Ok(None) };
    if layer == 0 || layer > count {
        return Err(invalid("bad-value", format!("there is no layer {layer}: the image has {count}, and the base is 1")));
    }
    Ok(Some(layer - 1))
}

/// Goes through all layers, base first.
fn read(image: &Image, count: usize) -> Result<Layers, Error> {
    let mut layers = Layers::default();
    for index in 0..count {
        let entries: Vec<_> = files::all(&image.layer_files(index as u32)?).collect::<Result<_, Error>>()?;
        layers.add(&entries);
    }
    Ok(layers)
}

fn add_layer(table: &mut Table, index: usize, info: &LayerInfo, layers: &Layers) {
    let (size, wasted) = layers.totals(index);
    let name = if info.created_by.is_empty() { info.digest.clone() } else { one_line(&info.created_by) };
    table.row([number(index), "layer".into(), Cell::Size(size), Cell::Size(wasted), name.into()]);
}

fn add_file(table: &mut Table, layer: usize, file: &File) {
    let wasted = if file.is_hidden() { file.size } else { 0 };
    table.row([number(layer), "file".into(), Cell::Size(file.size), Cell::Size(wasted), file.path.as_str().into()]);
}

fn number(layer: usize) -> Cell {
    Cell::Number(layer as i64 + 1)
}

/// A build's command may have line breaks and much indentation.
fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 100 {
        line = line.chars().take(99).chain(['…']).collect();
    }
    line
}

fn sum_up(image: &Image, layers: &Layers, left_out: usize) {
    let (size, wasted) = layers.all_totals();
    command::note(&format!("{}: {} of files, {} wasted by what later layers hide", image.name(), size::show(size), size::show(wasted)));
    if left_out > 0 {
        command::note(&format!("{left_out} smaller files are not shown: --all or a larger --limit shows them"));
    }
}

nacre_sdk::command!(run);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn layers_count_from_one() {
        let layer = |text: &str| one_layer(&[("layer", text)].into(), 2);
        assert_eq!((layer("1").unwrap(), layer("2").unwrap()), (Some(0), Some(1)));
        assert_eq!(one_layer(&Options::default(), 2).unwrap(), None);
        for wrong in ["0", "3", "-1", "x"] {
            assert!(layer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_builds_command_is_one_short_line() {
        assert_eq!(one_line("RUN a \\\n     b"), "RUN a \\ b");
        assert_eq!(one_line(&"é".repeat(101)), format!("{}…", "é".repeat(99)));
    }
}
