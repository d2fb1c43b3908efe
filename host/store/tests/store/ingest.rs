use std::{
    fs,
    io::{self, Cursor, Read},
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use nacre_oci::{Content, Descriptor, Digest, Error, Memory, Result, Silent, Sink, Source, media_type, read_small};
use nacre_store::Acquired;
use nacre_tests::{conformance, images::noise};

use crate::support::{Fixture, files_in};

/// Serves one blob; the connection breaks once after `breaks_at` bytes. Remembers from where it was asked.
struct Flaky {
    bytes: Vec<u8>,
    breaks_at: Mutex<Option<usize>>,
    offsets: Mutex<Vec<u64>>,
}

impl Flaky {
    fn new(bytes: &[u8], breaks_at: Option<usize>) -> Self {
        Self { bytes: bytes.to_vec(), breaks_at: Mutex::new(breaks_at), offsets: Mutex::new(Vec::new()) }
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(Error::Transport { doing: "GET".into(), why: "connection reset".into() }.into())
    }
}

impl Source for Flaky {
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        Err(Error::not_found(name))
    }

    fn open_unverified(&self, _: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.offsets.lock().unwrap().push(offset);
        let from = usize::try_from(offset).unwrap();
        match self.breaks_at.lock().unwrap().take() {
            Some(end) => Ok(Box::new(Cursor::new(self.bytes[from..end].to_vec()).chain(Broken))),
            None => Ok(Box::new(Cursor::new(self.bytes[from..].to_vec()))),
        }
    }
}

#[test]
fn keeps_the_contract_of_source_and_sink() {
    let fixture = Fixture::new();
    conformance::round_trip(&fixture.store, "a:b");
    conformance::refuses_damage(&fixture.store);
    conformance::refuses_damage(&Fixture::new().store.session(Acquired::Pulled).unwrap());
    conformance::staging(&Fixture::new().store.session(Acquired::Pulled).unwrap());
}

#[test]
fn resumes_where_the_connection_broke() {
    let fixture = Fixture::new();
    let bytes = noise(3_000_000, 7);
    let blob = Descriptor::of(media_type::OCI_LAYER, &bytes);
    let source = Flaky::new(&bytes, Some(2_000_000));
    let session = fixture.store.session(Acquired::Pulled).unwrap();
    let error = session.put(&blob, &Content::new(&source, &blob, &Silent)).unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    assert!(!session.contains(&blob).unwrap());
    // Another command, later.
    fixture.other().put(&blob, &Content::new(&source, &blob, &Silent)).unwrap();
    assert_eq!(*source.offsets.lock().unwrap(), [0, 2_000_000]);
    assert!(read_small(&fixture.store, &blob, u64::MAX).unwrap() == bytes);
    assert_eq!(files_in(&fixture.store.root().join("ingest")), 0);
}

#[test]
fn a_damaged_partial_is_thrown_away_once() {
    let fixture = Fixture::new();
    let bytes = noise(10_000, 3);
    let blob = Descriptor::of(media_type::OCI_LAYER, &bytes);
    let partial = fixture.store.root().join(format!("ingest/sha256-{}", blob.digest.hex()));
    for (left, offsets) in [
        (vec![0_u8; 4_000], vec![4_000_u64, 0]),
        (vec![0_u8; 10_000], vec![0]),
        (vec![0_u8; 20_000], vec![0]),
        (bytes.clone(), vec![]),
        (bytes[..9_999].to_vec(), vec![9_999]),
    ] {
        fs::write(&partial, &left).unwrap();
        let source = Flaky::new(&bytes, None);
        fixture.store.put(&blob, &Content::new(&source, &blob, &Silent)).unwrap();
        assert_eq!(*source.offsets.lock().unwrap(), offsets, "after {} bytes", left.len());
        assert!(!partial.exists());
        fixture.store.delete_blob(&blob.digest).unwrap();
    }
}

#[test]
fn wrong_bytes_leave_nothing_behind() {
    let fixture = Fixture::new();
    let blob = Descriptor::of(media_type::OCI_LAYER, b"right");
    let liar = Memory::new();
    for wrong in [b"wrong".as_slice(), b"rig", b"", b"right and more"] {
        liar.add_unchecked(blob.digest.clone(), wrong);
        assert!(fixture.store.put(&blob, &Content::new(&liar, &blob, &Silent)).is_err());
        assert_eq!(files_in(&fixture.store.root().join("ingest")), 0);
        assert_eq!(fixture.blobs(), 0);
    }
}

#[test]
fn content_of_the_wrong_size_counts_as_absent_and_is_replaced() {
    let fixture = Fixture::new();
    let good = Memory::new();
    let blob = good.add(media_type::OCI_LAYER, b"whole".as_slice());
    let path = fixture.store.root().join("blobs/sha256").join(blob.digest.hex());
    fs::write(&path, b"who").unwrap();
    assert!(!fixture.store.contains(&blob).unwrap());
    fixture.store.put(&blob, &Content::new(&good, &blob, &Silent)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(fs::metadata(fixture.store.root()).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Waits until the test lets it go on, so that two puts really meet.
struct Gated {
    inner: Memory,
    opened: AtomicUsize,
    go: Arc<AtomicBool>,
}

impl Source for Gated {
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        self.inner.resolve(name)
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        while !self.go.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        self.inner.open_unverified(descriptor, offset)
    }
}

#[test]
fn what_several_want_is_fetched_once() {
    let fixture = Fixture::new();
    let go = Arc::new(AtomicBool::new(false));
    let source = Gated { inner: Memory::new(), opened: AtomicUsize::new(0), go: Arc::clone(&go) };
    let blob = source.inner.add(media_type::OCI_LAYER, noise(100_000, 9));
    std::thread::scope(|scope| {
        let put = || fixture.other().put(&blob, &Content::new(&source, &blob, &Silent)).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(put)).collect();
        while source.opened.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        go.store(true, Ordering::SeqCst);
        assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
    });
    assert_eq!(source.opened.load(Ordering::SeqCst), 1);
}

#[test]
fn a_partial_of_a_killed_pull_is_swept_and_one_in_the_making_is_not() {
    let fixture = Fixture::new();
    let ingest = fixture.store.root().join("ingest");
    let dead = ingest.join(format!("sha256-{}", Digest::of(b"dead").hex()));
    let alive = ingest.join(format!("sha256-{}", Digest::of(b"alive").hex()));
    fs::write(&dead, [0; 1000]).unwrap();
    fs::write(ingest.join("uploads/abandoned"), [0; 500]).unwrap();
    fs::write(ingest.join("leases/lease-dead"), format!("{}\n", Digest::of(b"x"))).unwrap();
    fs::write(&alive, [0; 100]).unwrap();
    let writer = fs::File::open(&alive).unwrap();
    writer.lock().unwrap();
    assert_eq!(fixture.store.plan(vec![]).unwrap().bytes, 1500);
    let applied = fixture.store.apply(&fixture.store.plan(vec![]).unwrap()).unwrap();
    assert_eq!(applied.reclaimed, 1500);
    assert!(!dead.exists() && alive.exists());
    assert_eq!(files_in(&ingest.join("uploads")) + files_in(&ingest.join("leases")), 0);
}
