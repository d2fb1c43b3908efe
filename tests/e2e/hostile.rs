//! Hostile components, each in a process of its own: one line that names it, nothing on standard output, the store
//! byte-identical, memory within its limit plus 32 MiB, time within its limit plus 100 ms.
//!
//! `tests/guests/hostile` has a component a file, and core modules that become components of the world `search-filter`. A
//! file's first lines say what it does and what nacre says to it; `*` stands for wasmtime's own words.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nacre_tests::sandbox::{Output, Sandbox};
use nix::sys::resource::{UsageWho, getrusage};

use crate::fixture::{add, guest, install, tree};

const MANIFEST: &str = r#"
plugin = { name = "acme/bad", version = "1.0.0", api = "0.1" }
provides = { search-filter = ["do"] }
options = { do = "what to do wrong" }
limits = { memory = "64MiB", time = "1s" }
"#;

const MEMORY: i64 = 64 << 20;
const TIME: Duration = Duration::from_secs(1);
/// What nacre itself may add to a plugin's limits.
const MORE_MEMORY: i64 = 32 << 20;
/// What the code of an unoptimised nacre takes more than that of a released one.
const UNOPTIMISED: i64 = 12 << 20;
const MORE_TIME: Duration = Duration::from_millis(100);

/// One hostile component and what is said to it.
struct Case {
    name: String,
    says: String,
    wasm: Vec<u8>,
    does: String,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/hostile");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| written(path)).chain(programmed()).collect()
}

/// A case that is a text in WebAssembly's format.
fn written(path: &Path) -> Case {
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let says = text.lines().find_map(|line| line.strip_prefix(";; says: ")).unwrap_or_else(|| panic!("{name} has no ';; says: '"));
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let wasm = if name.ends_with(".core.wat") { component(&wasm, "search-filter") } else { wasm };
    Case { name: name.to_owned(), says: says.to_owned(), wasm, does: "it".into() }
}

/// The cases that are easier to write in Rust: one guest that does what it is told.
fn programmed() -> impl Iterator<Item = Case> {
    let wasm = guest("tests/guests", "misbehave");
    let unused = "nothing of its answer was used; report it to its author";
    let cases = [
        ("memory", "needs more than 64 MiB: raise [limits] memory in its plugin.toml or report it to its author".into()),
        ("recursion", "crashed: it used memory that is not there, as recursion without end does; report it to its author".into()),
        ("panic", "crashed: index 7 is out of cheese; report it to its author".into()),
        ("exit", "crashed: it called exit(1); report it to its author".into()),
        ("unknown-index", format!("returned index 3 for 3 inputs; {unused}")),
        ("twice", format!("returned index 1 twice; {unused}")),
        ("flood", format!("returned 10000 results for 3 inputs; {unused}")),
        ("endless-flood", format!("returned more data than fits an answer; {unused}")),
        ("nan", format!("returned a score that is no finite number; {unused}")),
        ("long-note", format!("returned a note of 1001 bytes, more than 1000; {unused}")),
        ("huge-note", format!("returned more data than fits an answer; {unused}")),
        ("huge-error", format!("returned more data than fits an answer; {unused}")),
        ("error", "no\\x1b[31m luck".into()),
    ];
    cases.into_iter().map(move |(does, says)| Case { name: does.into(), says, wasm: wasm.clone(), does: does.into() })
}

/// Makes a core module a component that exports what `world` says.
fn component(module: &[u8], world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = module.to_vec();
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8).unwrap();
    wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// Whether `said` is `expected`, in which `*` stands for anything within the line.
fn fits(said: &str, expected: &str) -> bool {
    match expected.split_once('*') {
        None => said == expected,
        Some((before, after)) => said.len() >= before.len() + after.len() && said.starts_with(before) && said.ends_with(after),
    }
}

const LATE: &str = "took longer than 1 s: raise [limits] time in its plugin.toml or report it to its author";

/// What takes more than it should by nacre's own data functions; `*` as above.
const GREEDY: &[(&str, &str)] = &[
    ("hoard-handles", "uses too many handles; report it to its author"),
    ("read-forever", LATE),
    ("read-nothing-forever", LATE),
    ("inflate-forever", LATE),
    ("deflate-forever", LATE),
    ("zeros-without-end", "over a limit: a composed source is larger than the limit of 1 GiB plus 200 times its compressed size"),
    ("zeros-beyond-all-numbers", "over a limit: a composed source is larger than the limit of 1 GiB plus 200 times its compressed size"),
    ("compose-without-end", LATE),
    ("layers-without-end", "over a limit: more than 127 layers"),
    ("entries-without-end", LATE),
    ("one-long-name", "*"),
    ("leave-by-dots", "a/../../etc/passwd: its path has '..', which may lead out of the root"),
    ("go-round-in-links", "the entry 'a/x' is malformed: its symbolic links go round in circles"),
    ("link-to-nothing", "x: its path has '..', which may lead out of the root"),
    ("lie-about-a-size", "x: 5 bytes of content, not 1099511627776"),
    ("hide-a-whiteout", "the entry '.wh..wh..opq' is malformed: names that begin with .wh. are for whiteouts alone"),
    ("tar-of-nothing", "the tar archive is malformed: it is no tar archive (at byte 512)"),
    ("config-of-nonsense", "the configuration is malformed: *"),
    ("config-of-megabytes", "over a limit: a configuration of 8388621 bytes, more than 1 MiB"),
    ("give-up", "and then no more"),
];

