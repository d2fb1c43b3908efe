//! Images that containers use: `rmi` and `image prune` as tables of cases, by nacre and by Docker 20.10.

use std::collections::BTreeSet;

use nacre_oci::Reference;
use nacre_tests::{dockerd::Docker, sandbox::Sandbox};

use crate::{fixture::store, machine::Machine, trees::shell};

/// What both have to do alike. The image's names (`r` is a registry, `@` its digest reference there, `+child` and `+pin` what
/// they say), what its container does, what `rmi` is asked for (`ID` and `SHA` are the image's), the exit code, what is printed
/// (names are untagged, `IMAGE` and `LAYER` deleted), the complaint, and the names that are left (`-` is the image without).
const RMI: &str = "
    a:1 a:2           |         | a:1          | 0 | a:1                     |           | a:2
    a:1 a:2           | running | a:1          | 0 | a:1                     |           | a:2
    a:1 b:1           | stopped | b:1          | 0 | b:1                     |           | a:1
    a:1               |         | a:1          | 0 | a:1 IMAGE LAYER         |           |
    a:1               |         | -f a:1       | 0 | a:1 IMAGE LAYER         |           |
    a:1               | stopped | a:1          | 1 |                         | named a:1 | a:1
    a:1               | running | a:1          | 1 |                         | named a:1 | a:1
    a:1               | stopped | -f a:1       | 0 | a:1 IMAGE               |           |
    a:1               | running | -f a:1       | 0 | a:1                     |           | -
    a:1 b:1           |         | a:1 b:1      | 0 | a:1 b:1 IMAGE LAYER     |           |
    a:1 b:1           | running | a:1 b:1      | 1 | a:1                     | named b:1 | b:1
    a:1 b:1           | stopped | a:1 b:1      | 1 | a:1                     | named b:1 | b:1
    a:1 b:1           | running | -f a:1 b:1   | 0 | a:1 b:1                 |           | -
    a:1 b:1           | stopped | -f a:1 b:1   | 0 | a:1 b:1 IMAGE           |           |
    a:1               |         | ID           | 0 | a:1 IMAGE LAYER         |           |
    a:1               |         | SHA          | 0 | a:1 IMAGE LAYER         |           |
    a:1               | stopped | ID           | 1 |                         | stopped   | a:1
    a:1               | running | ID           | 1 |                         | running   | a:1
    a:1               | stopped | SHA          | 1 |                         | stopped   | a:1
    a:1               | stopped | -f ID        | 0 | a:1 IMAGE               |           |
    a:1               | running | -f ID        | 1 |                         | running   | a:1
    a:1 b:1           |         | ID           | 1 |                         | several   | a:1 b:1
    a:1 a:2           |         | ID           | 1 |                         | several   | a:1 a:2
    a:1 b:1           | stopped | ID           | 1 |                         | several   | a:1 b:1
    a:1 b:1           | running | ID           | 1 |                         | running   | a:1 b:1
    a:1 b:1           |         | -f ID        | 0 | a:1 b:1 IMAGE LAYER     |           |
    a:1 b:1           | stopped | -f ID        | 0 | a:1 b:1 IMAGE           |           |
    a:1 b:1           | running | -f ID        | 1 |                         | running   | a:1 b:1
                      |         | ID           | 0 | IMAGE LAYER             |           |
                      | stopped | ID           | 1 |                         | stopped   | -
                      | running | ID           | 1 |                         | running   | -
                      | stopped | -f ID        | 0 | IMAGE                   |           |
                      | running | -f ID        | 1 |                         | running   | -
    a:1               |         | ghost        | 1 |                         | no ghost  | a:1
    a:1               |         | ghost a:1    | 1 | a:1 IMAGE LAYER         | no ghost  |
    a:1               |         | -f ghost a:1 | 0 | a:1 IMAGE LAYER         | no ghost  |
    a:1               | running | -f ghost ID  | 1 |                         | no ghost; running | a:1
    r/a:1 r/a@        |         | r/a:1        | 0 | r/a:1 r/a@ IMAGE LAYER  |           |
    r/a:1 r/a@        | stopped | r/a:1        | 1 |                         | named r/a:1 | r/a:1
    r/a:1 r/a@        | running | -f r/a:1     | 0 | r/a:1 r/a@              |           | -
    r/a:1 r/a@        | stopped | -f r/a:1     | 0 | r/a:1 r/a@ IMAGE        |           |
    r/a:1 r/a@ r/a:2  |         | r/a:1        | 0 | r/a:1                   |           | r/a:2
    r/a:1 r/a@ r/a:2  | running | r/a:1        | 0 | r/a:1                   |           | r/a:2
    r/a:1 r/a@ b:1    |         | r/a:1        | 0 | r/a:1 r/a@              |           | b:1
    r/a:1 r/a@ b:1    | running | r/a:1        | 0 | r/a:1 r/a@              |           | b:1
    r/a:1 r/a@        |         | r/a@         | 0 | r/a@                    |           | r/a:1
    r/a:1 r/a@        | stopped | r/a@         | 1 |                         | named r/a@ | r/a:1
    r/a:1 r/a@        | running | -f r/a@      | 0 | r/a@                    |           | r/a:1
    r/a:1 r/a@        |         | ID           | 0 | r/a:1 r/a@ IMAGE LAYER  |           |
    r/a:1 r/a@        | stopped | ID           | 1 |                         | stopped   | r/a:1
    r/a:1 r/a@ b:1    |         | ID           | 1 |                         | several   | b:1 r/a:1
