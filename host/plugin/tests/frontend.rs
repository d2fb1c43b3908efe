//! Frontends: what they are told, what they may ask and return, and those that go wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::{Arc, Mutex};

use nacre_plugin::graph::{Action, Definition, ImageName, Operation};
use nacre_plugin::{
    BuildImage, BuildRequest, BuildSession, BuiltFiles, Diagnostic, Error, Fault, GuestError, Kv, Platform, Plugins, Resolved,
};
use support::{Sandbox, guest};

const MANIFEST: &str = r#"
[plugin]
name = "acme/front"
version = "1.0.0"
api = "0.1"
[provides]
build-frontend = ["front"]
[capabilities]
registries = ["docker.io"]
net = ["a.example"]
[limits]
time = "20s"
"#;

/// What a session was asked and told, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// A build of this test alone: each file says its own name, and what was built is what `make-file` says.
struct Double(Log);

impl Double {
    fn did(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl BuildSession for Double {
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>, GuestError> {
        Ok(match path {
            "none" => None,
            "huge" => Some(vec![0; (4 << 20) + 1]),
            "gone" => return Err(GuestError::Io("the disk is gone".into())),
            "end" => return Err(GuestError::Cancelled),
            path => Some(format!("{context}:{path}").into()),
        })
    }

    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved, GuestError> {
        self.did(format!("resolve {name:?}"));
        Ok(Resolved { digest: "sha256:0".into(), platform: platform.clone(), config: "{}".into() })
    }

    fn solve(&mut self, definition: Definition) -> Result<Box<dyn BuiltFiles>, GuestError> {
        if definition.vertices.len() > 1 {
            self.did(format!("solve {:?}", definition.vertices[definition.output as usize].label));
        }
        Ok(Box::new(Files(definition)))
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        self.did(format!("warn {} {}", diagnostic.code, diagnostic.message.len()));
    }
}

struct Files(Definition);

impl BuiltFiles for Files {
    fn read_file(&mut self, path: &str) -> Result<Option<Vec<u8>>, GuestError> {
        let files = self.0.vertices.iter().filter_map(|vertex| match &vertex.operation {
            Operation::File(file) => file.actions.first(),
            _ => None,
        });
        let mut found = files.filter_map(|action| match action {
            Action::MakeFile(file) if file.path == path => Some(file.content.clone()),
            _ => None,
        });
        Ok(found.next_back())
    }

    fn list(&mut self, _path: &str) -> Result<Vec<String>, GuestError> {
        Ok(vec!["z".into(), "a".into()])
    }
}

struct World {
    _sandbox: Sandbox,
    plugins: Plugins,
    log: Log,
}

impl World {
    /// With everything granted that the manifest asks for.
    fn new(manifest: &str) -> World {
        let sandbox = Sandbox::new(manifest, &guest("tests/guests", "frontend"));
        let plugins = Plugins::open(&sandbox.folder("it"), &sandbox.cache(), &nacre_plugin::Settings::new()).unwrap();
        World { _sandbox: sandbox, plugins, log: Log::default() }
    }

    fn build(&self, file: &str) -> Result<Vec<BuildImage>, Error> {
        self.request(&BuildRequest { file: "Frontfile".into(), content: file.into(), ..BuildRequest::default() })
    }

    fn request(&self, request: &BuildRequest) -> Result<Vec<BuildImage>, Error> {
        self.plugins.frontend("front")?.build("front", request, Box::new(Double(Arc::clone(&self.log))))
    }

    /// The label of the first image's last operation.
    fn label(&self, file: &str) -> String {
        let image = self.build(file).unwrap().swap_remove(0);
        image.definition.vertices.last().unwrap().label.clone()
    }

    fn refusal(&self, file: &str) -> String {
        self.build(file).unwrap_err().to_string()
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

#[test]
fn a_file_becomes_a_graph_for_each_platform() {
    let world = World::new(MANIFEST);
    let arm64 = Platform { os: "linux".into(), arch: "arm64".into(), variant: Some("v8".into()) };
    let platforms = vec![arm64.clone(), BuildRequest::default().build_platform];
    let request = BuildRequest { content: "run nginx".into(), platforms, ..BuildRequest::default() };
    let images = world.request(&request).unwrap();
    assert_eq!((images.len(), &images[0].platform), (2, &arm64));
    let Operation::Exec(exec) = &images[0].definition.vertices[2].operation else { panic!("{images:?}") };
    assert_eq!((exec.base, &exec.args[..]), (1, &["true".to_owned()][..]));
    assert!(world.request(&BuildRequest { check: true, ..request }).unwrap().is_empty());
}

#[test]
fn a_frontend_asks_while_it_works() {
    let world = World::new(MANIFEST);
    assert_eq!(world.label("resolve nginx"), "sha256:0 {}");
    assert_eq!(world.label("read none"), "None");
    assert_eq!(world.label("read a"), format!("{:?}", Some(b"context:a")));
    let (answer, names) = (format!("{:?}", Some(b"42")), r#"["a", "z"]"#);
    assert_eq!(world.label("solve 42"), format!("{names} {answer} None"));
    assert_eq!(world.log(), ["resolve Reference(\"nginx\")", "solve \"make\""]);
}

#[test]
fn answers_have_limits_too() {
    let world = World::new(MANIFEST);
    assert!(world.refusal("read huge").ends_with("over a limit: a file of 4194305 bytes, more than 4 MiB"));
    assert!(world.refusal("read gone").ends_with("input or output failed: the disk is gone"));
    assert!(matches!(world.build("read end"), Err(Error::Data { source: nacre_oci::Error::Cancelled, .. })));
    assert!(world.refusal("hoard").contains("uses too many handles"));
    world.build("warn 2000").unwrap();
    let warnings = world.log();
    assert_eq!((warnings.len(), warnings[0].as_str()), (1_000, "warn Loud 4000"));
}

#[test]
fn only_what_was_granted_is_reached() {
    let world = World::new(MANIFEST);
    let registry = "not allowed to speak to the registry ghcr.io: it needs the capability registries = [\"ghcr.io\"]";
    assert!(world.refusal("run ghcr.io/a/b").ends_with(registry));
    assert!(world.refusal("resolve ghcr.io/a/b").ends_with(registry));
    assert!(world.refusal("fetch https://b.example/x").contains("net = [\"b.example\"]"));
    assert_eq!(world.log(), [""; 0]);
    assert!(world.build("fetch https://a.example/x").is_ok());

    let none = Sandbox::new(MANIFEST, &guest("tests/guests", "frontend"));
    let plugins = none.plugins();
    let request = BuildRequest { content: "run nginx".into(), ..BuildRequest::default() };
    let said = plugins.frontend("front").unwrap().build("front", &request, Box::new(Double(Log::default()))).unwrap_err();
    assert!(said.to_string().contains("is not allowed to speak to the registry docker.io"), "{said}");
}

#[test]
fn a_mistake_in_the_file_keeps_its_place() {
    let world = World::new(MANIFEST);
    let Err(Error::Plugin { fault: Fault::Guest(GuestError::Invalid(found)), .. }) = world.build("mistake no such word") else {
        panic!("it is a mistake");
    };
    let at = found[0].at.as_ref().unwrap();
    assert_eq!((at.file.as_str(), at.line, found[0].message.as_str()), ("Frontfile", 3, "no such word"));
}

#[test]
fn a_bad_answer_is_refused_whole() {
    let world = World::new(MANIFEST);
    assert!(world.refusal("config [1]").contains("returned a configuration that is no JSON object"));
    assert!(world.refusal("config {\"rootfs\":{}}").contains("returned a configuration with a rootfs"));
    assert_eq!(world.build("many 20000").unwrap()[0].definition.vertices.len(), 20_000);
    assert!(world.refusal("many 20001").contains("returned a graph of 20001 operations, more than 20000"));
    let world = World::new(&format!("{MANIFEST}memory = \"512MiB\"\n"));
    assert!(world.refusal("long").contains("returned more data than fits an answer"));
    assert_eq!(world.build("nowhere").unwrap()[0].definition.output, u32::MAX);
}

#[test]
fn a_frontend_that_loops_is_ended() {
    let world = World::new(&MANIFEST.replace("20s", "300ms"));
    for file in ["spin", "loop a"] {
        assert!(world.refusal(file).contains("took longer than 300 ms"), "{file}");
    }
}

#[test]
fn frontends_and_options_are_those_of_the_manifest() {
    let world = World::new(MANIFEST);
    assert_eq!(world.plugins.frontends().map(|(_, name)| name).collect::<Vec<_>>(), ["front"]);
    let said = world.plugins.frontend("other").map(|_| ()).unwrap_err().to_string();
    assert_eq!(said, "unknown build frontend 'other': known are front");
    let request = BuildRequest { opts: vec![Kv::new("x", "y")], ..BuildRequest::default() };
    assert_eq!(world.request(&request).unwrap_err().to_string(), "unknown option 'x' of build frontend 'front': known are none");
}

#[test]
fn a_call_becomes_a_case() {
    let world = World::new(MANIFEST);
    let folder = tempfile::tempdir().unwrap();
    world.plugins.record(folder.path());
    world.build("solve 42").unwrap();
    world.build("warn 1").unwrap();
    world.build("mistake x").unwrap_err();
    let read = |path: &str| -> serde_json::Value { serde_json::from_slice(&std::fs::read(folder.path().join(path)).unwrap()).unwrap() };
    let input = read("acme-front-1/input.json");
    assert_eq!((input["frontend"].as_str(), input["request"]["content"].as_str()), (Some("front"), Some("solve 42")));
    assert_eq!(input["solved"], serde_json::json!([{ "/a": "", "/answer": "42", "/z": "" }]));
    assert_eq!(read("acme-front-2/output.json")["ok"]["warnings"][0]["code"], "Loud");
    assert_eq!(read("acme-front-3/output.json")["err"]["invalid"][0]["at"]["line"], 3);
}
