//! Other programs in a running container.

use std::{fs, os::unix::net::UnixStream, sync::Arc, thread};

use nacre_oci::{Error, Result};

use crate::{
    boot::Exec,
    inside::{
        container::{
            monitor::Monitor,
            program::{NotStarted, Program},
            streams::Wanted,
        },
        spec::{self, Terminal},
    },
    request::Run,
    wire::{self, Message},
};

/// Starts one, whose client this is.
pub(crate) fn exec(monitor: &Arc<Monitor>, exec: &Exec, mut client: UnixStream) {
    let number = monitor.next_exec();
    let refusal = match start(monitor, exec, number) {
        Ok(Ok(program)) => return watch(monitor, exec, number, &Arc::new(program), client),
        Ok(Err(NotStarted { code, why })) => Message::NotStarted { code, why },
        Err(error) => Message::Failed(error.to_string()),
    };
    let _ = wire::send(&mut client, &refusal);
}

fn start(monitor: &Monitor, exec: &Exec, number: u64) -> Result<Result<Program, NotStarted>> {
    let _open = monitor.hold_open()?;
    if monitor.is_paused() {
        return Err(Error::Conflict(format!("container {} is paused, unpause the container before exec", monitor.boot.id)));
    }
    let run = run(&monitor.boot.run, exec);
    let account = match monitor.accounts()?.find(&run.user) {
        Ok(account) => account,
        Err(why) => return Ok(Err(NotStarted { code: 126, why })),
    };
    let terminal = if exec.tty { Terminal::Sized(exec.size) } else { Terminal::None };
    let process = spec::process(&run, &account, monitor.place.owners, terminal);
    let name = format!("exec{number}");
    let file = monitor.oci.memory.join(format!("{name}.json"));
    fs::write(&file, process.to_string()).map_err(Error::io("write the program's configuration"))?;
    let wanted = match exec {
        Exec { tty: true, .. } => Wanted::Terminal(exec.size),
        Exec { detach: true, .. } => Wanted::Nothing,
        _ => Wanted::Pipes { stdin: exec.stdin },
    };
    let started = Program::start(&monitor.oci, &name, &["exec", "--process", &file.to_string_lossy()], wanted, true);
    let _ = fs::remove_file(file);
    started
}

/// What is to be run: in what the container's own program was, but for what is asked for.
fn run(own: &Run, exec: &Exec) -> Run {
    let kept = own.env.iter().filter(|(name, _)| exec.env.iter().all(|(other, _)| other != name));
    Run {
        args: exec.args.clone(),
        env: kept.chain(&exec.env).cloned().collect(),
        cwd: exec.cwd.clone().unwrap_or_else(|| own.cwd.clone()),
        user: exec.user.clone().unwrap_or_else(|| own.user.clone()),
        ..own.clone()
    }
}

fn watch(monitor: &Monitor, exec: &Exec, number: u64, program: &Arc<Program>, mut client: UnixStream) {
    monitor.add_exec(number, program);
    let started = Message::Started { exec: Some(number) };
    if exec.detach {
        let _ = wire::send(&mut client, &started);
        drop(client);
    } else if let Ok(own) = client.try_clone() {
        let _ = program.listen(own, &started, &monitor.crowd);
        let program = Arc::clone(program);
        thread::spawn(move || program.feed(client));
    }
    let code = program.watch(None).unwrap_or(u8::MAX);
    monitor.remove_exec(number);
    program.end(code);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_the_containers() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = Run { env: vec![pair("A", "1"), pair("B", "2")], cwd: "/own".into(), user: "diver".into(), ..Run::default() };
        let plain = run(&own, &Exec { args: vec!["id".into()], ..Exec::default() });
        assert_eq!((plain.args, plain.env, plain.cwd, plain.user), (vec!["id".into()], own.env.clone(), "/own".into(), "diver".into()));
        let asked = Exec { env: vec![pair("A", "3")], cwd: Some("/".into()), user: Some(String::new()), ..Exec::default() };
        let other = run(&own, &asked);
        assert_eq!((other.env, other.cwd, other.user), (vec![pair("B", "2"), pair("A", "3")], "/".into(), String::new()));
    }
}