";

/// What only nacre has, or does by the rules of Docker's new store: children are no obstacle, since they keep what they need;
/// and pins.
const RMI_OURS: &str = "
    a:1 +child        |         | a:1          | 0 | a:1 IMAGE               |           | child:1
    a:1 +child        |         | ID           | 0 | a:1 IMAGE               |           | child:1
    a:1 +child        | stopped | a:1          | 1 |                         | named a:1 | a:1 child:1
    a:1 +child        | running | ID           | 1 |                         | running   | a:1 child:1
    a:1 +child        | running | -f a:1       | 0 | a:1                     |           | - child:1
    a:1 a:2 +pin      | running | a:1          | 0 | a:1                     |           | a:2
    a:1 +pin          |         | a:1          | 1 |                         | pinned    | a:1
    a:1 +pin          | running | a:1          | 1 |                         | pinned    | a:1
    a:1 +pin          | running | -f a:1       | 1 |                         | pinned    | a:1
    a:1 +pin          | stopped | -f a:1       | 1 |                         | pinned    | a:1
    a:1 +pin          | stopped | -f ID        | 1 |                         | pinned    | a:1
";

/// Images, each with its names or `-` and what its container does; the options of `image prune`; the names that go and the
/// numbers of the images that do; and the names that are left.
const PRUNE: &str = "
    a:1, -                       | -f    | #2          | a:1
    - stopped, - running, -      | -f    | #3          | - -
    a:1, b:1 stopped, c:1 running| -f    |             | a:1 b:1 c:1
    a:1, b:1 stopped, c:1 running| -f -a | a:1 #1      | b:1 c:1
    a:1 a:2, - stopped           | -f -a | a:1 a:2 #1  | -
    a:1 running, - , b:1         | -f -a | b:1 #2 #3   | a:1
";

/// Docker's old store takes names of an image that is used away one by one, as long as one is left; nacre leaves it alone.
const PRUNE_OURS: &str = "
    a:1 a:2 stopped, b:1 running | -f -a |             | a:1 a:2 b:1
    a:1 a:2 +pin, b:1            | -f -a | b:1 #2      | a:1 a:2
";

/// Somebody who has images and containers.
trait Engine {
    /// Makes an image with a layer of its own; returns its id.
    fn image(&self, number: usize, names: &[&str]) -> String;
    /// Gives an image a digest reference in the repository of this name; returns its digest there.
    fn refer(&self, name: &str, id: &str) -> String;
    /// Makes a container, and starts it; returns its id.
    fn container(&self, image: &str, running: bool) -> String;
    /// Its exit code, standard output, and standard error without what each line begins with.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, Vec<String>, Vec<String>);
    /// What it says of an image that is not there.
    fn missing(&self, name: &str) -> String;
    /// Removes all containers and images.
    fn clear(&self);
}

