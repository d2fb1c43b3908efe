//! Any bytes are a Dockerfile or a mistake, and what a Dockerfile says is what is written in it.
#![allow(clippy::unwrap_used, reason = "tests")]

use dockerfile_core::expand::Expander;
use dockerfile_core::ignore::patterns;
use dockerfile_core::syntax::{Command, Instruction, parse, parse_trigger};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Text that is more like a Dockerfile than chance would have it.
fn dockerfiles() -> impl Strategy<Value = String> {
    let pieces = vec![
        "FROM a\n",
        "FROM a AS b\n",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "ARG ",
        "LABEL ",
        "CMD ",
        "SHELL ",
        "ONBUILD ",
        "VOLUME ",
        "HEALTHCHECK ",
        "EXPOSE ",
        "# escape=`\n",
        "# check=skip=all\n",
        "#",
        "--mount=",
        "--link",
        "--from=x",
        "type=cache,",
        "[\"a\", ",
        "\"b\"]",
        "<<EOF",
        "<<-'E'",
        "\nEOF\n",
        "\n\tE\n",
        "\\\n",
        "`\n",
        "\\",
        "\"",
        "'",
        "$A",
        "${A:-",
        "${A##",
        "}",
        "=",
        " ",
        "\t",
        "\n",
        "\r\n",
        "x",
        "é",
        "\u{a0}",
        "\u{feff}",
        "\0",
    ];
    vec(select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

/// Whether a text is made of pieces of another in their order: what continues lines has gone.
fn made_of(text: &str, file: &str) -> bool {
    let mut rest = file.chars();
    text.chars().all(|wanted| rest.any(|next| next == wanted))
}

fn check(instruction: &Instruction, file: &str) {
    assert!(made_of(&instruction.text, file), "{instruction:?}");
    assert!(instruction.text.starts_with(&instruction.keyword));
    let lines = file.split_inclusive('\n').count() as u32;
    assert!(1 <= *instruction.lines.start() && instruction.lines.start() <= instruction.lines.end(), "{instruction:?}");
    assert!(*instruction.lines.end() <= lines, "{instruction:?} of {lines}");
    let documents: Vec<&str> = match &instruction.command {
        Command::Run(run) => run.heredocs.iter().map(|heredoc| &heredoc.content[..]).collect(),
        Command::Onbuild(trigger) => {
            let _ = parse_trigger(trigger, &(1..=1));
            Vec::new()
        }
        _ => Vec::new(),
    };
    assert!(documents.iter().all(|document| file.contains(document)), "{instruction:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn bytes_are_a_file_or_a_mistake(bytes in vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
        let _ = patterns(&bytes);
    }

    #[test]
    fn what_a_file_says_is_written_in_it(text in dockerfiles()) {
        match parse(text.as_bytes()) {
            Ok(file) => file.instructions.iter().for_each(|instruction| check(instruction, &text)),
            Err(mistake) => prop_assert!(!mistake.message.is_empty() && !mistake.message.contains('\n'), "{mistake:?}"),
        }
    }

    #[test]
    fn words_keep_what_is_not_expanded(text in "[a-z \\t\\\\'\"${}:/#%*?<é-]{0,30}", raw in any::<bool>()) {
        let expander = Expander { raw_quotes: raw, keep_unset: true, ..Expander::new('\\') };
        if let Ok(expanded) = expander.word(&text, &|_| None) {
            prop_assert!(made_of(&expanded.text, &text));
            prop_assert!(expanded.found.is_empty());
        }
        if let Ok(words) = expander.words(&text, &|_| Some("v w".into())) {
            prop_assert!(words.iter().all(|word| !word.is_empty()));
        }
    }

    #[test]
    fn replacing_everything_leaves_nothing(value in "[ab]{0,12}", pattern in "[ab*?]{0,4}") {
        let lookup = |name: &str| (name == "V").then(|| value.clone());
        let expand = |form: &str| Expander::new('\\').word(&format!("${{V{form}}}"), &lookup).unwrap().text;
        let (short, long) = (expand(&format!("#{pattern}")), expand(&format!("##{pattern}")));
        prop_assert!(value.ends_with(&short) && short.ends_with(&long));
        let (short, long) = (expand(&format!("%{pattern}")), expand(&format!("%%{pattern}")));
        prop_assert!(value.starts_with(&short) && short.starts_with(&long));
        if !pattern.is_empty() {
            let replaced = expand(&format!("//{pattern}/"));
            prop_assert!(made_of(&replaced, &value), "{} of {}", replaced, value);
        }
    }
}
