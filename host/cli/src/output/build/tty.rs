//! Progress of a build on a terminal: steps that ended stay, those that run are drawn again and again below them.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nacre_build::Event;
use rustix::termios::tcgetwinsize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Step, View, lock, seconds, text};
use crate::output::units;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);
/// Lines of a program that are shown while it runs.
const LINES: usize = 4;

/// Draws to standard error.
pub(super) struct Tty {
    shared: Arc<(Mutex<Screen>, Condvar)>,
    drawer: Mutex<Option<JoinHandle<()>>>,
}

/// What is on the screen, and what is to come there.
struct Screen {
    begun: Instant,
    running: BTreeMap<usize, Running>,
    /// Lines that are to stay.
    settled: Vec<String>,
    done: usize,
    /// Lines that were drawn last and are not to stay.
    drawn: usize,
    ended: bool,
}

/// A step under way.
struct Running {
    name: String,
    begun: Instant,
    lines: VecDeque<String>,
    moving: BTreeMap<String, (u64, u64)>,
}

impl Tty {
    pub(super) fn new() -> Self {
        let (running, settled) = (BTreeMap::new(), Vec::new());
        let screen = Screen { begun: Instant::now(), running, settled, done: 0, drawn: 0, ended: false };
        let shared = Arc::new((Mutex::new(screen), Condvar::new()));
        let drawing = Arc::clone(&shared);
        let drawer = thread::spawn(move || draw(&drawing));
        Self { shared, drawer: Mutex::new(Some(drawer)) }
    }
}

/// Draws until the end.
fn draw((screen, changed): &(Mutex<Screen>, Condvar)) {
    let mut screen = lock(screen);
    while !screen.ended {
        screen.draw();
        screen = match changed.wait_timeout(screen, EVERY) {
            Ok((screen, _)) => screen,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
    screen.draw();
}

impl Screen {
    fn draw(&mut self) {
        let (columns, rows) = tcgetwinsize(io::stderr()).map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let (columns, rows) = (if columns == 0 { 80 } else { columns }, if rows == 0 { 24 } else { rows });
        let live = if self.ended { Vec::new() } else { self.live(rows.saturating_sub(1)) };
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\x1b[{}A\x1b[J", self.drawn));
        }
        self.settled.drain(..).chain(live.iter().cloned()).for_each(|line| {
            out.push_str(&fitted(&line, columns));
            out.push('\n');
        });
        self.drawn = live.len();
        // A terminal that is gone is no reason to stop the work.
        let _ = io::stderr().lock().write_all(out.as_bytes());
    }

    /// The lines that move: at most `rows`.
    fn live(&self, rows: usize) -> Vec<String> {
        let total = self.done + self.running.len();
        let mut lines = vec![format!("[+] Building {}s ({}/{total})", seconds(self.begun.elapsed()), self.done)];
        for step in self.running.values() {
            lines.push(format!(" => {}\t{}s", step.name, seconds(step.begun.elapsed())));
            lines.extend(
                step.moving
                    .iter()
                    .filter(|(_, (done, total))| done < total)
                    .map(|(label, (done, total))| format!(" => => {label} {} / {}", units::size(*done), units::size(*total))),
            );
            lines.extend(step.lines.iter().map(|line| format!(" => => # {line}")));
        }
        lines.truncate(rows.max(1));
        lines
    }

    fn settle(&mut self, step: &Step, what: &str) {
        self.running.remove(&step.number);
        self.done += 1;
        self.settled.push(format!(" => {what}{}\t{}s", step.name, seconds(step.begun.elapsed())));
    }
}

/// A line that has `columns` at most: what is behind its tab stands at the right.
fn fitted(line: &str, columns: usize) -> String {
    let (left, right) = line.split_once('\t').unwrap_or((line, ""));
    let room = columns.saturating_sub(right.width() + usize::from(!right.is_empty()));
    let mut used = 0;
    let cut: String = left
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    if right.is_empty() {
        return cut;
    }
    format!("{cut}{}{right}", " ".repeat(columns.saturating_sub(cut.width() + right.width())))
}

impl View for Tty {
    fn step(&self, event: &Event<'_>, step: &Step, lines: &[String]) {
        let mut screen = lock(&self.shared.0);
        if let Some(running) = screen.running.get_mut(&step.number) {
            running.lines.extend(lines.iter().cloned());
            let over = running.lines.len().saturating_sub(LINES);
            running.lines.drain(..over);
        }
        match event {
            Event::Started { .. } => {
                let running = Running { name: step.name.clone(), begun: step.begun, lines: VecDeque::new(), moving: BTreeMap::new() };
                screen.running.insert(step.number, running);
            }
            Event::Moved { label, done, total, .. } => {
                if let Some(running) = screen.running.get_mut(&step.number) {
                    running.moving.insert(text(label), (*done, *total));
                }
            }
            Event::Done { .. } => screen.settle(step, if step.cached { "CACHED " } else { "" }),
            Event::Failed { error, .. } => screen.settle(step, if error.is_cancelled() { "CANCELED " } else { "ERROR " }),
            Event::Output { .. } | Event::Cached { .. } | Event::Warning(_) => {}
        }
    }

    fn note(&self, line: &str) {
        let mut screen = lock(&self.shared.0);
        if screen.ended {
            // Nothing is drawn any more. A terminal that has gone leaves nobody to tell.
            let _ = writeln!(io::stderr(), "{line}");
        } else {
            screen.settled.push(line.to_owned());
        }
    }

    fn end(&self) {
        lock(&self.shared.0).ended = true;
        self.shared.1.notify_all();
        if let Some(drawer) = lock(&self.drawer).take() {
            let _ = drawer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_screen() {
        assert_eq!(fitted(" => a\t0.1s", 12), " => a   0.1s");
        assert_eq!(fitted(" => a long name\t0.1s", 12), " => a l 0.1s");
        assert_eq!(fitted("漢字漢字", 5), "漢字");
    }
}
