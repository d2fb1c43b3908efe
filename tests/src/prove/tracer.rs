//! Runs a command under `ptrace`, counts its system calls that change files, and at one of them kills it or makes the call fail.
//!
//! All threads and children of the command are followed. Tracing belongs to the thread that started it, and [`trace`] waits for
//! that thread's children only: any number of threads may trace at once.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::Read,
    os::unix::{fs::FileExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// How long a command may take: far more than it needs, so that one that hangs is told from one that waits.
const LIMIT: Duration = Duration::from_secs(60);

/// What happens at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The whole command is killed, and the call is not made.
    KillBefore,
    /// The whole command is killed when the call has been made.
    KillAfter,
    /// The call is not made and returns this.
    Fail(Errno),
    /// Only half of what is to be written is; another call than a write is made as it is.
    Short,
}

/// Which calls count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those that change files.
    Changes,
    /// And those that open and read files of the command's own folder.
    ReadsToo,
}

/// What came of the command.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The calls that counted, up to the end, such as `rename …/meta.db`.
    pub calls: Vec<String>,
    /// Whether there was the call that the trouble was meant for.
    pub hit: bool,
    /// Whether it had to be ended, because it hung.
    pub hung: bool,
}

/// Runs a command with nothing on standard input, with trouble at the call of this number, from 0.
///
/// # Panics
/// If it cannot be started or traced.
pub fn trace(mut command: Command, counted: Counted, trouble: Option<(usize, Trouble)>) -> Traced {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: between fork and exec only calls that are safe in a signal handler may be made; this is one system call.
    #[allow(unsafe_code, reason = "a process has to ask to be traced before it becomes the command")]
    unsafe {
        command.pre_exec(|| Ok(ptrace::traceme()?));
    }
    #[allow(clippy::zombie_processes, reason = "the tracer waits for it as for all its threads and children")]
    let mut child = command.spawn().unwrap();
    let main = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (stdout, stderr) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let folder = command.get_current_dir().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    thread::scope(|scope| {
        let (ended, waiting) = mpsc::channel::<()>();
        let stdout = scope.spawn(move || text(stdout));
        let stderr = scope.spawn(move || text(stderr));
        let watch = scope.spawn(move || {
            let hung = waiting.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
            hung && kill(main, Signal::SIGKILL).is_ok()
        });
        let mut tracer = Tracer { main, folder, counted, trouble, seen: HashSet::from([main]), ..Tracer::default() };
        tracer.follow();
        drop(ended);
        let mut traced = tracer.traced;
        (traced.stdout, traced.stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        traced.hung = watch.join().unwrap();
        traced
    })
}

fn text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is to be done when the call that a thread is in has been made.
enum Inside {
    Nothing,
    Kill,
    /// Return this instead.
    Answer(Errno),
    /// Give the length of the write back to the program, which may go on to use the register.
    Length(u64),
}

struct Tracer {
    main: Pid,
    folder: String,
    counted: Counted,
    trouble: Option<(usize, Trouble)>,
    /// All threads that were met.
    seen: HashSet<Pid>,
    inside: HashMap<Pid, Inside>,
    traced: Traced,
}

impl Default for Tracer {
    fn default() -> Self {
        Self {
            main: Pid::from_raw(0),
            folder: String::new(),
            counted: Counted::Changes,
            trouble: None,
            seen: HashSet::new(),
            inside: HashMap::new(),
            traced: Traced::default(),
        }
    }
}

impl Tracer {
    /// From the first stop, at the exec, until nothing of the command is left.
    fn follow(&mut self) {
        assert_eq!(waitpid(self.main, None), Ok(WaitStatus::Stopped(self.main, Signal::SIGTRAP)), "it does not stop at its exec");
        let follow = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
        let told = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(self.main, follow | told).unwrap();
        go_on(self.main, None);
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.main => self.traced.code = Some(code),
                Ok(WaitStatus::PtraceSyscall(thread)) => self.call(thread),
                Ok(WaitStatus::PtraceEvent(thread, ..)) => go_on(thread, None),
                // A new thread begins with a stop of its own.
                Ok(WaitStatus::Stopped(thread, signal)) => {
                    let new = self.seen.insert(thread) && signal == Signal::SIGSTOP;
                    go_on(thread, Some(signal).filter(|_| !new));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return,
                Err(error) => panic!("waitpid: {error}"),
            }
        }
    }

    /// A thread stands before a call, or after it.
    fn call(&mut self, thread: Pid) {
        match self.inside.remove(&thread) {
            None => {
                let inside = self.enter(thread).unwrap_or(Inside::Nothing);
                self.inside.insert(thread, inside);
            }
            Some(Inside::Nothing) => {}
            Some(Inside::Kill) => self.kill(),
            Some(Inside::Answer(errno)) => change(thread, |registers| registers.rax = (-i64::from(errno as i32)).cast_unsigned()),
            Some(Inside::Length(length)) => change(thread, |registers| registers.rdx = length),
        }
        go_on(thread, None);
    }

    /// Counts a call that is about to be made, and makes the trouble if it is its turn. `None` if the thread is gone.
    fn enter(&mut self, thread: Pid) -> Option<Inside> {
        let registers = ptrace::getregs(thread).ok()?;
        let call = Call::read(thread, &registers).filter(|call| self.counts(call));
        let Some(call) = call else { return Some(Inside::Nothing) };
        let number = self.traced.calls.len();
        self.traced.calls.push(format!("{} {}", call.name, call.path.replace(&self.folder, "…")));
        let Some((_, trouble)) = self.trouble.filter(|(at, _)| *at == number) else { return Some(Inside::Nothing) };
        self.traced.hit = true;
        // A call of this number is none.
        let skip = || change(thread, |registers| registers.orig_rax = u64::MAX);
        Some(match trouble {
            Trouble::KillBefore => {
                skip();
                self.kill();
                Inside::Nothing
            }
            Trouble::KillAfter => Inside::Kill,
            Trouble::Fail(errno) => {
                skip();
                Inside::Answer(errno)
            }
            Trouble::Short if matches!(call.name, "write" | "pwrite64") && registers.rdx > 1 => {
                change(thread, |registers| registers.rdx /= 2);
                Inside::Length(registers.rdx)
            }
            Trouble::Short => Inside::Nothing,
        })
    }

    fn counts(&self, call: &Call) -> bool {
        let file = !["pipe:", "socket:", "anon_inode:", "/dev/", "/proc/", "/sys/"].iter().any(|start| call.path.starts_with(start));
        file && (call.changes || self.counted == Counted::ReadsToo && call.path.starts_with(&self.folder))
    }

    fn kill(&self) {
        for thread in &self.seen {
            // Those that have ended are gone.
            _ = kill(*thread, Signal::SIGKILL);
        }
    }
}