#[test]
fn greedy_formats_end_in_one_line_within_their_limits() {
    let sandbox = Sandbox::new();
    add(&sandbox, &["web:1"], 1);
    let manifest = MANIFEST.replace("search-filter = [\"do\"]", "import-format = [\"bad\"], export-format = [\"bad\"]");
    install(&sandbox, "bad", &manifest, &guest("tests/guests", "greedy"));
    fs::write(sandbox.path("file"), vec![7; 4 << 10]).unwrap();
    let import = |does: &str| sandbox.nacre(["import", "-q", "--format", "bad", "--opt", &format!("do={does}"), "file", "x:1"]);
    let save = |does: &str| sandbox.nacre(["save", "--format", "bad", "--opt", &format!("do={does}"), "-o", "out", "web:1"]);
    assert_eq!(import("nothing-at-all").fails(1).stderr, "nacre: the format bad made no layer of file\n");
    let idle = (0..3).map(|_| timed(|| import("nothing-at-all")).1).min().unwrap();
    let before = tree(&sandbox);
    let mut wrong = Vec::new();
    let mut check = |does: &str, says: &str, work: &dyn Fn(&str) -> Output| {
        if let Err(why) = refusal(says, idle, || work(does)) {
            wrong.push(format!("{does}: {why}"));
        }
        if tree(&sandbox) != before {
            wrong.push(format!("{does}: changed the store"));
        }
    };
    GREEDY.iter().for_each(|(does, says)| check(does, says, &import));
    check("write-forever", LATE, &save);
    check("write-behind-the-end", "*", &save);
    check("half-a-file", "and then no more", &save);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!sandbox.path("out").exists(), "half a file was left");
    // What leaves by a link stays inside.
    import("leave-by-link").ok();
    assert_eq!(sandbox.nacre(["cat", "x:1", "/tmp/inside"]).ok().stdout, "text");
}

#[test]
fn each_ends_in_one_line_within_its_limits() {
    let sandbox = Sandbox::new();
    (1..=3).for_each(|n| _ = add(&sandbox, &[&format!("web{n}:1")], n));
    let server = sandbox.serve();
    let cases = cases();
    assert!(cases.len() >= 40, "there are {} hostile components", cases.len());
    // What a search without a plugin costs, with its start.
    let idle = (0..5).map(|_| timed(|| _ = sandbox.nacre(["search", &server.name("web")]).ok()).1).min().unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        install(&sandbox, "bad", MANIFEST, &case.wasm);
        if let Err(why) = run(&sandbox, &server.name("web"), case, idle) {
            wrong.push(format!("{}: {why}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn run(sandbox: &Sandbox, term: &str, case: &Case, idle: Duration) -> Result<(), String> {
    let before = tree(sandbox);
    let search = |does: &str| sandbox.nacre(["search", term, "--filter", &format!("do={does}")]);
    // Compiled first, as at install.
    if case.does == "it" {
        search("it").fails(1)
    } else {
        search("nothing").ok()
    };
    refusal(&case.says, idle, || search(&case.does))?;
    match tree(sandbox) == before {
        true => Ok(()),
        false => Err("changed the store".into()),
    }
}

/// Whether `work` ends in one line within its limits, where nothing takes `idle`.
fn refusal(says: &str, idle: Duration, work: impl Fn() -> Output) -> Result<(), String> {
    let (output, mut took) = timed(|| work().fails(1));
    let said = output.stderr.strip_prefix("nacre: plugin ").and_then(|line| line.strip_suffix('\n')).unwrap_or(&output.stderr);
    let said = said.strip_prefix("acme/bad: ").or_else(|| said.strip_prefix("bad: ")).unwrap_or(said);
    if said.contains(['\n', '\u{1b}']) || !output.stdout.is_empty() || !fits(said, says) {
        return Err(format!("said {:?}, not {says:?}", output.stderr));
    }
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?.max_rss() * 1024;
    if peak > MEMORY + MORE_MEMORY + UNOPTIMISED {
        return Err(format!("took {} MiB", peak >> 20));
    }
    // Other tests run beside this one: it is the plugin's fault only if it never ends in time.
    for _ in 0..4 {
        if took <= idle + TIME + MORE_TIME {
            return Ok(());
        }
        took = timed(&work).1;
    }
    Err(format!("took {took:?}, where nothing takes {idle:?}"))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (work(), begin.elapsed())
}
