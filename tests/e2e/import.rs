//! `nacre import`: from every place, in every format, and what the image is like then.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    thread,
};

use nacre_oci::Digest;
use nacre_tests::{peers::available, sandbox::Sandbox};
use serde_json::{Value, json};

use crate::{
    fixture::{assert_whole, tree},
    support::{store, whole},
    trees::{self, MTIME, entries, expected, layers, plain, shell},
};

/// A sandbox with a tree and a tar archive of it, `tree.tar`.
fn with_tar() -> Sandbox {
    let sandbox = Sandbox::new();
    trees::make(&sandbox);
    shell(&sandbox, "tar --sort=name -C tree -cf tree.tar .");
    sandbox
}

/// Imports and returns the printed id.
#[track_caller]
fn import(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = sandbox.nacre([&["import"], arguments].concat()).ok();
    let id = output.stdout.strip_suffix('\n').unwrap().to_owned();
    assert!(id.parse::<Digest>().is_ok(), "{}", output.stdout);
    id
}

fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    let all: Value = serde_json::from_str(&sandbox.nacre(["inspect", name]).ok().stdout).unwrap();
    all[0].clone()
}

#[test]
fn an_archive_in_any_compression_is_the_same_layer() {
    let sandbox = with_tar();
    let tar = fs::read(sandbox.path("tree.tar")).unwrap();
    for (line, file, media_type, kept) in [
        ("true", "tree.tar", "tar+gzip", false),
        ("gzip -k tree.tar", "tree.tar.gz", "tar+gzip", true),
        ("zstd -q tree.tar", "tree.tar.zst", "tar+zstd", true),
        ("xz -k tree.tar", "tree.tar.xz", "tar+gzip", false),
        ("bzip2 -k tree.tar", "tree.tar.bz2", "tar+gzip", false),
    ] {
        shell(&sandbox, line);
        let id = import(&sandbox, &[file, "app:1"]);
        assert_eq!(store(&sandbox).find("app:1").unwrap().image.id.to_string(), id);
        let layer = layers(&sandbox, "app:1").remove(0);
        assert!(layer.media_type.ends_with(media_type), "{file}: {}", layer.media_type);
        assert!(plain(&sandbox, &layer) == tar, "{file}: another tar");
        let own = Digest::of(&fs::read(sandbox.path(file)).unwrap());
        assert_eq!(layer.digest == own, kept, "{file}: a compressed layer is kept as it is");
        assert_eq!(inspect(&sandbox, "app:1")["RootFS"]["Layers"], json!([Digest::of(&tar).to_string()]), "{file}");
    }
    whole(&sandbox);
}

#[test]
fn layers_are_compressed_as_wanted() {
    let sandbox = with_tar();
    for (how, media_type) in [("gzip", "tar+gzip"), ("zstd", "tar+zstd"), ("none", ".tar")] {
        import(&sandbox, &["--compress", how, "tree.tar", "app:1"]);
        let layer = layers(&sandbox, "app:1").remove(0);
        assert!(layer.media_type.ends_with(media_type), "{how}: {}", layer.media_type);
    }
    assert_eq!(entries(&sandbox, "app:1"), expected(&sandbox));
    whole(&sandbox);
}

#[test]
fn standard_input_is_a_file_or_a_pipe() {
    let sandbox = with_tar();
    let bytes = fs::read(sandbox.path("tree.tar")).unwrap();
    let id = sandbox.run(sandbox.command(["import", "-", "piped:1"]), &bytes).ok();
    assert!(id.stderr.contains("-: Imported"), "{}", id.stderr);
    let nacre = sandbox.command([""; 0]).get_program().to_owned();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "\"$NACRE\" import - redirected:1 < tree.tar"]).env("NACRE", nacre).env("NACRE_ROOT", sandbox.root());
    command.env("HOME", sandbox.path("home")).current_dir(sandbox.path(""));
    sandbox.run(command, b"").ok();
    assert_eq!(layers(&sandbox, "piped:1"), layers(&sandbox, "redirected:1"));
    assert_eq!(inspect(&sandbox, "piped:1")["Comment"], "Imported from -");
    let empty = sandbox.nacre(["import", "-", "empty:1"]).fails(1);
    assert!(empty.stderr.contains("standard input") && empty.stderr.lines().count() == 1, "{}", empty.stderr);
    assert_whole(&sandbox);
}