/// Lets a thread run up to its next call. One that was killed meanwhile is gone.
fn go_on(thread: Pid, signal: Option<Signal>) {
    _ = ptrace::syscall(thread, signal);
}

/// Changes the registers of a thread that stands at a call. One that was killed meanwhile is gone.
fn change(thread: Pid, how: impl FnOnce(&mut libc::user_regs_struct)) {
    if let Ok(mut registers) = ptrace::getregs(thread) {
        how(&mut registers);
        _ = ptrace::setregs(thread, registers);
    }
}

/// Where a call says which file it is about: the number of the argument.
#[derive(Clone, Copy)]
enum Subject {
    Descriptor(usize),
    Path(usize),
    /// A path, and in the next argument whether it is opened to be changed.
    Opened(usize),
    /// Everything.
    None,
}

use Subject::{Descriptor, Opened, Path as At};

/// The calls that change files, and where they say which.
const CHANGES: &[(i64, &str, Subject)] = &[
    (libc::SYS_creat, "creat", At(0)),
    (libc::SYS_write, "write", Descriptor(0)),
    (libc::SYS_pwrite64, "pwrite64", Descriptor(0)),
    (libc::SYS_writev, "writev", Descriptor(0)),
    (libc::SYS_pwritev, "pwritev", Descriptor(0)),
    (libc::SYS_pwritev2, "pwritev2", Descriptor(0)),
    (libc::SYS_copy_file_range, "copy_file_range", Descriptor(2)),
    (libc::SYS_sendfile, "sendfile", Descriptor(0)),
    (libc::SYS_splice, "splice", Descriptor(2)),
    (libc::SYS_ioctl, "ioctl", Descriptor(0)),
    (libc::SYS_truncate, "truncate", At(0)),
    (libc::SYS_ftruncate, "ftruncate", Descriptor(0)),
    (libc::SYS_fallocate, "fallocate", Descriptor(0)),
    (libc::SYS_rename, "rename", At(1)),
    (libc::SYS_renameat, "renameat", At(3)),
    (libc::SYS_renameat2, "renameat2", At(3)),
    (libc::SYS_link, "link", At(1)),
    (libc::SYS_linkat, "linkat", At(3)),
    (libc::SYS_symlink, "symlink", At(1)),
    (libc::SYS_symlinkat, "symlinkat", At(2)),
    (libc::SYS_unlink, "unlink", At(0)),
    (libc::SYS_unlinkat, "unlinkat", At(1)),
    (libc::SYS_rmdir, "rmdir", At(0)),
    (libc::SYS_mkdir, "mkdir", At(0)),
    (libc::SYS_mkdirat, "mkdirat", At(1)),
    (libc::SYS_mknod, "mknod", At(0)),
    (libc::SYS_mknodat, "mknodat", At(1)),
    (libc::SYS_chmod, "chmod", At(0)),
    (libc::SYS_fchmod, "fchmod", Descriptor(0)),
    (libc::SYS_fchmodat, "fchmodat", At(1)),
    (libc::SYS_chown, "chown", At(0)),
    (libc::SYS_fchown, "fchown", Descriptor(0)),
    (libc::SYS_fchownat, "fchownat", At(1)),
    (libc::SYS_utimensat, "utimensat", At(1)),
    (libc::SYS_fsync, "fsync", Descriptor(0)),
    (libc::SYS_fdatasync, "fdatasync", Descriptor(0)),
    (libc::SYS_sync_file_range, "sync_file_range", Descriptor(0)),
    (libc::SYS_syncfs, "syncfs", Descriptor(0)),
    (libc::SYS_sync, "sync", Subject::None),
    (libc::SYS_flock, "flock", Descriptor(0)),
];

