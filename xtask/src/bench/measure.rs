//! What a process took: wall and processor seconds, peak memory.

use std::{
    fs::File,
    io::{Read, Seek},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// One measurement, or the median of several.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub wall: f64,
    /// User and system seconds of the process and its children, and its peak memory in bytes; `None` where most of the
    /// work is done by another process.
    pub own: Option<(f64, u64)>,
}

impl Sample {
    pub fn wall_only(self) -> Self {
        Self { own: None, ..self }
    }
}

/// Runs a command to its end, after a flush of everything that was written before it.
pub fn measure(command: &mut Command) -> Result<Sample> {
    Command::new("sync").status()?;
    let mut log = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let (status, usage) = wait(child.id())?;
    let wall = start.elapsed().as_secs_f64();
    if status != 0 {
        bail!("{command:?} failed:\n{}", text(&mut log)?);
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let processor = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    Ok(Sample { wall, own: Some((processor, usage.ru_maxrss.cast_unsigned() * 1024)) })
}

/// Waits for a child; returns its status and what it and its own children used.
fn wait(pid: u32) -> Result<(i32, libc::rusage)> {
    let pid = libc::pid_t::try_from(pid)?;
    let mut status = 0;
    // SAFETY: all bits zero are a valid rusage, and both pointers are to locals of the right type.
    let (waited, usage) = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        (libc::wait4(pid, &raw mut status, 0, &raw mut usage), usage)
    };
    if waited != pid {
        return Err(std::io::Error::last_os_error()).context("cannot wait for a process");
    }
    Ok((status, usage))
}

fn text(log: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    log.rewind()?;
    log.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The medians of each figure.
pub fn median(samples: Vec<Sample>) -> Option<Sample> {
    let middle = |figures: Vec<f64>| {
        let mut sorted = figures;
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    };
    let wall = middle(samples.iter().map(|sample| sample.wall).collect())?;
    let processor = middle(samples.iter().filter_map(|sample| Some(sample.own?.0)).collect());
    let memory = middle(samples.iter().filter_map(|sample| Some(sample.own?.1 as f64)).collect());
    Some(Sample { wall, own: processor.zip(memory.map(|bytes| bytes as u64)) })
}

/// Runs something several times, after a run that warms it up.
pub fn repeat(command: &mut Command, rounds: usize) -> Result<Sample> {
    measure(command)?;
    let samples = (0..rounds).map(|_| measure(command)).collect::<Result<Vec<_>>>()?;
    median(samples).context("nothing was measured")
}

/// A duration as a table shows it.
pub fn shown(seconds: f64) -> String {
    if seconds < 0.1 {
        return format!("{:.1} ms", Duration::from_secs_f64(seconds).as_secs_f64() * 1e3);
    }
    format!("{seconds:.2} s")
}
