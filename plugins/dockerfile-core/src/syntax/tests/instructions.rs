//! What each instruction takes.

use super::super::{Argument, Command, CommandLine, From, Healthcheck, Pair, parse_trigger};
use super::{command, mistake, wrong};

fn pair(key: &str, value: &str, legacy: bool) -> Pair {
    Pair { key: key.into(), value: value.into(), legacy }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.into()).collect()
}

#[test]
fn from() {
    let from = |base: &str, platform: Option<&str>, name: Option<&str>| {
        Command::From(From { base: base.into(), platform: platform.map(Into::into), name: name.map(Into::into) })
    };
    assert_eq!(command("FROM --platform=$P a:b aS One-1_2.x"), from("a:b", Some("$P"), Some("one-1_2.x")));
    assert_eq!(command("FROM --platform= a"), from("a", None, None));
    for text in ["FROM", "FROM a b", "FROM a is b", "FROM a AS b c"] {
        assert_eq!(wrong(text), "FROM requires either one or three arguments", "{text}");
    }
    for name in ["1st", "${NAME}", "a/b", "_a"] {
        let reason = "name can't start with a number or contain symbols";
        assert_eq!(wrong(&format!("FROM a AS {name}")), format!("invalid name for build stage: {name:?}, {reason}"));
    }
}

#[test]
fn arg() {
    let argument = |name: &str, default: Option<&str>| Argument { name: name.into(), default: default.map(Into::into) };
    let wanted = vec![argument("A", None), argument("B", Some("")), argument("C", Some("\"d e\"")), argument("F", Some("g=h"))];
    assert_eq!(command("ARG A B= C=\"d e\" F=g=h"), Command::Arg(wanted));
    assert_eq!(wrong("ARG"), "ARG requires at least one argument");
    assert_eq!(wrong("ARG =x"), "ARG names can not be blank");
}

