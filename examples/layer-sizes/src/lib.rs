//! `nacre layer-sizes [--over SIZE]` lists the layers of all images of the store, largest first, with
//! the images that share each.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use nacre_sdk::command::{Cell, Table, note};
use nacre_sdk::{Error, Options, invalid, size, store};

/// The layers by digest: how large each is, and the images that have it.
type Layers = BTreeMap<String, (u64, Vec<String>)>;

pub fn run(_command: &str, args: &Options) -> Result<u8, Error> {
    let over = args.one("over")?.map_or(Ok(0), parse)?;
    let mut layers = Layers::new();
    for summary in store::list()? {
        let name = summary.names.first().unwrap_or(&summary.id).clone();
        match store::open(&summary.id, None) {
            Ok(image) => image.layers().into_iter().for_each(|layer| {
                layers.entry(layer.digest).or_insert((layer.size, Vec::new())).1.push(name.clone());
            }),
            // Artifacts, for example, are no images.
            Err(_) => note(&format!("{name} is left out: it has no layers to show")),
        }
    }
    let mut table = Table::new(["Layer", "Size", "Images", "Names"]);
    for (digest, size, names) in largest(layers, over) {
        table.row([digest.into(), Cell::Size(size), (names.len() as i64).into(), names.join(", ").into()]);
    }
    table.show().map(|()| 0)
}

fn parse(text: &str) -> Result<u64, Error> {
    size::parse(text).ok_or_else(|| invalid("bad-value", format!("--over {text}: want a size, such as 10MB")))
}

fn largest(layers: Layers, over: u64) -> Vec<(String, u64, Vec<String>)> {
    let all = layers.into_iter().map(|(digest, (size, names))| (digest, size, names));
    let mut large: Vec<_> = all.filter(|(_, size, _)| *size > over).collect();
    large.sort_by_key(|(_, size, _)| Reverse(*size));
    large
}

nacre_sdk::command!(run);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_small_ones_not_at_all() {
        let layers = [("a", 5), ("b", 10), ("c", 20)].map(|(digest, size)| (digest.to_owned(), (size, Vec::new())));
        let sizes: Vec<u64> = largest(layers.into(), 5).iter().map(|(_, size, _)| *size).collect();
        assert_eq!(sizes, [20, 10]);
    }
}
