//! Runs one program in a sandbox, as `nacre build` does: a process that tests can kill, or start as another user.
//!
//! Its only argument is a folder with `job.json`; it writes `layer` and `report.json` there, and passes on what the
//! program prints.

use std::{
    env, fs,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use nacre_layer::Compression;
use nacre_oci::{Algorithm, Descriptor, Digest, Error, Hasher, Result, Staged};
use nacre_runtime::{
    Boot, Control, Event, Exec, Kept, Outcome, Ran, Reclaim, Run, Sandbox, Session, Settings, Status, Stream, Watch, reclaim,
    remove_container,
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Job {
    root: PathBuf,
    runtime: Option<PathBuf>,
    path: String,
    /// Without it and without `boot`, what is kept is measured and deleted.
    run: Option<Run>,
    /// A container to start, to listen to and to delete.
    #[serde(default)]
    boot: Option<Boot>,
    /// What is to be done in that container before it is killed, and started once more.
    #[serde(default)]
    exec: Option<Exec>,
}

#[derive(Default, Serialize)]
struct Report {
    code: Option<u8>,
    not_started: Option<String>,
    diff_id: Option<Digest>,
    warnings: Vec<String>,
    error: Option<String>,
    kept: Option<Kept>,
    /// Why the container cannot be paused.
    not_paused: Option<String>,
}

struct Out {
    file: File,
    hasher: Hasher,
}

fn main() -> ExitCode {
    if let Some(code) = nacre_runtime::serve(env::args_os().nth(1).as_deref()) {
        return code;
    }
    let folder = PathBuf::from(env::args_os().nth(1).expect("a folder with a job"));
    let report = run(&folder).unwrap_or_else(|error| Report { error: Some(error.to_string()), ..Report::default() });
    let written = fs::write(folder.join("report.json"), serde_json::to_vec(&report).expect("a report is plain data"));
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(folder: &Path) -> Result<Report> {
    let job = fs::read(folder.join("job.json")).map_err(Error::io("read the job"))?;
    let job: Job = serde_json::from_slice(&job).map_err(|error| Error::malformed("the job", error))?;
    let program = env::current_exe().map_err(Error::io("find this program"))?;
    let settings = Settings { program, root: job.root, runtime: job.runtime, path: job.path.into() };
    if let Some(boot) = job.boot {
        return start(settings, &boot, job.exec);
    }
    let Some(run) = job.run else {
        return Ok(Report { kept: Some(reclaim(settings, Reclaim::TreesAndCaches)?), ..Report::default() });
    };
    let sandbox = Sandbox::open(settings)?;
    let out =
        Out { file: File::create(folder.join("layer")).map_err(Error::io("make the layer"))?, hasher: Hasher::new(Algorithm::Sha256) };
    let watch = Watch { output: &pass_on, cancelled: &|| folder.join("cancel").exists() };
    let Ran { status, layer, warnings } = sandbox.run(run, Compression::None, Box::new(out), watch)?;
    let mut report = Report { diff_id: layer.map(|layer| layer.diff_id), ..Report::default() };
    report.warnings = sandbox.warnings().iter().cloned().chain(warnings).collect();
    match status {
        Status::Exited(code) => report.code = Some(code),
        Status::NotStarted { code, why } => (report.code, report.not_started) = (Some(code), Some(why)),
    }
    Ok(report)
}

fn start(settings: Settings, boot: &Boot, exec: Option<Exec>) -> Result<Report> {
    let sandbox = Sandbox::open(settings.clone())?;
    let mut report = Report::default();
    if let Some(exec) = exec {
        let first = sandbox.start(boot, true)?.outcome;
        report.not_paused = disturb(&settings, &boot.id, &exec)?;
        ended(first, &mut report)?;
    }
    let started = sandbox.start(boot, true)?;
    report.warnings = started.warnings;
    ended(started.outcome, &mut report)?;
    remove_container(settings, &boot.id)?;
    Ok(report)
}

fn ended(outcome: Outcome, report: &mut Report) -> Result<()> {
    match outcome {
        Outcome::Running(session) => report.code = Some(listen(session.expect("one was asked for"))?),
        Outcome::NotStarted { code, why } => (report.code, report.not_started) = (Some(code), Some(why)),
        Outcome::Already => {}
    }
    Ok(())
}

fn disturb(settings: &Settings, id: &str, exec: &Exec) -> Result<Option<String>> {
    let control = || Control::connect(&settings.root, id).map(|control| control.expect("it runs"));
    if let Outcome::Running(Some(session)) = control()?.exec(exec)?.outcome {
        listen(session)?;
    }
    let not_paused = control()?.pause().err().map(|error| error.to_string());
    control()?.signal(9)?;
    Ok(not_paused)
}

fn listen(mut session: Session) -> Result<u8> {
    loop {
        match session.output.next()? {
            Some(Event::Output(stream, bytes)) => pass_on(stream, &bytes),
            Some(Event::Ended(code)) => return Ok(code),
            None => return Err(Error::Cancelled),
        }
    }
}

fn pass_on(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().write_all(bytes),
    };
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staged for Out {
    fn written(&self) -> (Digest, u64) {
        (self.hasher.digest(), self.hasher.count())
    }

    fn commit(self: Box<Self>, descriptor: &Descriptor) -> Result<()> {
        let (digest, size) = self.written();
        if (&digest, size) == (&descriptor.digest, descriptor.size) {
            return Ok(());
        }
        Err(Error::Conflict("the layer is not what was announced".into()))
    }
}
