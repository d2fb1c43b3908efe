//! What a plugin reaches beyond its arguments, with and without the capability for it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use nacre_layer::{Compression, Spool};
use nacre_oci::{Digest, Memory, Reference};
use nacre_plugin::{Answer, Cell, GuestError, ImageBuilder, ImageView, Kv, Platform, Plugins, Reach, Settings, Summary, Terminal};
use nacre_tests::images::{Recipe, image};
use support::guest;
use tempfile::TempDir;
use url::Url;

const ALL: &str =
    "store = 'write'\nregistries = ['*']\nnet = ['a.example', 'b.example:8080', 'local.example', '127.0.0.1:8080']\ncontext = ['src/**']";

/// What happened outside, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// An outside that exists in this test alone, and writes down what it was asked for.
struct Double {
    log: Log,
    folder: PathBuf,
    /// The redirects of the web; everything else has its URL as its body.
    web: BTreeMap<&'static str, &'static str>,
}

impl Double {
    fn did(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    fn view(&self, name: &str) -> Result<ImageView, GuestError> {
        let memory = Memory::new();
        let root = image(&memory, &Recipe::default());
        Ok(ImageView::open(Arc::new(memory), &root, name, &Spool::new(&self.folder))?)
    }
}

impl Reach for Double {
    fn summaries(&mut self) -> Result<Vec<Summary>, GuestError> {
        Ok(vec![Summary { names: vec!["docker.io/library/app:1".into()], ..Summary::default() }])
    }

    fn open(&mut self, name: &str, _platform: Option<&Platform>) -> Result<ImageView, GuestError> {
        if name == "ghost" { Err(GuestError::NotFound("image ghost".into())) } else { self.view(name) }
    }

    fn create(&mut self) -> Result<ImageBuilder, GuestError> {
        Ok(ImageBuilder::new(Arc::new(Memory::new()), Compression::Gzip))
    }

    fn commit(&mut self, image: ImageBuilder, name: &str) -> Result<Digest, GuestError> {
        let built = image.finish()?;
        self.did(format!("commit {name} {} {}", built.layers.len(), built.layers[0].1));
        Ok(built.layers[0].0.descriptor.digest.clone())
    }

    fn tag(&mut self, image: &str, name: &str) -> Result<(), GuestError> {
        self.did(format!("tag {image} {name}"));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<Vec<String>, GuestError> {
        self.did(format!("remove {name}"));
        Ok(vec![format!("Untagged: {name}")])
    }

    fn tags(&mut self, repository: &Reference) -> Result<Vec<String>, GuestError> {
        self.did(format!("tags {repository}"));
        Ok(vec!["1".into(), "2".into()])
    }

    fn open_remote(&mut self, name: &Reference, _platform: Option<&Platform>) -> Result<ImageView, GuestError> {
        self.did(format!("pull {name}"));
        self.view(&name.to_string())
    }

    fn resolve(&mut self, host: &str, port: u16) -> Result<Vec<SocketAddr>, GuestError> {
        let addresses: &[&str] = match host {
            "a.example" => &["192.168.0.1", "93.184.216.34"],
            "local.example" => &["10.0.0.7", "169.254.169.254"],
            "127.0.0.1" => &["127.0.0.1"],
            _ => &["93.184.216.35"],
        };
        Ok(addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect())
    }

    fn get(&mut self, url: &Url, addresses: &[SocketAddr]) -> Result<Answer, GuestError> {
        self.did(format!("get {url} {addresses:?}"));
        Ok(match self.web.get(url.as_str()) {
            Some(to) => Answer::Moved((*to).to_owned()),
            None => Answer::Body(Box::new(std::io::Cursor::new(format!("body of {url}")))),
        })
    }

    fn folder(&mut self) -> Result<PathBuf, GuestError> {
        Ok(self.folder.clone())
    }

    fn spool(&mut self) -> Result<Spool, GuestError> {
        Ok(Spool::new(&self.folder))
    }
}

/// A terminal that writes everything down.
struct Paper(Log);

impl Paper {
    fn did(&self, what: String) -> Result<(), GuestError> {
        self.0.lock().unwrap().push(what);
        Ok(())
    }
}

impl Terminal for Paper {
    fn text(&mut self, line: &str) -> Result<(), GuestError> {
        self.did(line.to_owned())
    }

