//! `COPY` and `ADD`.

use nacre_sdk::frontend::{Context, ContextKind, Request, request};

use super::session::Memory;
use super::{built, graph, history, mistake};

#[test]
fn local_sources_are_patterns_whose_folders_give_their_content() {
    let text = "FROM scratch\nWORKDIR /w\nCOPY --chown=1:2 --chmod=0640 --exclude=*.o a* ../b/ sub/.\nADD c.tar /";
    assert_eq!(
        graph(text),
        "0 scratch
1 file 0 mkdir /w 755
2 folder context
3 file 1 copy 2:/a* -> /w/sub/. 1:2 640 -*.o * ? contents; copy 2:/b -> /w/sub/. 1:2 640 -*.o * ? contents
4 file 3 copy 2:/c.tar -> / * ? contents unpack"
    );
    assert_eq!(history(text)[1..], ["COPY --chown=1:2 --chmod=0640 a* ../b/ sub/. # buildkit", "ADD c.tar / # buildkit"]);
}

#[test]
fn a_link_is_a_copy_laid_over_unless_it_has_a_mode() {
    let image = built("FROM base\nCOPY --link a /\nCOPY --link --chmod=u+x b /");
    let shown = super::show::definition(&image.definition);
    assert_eq!(
        shown.split_once('\n').unwrap().1,
        "1 folder context
2 scratch
3 file 2 copy 1:/a -> / * ? contents
4 merge [0, 3]
5 file 4 copy 1:/b -> / u+x * ? contents"
    );
    assert_eq!(super::labels(&image)[2..], ["[2/3] COPY --link a /", "[2/3] LINK COPY --link a /", "[3/3] COPY --link --chmod=u+x b /"]);
}

#[test]
fn parents_begin_at_the_pivot() {
    let text = "FROM scratch\nCOPY --parents a/b.txt ./x/./**/*.h lib*/./y/ /d/";
    let shown = graph(text);
    let copies: Vec<&str> = shown.lines().last().unwrap().split("; ").collect();
    assert_eq!(
        copies,
        [
            "2 file 1 copy 0:/./a/b.txt -> /d/ ? contents parents",
            "copy 0:/x/./**/*.h -> /d/ * ? contents parents",
            "copy 0:/lib*/./y -> /d/ * ? contents parents"
        ]
    );
    assert_eq!(history(text), ["COPY --parents a/b.txt ./x/./**/*.h lib*/./y/ /d/ # buildkit"]);
}

#[test]
fn documents_are_files_made_for_the_copy() {
    let text = "FROM scratch\nENV A=1\nCOPY <<one <<\"two\" /d/\n$A \"q\"\none\n$A\ntwo";
    assert_eq!(
        graph(text),
        "0 scratch
1 file 0 mkfile /one 644 \"1 \\\"q\\\"\\n\"
2 file 0 mkfile /two 644 \"$A\\n\"
3 file 0 copy 1:/one -> /d/; copy 2:/two -> /d/"
    );
    assert_eq!(history(text)[1], "COPY <<one <<two /d/ # buildkit");
}

#[test]
fn what_comes_from_elsewhere() {
    let sum = "a".repeat(64);
    let text = format!(
        "FROM scratch\nADD --checksum=sha256:{sum} --unpack http://h/x.tar?v=1 /\nADD --keep-git-dir --checksum=12 git@h:a/b.git#v1:sub /b"
    );
    assert_eq!(
        graph(&text),
        format!(
            "0 http http://h/x.tar?v=1 as x.tar sha256:{sum}
1 scratch
2 file 1 copy 0:/x.tar -> / unpack
3 git git@h:a/b.git [v1] [sub] .git 12
4 file 2 copy 3:/ -> /b"
        )
    );
    assert_eq!(history(&text), ["ADD http://h/x.tar?v=1 / # buildkit", "ADD git@h:a/b.git#v1:sub /b # buildkit"]);
}

#[test]
fn what_is_left_out_of_contexts() {
    let files = [("dockerfile:My.dockerignore", "own"), ("context:.dockerignore", "*.o"), ("extra:.dockerignore", "tmp\n!tmp/keep")];
    let files = || files.iter().map(|(path, content)| (path.to_string(), content.as_bytes().to_vec()));
    let extra = Context { name: "extra".into(), kind: ContextKind::Folder };
    let text = "FROM scratch\nCOPY own x.o /\nCOPY --from=extra a /";
    let graph_of = |file: &str| {
        let mut session = Memory { files: files().collect(), ..Memory::default() };
        let request = Request { contexts: vec![extra.clone()], ..request(file, text.as_bytes()) };
        let image = crate::lower::lower(&request, &mut session).unwrap().remove(0);
        (super::show::definition(&image.definition), session.warnings)
    };
    let (shown, warnings) = graph_of("sub/My");
    assert!(shown.contains("folder context -own") && shown.contains("folder extra -tmp -!tmp/keep"), "{shown}");
    assert_eq!(warnings, ["2 CopyIgnoredFile Attempting to Copy file \"own\" that is excluded by .dockerignore"]);
    assert_eq!(graph_of("Dockerfile").1, ["2 CopyIgnoredFile Attempting to Copy file \"x.o\" that is excluded by .dockerignore"]);
}

#[test]
fn mistakes() {
    let wrong = |line: &str| mistake(&format!("FROM scratch\n{line}"));
    assert_eq!(wrong("COPY --chmod=999 a b"), "2: invalid chmod parameter: '999'. it should be octal string and between 0 and 07777");
    assert_eq!(wrong("COPY http://h/a b"), "2: source can't be a URL for COPY");
    assert_eq!(wrong("COPY https://h/a.git b"), "2: source can't be a git ref for COPY");
    assert_eq!(wrong("ADD --checksum=sha256:1 a b"), "2: checksum requires HTTP(S) or Git sources");
    assert_eq!(wrong("ADD --checksum=sha256:1 http://h/a http://h/b /"), "2: checksum can't be specified for multiple sources");
    assert_eq!(wrong("ADD --checksum=sha256:1 http://h/a b"), "2: invalid checksum digest length");
    assert_eq!(wrong("ADD --keep-git-dir=false git://h/a?keep-git-dir=1 b"), "2: inconsistent keep-git-dir configuration");
}
