//! Images of busybox, and containers of them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nacre_oci::{Digest, Memory, media_type};
use nacre_tests::{
    peers::available,
    sandbox::{Output, Sandbox},
};
use serde_json::{Value, json};

use crate::{fixture::put, trees::shell};

/// How long something may take that is waited for: far more than it needs, to end a test that would hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A root filesystem with busybox, users, and `/data`.
const FILES: &str = "
    mkdir -p base/bin base/etc base/tmp base/root base/home/diver base/data/old base/var/log && cp /usr/bin/busybox base/bin/busybox
    for name in sh ls cat mkdir rm rmdir echo touch chmod chown ln mv cp id env test pwd sed printf mkfifo find sleep true false kill stat head \\
      hostname stty tty wc dd sync ps mount grep tr ip nc readlink; do ln -s busybox base/bin/$name; done
    printf 'root:x:0:0:root:/root:/bin/sh\\ndiver:x:1000:1000::/home/diver:/bin/sh\\n' > base/etc/passwd
    printf 'root:x:0:\\ndiver:x:1000:\\nreef:x:50:diver\\n' > base/etc/group
    chmod 1777 base/tmp; echo old > base/data/old/file; echo gone > base/data/gone; ln -s data base/link; chmod 700 base/root
    find base -exec touch -h -d @1600000000 {} +; tar --sort=name --owner=0 --group=0 -C base -cf base.tar .; rm -r base";

/// A sandbox with the image `sea`, if programs can be run in containers here. Whatever the test leaves is removed with it.
pub(crate) struct Machine(Sandbox);

impl std::ops::Deref for Machine {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let ids = self.0.nacre(["ps", "-aq", "--no-trunc"]);
        let ids = ids.lines();
        if !ids.is_empty() {
            self.0.nacre(["rm", "-f"].iter().chain(&ids));
        }
    }
}

impl Machine {
    /// `None`, with a line that says why, if there is no runc or no busybox.
    pub(crate) fn new() -> Option<Self> {
        if !available("runc") || !available("busybox") {
            return None;
        }
        let sandbox = Sandbox::new();
        shell(&sandbox, FILES);
        let machine = Self(sandbox);
        machine.image("sea", &json!({"Cmd": ["/bin/sh"]}));
        Some(machine)
    }

    /// Another image of the same files.
    pub(crate) fn image(&self, name: &str, config: &Value) -> Digest {
        let memory = Memory::new();
        let tar = fs::read(self.path("base.tar")).unwrap();
        let step = json!({"created": "2026-01-02T03:04:05Z", "created_by": "ADD base.tar /"});
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "author": "Ned Land", "config": config, "history": [step],
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]},
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": memory.add(media_type::OCI_CONFIG, config.to_string().into_bytes()),
            "layers": [memory.add(media_type::OCI_LAYER, tar)],
        });
        let root = memory.add(media_type::OCI_MANIFEST, manifest.to_string().into_bytes());
        put(&self.0, &memory, &root, &[name])
    }

    /// A line of a shell in a new container, which is gone afterwards.
    pub(crate) fn sh(&self, options: &[&str], line: &str) -> Output {
        self.nacre([&["run", "--rm"][..], options, &["sea", "sh", "-c", line]].concat())
    }

    /// Starts a container in the background that waits to be stopped, and returns its id.
    pub(crate) fn waiting(&self, options: &[&str]) -> String {
        self.background(options, "trap 'exit 0' TERM; while :; do sleep 0.05; done")
    }

    /// Starts a container in the background and returns its id.
    pub(crate) fn background(&self, options: &[&str], line: &str) -> String {
        let output = self.nacre([&["run", "-d"][..], options, &["sea", "sh", "-c", line]].concat()).ok();
        output.stdout.trim_end().to_owned()
    }

    /// A field of `container inspect`.
    pub(crate) fn field(&self, container: &str, template: &str) -> String {
        self.nacre(["container", "inspect", "-f", template, container]).ok().stdout.trim_end().to_owned()
    }

    /// The document of `container inspect`.
    pub(crate) fn inspect(&self, container: &str) -> Value {
        serde_json::from_str::<Value>(&self.nacre(["container", "inspect", container]).ok().stdout).unwrap()[0].take()
    }

    /// Nothing is left: no container, no folder of one, no mount, no process, no control group.
    #[track_caller]
    pub(crate) fn assert_clean(&self, ids: &[String]) {
        assert_eq!(self.nacre(["ps", "-aq"]).ok().stdout, "");
        let root = self.root().to_str().unwrap();
        let left = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
        let folders = left(&self.root().join("containers")).into_iter().filter(|path| path.is_dir()).collect::<Vec<_>>();
        assert!(folders.is_empty(), "{folders:?}");
        let runs = left(&self.root().join("trees")).iter().flat_map(|ids| left(&ids.join("runs"))).collect::<Vec<_>>();
        assert!(runs.is_empty(), "{runs:?}");
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(root), "a mount is left");
        eventually("every process has ended", || processes(root).is_empty());
        for id in ids {
            let found = std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("*{id}*")]).output().unwrap();
            assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
        }
    }
}

/// The processes whose command line or working folder names `text`.
pub(crate) fn processes(text: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let line = |path: &Path| {
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        let folder = fs::read_link(path.join("cwd")).unwrap_or_default();
        format!("{} {}", String::from_utf8_lossy(&command).replace('\0', " "), folder.display())
    };
    let own = std::process::id().to_string();
    all.filter(|path| path.file_name().is_some_and(|name| name != own.as_str()))
        .map(|path| line(&path))
        .filter(|line| line.contains(text))
        .collect()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