#[test]
fn pairs_are_words_with_an_equals_sign() {
    let text = r#"ENV A=1 B="two words" C=a\ b D='it'"'"'s' E= F==x "G h"=i"#;
    let wanted = [("A", "1"), ("B", "\"two words\""), ("C", "a\\ b"), ("D", r#"'it'"'"'s'"#), ("E", ""), ("F", "=x"), ("\"G h\"", "i")];
    assert_eq!(command(text), Command::Env(wanted.map(|(key, value)| pair(key, value, false)).into()));
    assert_eq!(command("LABEL a.b='$c \\'"), Command::Label(vec![pair("a.b", "'$c \\'", false)]));
    assert_eq!(command("LABEL a=b \\"), Command::Label(vec![pair("a", "b", false)]));
}

#[test]
fn pairs_have_an_old_form() {
    assert_eq!(command("ENV A  b=c \"d\"   e"), Command::Env(vec![pair("A", "b=c \"d\"   e", true)]));
    assert_eq!(wrong("ENV A"), "ENV must have two arguments");
    assert_eq!(wrong("LABEL x"), "LABEL must have two arguments");
}

#[test]
fn pairs_that_are_none() {
    assert_eq!(wrong("ENV"), "ENV requires at least one argument");
    assert_eq!(wrong("LABEL"), "LABEL requires at least one argument");
    assert_eq!(wrong("ENV =x"), "ENV names can not be blank");
    assert_eq!(wrong("ENV A=1 \"B"), "Syntax error - can't find = in \"\\\"B\". Must be of the form: name=value");
}

#[test]
fn commands_have_two_forms() {
    assert_eq!(command("CMD [\"a\", \"b c\"]"), Command::Cmd(CommandLine::Exec(words(&["a", "b c"]))));
    assert_eq!(command("ENTRYPOINT  a  'b'"), Command::Entrypoint(CommandLine::Shell("a  'b'".into())));
    assert_eq!(command("CMD ['a']"), Command::Cmd(CommandLine::Shell("['a']".into())));
    assert_eq!(command("CMD"), Command::Cmd(CommandLine::Shell(String::new())));
    assert_eq!(command("CMD []"), Command::Cmd(CommandLine::Exec(Vec::new())));
    assert_eq!(wrong("CMD [1]"), "when using JSON array syntax, arrays must be comprised of strings only");
    assert_eq!(wrong("HEALTHCHECK CMD [1]"), "when using JSON array syntax, arrays must be comprised of strings only");
}

#[test]
fn shell() {
    assert_eq!(command("SHELL [\"/bin/sh\", \"-c\"]"), Command::Shell(words(&["/bin/sh", "-c"])));
    assert_eq!(wrong("SHELL"), "SHELL requires at least one argument");
    assert_eq!(wrong("SHELL []"), "SHELL requires at least one argument");
    assert_eq!(wrong("SHELL /bin/sh -c"), "SHELL requires the arguments to be in JSON form");
}

#[test]
fn copy_needs_two_words() {
    let reason = "requires at least two arguments, but only one was provided. Destination could not be determined";
    for text in ["COPY", "COPY a", "COPY [\"a\"]", "COPY --unknown a"] {
        assert_eq!(wrong(text), format!("COPY {reason}"), "{text}");
    }
    assert_eq!(wrong("ADD a"), format!("ADD {reason}"));
    let Command::Copy(copy) = command("COPY [\"a b\", \"c\", \"/d e\"]") else { panic!("no COPY") };
    assert_eq!((copy.files.sources, &copy.files.dest[..]), (words(&["a b", "c"]), "/d e"));
    let Command::Copy(copy) = command("COPY [\"a\", b c /d") else { panic!("no COPY") };
    assert_eq!(copy.files.sources, ["[\"a\",", "b", "c"]);
}

#[test]
fn lists() {
    assert_eq!(command("EXPOSE 90 $P 8080/udp 8080"), Command::Expose(words(&["$P", "8080", "8080/udp", "90"])));
    assert_eq!(command("VOLUME [\"/a b\", \" /c \"]"), Command::Volume(words(&["/a b", "/c"])));
    assert_eq!(command("VOLUME /a [\"/b\"]"), Command::Volume(words(&["/a", "[\"/b\"]"])));
    assert_eq!(wrong("EXPOSE"), "EXPOSE requires at least one argument");
    assert_eq!(wrong("VOLUME"), "VOLUME requires at least one argument");
    assert_eq!(wrong("VOLUME [\"\"]"), "VOLUME specified can not be an empty string");
}

#[test]
fn single_texts() {
    assert_eq!(command("WORKDIR /a  b"), Command::Workdir("/a  b".into()));
    assert_eq!(command("user $A:b"), Command::User("$A:b".into()));
    assert_eq!(command("MAINTAINER \"A\" <a@b>"), Command::Maintainer("\"A\" <a@b>".into()));
    assert_eq!(command("STOPSIGNAL $S"), Command::StopSignal("$S".into()));
    for keyword in ["WORKDIR", "USER", "MAINTAINER", "STOPSIGNAL"] {
        assert_eq!(wrong(keyword), format!("{keyword} requires exactly one argument"));
    }
}

#[test]
fn healthcheck() {
    let text = "HEALTHCHECK --interval=1m30s --timeout=1ms --start-period=0 --start-interval=.5s --retries=+3 cmd  a b";
    let Command::Healthcheck(Healthcheck::Check(check)) = command(text) else { panic!("no check") };
    assert_eq!(check.test, CommandLine::Shell("a b".into()));
    assert_eq!([check.interval, check.timeout, check.start_period, check.start_interval], [90_000_000_000, 1_000_000, 0, 500_000_000]);
    assert_eq!(check.retries, 3);
    assert_eq!(command("HEALTHCHECK --what none"), Command::Healthcheck(Healthcheck::None));
}

#[test]
fn healthchecks_that_cannot_be() {
    for (text, reason) in [
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK run x", "Unknown type \"RUN\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK --timeout=999us CMD x", "Interval \"timeout\" cannot be less than 1ms"),
        ("HEALTHCHECK --interval=-1s CMD x", "Interval \"interval\" cannot be less than 1ms"),
        ("HEALTHCHECK --interval=5 CMD x", "time: missing unit in duration \"5\""),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ("HEALTHCHECK --retries=x CMD x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
    ] {
        assert_eq!(wrong(text), reason, "{text}");
    }
}

#[test]
fn onbuild_records_what_it_is_told() {
    for trigger in ["COPY a /", "RUN  echo   $X", "env A=1", "DANCE now", "FROMX"] {
        assert_eq!(command(&format!("onBuild \t{trigger}")), Command::Onbuild(trigger.into()));
    }
    assert_eq!(wrong("ONBUILD"), "ONBUILD requires at least one argument");
    assert_eq!(wrong("ONBUILD onbuild RUN x"), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    assert_eq!(wrong("ONBUILD maintainer x"), "MAINTAINER isn't allowed as an ONBUILD trigger");
    assert_eq!(wrong("ONBUILD FROM x"), "FROM isn't allowed as an ONBUILD trigger");
    assert_eq!(wrong("ONBUILD ENV A"), "ENV must have two arguments");
    assert_eq!(wrong(&"ONBUILD ".repeat(8000)), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
}

#[test]
fn triggers_are_read_when_they_are_used() {
    let lines = 4..=5;
    let copy = parse_trigger("COPY <<EOF /x\ntext\nEOF", &lines).unwrap();
    assert_eq!((&copy.text[..], &copy.lines), ("COPY <<EOF /x", &lines));
    for (text, reason) in [
        ("DANCE now", "unknown instruction: DANCE"),
        ("USER a\nUSER b", "onbuild trigger should be a single expression"),
        ("FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("", "file with no instructions"),
    ] {
        let mistake = parse_trigger(text, &lines).unwrap_err();
        assert_eq!((&mistake.message[..], mistake.lines.as_ref()), (reason, Some(&lines)));
    }
}

#[test]
fn unknown_instructions_may_be_meant_otherwise() {
    assert_eq!(wrong("DANCE now"), "unknown instruction: DANCE");
    assert_eq!(wrong("hello"), "unknown instruction: hello (did you mean shell?)");
    assert_eq!(wrong("COPPY a b"), "unknown instruction: COPPY (did you mean COPY?)");
    assert_eq!(mistake("FRM scratch").0, "unknown instruction: FRM (did you mean FROM?)");
}