    fn table(&mut self, columns: &[String], rows: Vec<Vec<Cell>>) -> Result<(), GuestError> {
        self.did(format!("{columns:?} {rows:?}"))
    }

    fn write(&mut self, content: &mut dyn Read) -> Result<(), GuestError> {
        let mut text = String::new();
        content.read_to_string(&mut text).unwrap();
        self.did(text)
    }

    fn note(&mut self, line: &str) {
        _ = self.did(format!("note: {line}"));
    }

    fn confirm(&mut self, question: &str) -> Result<bool, GuestError> {
        self.did(format!("{question}?")).map(|()| true)
    }
}

/// The plugin with these capabilities, and what surrounds it.
struct World {
    author: TempDir,
    plugins: Plugins,
    folder: TempDir,
    outside: Log,
}

/// The plugin as its author runs it: with all that it asks for.
fn open(author: &TempDir) -> Plugins {
    Plugins::open(author.path(), &author.path().join("cache"), &Settings::default()).unwrap()
}

impl World {
    fn new(capabilities: &str) -> World {
        let manifest = format!(
            "plugin = {{ name = 'acme/reach', version = '1.0.0', api = '0.1' }}\nlimits = {{ time = '20s' }}\n\
             [[command]]\nname = 'reach'\nabout = 'x'\n[capabilities]\n{capabilities}"
        );
        let author = tempfile::tempdir().unwrap();
        std::fs::write(author.path().join("plugin.toml"), manifest).unwrap();
        std::fs::write(author.path().join("plugin.wasm"), guest("tests/guests", "reach")).unwrap();
        let plugins = open(&author);
        let (folder, outside) = (tempfile::tempdir().unwrap(), Log::default());
        let (at, log) = (folder.path().to_owned(), Arc::clone(&outside));
        plugins.reach_by(Arc::new(move || {
            let web = [
                ("https://a.example/relative", "/there?x"),
                ("https://a.example/other", "https://b.example:8080/"),
                ("https://a.example/evil", "https://evil.example/"),
                ("https://a.example/port", "https://a.example:8443/"),
                ("https://a.example/file", "file:///etc/passwd"),
                ("https://a.example/plain", "http://a.example/"),
                ("https://a.example/loop", "/loop"),
                ("https://a.example/private", "https://local.example/"),
                ("https://a.example/user", "https://u:p@a.example/"),
            ];
            Box::new(Double { log: Arc::clone(&log), folder: at.clone(), web: web.into() })
        }));
        World { author, plugins, folder, outside }
    }

    /// What the command shows, or its error without the plugin's name.
    fn run(&self, what: &str, with: &str) -> Result<(u8, Vec<String>), String> {
        let shown = Log::default();
        let args = [Kv::new("what", what), Kv::new("with", with)];
        let code = self.plugins.get("reach").unwrap().run("reach", &args, Box::new(Paper(Arc::clone(&shown))));
        let shown = shown.lock().unwrap().clone();
        code.map(|code| (code, shown)).map_err(|error| error.to_string().replacen("plugin acme/reach: ", "", 1))
    }

    /// The one line that it prints.
    #[track_caller]
    fn says(&self, what: &str, with: &str) -> String {
        let (code, shown) = self.run(what, with).unwrap();
        assert_eq!((code, shown.len(), shown[0].as_str()), (0, 2, "note: about to say it"));
        shown[1].clone()
    }

    #[track_caller]
    fn fails(&self, what: &str, with: &str) -> String {
        self.run(what, with).unwrap_err()
    }