/// The names that are left, sorted, of an image without any `-`.
fn left(engine: &dyn Engine) -> Vec<String> {
    let (code, lines, _) = engine.run(&["images", "-a", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(code, Some(0));
    let mut names: Vec<String> = lines.iter().map(|line| line.replace("<none>:<none>", "-")).collect();
    names.sort();
    names
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// The cells of each row of a table.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().filter(|line| line.contains('|')).map(|line| line.split('|').map(str::trim).collect())
}

/// What the words of a row stand for.
struct Case<'a> {
    engine: &'a dyn Engine,
    registry: &'a str,
    id: String,
    digest: String,
    container: String,
}

impl<'a> Case<'a> {
    fn new(engine: &'a dyn Engine, registry: &'a str, number: usize, names: &str, doing: &str) -> Self {
        let full: Vec<String> = words(names).iter().filter(|name| !name.contains(['@', '+'])).map(|name| at(registry, name)).collect();
        let id = engine.image(number, &full.iter().map(String::as_str).collect::<Vec<_>>());
        let referred = words(names).into_iter().find_map(|name| name.strip_suffix('@'));
        let digest = referred.map(|name| engine.refer(&at(registry, &format!("{name}:1")), &id)).unwrap_or_default();
        let container = if doing.is_empty() { String::new() } else { engine.container(&id, doing == "running") };
        if names.contains("+child") {
            assert_eq!(engine.run(&["build", "-q", "-t", "child:1", "child"]).0, Some(0));
        }
        if names.contains("+pin") {
            assert_eq!(engine.run(&["pin", &id]).0, Some(0));
        }
        Self { engine, registry, id, digest, container }
    }

    fn short(&self) -> &str {
        &self.id["sha256:".len()..][..12]
    }

    fn name(&self, word: &str) -> String {
        match word {
            "ID" => self.short().to_owned(),
            "SHA" => self.id.clone(),
            name => at(self.registry, &name.replace('@', &format!("@{}", self.digest))),
        }
    }

    fn printed(&self, word: &str) -> String {
        match word {
            "IMAGE" => format!("Deleted: {}", self.id),
            "LAYER" => "Deleted: LAYER".into(),
            name => format!("Untagged: {}", self.name(name)),
        }
    }

    fn complaint(&self, text: &str) -> String {
        let (id, container) = (self.short(), self.container.get(..12).unwrap_or_default());
        match text.split_once(' ').unwrap_or((text, "")) {
            ("named", name) => {
                let name = self.name(name);
                format!(
                    "conflict: unable to remove repository reference \"{name}\" (must force) - container {container} is using its referenced image {id}"
                )
            }
            ("no", name) => self.engine.missing(name),
            ("several", _) => format!("conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories"),
            ("stopped", _) => {
                format!("conflict: unable to delete {id} (must be forced) - image is being used by stopped container {container}")
            }
            ("running", _) => {
                format!("conflict: unable to delete {id} (cannot be forced) - image is being used by running container {container}")
            }
            ("pinned", _) => "conflict: image a:1 is pinned; unpin it first".into(),
            other => panic!("{other:?}"),
        }
    }

    /// An image's own layers have other digests with each engine.
    fn same(&self, line: &str) -> String {
        let other = line.starts_with("Deleted: ") && !line.ends_with(&self.id);
        if other { "Deleted: LAYER".into() } else { line.to_owned() }
    }
}

fn at(registry: &str, name: &str) -> String {
    name.strip_prefix("r/").map_or_else(|| name.to_owned(), |name| format!("{registry}/{name}"))
}

/// The rows that an engine does not do as the table says.
fn remove(engine: &dyn Engine, registry: &str, table: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, row) in rows(table).enumerate() {
        let [names, doing, arguments, code, prints, complaints, left_over] = row[..] else { panic!("{row:?}") };
        let case = Case::new(engine, registry, number, names, doing);
        let arguments: Vec<String> = words(arguments).into_iter().map(|word| case.name(word)).collect();
        let (actual, stdout, stderr) = engine.run(&[&["rmi"], &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
        let stdout: Vec<String> = stdout.iter().map(|line| case.same(line)).collect();
        let expected: Vec<String> = words(prints).into_iter().map(|word| case.printed(word)).collect();
        let complaints: Vec<String> = complaints.split("; ").filter(|text| !text.is_empty()).map(|text| case.complaint(text)).collect();
        let mut names: Vec<String> = words(left_over).into_iter().map(|name| at(registry, name)).collect();
        names.sort();
        let is = (actual.unwrap_or(-1).to_string(), stdout, stderr, left(engine));
        let should = (code.to_owned(), expected, complaints, names);
        if is != should {
            wrong.push(format!("{}\n  is     {is:?}\n  should {should:?}", row.join(" | ")));
        }
        engine.clear();
    }
    wrong
}

/// The same for the tables of prunes.
fn prune(engine: &dyn Engine, table: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows(table) {
        let [images, options, prints, left_over] = row[..] else { panic!("{row:?}") };
        let cases: Vec<Case<'_>> = images.split(',').enumerate().map(|(number, image)| pruned(engine, number, image)).collect();
        let (code, stdout, stderr) = engine.run(&[&["image", "prune"], &words(options)[..]].concat());
        let is_image = |line: &str| line.strip_prefix("deleted: ").is_none_or(|id| cases.iter().any(|case| case.id == id));
        let is: BTreeSet<String> = stdout.iter().filter(|line| is_image(line) && line.contains("ed: ")).cloned().collect();
        let mean = |word: &str| match word.strip_prefix('#') {
            Some(number) => format!("deleted: {}", cases[number.parse::<usize>().unwrap() - 1].id),
            None => format!("untagged: {word}"),
        };
        let should: BTreeSet<String> = words(prints).into_iter().map(mean).collect();
        let total = stdout.last().is_some_and(|line| line.starts_with("Total reclaimed space: "));
        let heads = stdout.first().is_some_and(|line| line == "Deleted Images:") != should.is_empty();
        let names = left(engine);
        if (code, &is, names.join(" ").as_str(), total, heads, stderr.len()) != (Some(0), &should, left_over, true, true, 0) {
            wrong.push(format!("{}\n  is     {code:?} {stdout:?} {stderr:?} left {names:?}\n  should {should:?}", row.join(" | ")));
        }
        engine.clear();
    }
    wrong
}

fn pruned<'a>(engine: &'a dyn Engine, number: usize, image: &str) -> Case<'a> {
    let doing = words(image).into_iter().find(|word| ["stopped", "running"].contains(word)).unwrap_or_default();
    Case::new(engine, "", number, &image.replace('-', "").replace(doing, ""), doing)
}