/// Serves the archive as `/rootfs.tar`, and `/moved` leads there.
fn server(tar: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let mut answer = |head: &str, body: &[u8]| {
                let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body));
            };
            match head.split(['/', '?', ' ']).nth(2).unwrap_or_default() {
                "moved" => answer("302 Found\r\nLocation: /rootfs.tar", b"x"),
                "rootfs.tar" => answer("200 OK", &tar),
                _ => answer("404 Not Found", b"x"),
            }
        }
    });
    address
}

#[test]
fn a_url_is_followed_and_its_secrets_are_not_kept() {
    let sandbox = with_tar();
    let address = server(fs::read(sandbox.path("tree.tar")).unwrap());
    import(&sandbox, &[&format!("http://{address}/moved?signature=hidden"), "web:1"]);
    assert_eq!(entries(&sandbox, "web:1"), expected(&sandbox));
    assert_eq!(inspect(&sandbox, "web:1")["Comment"], format!("Imported from http://{address}/moved"));
    let gone = sandbox.nacre(["import", &format!("http://{address}/gone"), "web:2"]).fails(1);
    assert_eq!(gone.stderr, format!("nacre: http://{address}/gone was not found\n"));
    let nobody = sandbox.nacre(["import", "http://127.0.0.1:1/x.tar"]).fails(1);
    assert!(nobody.stderr.contains("127.0.0.1:1") && nobody.stderr.lines().count() == 1, "{}", nobody.stderr);
    assert_whole(&sandbox);
}

#[test]
fn history_message_platform_and_time_are_as_wanted() {
    let sandbox = with_tar();
    import(&sandbox, &["tree.tar", "plain:1"]);
    let image = inspect(&sandbox, "plain:1");
    assert_eq!((&image["Comment"], &image["Os"]), (&json!("Imported from tree.tar"), &json!("linux")));
    import(&sandbox, &["-m", "first", "--platform", "linux/arm/v6", "tree.tar", "other:1"]);
    let image = inspect(&sandbox, "other:1");
    assert_eq!((&image["Comment"], &image["Architecture"], &image["Variant"]), (&json!("first"), &json!("arm"), &json!("v6")));
    let rows = sandbox.nacre(["history", "--format", "{{.Comment}}|{{.CreatedBy}}|{{.Size}}", "other:1"]).ok();
    assert!(rows.lines().len() == 1 && rows.stdout.starts_with("first||"), "{}", rows.stdout);
    let mut dated = sandbox.command(["import", "tree.tar", "dated:1"]);
    dated.env("SOURCE_DATE_EPOCH", MTIME.to_string());
    let first = sandbox.run(dated, b"").ok().stdout;
    let mut again = sandbox.command(["import", "tree.tar", "again:1"]);
    again.env("SOURCE_DATE_EPOCH", MTIME.to_string());
    assert_eq!(sandbox.run(again, b"").ok().stdout, first, "the same input gives the same image");
    assert_eq!(inspect(&sandbox, "dated:1")["Created"], "2023-11-14T22:13:20Z");
    let mut wrong = sandbox.command(["import", "tree.tar"]);
    wrong.env("SOURCE_DATE_EPOCH", "today");
    assert!(sandbox.run(wrong, b"").fails(1).stderr.contains("SOURCE_DATE_EPOCH"));
}

#[test]
fn an_image_without_a_name_dangles_and_a_taken_name_moves() {
    let sandbox = with_tar();
    let id = import(&sandbox, &["tree.tar"]);
    assert!(store(&sandbox).find(&id).unwrap().image.is_dangling());
    let old = import(&sandbox, &["tree.tar", "app"]);
    let moved = sandbox.nacre(["image", "import", "-q", "-m", "new", "tree.tar", "app:latest"]).ok();
    assert_eq!(moved.stderr, format!("nacre: the image app:latest already exists, renaming the old one with ID {old} to empty string\n"));
    assert_eq!(moved.stdout.lines().count(), 1);
    assert!(store(&sandbox).find(&old).unwrap().image.is_dangling());
}

