//! A socket of the host's, passed on to a program: what speaks to the host's server is the sandbox process.

use std::{
    fs, io,
    net::Shutdown,
    os::unix::{
        fs::{PermissionsExt, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread,
};

/// Makes a socket at `place` that leads to `host`. It works until this process ends.
pub(crate) fn pass_on(host: &Path, place: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let listener = UnixListener::bind(place)?;
    if let Some((uid, gid)) = owner {
        chown(place, Some(uid), Some(gid))?;
    }
    fs::set_permissions(place, fs::Permissions::from_mode(mode & 0o7777))?;
    let host: PathBuf = host.into();
    thread::spawn(move || {
        for program in listener.incoming() {
            let Ok(program) = program else { return };
            // A server that refuses is a connection that ends.
            if let Ok(server) = UnixStream::connect(&host) {
                join(program, server);
            }
        }
    });
    Ok(())
}

fn join(program: UnixStream, server: UnixStream) {
    let (Ok(to_program), Ok(to_server)) = (program.try_clone(), server.try_clone()) else { return };
    for (mut from, mut to) in [(program, to_server), (server, to_program)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_is_said_reaches_the_server_and_the_answer_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (host, place) = (dir.path().join("host"), dir.path().join("place"));
        let server = UnixListener::bind(&host).unwrap();
        pass_on(&host, &place, 0o640, None).unwrap();
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o640);
        let mut program = UnixStream::connect(&place).unwrap();
        program.write_all(b"question").unwrap();
        program.shutdown(Shutdown::Write).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let mut heard = String::new();
        accepted.read_to_string(&mut heard).unwrap();
        accepted.write_all(b"answer").unwrap();
        drop(accepted);
        let mut answer = String::new();
        program.read_to_string(&mut answer).unwrap();
        assert_eq!((heard.as_str(), answer.as_str()), ("question", "answer"));
    }
}