/// What images are made of, and a context to build a child.
const BASE: &str = "gzip base.tar; mkdir child && printf 'FROM a:1\\nLABEL child=1\\n' > child/Dockerfile";

/// What a container does as long as it is let.
pub(crate) const SLEEP: [&str; 3] = ["/bin/busybox", "sleep", "1000"];

impl Engine for Sandbox {
    fn image(&self, number: usize, names: &[&str]) -> String {
        let label = format!("LABEL number={number}");
        let id = self.nacre(["import", "-q", "-c", &label, "base.tar.gz"]).ok().stdout.trim().to_owned();
        names.iter().for_each(|name| _ = self.nacre(["tag", &id, name]).ok());
        id
    }

    fn refer(&self, name: &str, id: &str) -> String {
        let name: Reference = name.parse().unwrap();
        let digest = id.parse().unwrap();
        store(self).tag(&name.with_digest(digest), &id.parse().unwrap()).unwrap();
        id.to_owned()
    }

    fn container(&self, image: &str, running: bool) -> String {
        let verb = if running { &["run", "-d"][..] } else { &["create"] };
        let created = self.nacre([verb, &["--pull", "never", "--network", "none", image], &SLEEP].concat()).ok();
        created.stdout.trim().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, Vec<String>, Vec<String>) {
        let output = self.nacre(arguments);
        let stderr = output.stderr.lines().map(|line| line.strip_prefix("nacre: ").unwrap_or(line).to_owned()).collect();
        let findings = store(self).check(false).unwrap();
        assert!(findings.is_empty(), "after {arguments:?}: {findings:?}");
        (output.code, output.stdout.lines().map(str::to_owned).collect(), stderr)
    }