#[test]
fn changes_are_made_in_their_order() {
    let sandbox = with_tar();
    import(&sandbox, &["-c", "ENV A=1 B=\"2 3\"", "--change", "CMD [\"/bin/run\"]", "-c", "WORKDIR /srv/$A", "tree.tar", "app:1"]);
    let config = &inspect(&sandbox, "app:1")["Config"];
    assert_eq!(config["Env"], json!(["A=1", "B=2 3"]));
    assert_eq!((&config["Cmd"], &config["WorkingDir"]), (&json!(["/bin/run"]), &json!("/srv/1")));
    let before = tree(&sandbox);
    let refused = sandbox.nacre(["import", "-c", "RUN x", "no-such.tar"]).fails(1);
    let known = "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR";
    assert_eq!(refused.stderr, format!("nacre: the change 'RUN x' is not supported: a change is one of {known}\n"));
    assert_eq!(tree(&sandbox), before);
}

#[test]
fn every_bundled_format_gives_the_same_tree() {
    let sandbox = with_tar();
    let wanted = expected(&sandbox);
    for (tool, line, file) in [
        ("cpio", "cd tree && find . | sort | cpio --quiet -o -H newc > ../tree.cpio", "tree.cpio"),
        ("gzip", "gzip -k tree.cpio", "tree.cpio.gz"),
        ("gzip", "truncate -s +509 tree.cpio.gz", "tree.cpio.gz"),
        ("cpio", "cat tree.cpio tree.cpio.gz > initrd && truncate -s +4 initrd", "initrd"),
        ("cpio", "cd tree && find . | sort | cpio --quiet -o -H odc > ../tree.odc", "tree.odc"),
        ("mksquashfs", "mksquashfs tree tree.sqfs -quiet -no-progress -comp gzip", "tree.sqfs"),
        ("mksquashfs", "mksquashfs tree tree.zstd.sqfs -quiet -no-progress -comp zstd", "tree.zstd.sqfs"),
        ("mkfs.ext4", "mkfs.ext4 -q -d tree tree.ext4 16M", "tree.ext4"),
    ] {
        if !available(tool) {
            continue;
        }
        shell(&sandbox, line);
        import(&sandbox, &[file, "app:1"]);
        let mut found = entries(&sandbox, "app:1");
        found.remove("lost+found");
        assert_eq!(found, wanted, "{file}");
    }
    whole(&sandbox);
}

#[test]
fn zip_keeps_what_it_has() {
    let sandbox = with_tar();
    if !available("zip") {
        return;
    }
    shell(&sandbox, "cd tree && zip -q -X -r -y ../tree.zip .");
    import(&sandbox, &["tree.zip", "app:1"]);
    let (found, wanted) = (entries(&sandbox, "app:1"), expected(&sandbox));
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for path in ["bin/run", "usr/share/a name with blanks and \u{e9}", "usr/share/zeros"] {
        let content = |text: &str| text.rsplit(' ').next().unwrap().to_owned();
        assert_eq!(content(&found[path]), content(&wanted[path]), "{path}");
    }
    assert!(found["bin/run"].starts_with("file 755 ") && found["bin/link"].starts_with("link ../etc/passwd "), "{found:?}");
}

#[test]
fn debian_packages_become_one_root_filesystem() {
    let sandbox = Sandbox::new();
    if !available("dpkg-deb") {
        return;
    }
    for (name, path) in [("one", "usr/bin/one"), ("two", "usr/share/two")] {
        shell(&sandbox, &format!("mkdir -p {name}/DEBIAN {name}/$(dirname {path}) && echo {name} > {name}/{path}"));
        let control = format!("Package: {name}\nVersion: 1.0\nArchitecture: arm64\nMaintainer: x <x@example.com>\nDescription: x\n");
        fs::write(sandbox.path(&format!("{name}/DEBIAN/control")), control).unwrap();
        shell(&sandbox, &format!("dpkg-deb --root-owner-group -b {name} {name}.deb"));
    }
    import(&sandbox, &["--add", "two.deb", "one.deb", "app:1"]);
    let all: Vec<String> =
        layers(&sandbox, "app:1").iter().flat_map(|layer| trees::tar_entries(&plain(&sandbox, layer)).into_keys()).collect();
    for path in ["usr/bin/one", "usr/share/two"] {
        assert!(all.iter().any(|one| one == path), "{path} is not in {all:?}");
    }
    assert_eq!(inspect(&sandbox, "app:1")["Architecture"], "arm64");
    whole(&sandbox);
}

