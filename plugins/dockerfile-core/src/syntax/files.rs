//! `COPY` and `ADD`.

use super::flags::{Flags, Kind};
use super::heredoc::{Heredoc, heredoc};
use super::instruction::bad;
use super::{Add, Copy, Document, Files, Mistake};
use std::collections::BTreeMap;

pub(super) fn add(words: &[String], heredocs: &[Heredoc], flags: &[String]) -> Result<Add, Mistake> {
    const FLAGS: [(&str, Kind); 7] = [
        ("checksum", Kind::Text),
        ("chmod", Kind::Text),
        ("chown", Kind::Text),
        ("exclude", Kind::List),
        ("keep-git-dir", Kind::Bool),
        ("link", Kind::Bool),
        ("unpack", Kind::Bool),
    ];
    let (files, flags) = files("ADD", words, heredocs, flags, &FLAGS)?;
    Ok(Add { files, checksum: flags.filled("checksum"), keep_git_dir: flags.boolean("keep-git-dir"), unpack: flags.boolean("unpack") })
}

pub(super) fn copy(words: &[String], heredocs: &[Heredoc], flags: &[String]) -> Result<Copy, Mistake> {
    const FLAGS: [(&str, Kind); 6] = [
        ("chmod", Kind::Text),
        ("chown", Kind::Text),
        ("exclude", Kind::List),
        ("from", Kind::Text),
        ("link", Kind::Bool),
        ("parents", Kind::Bool),
    ];
    let (files, flags) = files("COPY", words, heredocs, flags, &FLAGS)?;
    Ok(Copy { files, from: flags.filled("from"), parents: flags.boolean("parents") == Some(true) })
}

fn files(
    keyword: &str,
    words: &[String],
    heredocs: &[Heredoc],
    flags: &[String],
    known: &[(&str, Kind)],
) -> Result<(Files, Flags), Mistake> {
    let [sources @ .., dest] = words else { return Err(no_destination(keyword)) };
    if sources.is_empty() {
        return Err(no_destination(keyword));
    }
    let flags = Flags::check(flags, known)?;
    if heredoc(dest).is_some() {
        return Err(bad(format!("{keyword} cannot accept a heredoc as a destination")));
    }
    let (documents, sources) = split_documents(sources, heredocs);
    let files = Files {
        sources,
        documents,
        dest: dest.clone(),
        chown: flags.filled("chown"),
        chmod: flags.filled("chmod"),
        link: flags.boolean("link") == Some(true),
        exclude: flags.list("exclude"),
    };
    Ok((files, flags))
}

/// The sources that name a document, with the last document of that name, and the others. In a JSON array no document
/// was read, and it is empty.
fn split_documents(sources: &[String], heredocs: &[Heredoc]) -> (Vec<Document>, Vec<String>) {
    let read: BTreeMap<&str, &Heredoc> = heredocs.iter().map(|heredoc| (&heredoc.name[..], heredoc)).collect();
    let mut documents = Vec::new();
    let mut others = Vec::new();
    for source in sources {
        let Some(Heredoc { name, expand, chomp, .. }) = heredoc(source) else {
            others.push(source.clone());
            continue;
        };
        let content = read.get(&name[..]).map(|&read| Heredoc { chomp, ..read.clone() }.chomped());
        documents.push(Document { name, content: content.unwrap_or_default(), expand });
    }
    (documents, others)
}

fn no_destination(keyword: &str) -> Mistake {
    let message = "requires at least two arguments, but only one was provided. Destination could not be determined";
    bad(format!("{keyword} {message}"))
}
