//! What a container's program has printed: Docker's json-file lines, from the beginning, the end or a time on, and as they come.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use nacre_runtime::{Stream, container_folder, log_path};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, WatchFlags},
};
use serde::Deserialize;

use crate::{Container, Engine, Error, Result, life::is_up};

/// The longest line that is read: Docker and the monitor write at most 16 KiB of output into one, where each byte may be six.
const MAX_LINE: usize = 1 << 20;
const BLOCK: usize = 64 << 10;
/// How often the state is looked at while nothing is heard: a monitor that is killed says nothing.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Which lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Also what is still to come, until the container ends.
    pub follow: bool,
    /// Only so many from the end.
    pub tail: Option<usize>,
    /// Not those before this time.
    pub since: Option<Timestamp>,
    /// Not those after this time.
    pub until: Option<Timestamp>,
}

/// Something that the program printed at once: mostly a line with its end; a long one comes in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where.
    pub stream: Stream,
    /// When, as it is written in the log: RFC 3339 with nanoseconds.
    pub time: String,
    /// What.
    pub text: String,
}

impl Engine {
    /// Reads a container's log. `out` says whether to go on. Lines that are damaged are left out.
    ///
    /// # Errors
    /// If the container is not there, or its log cannot be read; what `out` says.
    pub fn logs(&self, text: &str, options: &LogOptions, out: &mut dyn FnMut(LogLine) -> Result<bool>) -> Result<()> {
        let container = self.find(text)?;
        let path = log_path(self.store().root(), &container.id);
        // Begun before the first look, so that nothing is missed in between.
        let watch = options.follow.then(|| Watch::new(&container_folder(self.store().root(), &container.id)));
        let mut lines = Lines::default();
        let mut tail = options.tail;
        loop {
            // Looked at before the lines are read: what was printed before the end is read then.
            let running = watch.is_some() && self.is_running(&container)?;
            if lines.file.is_none() && !lines.open(&path, tail.take())? && !running {
                return Ok(());
            }
            if !lines.each(options, !running, out)? {
                return Ok(());
            }
            let late = options.until.is_some_and(|until| Timestamp::now() > until);
            match &watch {
                Some(watch) if running && !late => watch.wait(),
                _ => return Ok(()),
            }
        }
    }

    fn is_running(&self, container: &Container) -> Result<bool> {
        Ok(is_up(self.state(container)?.status))
    }
}

/// A log that is being read.
#[derive(Default)]
struct Lines {
    file: Option<File>,
    /// What was read and is no whole line yet.
    rest: Vec<u8>,
    /// Whether that belongs to a line that is too long.
    skipping: bool,
}

/// A line of the file.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    time: String,
}

impl Lines {
    /// Opens the log, at its beginning or so many lines before its end. False if there is none yet.
    fn open(&mut self, path: &Path, tail: Option<usize>) -> Result<bool> {
        let doing = || Error::io(format!("read {}", path.display()));
        let mut file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(doing())?,
        };
        if let Some(count) = tail {
            let start = before_end(&mut file, count).map_err(doing())?;
            file.seek(SeekFrom::Start(start)).map_err(doing())?;
        }
        self.file = Some(file);
        Ok(true)
    }

    /// Passes on all whole lines that are there; at the `end` also one whose end is missing. False if no more is wanted.
    fn each(&mut self, options: &LogOptions, end: bool, out: &mut dyn FnMut(LogLine) -> Result<bool>) -> Result<bool> {
        let mut block = vec![0; BLOCK];
        while let Some(file) = &mut self.file {
            let count = match file.read(&mut block) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(Error::io("read a container's log"))?,
            };
            if count == 0 {
                break;
            }
            let mut read = &block[..count];
            while let Some(at) = read.iter().position(|byte| *byte == b'\n') {
                self.keep(&read[..at]);
                read = &read[at + 1..];
                if !self.pass(options, out)? {
                    return Ok(false);
                }
            }
            self.keep(read);
        }
        if end && !self.rest.is_empty() { self.pass(options, out) } else { Ok(true) }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.skipping |= self.rest.len() + bytes.len() > MAX_LINE;
        if self.skipping {
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }

    /// Passes on the line that was kept, if it is one and wanted.
    fn pass(&mut self, options: &LogOptions, out: &mut dyn FnMut(LogLine) -> Result<bool>) -> Result<bool> {
        let line = std::mem::take(&mut self.rest);
        let (Some(line), false) = (parse(&line), std::mem::take(&mut self.skipping)) else { return Ok(true) };
        let time = line.time.parse::<Timestamp>().ok();
        if options.since.is_some_and(|since| time.is_some_and(|time| time < since)) {
            return Ok(true);
        }
        if options.until.is_some_and(|until| time.is_some_and(|time| time > until)) {
            return Ok(false);
        }
        out(line)
    }
}

fn parse(line: &[u8]) -> Option<LogLine> {
    let Written { log, stream, time } = serde_json::from_slice(line).ok()?;
    let stream = if stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
    Some(LogLine { stream, time, text: log })
}

/// Where the last so many lines begin. The end of the very last line ends nothing before it.
fn before_end(file: &mut File, count: usize) -> std::io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    if count == 0 {
        return Ok(end);
    }
    let (mut at, mut ends, mut block) = (end, 0, vec![0; BLOCK]);
    while at > 0 {
        let size = at.min(BLOCK as u64);
        at -= size;
        file.seek(SeekFrom::Start(at))?;
        let block = &mut block[..usize::try_from(size).unwrap_or(BLOCK)];
        file.read_exact(block)?;
        let places = block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| at + index as u64 + 1);
        for place in places.filter(|place| *place != end) {
            ends += 1;
            if ends == count {
                return Ok(place);
            }
        }
    }
    Ok(0)
}

/// Hears when something in a folder changes.
struct Watch {
    /// None where there are no more watches to be had: then it just waits.
    inotify: Option<OwnedFd>,
}

impl Watch {
    fn new(folder: &Path) -> Self {
        let begin = || {
            let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
            inotify::add_watch(&inotify, folder, what)?;
            Ok::<_, rustix::io::Errno>(inotify)
        };
        Self { inotify: begin().ok() }
    }

    /// Waits until something changes, but not for ever.
    fn wait(&self) {
        let Some(inotify) = &self.inotify else {
            return std::thread::sleep(Duration::from_millis(50));
        };
        let mut polled = [PollFd::new(inotify, PollFlags::IN)];
        if poll(&mut polled, Some(&PAUSE)).is_ok_and(|ready| ready > 0) {
            // What it was does not matter: all that is there by now is one reason to look.
            let mut events = [0; 4096];
            while rustix::io::read(inotify, &mut events).is_ok_and(|count| count == events.len()) {}
        }
    }
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