    fn missing(&self, name: &str) -> String {
        format!("image '{name}' was not found")
    }

    fn clear(&self) {
        let ids = self.nacre(["ps", "-aq", "--no-trunc"]).ok();
        ids.lines().iter().for_each(|id| _ = self.nacre(["rm", "-f", id]).ok());
        for image in store(self).images().unwrap() {
            store(self).pin(&image.id, false).unwrap();
            self.nacre(["rmi", "-f", &image.id.to_string()]).ok();
        }
        assert_eq!((left(self).len(), store(self).df().unwrap().blob_count), (0, 0), "nothing outlives all images and containers");
    }
}

/// Docker, and where the file system for its images is.
struct Theirs {
    docker: Docker,
    base: String,
}

impl Engine for Theirs {
    fn image(&self, number: usize, names: &[&str]) -> String {
        let label = format!("LABEL number={number}");
        let id = self.docker.ok(&["import", "-c", &label, &self.base]).trim().to_owned();
        names.iter().for_each(|name| _ = self.docker.ok(&["tag", &id, name]));
        id
    }

    fn refer(&self, name: &str, id: &str) -> String {
        self.docker.ok(&["push", "-q", name]);
        let digests = self.docker.ok(&["inspect", "-f", "{{join .RepoDigests \" \"}}", id]);
        digests.trim().split_once('@').unwrap().1.to_owned()
    }

    fn container(&self, image: &str, running: bool) -> String {
        let verb = if running { &["run", "-d"][..] } else { &["create"] };
        self.docker.ok(&[verb, &["--network", "none", image], &SLEEP].concat()).trim().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, Vec<String>, Vec<String>) {
        let output = self.docker.run(arguments);
        let lines = |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect() };
        let prefixes = ["Error response from daemon: ", "Error: "];
        let bare = |line: String| prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)).unwrap_or(&line).to_owned();
        (output.status.code(), lines(&output.stdout), lines(&output.stderr).into_iter().map(bare).collect())
    }

    fn missing(&self, name: &str) -> String {
        format!("No such image: {name}")
    }

    fn clear(&self) {
        for (list, verb) in [(&["ps", "-aq"][..], &["rm", "-f"][..]), (&["images", "-aq"], &["rmi", "-f"])] {
            let ids = self.docker.ok(list);
            let ids: BTreeSet<&str> = ids.lines().collect();
            if !ids.is_empty() {
                self.docker.ok(&[verb, &ids.into_iter().collect::<Vec<_>>()[..]].concat());
            }
        }
    }
}

fn assert_right(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A machine without images, and with the file system of all.
pub(crate) fn with_base() -> Option<Machine> {
    let machine = Machine::new()?;
    shell(&machine, BASE);
    machine.nacre(["rmi", "sea"]).ok();
    Some(machine)
}

#[test]
fn rmi_goes_by_the_table() {
    let Some(machine) = with_base() else { return };
    assert_right(&remove(&*machine, "registry.example:5000", &[RMI, RMI_OURS].concat()));
}

#[test]
fn prune_goes_by_the_table() {
    let Some(machine) = with_base() else { return };
    assert_right(&prune(&*machine, &[PRUNE, PRUNE_OURS].concat()));
}

#[test]
fn docker_goes_by_the_same_tables() {
    let (Some(docker), Some(machine)) = (Docker::start_with("overlay2"), with_base()) else { return };
    let registry = machine.serve();
    let theirs = Theirs { docker, base: machine.path("base.tar.gz").display().to_string() };
    assert_right(&prune(&theirs, PRUNE));
    assert_right(&remove(&theirs, registry.address(), RMI));
}
