//! The control socket.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::Arc,
    thread,
};

use nacre_oci::{Error, Result};

use crate::{
    inside::{
        container::{exec, monitor::Monitor, pause::Hold},
        files::{self, View},
    },
    wire::{self, Ask, Frame, Message},
};

/// From now on clients are served, each by a thread of its own.
pub(crate) fn listen(monitor: &Arc<Monitor>) -> Result<()> {
    let doing = || Error::io("make the container's control socket");
    let control = monitor.home.join("control");
    // Whatever stands there is of an earlier monitor, or damage.
    let _ = fs::remove_file(&control).or_else(|_| fs::remove_dir_all(&control));
    // By way of an open folder, because the path of a socket can only be short.
    let folder = File::open(&monitor.home).map_err(doing())?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/control", folder.as_raw_fd())).map_err(doing())?;
    let monitor = Arc::clone(monitor);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let monitor = Arc::clone(&monitor);
            thread::spawn(move || serve(&monitor, client));
        }
    });
    Ok(())
}

/// Answers a client until it is gone, or its connection becomes something else.
fn serve(monitor: &Arc<Monitor>, mut client: UnixStream) {
    let mut hold = None;
    while let Ok(Some(Frame::Message(ask))) = wire::receive(&mut client) {
        let done = match ask {
            Ask::Attach => return attach(monitor, client),
            Ask::Exec(wanted) => return exec::exec(monitor, &wanted, client),
            Ask::Wait => return wait(monitor, client),
            Ask::Files => return files(monitor, client),
            Ask::Signal { exec, number } => monitor.signal(exec, number),
            Ask::Resize { exec, rows, columns } => monitor.program(exec).and_then(|program| program.resize(rows, columns)),
            Ask::Pause if hold.is_some() => Ok(()),
            Ask::Pause => Hold::new(monitor).map(|new| hold = Some(new)),
            Ask::Resume => hold.take().map_or(Ok(()), Hold::end),
        };
        let answer = done.map_or_else(|error| Message::Failed(error.to_string()), |()| Message::Done);
        if wire::send(&mut client, &answer).is_err() {
            return;
        }
    }
}

fn attach(monitor: &Monitor, client: UnixStream) {
    let Ok(own) = client.try_clone() else { return };
    if monitor.main.listen(own, &Message::Started { exec: None }, &monitor.crowd).is_ok() {
        monitor.main.feed(client);
    }
}

fn wait(monitor: &Monitor, mut client: UnixStream) {
    let Ok(own) = client.try_clone() else { return };
    let waiting = monitor.main.tell_end(own, &monitor.crowd);
    // Who waits says nothing more: this is the end of either.
    let _ = client.read(&mut [0; 1]);
    waiting.leave();
}

fn files(monitor: &Arc<Monitor>, mut client: UnixStream) {
    let Ok(_open) = monitor.hold_open() else { return };
    let eyes = match monitor.eyes() {
        Ok(eyes) => eyes,
        Err(Error::Io { doing, source }) if source.kind() == ErrorKind::PermissionDenied => {
            let _ = wire::send(&mut client, &Message::Failed(Error::Io { doing, source }.to_string()));
            return;
        }
        // The program has just ended: the client asks again.
        Err(_) => return,
    };
    let own = Arc::clone(monitor);
    let over = Arc::new(move || !own.is_live());
    // The client may break off as it likes.
    let _ = files::serve(client, over, &View { root: &monitor.root, place: &monitor.place, boot: &monitor.boot, eyes });
}
