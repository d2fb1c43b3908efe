//! Build frontends of third parties, from a registry: an image file of its own, and a dialect of Dockerfiles that shares the
//! cache of the bundled frontend.

use std::fs;

use nacre_tests::sandbox::Sandbox;
use serde_json::Value;

use crate::{
    kit::published,
    trees::{shell, tar_entries},
};

/// The context of all builds here.
const CONTEXT: &str = "
    mkdir -p context/lib context/www tool-1/bin && cd context
    echo page > www/index.html; echo start > start.sh
    printf '#!/bin/sh\\n' > ../tool-1/bin/tool; chmod 755 ../tool-1/bin/tool; tar -C .. -czf tool.tar.gz tool-1
    printf '# What every site has.\\nWORKDIR /srv\\nCOPY www www/\\n' > lib/site.docker
    printf 'IF $A == 1\\nINCLUDE site.docker\\n\\nENDIF\\n' > lib/all.docker";

const IMAGE: &str = r##"# syntax=acme/image-toml
base = "scratch"
ignore = ["*.md"]

[[package]]
source = "tool.tar.gz"
folder = "tool-1"
to = "/opt/tool"

[[file]]
path = "/etc/motd"
content = "Welcome.\n"

[[folder]]
path = "/srv/www"
source = "www"
owner = "33:34"
mode = "0750"

[[link]]
path = "/usr/bin/tool"
target = "/opt/tool/bin/tool"

[config]
entrypoint = ["start"]
env = { A = "1" }
ports = ["80"]
"##;

const DIALECT: &str = "# syntax=acme/dockerfile-plus\nFROM scratch\nARG A=1\nINCLUDE lib/all.docker\nCOPY start.sh /\n";
const PLAIN: &str = "FROM scratch\nARG A=1\nWORKDIR /srv\nCOPY www www/\nCOPY start.sh /\n";

/// Builds a file of the context; returns the progress.
fn build(sandbox: &Sandbox, name: &str, text: &str) -> String {
    fs::write(sandbox.path("context").join(name), text).unwrap();
    let file = format!("context/{name}");
    sandbox.nacre(["build", "--progress", "plain", "-t", &format!("{}:1", name.to_lowercase()), "-f", &file, "context"]).ok().stderr
}

/// How many steps were taken from the cache.
fn cached(progress: &str) -> usize {
    progress.lines().filter(|line| line.ends_with(" CACHED")).count()
}

fn id(sandbox: &Sandbox, image: &str) -> String {
    sandbox.nacre(["inspect", "--format", "{{.Id}}", image]).ok().stdout
}

#[test]
fn a_declared_image_is_built_and_then_cached() {
    let Some(user) = published("image-toml", "rust") else { return };
    shell(&user, CONTEXT);
    let first = build(&user, "image.toml", IMAGE);
    assert!(first.contains("link /usr/bin/tool to /opt/tool/bin/tool") && cached(&first) == 0, "{first}");
    user.nacre(["save", "--format", "tarball", "-o", "flat.tar", "image.toml:1"]).ok();
    let files = tar_entries(&fs::read(user.path("flat.tar")).unwrap());
    for path in ["opt/tool/bin/tool", "etc/motd", "srv/www/index.html", "usr/bin/tool"] {
        assert!(files.contains_key(path), "{path} of {:?}", files.keys());
    }
    assert_eq!(user.nacre(["cat", "image.toml:1", "etc/motd"]).ok().stdout, "Welcome.\n");
    let inspected: Value = serde_json::from_str(&user.nacre(["inspect", "image.toml:1"]).ok().stdout).unwrap();
    assert_eq!(inspected[0]["Config"]["Entrypoint"][0], "start");
    assert_eq!(inspected[0]["RootFS"]["Layers"].as_array().map(Vec::len), Some(4));
    let image = id(&user, "image.toml:1");
    let second = build(&user, "image.toml", IMAGE);
    assert_eq!(cached(&second), 5, "the layers and what the package was unpacked to: {second}");
    assert_eq!(id(&user, "image.toml:1"), image);
    fs::write(user.path("context/www/index.html"), "new").unwrap();
    assert_eq!(cached(&build(&user, "image.toml", IMAGE)), 3, "what comes before the folder");
}

#[test]
fn a_mistake_in_a_declared_image_is_shown() {
    let Some(user) = published("image-toml", "rust") else { return };
    fs::write(user.path("image.toml"), "# syntax=acme/image-toml\n[[file]]\npath = \"etc/motd\"\ncontent = \"\"\n").unwrap();
    let said = user.nacre(["build", "-f", "image.toml", "."]).fails(1).stderr;
    let lines = "--> image.toml:3\n  |\n3 | path = \"etc/motd\"\n  |        ^^^^^^^^^^\n  = help: begin it with /\n";
    assert!(said.contains("\"etc/motd\" is not absolute") && said.contains(lines), "{said}");
}

#[test]
fn a_dialect_shares_the_cache_of_dockerfiles() {
    let Some(user) = published("dockerfile-plus", "rust") else { return };
    shell(&user, CONTEXT);
    assert_eq!(cached(&build(&user, "Plus", DIALECT)), 0);
    let plain = build(&user, "Plain", PLAIN);
    assert_eq!(cached(&plain), 3, "{plain}");
    assert_eq!(id(&user, "plus:1"), id(&user, "plain:1"), "the same steps make the same image");
    assert_eq!(cached(&build(&user, "Plus", DIALECT)), 3);
    let other = build(&user, "Plus", &DIALECT.replace("A=1", "A=2"));
    assert!(!other.contains("COPY www"), "the condition does not hold: {other}");
}

#[test]
fn a_mistake_is_shown_in_the_included_file() {
    let Some(user) = published("dockerfile-plus", "rust") else { return };
    shell(&user, CONTEXT);
    let said = |text: &str| {
        fs::write(user.path("context/lib/site.docker"), text).unwrap();
        fs::write(user.path("context/Dockerfile"), DIALECT).unwrap();
        user.nacre(["build", "context"]).fails(1).stderr
    };
    let mistake = said("WORKDIR /srv\nCOPY --form=a b c\n");
    assert!(mistake.contains("unknown flag: --form (did you mean from?)") && mistake.contains("lib/site.docker:2"), "{mistake}");
    // What nacre itself finds has its place too.
    let missing = said("\n\nCOPY missing /\n");
    assert!(missing.contains("lib/site.docker:3") && missing.contains("/missing"), "{missing}");
    assert!(said("INCLUDE all.docker\n").contains("files include each other"));
}
