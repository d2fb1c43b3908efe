//! The files of containers that run.

use std::{
    fs,
    io::{self, Write},
    sync::Barrier,
    time::Duration,
};

use nacre_layer::Entry;
use nacre_oci::Error;
use nacre_runtime::{Control, CopyIn, Mount, MountKind, Outcome, Run};

use crate::{
    Stopped, changes, copy_in, entries, export, layer, mount, names, out,
    support::{can_run, file, folder},
    tar, volume,
};

/// A container whose program runs a script, and then goes on for ever.
struct Running(Stopped);

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

impl Running {
    fn new(script: &str, mounts: Vec<Mount>) -> Self {
        let mut stopped = Stopped::new(mounts);
        stopped.boot.run = Run { mounts: stopped.boot.run.mounts, ..stopped.bench.script(&format!("{script}\n touch /ready; sleep 1000")) };
        let started = stopped.sandbox.start(&stopped.boot, false).unwrap();
        assert!(matches!(started.outcome, Outcome::Running(None)), "{started:?}");
        let running = Self(stopped);
        let ready = |_| {
            std::thread::sleep(Duration::from_millis(10));
            running.0.files().stat("/ready").is_ok()
        };
        assert!((0..1000).any(ready), "the script did not end");
        running
    }

    /// Ends it, and waits till all is done.
    fn end(&self) {
        let control = || Control::connect(&self.0.bench.path().join("root"), &self.0.boot.id).ok().flatten();
        control().map(|mut control| control.signal(9));
        control().map(Control::wait);
    }
}

#[test]
fn a_running_container_shows_what_it_shows_when_it_is_stopped() {
    if !can_run() {
        return;
    }
    let script = "echo new > /srv/new; ln /srv/new /srv/hard; rm /srv/a; mkdir -p /srv/deep/er; chmod 700 /etc; rm -r /home; mkdir /home; \
        echo v > /vol/x; echo t > /tmp/x";
    let running = Running::new(script, vec![volume("/vol", "0"), mount("/tmp", MountKind::Tmpfs(0))]);
    let mut files = running.0.files();
    let changed = changes(&mut files);
    let want = [
        "C /etc",
        "C /home",
        "D /home/diver",
        "A /ready",
        "C /srv",
        "D /srv/a",
        "A /srv/deep",
        "A /srv/deep/er",
        "A /srv/hard",
        "A /srv/new",
    ];
    assert_eq!(changed, want);
    let made = layer(&mut files).unwrap();
    let exported = export(&mut files);
    assert_eq!(out(&mut files, "/vol", false), ["vol", "vol/x"]);
    assert_eq!(out(&mut files, "/tmp", false), ["tmp", "tmp/x"], "what is in memory is there while it runs");
    assert_eq!(out(&mut files, "/proc", false), ["proc"]);
    assert!(!out(&mut files, "/", false).iter().any(|name| name.starts_with("proc/") || name.starts_with("dev/")));
    assert!(matches!(files.stat("/proc/self/root"), Err(Error::NotFound { .. })));
    copy_in(&mut files, "/vol", &[file("y", b"y")]).unwrap();
    drop(files);
    running.end();
    let mut files = running.0.files();
    assert_eq!(changes(&mut files), changed);
    assert!(layer(&mut files).unwrap() == made, "a layer is the same when it is stopped");
    let of = |entries: &[Entry]| entries.iter().map(|entry| (entry.name(), entry.kind, entry.mode, entry.size)).collect::<Vec<_>>();
    assert_eq!(of(&export(&mut files)), of(&exported));
    assert_eq!(out(&mut files, "/vol", false), ["vol", "vol/x", "vol/y"]);
}

#[test]
fn what_goes_on_changing_is_read_all_the_same() {
    if !can_run() {
        return;
    }
    let busy = "while :; do mkdir /srv/d; echo some text > /srv/d/x; cat /bin/busybox > /srv/big; mv /srv/d/x /srv/y; rmdir /srv/d; \
        ln -s y /srv/d; rm /srv/d; : > /srv/big; done &";
    let running = Running::new(busy, Vec::new());
    let mut files = running.0.files();
    for _ in 0..20 {
        assert!(changes(&mut files).contains(&"A /ready".into()));
        assert!(names(&entries(&layer(&mut files).unwrap())).contains(&"ready".into()));
        assert!(out(&mut files, "/srv", false).contains(&"srv/a".into()));
    }
    assert!(names(&export(&mut files)).contains(&"ready".into()));
}

/// CVE-2018-15664, CVE-2019-14271: a folder that is a link to the host's whenever it matters.
#[test]
fn no_link_of_a_programs_leads_to_the_host() {
    if !can_run() {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("secret"), "of the host").unwrap();
    let swap = format!(
        "mkdir /srv/swap; echo own > /srv/swap/own; ln -s {} /srv/link; \
         while :; do mv /srv/swap /srv/swap2; mv /srv/link /srv/swap; mv /srv/swap /srv/link; mv /srv/swap2 /srv/swap; done &",
        host.path().display()
    );
    let running = Running::new(&swap, Vec::new());
    let mut files = running.0.files();
    let (mut read, mut written) = (0, 0);
    for _ in 0..100 {
        for path in ["/srv/swap", "/srv/swap/.", "/srv/swap/secret", "/srv"] {
            let mut tar = Vec::new();
            if files.copy_out(path, true, &mut tar).is_ok() {
                assert!(!names(&entries(&tar)).iter().any(|name| name.ends_with("secret")), "{path}");
                read += 1;
            }
        }
        let what = tar(&[file("put", b"put"), folder("swap"), file("swap/put", b"put")]);
        for folder in ["/srv/swap", "/srv"] {
            written += usize::from(files.copy_in(folder, &mut what.as_slice(), &CopyIn { replace: true, ..CopyIn::default() }).is_ok());
        }
    }
    assert!(read > 0 && written > 0, "{read} and {written}");
    let held: Vec<_> = fs::read_dir(host.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(held, ["secret"]);
}

/// Takes one piece, and then nothing until it may go on.
struct Stalled<'a> {
    begun: &'a Barrier,
    ended: &'a Barrier,
    calls: usize,
}

impl Write for Stalled<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.calls == 0 {
            self.begun.wait();
            self.ended.wait();
        }
        self.calls += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_client_that_stalls_does_not_keep_a_container_from_ending() {
    if !can_run() {
        return;
    }
    let running = Running::new(":", Vec::new());
    let (begun, ended) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        let exported =
            scope.spawn(|| running.0.files().export(&mut Stalled { begun: &begun, ended: &ended, calls: 0 }).map_err(|e| e.to_string()));
        begun.wait();
        running.end();
        assert!(Control::connect(&running.0.bench.path().join("root"), &running.0.boot.id).unwrap().is_none());
        ended.wait();
        assert!(exported.join().unwrap().is_err());
    });
    assert_eq!(changes(&mut running.0.files()), ["A /ready"]);
}
