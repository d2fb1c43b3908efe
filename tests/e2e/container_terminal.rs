//! Containers on a terminal: keys, sizes, signals, and the user's terminal afterwards.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use nacre_tests::peers::available;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::machine::{Machine, eventually};

/// A terminal with a command on it.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
    path: PathBuf,
}

impl Terminal {
    fn new(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        tcsetwinsize(&master, size(24, 80)).unwrap();
        let end = || Stdio::from(File::options().read(true).write(true).open(&path).unwrap());
        // A session of its own, whose terminal this is.
        let mut on_it = Command::new("setsid");
        on_it
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap());
        on_it.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child = on_it.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut shown, seen) = (File::from(master.try_clone().unwrap()), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // At the end the terminal is gone.
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keys: master.into(), screen, path }
    }

    fn types(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        eventually(text, || self.screen.lock().unwrap().contains(text));
    }

    fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.keys, size(rows, columns)).unwrap();
    }

    /// Whether keys reach whoever reads as they are.
    fn is_raw(&self) -> bool {
        let end: OwnedFd = File::open(&self.path).unwrap().into();
        !tcgetattr(end).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    #[track_caller]
    fn ends(&mut self, code: i32) {
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{}", self.screen.lock().unwrap());
        assert!(!self.is_raw(), "the terminal was not put in order");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn machine() -> Option<Machine> {
    available("setsid").then(Machine::new).flatten()
}

#[test]
fn a_shell_has_the_terminal() {
    let Some(machine) = machine() else { return };
    let mut terminal = Terminal::new(&machine.command(["run", "--rm", "-it", "-e", "PS1=> ", "sea"]));
    terminal.shows("> ");
    assert!(terminal.is_raw());
    terminal.types(b"tty; stty size; echo term=$TERM\n");
    terminal.shows("/dev/pts/0\r\n24 80\r\nterm=xterm\r\n");
    terminal.resize(50, 132);
    terminal.types(b"while [ \"$(stty size)\" != '50 132' ]; do sleep 0.05; done; echo re-sized\n");
    terminal.shows("re-sized\r\n");
    terminal.types(b"echo wait-ing; sleep 1000075\n");
    terminal.shows("wait-ing\r\n");
    terminal.types(b"\x03");
    terminal.types(b"echo inter$?\n");
    terminal.shows("inter130\r\n");
    terminal.types(b"exit 5\n");
    terminal.ends(5);
    machine.assert_clean(&[]);
}

#[test]
fn keys_leave_a_program_and_another_client_finds_it() {
    let Some(machine) = machine() else { return };
    let mut terminal = Terminal::new(&machine.command(["run", "--name", "boat", "-it", "-e", "PS1=> ", "sea"]));
    terminal.shows("> ");
    terminal.types(b"kept=here\n");
    terminal.types(b"\x10\x11");
    terminal.shows("nacre: detached: the program runs on");
    terminal.ends(0);
    assert_eq!(machine.field("boat", "{{.State.Status}}"), "running");
    let mut second = Terminal::new(&machine.command(["start", "-ai", "--detach-keys", "ctrl-a", "boat"]));
    second.types(b"\necho still-$kept\n");
    second.shows("still-here");
    second.types(b"\x01");
    second.ends(0);
    let mut exec = Terminal::new(&machine.command(["exec", "-it", "-e", "PS1=# ", "boat", "sh"]));
    exec.shows("# ");
    exec.resize(30, 90);
    exec.types(b"while [ \"$(stty size)\" != '30 90' ]; do sleep 0.05; done; tty; exit 6\n");
    exec.shows("/dev/pts/1\r\n");
    exec.ends(6);
    machine.nacre(["rm", "-f", "boat"]).ok();
    machine.assert_clean(&[]);
}

#[test]
fn whatever_ends_a_client_the_terminal_is_put_in_order() {
    let Some(machine) = machine() else { return };
    let client = |name: &str| {
        let pattern = format!("--name {name}");
        let found = Command::new("pgrep").args(["-f", "-n", "--", &pattern]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    };
    // The program ends by a signal of its own, by its removal, and the client by a signal that it does not pass on.
    let mut terminal = Terminal::new(&machine.command(["run", "--name", "first", "-it", "sea", "sh", "-c", "echo be-gun; sleep 1000076"]));
    terminal.shows("be-gun");
    machine.nacre(["rm", "-f", "first"]).ok();
    terminal.ends(137);
    let options = ["run", "--name", "second", "--sig-proxy=false", "-it", "sea", "sh", "-c", "echo be-gun; sleep 1000076"];
    let mut terminal = Terminal::new(&machine.command(options));
    terminal.shows("be-gun");
    eventually("the terminal is raw", || terminal.is_raw());
    assert!(Command::new("kill").args(["-TERM", &client("second")]).status().unwrap().success());
    terminal.ends(143);
    assert_eq!(machine.field("second", "{{.State.Status}}"), "running");
    // Without -i the terminal is the user's own: Ctrl-C is a signal, and passed on.
    let mut terminal =
        Terminal::new(&machine.command(["run", "--rm", "sea", "sh", "-c", "trap 'exit 8' INT; echo be-gun; while :; do sleep 0.02; done"]));
    terminal.shows("be-gun");
    assert!(!terminal.is_raw());
    terminal.types(b"\x03");
    terminal.ends(8);
}
