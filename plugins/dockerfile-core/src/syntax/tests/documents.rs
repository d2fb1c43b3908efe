//! Heredocs.

use super::super::{Command, Copy, Document, Files, Run};
use super::{command, last, mistake, wrong};

fn run(text: &str) -> Run {
    match command(text) {
        Command::Run(run) => run,
        other => panic!("{other:?}"),
    }
}

fn files(text: &str) -> Files {
    match command(text) {
        Command::Copy(Copy { files, .. }) => files,
        Command::Add(add) => add.files,
        other => panic!("{other:?}"),
    }
}

fn document(name: &str, content: &str, expand: bool) -> Document {
    Document { name: name.into(), content: content.into(), expand }
}

#[test]
fn a_run_of_one_document_is_a_script() {
    let script = run("RUN <<EOF\none\n# two\n\n  three \\\nEOF");
    assert_eq!(script.script().unwrap().content, "one\n# two\n\n  three \\\n");
    assert!(run("RUN 3<< 'E O F'\nE O F").script().is_some());
    let piped = run("RUN cat <<EOF | sh\ntrue\nEOF");
    assert!(piped.script().is_none());
    assert_eq!(piped.heredocs[0].content, "true\n");
}

#[test]
fn names_tell_how_a_document_is_taken() {
    for (word, name, expand, chomp) in [
        ("<<EOF", "EOF", true, false),
        ("<<-EOF", "EOF", true, true),
        ("<<'EOF'", "EOF", false, false),
        ("<<\"E\"OF", "EOF", false, false),
        ("<<-E\\ F", "E F", true, true),
        ("4<<-\"a.txt\"", "a.txt", false, true),
        ("<<$X", "$X", true, false),
    ] {
        let heredoc = &run(&format!("RUN cat {word}\n{name}")).heredocs[0];
        assert_eq!((&heredoc.name[..], heredoc.expand, heredoc.chomp), (name, expand, chomp), "{word}");
    }
}

#[test]
fn what_asks_for_no_document() {
    for text in [
        "RUN a<<EOF",
        "RUN cat <<<EOF",
        "RUN echo $((1<<2))",
        "RUN echo '<<EOF'",
        "RUN echo \\<<EOF",
        "RUN cat <<",
        "RUN echo 'open <<EOF",
        "RUN [\"cat\", \"<<EOF\"]",
        "CMD cat <<EOF",
        "LABEL a=<<EOF",
    ] {
        assert_eq!(last(&format!("FROM scratch\n{text}\nWORKDIR /")).keyword, "WORKDIR", "{text}");
    }
}

#[test]
fn the_last_line_is_alone() {
    assert_eq!(run("RUN <<EOF\n EOF\nEOF \n\tEOF\nEOF").heredocs[0].content, " EOF\nEOF \n\tEOF\n");
    let tabs = run("RUN <<-EOF\n\t\tone\n\t two\t\n \tthree\n\t\tEOF");
    assert_eq!(tabs.heredocs[0].content, "\t\tone\n\t two\t\n \tthree\n");
    assert_eq!(tabs.script().unwrap().chomped(), "one\n two\t\n \tthree\n");
    assert_eq!(run("RUN <<EOF\r\none\r\nEOF\r").heredocs[0].content, "one\r\n");
}

#[test]
fn documents_follow_one_another() {
    let both = run("RUN cat <<A \\\n <<B\na\nB\nA\nb\nA\nB").heredocs;
    assert_eq!([&both[0].content[..], &both[1].content], ["a\nB\n", "b\nA\n"]);
    let text = "FROM scratch\nCOPY <<A <<A /\n1\nA\n2\nA\nUSER x";
    assert_eq!(last(text).lines, 7..=7);
}

#[test]
fn copied_documents() {
    let files = files("COPY --link <<one.txt a.txt <<-'two.txt' /all/\nfirst\none.txt\n\t$second\n\ttwo.txt");
    assert_eq!(files.sources, ["a.txt"]);
    assert_eq!(files.documents, [document("one.txt", "first\n", true), document("two.txt", "$second\n", false)]);
    assert_eq!((&files.dest[..], files.link), ("/all/", true));
}

#[test]
fn in_json_there_are_only_their_names() {
    assert_eq!(files("ADD [\"<<EOF\", \"/x\"]").documents, [document("EOF", "", true)]);
}

#[test]
fn what_cannot_be() {
    assert_eq!(mistake("FROM a\nRUN <<EOF\ntext\n"), ("unterminated heredoc".into(), 2));
    assert_eq!(wrong("COPY a <<EOF\nEOF"), "COPY cannot accept a heredoc as a destination");
    let long = format!("FROM a\nRUN <<EOF\n{}\nEOF", "x".repeat(70_000));
    assert_eq!(mistake(&long), ("dockerfile line greater than max allowed size of 65535".into(), 3));
}

#[test]
fn triggers_keep_their_documents() {
    assert_eq!(command("ONBUILD  RUN cat <<A  <<B \na\nA\nb\nB"), Command::Onbuild("RUN cat <<A  <<B \na\nA\nb\nB".into()));
    let text = "FROM a\nONBUILD COPY <<EOF /x\nENV A\nEOF\nUSER x";
    assert_eq!(last(text).keyword, "USER");
}