    /// What happened outside since the last time.
    fn outside(&self) -> Vec<String> {
        std::mem::take(&mut self.outside.lock().unwrap())
    }
}

#[test]
fn what_is_granted_is_reached() {
    let world = World::new(ALL);
    assert_eq!(world.says("list", ""), "docker.io/library/app:1");
    assert_eq!(world.says("open", "app"), "app 1 etc,etc/hello");
    assert!(world.says("make", "new:1").starts_with("sha256:"));
    assert_eq!(world.says("tag", "new:2"), "tagged");
    assert_eq!(world.says("remove", "new:2"), "Untagged: new:2");
    assert_eq!(world.says("tags", "ghcr.io/acme/app"), "1 2");
    assert_eq!(world.says("pull", "nginx:1"), "docker.io/library/nginx:1 1 etc,etc/hello");
    let expected = ["commit new:1 1 made", "tag it new:2", "remove new:2", "tags ghcr.io/acme/app", "pull docker.io/library/nginx:1"];
    assert_eq!(world.outside(), expected);
}

#[test]
fn a_component_that_imports_more_than_it_was_granted_is_not_run() {
    let error = World::new("store = 'read'").fails("list", "");
    for interface in ["store-write", "registry", "fetch", "context"] {
        assert!(error.contains(&format!("nacre:plugin/{interface}@0.1.0")), "{error}");
    }
    assert!(!error.contains("nacre:plugin/store@"), "{error}");
}

#[test]
fn a_registry_that_was_not_granted_is_not_asked() {
    let world = World::new(&ALL.replace("'*'", "'ghcr.io'"));
    assert_eq!(world.says("tags", "ghcr.io/acme/app"), "1 2");
    assert_eq!(world.outside().len(), 1);
    let denied = "denied: not allowed to speak to the registry docker.io: it needs the capability registries = [\"docker.io\"]";
    assert_eq!((world.fails("tags", "nginx"), world.fails("pull", "nginx")), (denied.into(), denied.into()));
    assert!(world.fails("tags", "NO NAME").contains("invalid reference"));
    assert!(world.outside().is_empty());
}

#[test]
fn a_plugin_can_deal_with_what_is_not_there() {
    let world = World::new(ALL);
    assert_eq!(world.fails("open", "ghost"), "not found: image ghost");
    assert!(world.says("endure", "ghost").contains("image ghost"));
    let error = world.fails("open-all", "app");
    assert!(error.contains("handles"), "{error}");
}

#[test]
fn a_fetch_goes_to_the_addresses_that_were_checked() {
    let world = World::new(ALL);
    assert_eq!(world.says("fetch", "https://a.example/x"), "body of https://a.example/x");
    assert_eq!(world.says("fetch", "http://b.example:8080"), "body of http://b.example:8080/");
    assert_eq!(world.says("fetch", "http://0x7f.1:8080/"), "body of http://127.0.0.1:8080/");
    let expected = [
        "get https://a.example/x [93.184.216.34:443]",
        "get http://b.example:8080/ [93.184.216.35:8080]",
        "get http://127.0.0.1:8080/ [127.0.0.1:8080]",
    ];
    assert_eq!(world.outside(), expected);
}

#[test]
fn a_fetch_that_was_not_granted_asks_nobody() {
    let world = World::new(ALL);
    for (url, why) in [
        ("https://evil.example/", "to fetch from evil.example: it needs the capability net = [\"evil.example\"]"),
        ("https://a.example:8443/", "to fetch from a.example:8443"),
        ("https://b.example/", "to fetch from b.example:"),
        ("ftp://a.example/", "to fetch from ftp: only http and https"),
        ("https://sub.a.example/", "to fetch from sub.a.example"),
        ("http://127.0.0.1/", "to fetch from 127.0.0.1:"),
        ("http://[::ffff:127.0.0.1]:8080/", "to fetch from [::ffff:7f00:1]:8080"),
        ("https://local.example/", "to connect to 10.0.0.7, which is no public address"),
    ] {
        let error = world.fails("fetch", url);
        assert!(error.starts_with(&format!("denied: not allowed {why}")), "{url}: {error}");
    }
    for (url, why) in [("nowhere", "is no URL"), ("https://u@a.example/", "sends no credentials"), ("data:text/plain,x", "has no host")] {
        let error = world.fails("fetch", url);
        assert!(error.contains(why), "{url}: {error}");
    }
    assert!(world.outside().is_empty());
}

#[test]
fn each_redirect_is_checked_anew() {
    let world = World::new(ALL);
    assert_eq!(world.says("fetch", "https://a.example/relative"), "body of https://a.example/there?x");
    assert_eq!(world.says("fetch", "https://a.example/other"), "body of https://b.example:8080/");
    world.outside();
    for (path, why) in [
        ("evil", "denied: not allowed to fetch from evil.example:"),
        ("port", "denied: not allowed to fetch from a.example:8443"),
        ("file", "denied: not allowed to follow the redirect from https://a.example/file to file:///etc/passwd: it is not encrypted"),
        ("plain", "denied: not allowed to follow the redirect"),
        ("private", "denied: not allowed to connect to 10.0.0.7"),
        ("user", "https://u:p@a.example/ has a user in it"),
    ] {
        let error = world.fails("fetch", &format!("https://a.example/{path}"));
        assert!(error.starts_with(why), "{path}: {error}");
        assert_eq!(world.outside().len(), 1, "{path}: only the first hop was asked");
    }
    assert_eq!(world.fails("fetch", "https://a.example/loop"), "over a limit: https://a.example/loop is redirected more than 5 times");
    assert_eq!(world.outside().len(), 6);
}

#[test]
fn files_are_read_where_a_glob_allows_it() {
    let world = World::new(ALL);
    let at = |path: &str| world.folder.path().join(path);
    std::fs::create_dir_all(at("src/deep")).unwrap();
    std::fs::write(at("src/deep/a"), "deep").unwrap();
    std::fs::write(at("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", at("src/link")).unwrap();
    std::os::unix::fs::symlink("/etc", at("src/etc")).unwrap();
    assert_eq!((world.says("files", ""), world.says("read", "src/deep/a")), ("src/deep/a".into(), "deep".into()));
    for (path, why) in [
        ("secret", "denied: not allowed to read the file secret: it needs the capability context with a glob that matches it"),
        ("src/../secret", "denied: not allowed to read the file"),
        ("/etc/passwd", "denied: not allowed to read the file"),
        ("", "denied: not allowed to read the file"),
        ("src/link", "denied: src/link is a link"),
        ("src/etc/passwd", "denied: src/etc/passwd is a link or lies behind one"),
        ("src/deep", "src/deep is not a file"),
        ("src/nothing", "not found: src/nothing"),
    ] {
        let error = world.fails("read", path);
        assert!(error.starts_with(why), "{path}: {error}");
    }
}

#[test]
fn a_command_has_a_terminal() {
    let world = World::new(ALL);
    assert_eq!(world.run("exit", "").unwrap(), (7, vec![]));
    assert_eq!(world.run("write", "https://a.example/w").unwrap().1, ["body of https://a.example/w"]);
    assert_eq!(world.run("confirm", "Really").unwrap().1, ["Really?", "note: about to say it", "true"]);
    let (_, shown) = world.run("table", "A,B,C,D,E,F").unwrap();
    let cells = "[[None, Text(\"a\\u{1b}[2Jb\"), Number(-1), Size(7800000), Time(0), Flag(true)]]";
    assert_eq!(shown, [format!("[\"A\", \"B\", \"C\", \"D\", \"E\", \"F\"] {cells}")]);
    assert_eq!(world.fails("table", "A,B"), "a row has 6 cells, the table 2 columns");
    assert!(world.fails("table", "A,B,C,D,E,{{.}}").contains("want a word"));
    assert_eq!(world.fails("dance", ""), "no way to dance");
    let other = world.plugins.get("reach").unwrap().run("other", &[], Box::new(Paper(Log::default())));
    assert_eq!(other.unwrap_err().to_string(), "plugin acme/reach: cannot be called: it has no command other");
}

#[test]
fn without_an_outside_there_is_nothing_to_reach() {
    let world = World::new(ALL);
    let plugins = open(&world.author);
    let args = [Kv::new("what", "list")];
    let error = plugins.get("reach").unwrap().run("reach", &args, Box::new(Paper(Log::default()))).unwrap_err();
    assert_eq!(error.to_string(), "plugin acme/reach: unsupported: there is nothing to reach in this call");
}
