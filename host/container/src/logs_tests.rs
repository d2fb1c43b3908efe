#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn line(text: &str, second: u8) -> String {
    format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:{second:02}.5Z\"}}\n")
}

fn written(folder: &TempDir, content: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join("log");
    std::fs::write(&path, content).unwrap();
    path
}

fn read(content: &[u8], options: &LogOptions) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let mut lines = Lines::default();
    lines.open(&written(&folder, content), options.tail).unwrap();
    let mut texts = Vec::new();
    lines
        .each(options, true, &mut |line| {
            texts.push(line.text.trim_end().to_owned());
            Ok(true)
        })
        .unwrap();
    texts
}

fn log(count: u8) -> String {
    (0..count).map(|number| line(&format!("l{number}"), number)).collect()
}

#[test]
fn the_last_lines_are_counted_from_the_end() {
    let tail = |count| LogOptions { tail: Some(count), ..LogOptions::default() };
    assert_eq!(read(log(3).as_bytes(), &tail(0)), [""; 0]);
    assert_eq!(read(log(3).as_bytes(), &tail(1)), ["l2"]);
    assert_eq!(read(log(3).as_bytes(), &tail(3)), ["l0", "l1", "l2"]);
    assert_eq!(read(log(3).as_bytes(), &tail(9)), ["l0", "l1", "l2"]);
    assert_eq!(read(b"", &tail(2)), [""; 0]);
    assert_eq!(read(log(3).trim_end().as_bytes(), &tail(2)), ["l1", "l2"]);
    // More than is read at once.
    let long: String = (0..60).map(|number| line(&"x".repeat(3000 + number), 1)).collect();
    let last = read(long.as_bytes(), &tail(50));
    assert_eq!((last.len(), last[0].len(), last[49].len()), (50, 3010, 3059));
}

#[test]
fn times_bound_what_is_read() {
    let at = |second: u8| Some(format!("2026-01-01T00:00:{second:02}Z").parse().unwrap());
    let options = |since, until| LogOptions { since, until, ..LogOptions::default() };
    assert_eq!(read(log(4).as_bytes(), &options(at(2), None)), ["l2", "l3"]);
    assert_eq!(read(log(4).as_bytes(), &options(None, at(2))), ["l0", "l1"]);
    assert_eq!(read(log(4).as_bytes(), &options(at(1), at(3))), ["l1", "l2"]);
}

#[test]
fn damage_is_left_out() {
    let mut content = line("one", 1).into_bytes();
    content.extend_from_slice(b"\x00\xff garbage\n{\"log\":3}\n[]\n\n");
    content.extend_from_slice(line("two", 2).as_bytes());
    content.extend(vec![b'x'; MAX_LINE + 2 * BLOCK]);
    content.push(b'\n');
    content.extend_from_slice(line("three", 3).as_bytes());
    content.extend_from_slice(b"{\"log\":\"cut o");
    assert_eq!(read(&content, &LogOptions::default()), ["one", "two", "three"]);
}

#[test]
fn what_is_still_being_written_waits_for_its_end() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (line("first", 1), line("second", 2));
    let path = written(&folder, first.as_bytes());
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut lines = Lines::default();
    lines.open(&path, None).unwrap();
    let read = |lines: &mut Lines| {
        let mut texts = Vec::new();
        let options = LogOptions::default();
        lines
            .each(&options, false, &mut |line| {
                texts.push(line.text);
                Ok(true)
            })
            .unwrap();
        texts
    };
    assert_eq!(read(&mut lines), ["first\n"]);
    file.write_all(&second.as_bytes()[..20]).unwrap();
    assert_eq!(read(&mut lines), [""; 0]);
    file.write_all(&second.as_bytes()[20..]).unwrap();
    assert_eq!(read(&mut lines), ["second\n"]);
}

#[test]
fn a_watch_hears_of_writing() {
    let folder = TempDir::new().unwrap();
    let path = written(&folder, b"");
    let watch = Watch::new(folder.path());
    let inotify = watch.inotify.as_ref().unwrap();
    let ready = || poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
    assert_eq!(ready(), 0);
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
    assert_eq!(ready(), 1);
    watch.wait();
    assert_eq!(ready(), 0, "what was heard is heard once");
}

proptest! {
    /// Whatever is in the file, nothing panics, and no more lines come than were asked for.
    #[test]
    fn no_log_is_too_damaged(content in proptest::collection::vec(any::<u8>(), 0..400), tail in proptest::option::of(0usize..5)) {
        let mut all = log(2).into_bytes();
        all.extend(content);
        let read = read(&all, &LogOptions { tail, ..LogOptions::default() });
        prop_assert!(tail.is_none_or(|tail| read.len() <= tail));
    }
}