#[test]
fn a_component_is_wrapped() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("app.wasm"), wat::parse_str("(component)").unwrap()).unwrap();
    import(&sandbox, &["app.wasm", "app:1"]);
    let image = inspect(&sandbox, "app:1");
    assert_eq!((&image["Os"], &image["Architecture"]), (&json!("wasip2"), &json!("wasm")), "{image}");
    assert_eq!(entries(&sandbox, "app:1").len(), 1);
}

#[test]
fn an_interrupted_import_leaves_nothing() {
    let sandbox = with_tar();
    let bytes = fs::read(sandbox.path("tree.tar")).unwrap();
    import(&sandbox, &["-q", "tree.tar", "app:1"]);
    let before = tree(&sandbox);
    let piped = || Stdio::piped();
    let mut child = sandbox.command(["import", "-q", "-"]).stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
    // Nothing comes any more after half of it.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&bytes[..bytes.len() / 2]).unwrap();
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(1), "nacre: cancelled\n"));
    drop(stdin);
    // What an upload that nobody goes on with has left is swept by the next prune.
    sandbox.nacre(["image", "prune", "-f"]).ok();
    let names = |tree: &BTreeMap<PathBuf, Digest>| {
        tree.keys().filter(|path| path.starts_with(sandbox.root().join("blobs"))).cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&tree(&sandbox)), names(&before));
    assert_whole(&sandbox);
}

#[test]
fn what_cannot_be_imported_ends_in_one_line_and_leaves_nothing() {
    let sandbox = with_tar();
    import(&sandbox, &["tree.tar", "app:1"]);
    shell(&sandbox, "gzip -k tree.tar; head -c 100000 tree.tar.gz > cut.tar.gz; head -c 100000 tree.tar > cut.tar; echo hello > text");
    let mut flipped = fs::read(sandbox.path("tree.tar.gz")).unwrap();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    fs::write(sandbox.path("flipped.tar.gz"), flipped).unwrap();
    shell(
        &sandbox,
        "cd tree && find . | sort | cpio --quiet -o -H newc | gzip > ../junk.cpio.gz; printf '\\0\\0\\0junk' >> ../junk.cpio.gz",
    );
    let formats = "cpio, deb, ext4, oci-wasm, squashfs, tarball, zip";
    for (arguments, part) in [
        (&["no-such.tar"][..], "cannot read no-such.tar: No such file"),
        (&["tree"], "tree is a folder: pack it first"),
        (&["text"], "text has none of the formats that are known"),
        (&["--format", "rpm", "tree.tar"], &format!("unknown import format 'rpm': known are {formats}")),
        (&["--format", "zip", "tree.tar"], "plugin nacre/zip: "),
        (&["--format", "squashfs", "tree.tar"], "plugin nacre/squashfs: "),
        (&["--format", "ext4", "tree.tar"], "plugin nacre/ext4: "),
        (&["--format", "cpio", "tree.tar"], "plugin nacre/cpio: "),
        (&["--format", "deb", "tree.tar"], "plugin nacre/deb: "),
        (&["--format", "oci-wasm", "tree.tar"], "plugin nacre/oci-wasm: "),
        (&["--opt", "level=3", "tree.tar"], "unknown option 'level'"),
        (&["--opt", "level", "tree.tar"], "bad format of option 'level'"),
        (&["--add", "no-such", "tree.tar"], "cannot read no-such"),
        (&["cut.tar.gz"], ""),
        (&["cut.tar"], ""),
        (&["flipped.tar.gz"], ""),
        (&["junk.cpio.gz"], "the gzip data is"),
        (&["tree.tar", "UPPER"], "UPPER"),
        (&["tree.tar", "a@sha256:0000000000000000000000000000000000000000000000000000000000000000"], "names a digest"),
    ] {
        let before = tree(&sandbox);
        let failed = sandbox.nacre([&["import", "-q"], arguments].concat()).fails(1);
        assert!(failed.stderr.contains(part) && failed.stderr.lines().count() == 1, "{arguments:?}: {}", failed.stderr);
        assert_eq!(failed.stdout, "");
        assert_eq!(tree(&sandbox), before, "{arguments:?} left something");
    }
    assert_whole(&sandbox);
}
