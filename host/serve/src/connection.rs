//! Connections: how many, how patient, and how they end.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, Sleep, sleep, timeout},
};

use crate::{
    limits::{Limits, Patience},
    seats::{Seat, Seats},
};

/// What is under way at shutdown may take this long to end.
const GRACE: Duration = Duration::from_secs(10);
/// How often, while there is no room, it is looked for somebody who does not need theirs.
const CROWDED: Duration = Duration::from_millis(50);
const MAX_HEADER_BYTES: usize = 64 << 10;
/// What hyper buffers for each direction; large reads and writes are what throughput is made of, as long as they fit into the
/// processor's cache.
const MAX_BUFFER: usize = 256 << 10;

/// Serves until `shutdown` is ready, then lets what is under way finish.
pub(crate) async fn run(listener: TcpListener, router: Router, limits: Limits, shutdown: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let seats = Seats::new(limits.idle);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, slot) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots, &seats) => accepted,
        };
        let served = serve(stream, router.clone(), limits, seats.take());
        connections.spawn(async move {
            served.await;
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    seats.close();
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

/// One connection, until the client ends it or is asked to leave.
async fn serve(stream: TcpStream, router: Router, limits: Limits, seat: Arc<Seat>) {
    let stream = Patient::new(stream, &limits, Arc::clone(&seat));
    let mut served = pin!(http(&limits).serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    loop {
        tokio::select! {
            // What breaks here is the client's connection: there is nobody left to tell.
            _ = &mut served => return,
            () = seat.asked() => served.as_mut().graceful_shutdown(),
        }
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    http.max_header_size(MAX_HEADER_BYTES).max_buf_size(MAX_BUFFER);
    http
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>, seats: &Seats) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = room(slots, seats).await;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                return (stream, slot);
            }
            // Out of file descriptors, or the client is gone already: neither ends the server.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A place for one more. While there is none, those who only sit on theirs are asked to leave, one after the other.
async fn room(slots: &Arc<Semaphore>, seats: &Seats) -> OwnedSemaphorePermit {
    if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
        return slot;
    }
    loop {
        seats.make_room();
        if let Ok(slot) = timeout(CROWDED, Arc::clone(slots).acquire_owned()).await {
            return slot.expect("the semaphore is never closed");
        }
    }
}

/// A connection that gives up on a client who takes too little. (Who sends too little is noticed where bodies are read.)
struct Patient {
    inner: TcpStream,
    seat: Arc<Seat>,
    patience: Patience,
    stalled: Pin<Box<Sleep>>,
    waiting: Option<Instant>,
}

impl Patient {
    fn new(inner: TcpStream, limits: &Limits, seat: Arc<Seat>) -> Self {
        let patience = Patience::new(limits);
        Self { inner, seat, stalled: Box::pin(sleep(patience.left())), patience, waiting: None }
    }

    /// Lets a write wait only for as long as there is patience with this client.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            let waited = self.waiting.take().map(|since| since.elapsed()).unwrap_or_default();
            self.patience.moved(waited, *written.as_ref().unwrap_or(&0));
            self.seat.moved();
            return Poll::Ready(written);
        }
        if self.waiting.is_none() {
            let now = Instant::now();
            self.waiting = Some(now);
            self.stalled.as_mut().reset(now + self.patience.left());
        }
        ready!(self.stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if read.is_ready() {
            self.seat.moved();
        }
        read
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