/// Those that change or read files, as they are opened; and those that only read.
const OTHERS: &[(i64, &str, Subject)] = &[
    (libc::SYS_open, "open", Opened(0)),
    (libc::SYS_openat, "openat", Opened(1)),
    (libc::SYS_read, "read", Descriptor(0)),
    (libc::SYS_pread64, "pread64", Descriptor(0)),
    (libc::SYS_getdents64, "getdents64", Descriptor(0)),
];

/// A call that has to do with a file.
struct Call {
    name: &'static str,
    path: String,
    changes: bool,
}

impl Call {
    /// What a thread is about to do; `None` if that has nothing to do with files.
    fn read(thread: Pid, registers: &libc::user_regs_struct) -> Option<Self> {
        let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
        let mut calls = CHANGES.iter().map(|call| (call, true)).chain(OTHERS.iter().map(|call| (call, false)));
        let (&(_, name, subject), changes) = calls.find(|((number, ..), _)| number.cast_unsigned() == registers.orig_rax)?;
        let opened = |flags: u64| flags & (libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY | libc::O_RDWR) as u64 != 0;
        Some(match subject {
            Descriptor(at) => Self { name, path: descriptor(thread, arguments[at])?, changes },
            At(at) => Self { name, path: string(thread, arguments[at])?, changes },
            Opened(at) => Self { name, path: string(thread, arguments[at])?, changes: opened(arguments[at + 1]) },
            Subject::None => Self { name, path: String::new(), changes },
        })
    }
}

/// What a descriptor of a thread is open on.
fn descriptor(thread: Pid, number: u64) -> Option<String> {
    let link = fs::read_link(format!("/proc/{thread}/fd/{number}")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// The text at an address of a thread.
fn string(thread: Pid, address: u64) -> Option<String> {
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut bytes = [0; 4096];
    // Nothing may be mapped from the next page on.
    let page = bytes.len() - usize::try_from(address).ok()? % bytes.len();
    let mut count = memory.read_at(&mut bytes[..page], address).ok()?;
    if !bytes[..count].contains(&0) {
        count += memory.read_at(&mut bytes[count..], address + count as u64).ok()?;
    }
    let end = bytes[..count].iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str, trouble: Option<(usize, Trouble)>) -> Traced {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder);
        trace(command, Counted::Changes, trouble)
    }

    #[test]
    fn counts_what_changes_files_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        // An open, a write; a child process makes a folder; pipes and /dev/null are no files.
        let traced = shell(folder.path(), "echo x > file; mkdir sub; echo y | cat; echo z > /dev/null", None);
        assert_eq!((traced.code, traced.stdout.as_str()), (Some(0), "y\n"));
        assert_eq!(traced.calls, ["openat file", "write …/file", "mkdir sub"]);
    }

    #[test]
    fn kills_before_and_after_a_call() {
        for (at, trouble, made) in [(2, Trouble::KillBefore, false), (2, Trouble::KillAfter, true)] {
            let folder = tempfile::tempdir().unwrap();
            let traced = shell(folder.path(), "echo x > file; mkdir sub; echo y > after", Some((at, trouble)));
            assert!(traced.code.is_none() && traced.hit && traced.calls[2] == "mkdir sub", "{traced:?}");
            assert_eq!((folder.path().join("sub").exists(), folder.path().join("after").exists()), (made, false));
        }
    }

    #[test]
    fn makes_calls_fail_or_write_less() {
        let folder = tempfile::tempdir().unwrap();
        let traced = shell(folder.path(), "mkdir sub", Some((0, Trouble::Fail(Errno::ENOSPC))));
        assert!(traced.code == Some(1) && traced.stderr.contains("No space left on device"), "{traced:?}");
        assert!(!folder.path().join("sub").exists());
        shell(folder.path(), "head -c 10 /dev/zero > file", Some((1, Trouble::Short)));
        assert!(fs::metadata(folder.path().join("file")).unwrap().len() >= 5);
    }
}
