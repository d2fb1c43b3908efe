//! A frontend whose file says in its first word what to do, and with what in the rest.

use nacre_sdk::frontend::{Image, Request, mistake};
use nacre_sdk::graph::{Action, Definition, Exec, Graph, HttpSource, ImageName, MakeFile, Operation, Source, Vertex};
use nacre_sdk::{Diagnostic, Error, build};

pub fn build(_frontend: &str, request: Request) -> Result<Vec<Image>, Error> {
    let text = String::from_utf8_lossy(&request.content).into_owned();
    let (what, with) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let config = if what == "config" { with.to_owned() } else { "{}".to_owned() };
    let images = request.platforms.iter().map(|platform| {
        let definition = definition(what, with, &request)?;
        Ok(Image { platform: platform.clone(), definition, config: config.clone() })
    });
    images.collect()
}

fn definition(what: &str, with: &str, request: &Request) -> Result<Definition, Error> {
    let image = || ImageName::Reference(with.to_owned());
    let platform = &request.platforms[0];
    let mut graph = Graph::new();
    let base = graph.scratch();
    let output = match what {
        "run" => {
            let base = graph.image(image(), platform.clone(), with, None);
            graph.push(Operation::Exec(Exec::new(base, vec!["true".into()])), "RUN true", None)
        }
        "resolve" => {
            let found = build::resolve(&image(), platform)?;
            graph.file(base, Vec::new(), format!("{} {}", found.digest, found.config), None)
        }
        "read" => graph.file(base, Vec::new(), format!("{:?}", build::read_file("context", with)?), None),
        "solve" => solve(&mut graph, with)?,
        "fetch" => {
            let http = HttpSource { url: with.into(), checksum: None, name: "x".into() };
            let source = graph.push(Operation::Source(Source::Http(http)), with, None);
            drop(build::solve(&graph.definition(source))?);
            source
        }
        "hoard" => hoard(&graph.definition(base))?,
        "mistake" => return Err(mistake("bad-word", with, &request.file, 3)),
        "warn" => warn(with, base),
        "loop" => std::iter::repeat_with(|| build::read_file("context", with)).map(|_| 0).sum(),
        "spin" => spin(),
        "many" => return Ok(many(with.parse().unwrap_or_default(), String::new())),
        "long" => return Ok(many(18, "x".repeat(4 << 20))),
        "label" => graph.file(base, Vec::new(), with, None),
        "file" => {
            let file = MakeFile { path: with.into(), content: Vec::new(), mode: 0o644, owner: None };
            graph.file(base, vec![Action::MakeFile(file)], "file", None)
        }
        "nothing" => graph.push(Operation::Exec(Exec::new(base, Vec::new())), "RUN", None),
        "self" => graph.push(Operation::Merge(vec![1]), "self", None),
        "nowhere" => return Ok(Definition { output: u32::MAX, ..many(1, String::new()) }),
        _ => graph.push(Operation::Merge(vec![7, 0]), what, None),
    };
    Ok(graph.definition(output))
}

fn solve(graph: &mut Graph, with: &str) -> Result<u32, Error> {
    let base = graph.scratch();
    let file = MakeFile { path: "/answer".into(), content: with.into(), mode: 0o644, owner: None };
    let made = graph.file(base, vec![Action::MakeFile(file)], "make", None);
    let snapshot = build::solve(&graph.definition(made))?;
    let said = format!("{:?} {:?} {:?}", snapshot.list("/")?, snapshot.read_file("/answer")?, snapshot.read_file("/none")?);
    Ok(graph.file(made, Vec::new(), said, None))
}

fn hoard(definition: &Definition) -> Result<u32, Error> {
    let mut all = Vec::new();
    loop {
        all.push(build::solve(definition)?);
    }
}

fn warn(with: &str, base: u32) -> u32 {
    for number in 0..with.parse().unwrap_or(0) {
        let message = format!("{number} {}", "é".repeat(10_000));
        build::warn(&Diagnostic { code: "Loud".into(), message, help: None, at: None });
    }
    base
}

fn spin() -> u32 {
    let mut number = 0_u32;
    while std::hint::black_box(number) < u32::MAX {
        number = (number + 1) % 1_000;
    }
    number
}

fn many(count: usize, label: String) -> Definition {
    let vertex = Vertex { operation: Operation::Source(Source::Scratch), label, at: None, no_cache: false };
    Definition { vertices: vec![vertex; count], output: 0 }
}

nacre_sdk::build_frontend!(build);
