//! The changes of a store in their order, as its witness is told of them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nacre_store::{Change, Metadata, Witness};

/// What SQLite's log begins with, and how long each page in it is, with its header.
const LOG_HEADER: usize = 32;
const LOG_FRAME: usize = 24 + PAGE;
const PAGE: usize = 4096;

const DATABASE: &str = "meta.db";
const LOG: &str = "meta.db-wal";

/// One change. Files are numbers, because they outlive their names; names are relative to the root.
#[derive(Clone, Debug)]
pub(super) enum Op {
    MakeDir(String),
    Link { name: String, file: usize },
    Rename { from: String, to: String, file: usize },
    Unlink(String),
    Write { file: usize, offset: usize, bytes: Vec<u8>, whole: bool },
    Truncate { file: usize, len: usize },
    Mode { file: usize, mode: u32 },
    Flush(usize),
    FlushDir(String),
}

/// Records.
pub(super) struct Journal {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ops: Vec<Op>,
    names: BTreeMap<String, usize>,
    files: usize,
    /// What SQLite's files held when they were looked at last.
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Journal {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many changes there were so far.
    pub(super) fn len(&self) -> usize {
        self.state().ops.len()
    }

    pub(super) fn ops(&self) -> Vec<Op> {
        self.state().ops.clone()
    }

    /// A path as it is noted; `None` outside the root.
    fn name(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.root).ok().map(|inside| inside.to_string_lossy().into_owned())
    }
}

impl Witness for Journal {
    fn before(&self, change: Change<'_>) -> io::Result<()> {
        let mut state = self.state();
        let known = |state: &State, path: &Path| state.names.get(&self.name(path)?).copied();
        let op = match change {
            Change::Create(path) => self.name(path).filter(|name| !state.names.contains_key(name)).map(|name| state.link(&name)),
            Change::Write { path, offset, bytes } => known(&state, path).map(|file| Op::Write {
                file,
                offset: usize::try_from(offset).unwrap(),
                bytes: bytes.to_vec(),
                whole: false,
            }),
            Change::Truncate(path, len) => known(&state, path).map(|file| Op::Truncate { file, len: usize::try_from(len).unwrap() }),
            Change::Mode(path, mode) => known(&state, path).map(|file| Op::Mode { file, mode }),
            Change::Flush(path) => known(&state, path).map(Op::Flush),
            Change::FlushDir(path) => self.name(path).map(Op::FlushDir),
            Change::Rename(from, to) => self.name(from).zip(self.name(to)).and_then(|(from, to)| state.rename(from, to)),
            Change::Unlink(path) => self.name(path).filter(|name| state.names.remove(name).is_some()).map(Op::Unlink),
            Change::MakeDir(path) => {
                let made = self.name(path).unwrap_or_default();
                let mut above: Vec<&Path> = Path::new(&made).ancestors().filter(|one| !one.as_os_str().is_empty()).collect();
                above.reverse();
                let new = above.into_iter().filter(|one| !self.root.join(one).is_dir());
                state.ops.extend(new.map(|one| Op::MakeDir(one.to_string_lossy().into_owned())));
                None
            }
            // Only what is made anew when it is needed goes like that.
            Change::RemoveTree(_) => None,
        };
        state.ops.extend(op);
        Ok(())
    }

    fn after(&self, done: Metadata) {
        let mut state = self.state();
        let (database, log) = (fs::read(self.root.join(DATABASE)).unwrap(), fs::read(self.root.join(LOG)).unwrap());
        match done {
            Metadata::Made => state.made(&database, &log),
            Metadata::Committed { flushed } => state.append_log(&log, flushed),
            Metadata::CopiedBack => state.copy_back(&database, &log),
        }
        (state.database, state.log) = (database, log);
    }
}

impl State {
    fn link(&mut self, name: &str) -> Op {
        self.files += 1;
        self.names.insert(name.to_owned(), self.files);
        Op::Link { name: name.to_owned(), file: self.files }
    }

    fn rename(&mut self, from: String, to: String) -> Option<Op> {
        let file = self.names.remove(&from)?;
        self.names.insert(to.clone(), file);
        Some(Op::Rename { from, to, file })
    }

    /// How SQLite makes a file with a log: a rollback journal protects the first page, so that it is written wholly or not
    /// at all; then the log is made, and flushed together with its folder.
    fn made(&mut self, database: &[u8], log: &[u8]) {
        let link = self.link(DATABASE);
        self.ops.push(link);
        let file = self.names[DATABASE];
        self.ops.push(Op::Write { file, offset: 0, bytes: database.to_vec(), whole: true });
        self.ops.push(Op::Flush(file));
        let link = self.link(LOG);
        self.ops.push(link);
        self.append_log(log, true);
        self.ops.push(Op::FlushDir(String::new()));
    }

    /// A transaction is pages appended to the log, each with a checksum; a new log's header is flushed by itself.
    fn append_log(&mut self, log: &[u8], flushed: bool) {
        let file = self.names[LOG];
        if log.get(..LOG_HEADER) != self.log.get(..LOG_HEADER) {
            self.ops.push(Op::Write { file, offset: 0, bytes: log[..LOG_HEADER].to_vec(), whole: false });
            self.ops.push(Op::Flush(file));
        }
        for offset in (LOG_HEADER..log.len()).step_by(LOG_FRAME) {
            let end = log.len().min(offset + LOG_FRAME);
            if self.log.get(offset..end) != Some(&log[offset..end]) {
                self.ops.push(Op::Write { file, offset, bytes: log[offset..end].to_vec(), whole: false });
            }
        }
        self.ops.extend(flushed.then_some(Op::Flush(file)));
    }

    /// The log is flushed, its pages are written to their places, those are flushed, and the log is emptied.
    fn copy_back(&mut self, database: &[u8], log: &[u8]) {
        let (to, from) = (self.names[DATABASE], self.names[LOG]);
        self.ops.push(Op::Flush(from));
        for offset in (0..database.len()).step_by(PAGE) {
            let end = database.len().min(offset + PAGE);
            if self.database.get(offset..end) != Some(&database[offset..end]) {
                self.ops.push(Op::Write { file: to, offset, bytes: database[offset..end].to_vec(), whole: false });
            }
        }
        self.ops.push(Op::Flush(to));
        self.ops.push(Op::Truncate { file: from, len: log.len() });
    }
}
