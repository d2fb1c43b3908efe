//! `nacre build --frontend {{name}} -f Imagefile .`: a file of `from IMAGE`, `copy SOURCE DEST` and `cmd PROGRAM`.

use nacre_sdk::frontend::{Image, MAIN_CONTEXT, Request, mistake, platforms, quoted};
use nacre_sdk::graph::{Action, CopyFiles, Graph, ImageName};
use nacre_sdk::{Error, Platform, Span};

pub fn build(_frontend: &str, request: Request) -> Result<Vec<Image>, Error> {
    platforms(&request).iter().map(|platform| image(&request, platform)).collect()
}

fn image(request: &Request, platform: &Platform) -> Result<Image, Error> {
    let mut graph = Graph::new();
    let mut output = graph.scratch();
    let mut cmd = String::new();
    for (line, text) in (1..).zip(String::from_utf8_lossy(&request.content).lines()) {
        let at = Some(Span { file: request.file.clone(), line, col: 1 });
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [] => {}
            ["from", name] => output = graph.image(ImageName::Reference(name.into()), platform.clone(), text, at),
            ["copy", source, dest] => {
                let files = graph.folder(MAIN_CONTEXT, Vec::new(), "files");
                output = graph.file(output, vec![Action::Copy(CopyFiles::new(files, format!("/{source}"), dest))], text, at);
            }
            ["cmd", program] => cmd = quoted(program),
            _ => return Err(mistake("unknown-line", "want from IMAGE, copy SOURCE DEST or cmd PROGRAM", &request.file, line)),
        }
    }
    let (os, arch) = (quoted(&platform.os), quoted(&platform.arch));
    let config = format!(r#"{{"os":{os},"architecture":{arch},"config":{{"Cmd":[{cmd}]}}}}"#);
    Ok(Image { platform: platform.clone(), definition: graph.definition(output), config })
}

nacre_sdk::build_frontend!(build);

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_sdk::frontend::request;

    #[test]
    fn each_line_is_an_operation() {
        let images = build("{{name}}", request("Imagefile", b"from debian:12\ncopy app /srv/\ncmd /srv/app")).expect("no line is wrong");
        assert_eq!(images[0].definition.vertices.len(), 4);
        assert!(images[0].config.ends_with(r#""config":{"Cmd":["/srv/app"]}}"#));
        build("{{name}}", request("Imagefile", b"run make")).expect_err("there is no such word");
    }
}
