//! `images --tree`: each image with the platforms of its index below it, and a mark at what containers use.

use std::collections::HashSet;

use anyhow::Result;
use nacre_oci::{Descriptor, Digest, Document, Reference, read_document};
use nacre_store::{Image, Store};

use crate::output::{escape::visible, units::size};

/// Docker 29's, for the mark in the last column.
const LEGEND: &str = "i Info →   U  In Use";
const HEADINGS: [&str; 4] = ["IMAGE", "ID", "DISK USAGE", "EXTRA"];

/// One line: a name, or a platform; an image's last name and all platforms tell more.
struct Line {
    text: String,
    details: Option<Details>,
}

struct Details {
    id: String,
    bytes: u64,
    in_use: bool,
}

/// What containers use: images, and the manifests within them.
struct Used {
    images: HashSet<Digest>,
    manifests: HashSet<Digest>,
}

/// The images with their names, as text.
pub(super) fn render(store: &Store, images: &[(Image, Vec<Reference>)]) -> Result<String> {
    let containers = store.containers()?;
    let used = Used {
        images: containers.iter().map(|one| one.image.clone()).collect(),
        manifests: containers.into_iter().map(|one| one.manifest).collect(),
    };
    let blocks = images.iter().map(|(image, names)| block(store, image, names, &used)).collect::<Result<Vec<_>>>()?;
    Ok(table(&blocks))
}

/// The lines of one image.
fn block(store: &Store, image: &Image, names: &[Reference], used: &Used) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = names.iter().map(|name| Line { text: visible(&name.familiar()).into(), details: None }).collect();
    if lines.is_empty() {
        lines.push(Line { text: "<untagged>".into(), details: None });
    }
    let top = Details { id: image.id.short().to_owned(), bytes: image.size, in_use: used.images.contains(&image.id) };
    if let Some(last) = lines.last_mut() {
        last.details = Some(top);
    }
    let (_, document) = read_document(store, &image.descriptor)?;
    let parts: Vec<&Descriptor> = match &document {
        Document::Index(index) => index.manifests.iter().filter(|part| !part.is_attestation()).collect(),
        Document::Manifest(_) => Vec::new(),
    };
    for (n, part) in parts.iter().enumerate() {
        let branch = if n + 1 == parts.len() { "└─" } else { "├─" };
        let platform = part.platform.as_ref().map_or_else(|| part.digest.short().to_owned(), ToString::to_string);
        let details = Details {
            id: part.digest.short().to_owned(),
            bytes: present(store, part)?,
            in_use: used.images.contains(&image.id) && used.manifests.contains(&part.digest),
        };
        lines.push(Line { text: format!("{branch} {}", visible(&platform)), details: Some(details) });
    }
    Ok(lines)
}

/// The bytes of a manifest, and of what it lists, that are here.
fn present(store: &Store, part: &Descriptor) -> Result<u64> {
    let Some(own) = store.blob_size(&part.digest)? else { return Ok(0) };
    let (_, document) = read_document(store, part)?;
    let sizes = document.children().into_iter().map(|child| Ok(store.blob_size(&child.digest)?.unwrap_or_default()));
    Ok(own + sizes.sum::<Result<u64>>()?)
}

/// Aligned as in Docker, an empty line between images, the legend at the right.
fn table(blocks: &[Vec<Line>]) -> String {
    let [name, id, usage, extra] = HEADINGS;
    let width = blocks.iter().flatten().map(|line| line.text.chars().count()).chain([name.len()]).max().unwrap_or_default();
    let heading = format!("{name:<width$}   {id:<12}   {usage:>10}   {extra}\n");
    let mut out = format!("{LEGEND:>total$}\n{heading}", total = heading.chars().count() - 1);
    for (n, lines) in blocks.iter().enumerate() {
        out.push_str(if n > 0 { "\n" } else { "" });
        for Line { text, details } in lines {
            let line = match details {
                Some(Details { id, bytes, in_use }) => {
                    let mark = if *in_use { " U" } else { "" };
                    format!("{text:<width$}   {id:<12}   {:>10}   {mark}", size(*bytes))
                }
                None => text.clone(),
            };
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, details: Option<(&str, u64, bool)>) -> Line {
        let details = details.map(|(id, bytes, in_use)| Details { id: id.into(), bytes, in_use });
        Line { text: text.into(), details }
    }

    #[test]
    fn looks_as_docker_has_it() {
        let blocks = [
            vec![
                line("app:1", None),
                line("app:2", Some(("aaaaaaaaaaaa", 1_230_000, true))),
                line("├─ linux/amd64", Some(("bbbbbbbbbbbb", 1_230_000, true))),
                line("└─ linux/arm64", Some(("cccccccccccc", 0, false))),
            ],
            vec![line("<untagged>", Some(("dddddddddddd", 5, false)))],
        ];
        let expected = "                              i Info →   U  In Use
IMAGE            ID             DISK USAGE   EXTRA
app:1
app:2            aaaaaaaaaaaa       1.23MB    U
├─ linux/amd64   bbbbbbbbbbbb       1.23MB    U
└─ linux/arm64   cccccccccccc           0B

<untagged>       dddddddddddd           5B
";
        assert_eq!(table(&blocks), expected);
    }
}
