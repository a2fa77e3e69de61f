//! The future that completes when the process is asked to end, and the second signal, which ends the grace period.

use std::future::pending;
use std::sync::{LazyLock, Mutex, PoisonError};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::warn;

use crate::runtime;

/// Completes on SIGTERM or Ctrl-C (on other systems than Unix: Ctrl-C). Only a process that
/// awaits it installs the handlers; the library does nothing by itself. They are installed when
/// it is first polled, which [`Worker::run_until`](crate::Worker::run_until) does when it starts.
///
/// A second signal, while workers stop, ends their grace period
/// ([`WorkerBuilder::grace`](crate::WorkerBuilder::grace)) at once: handlers are told to come to an end, and what has not
/// ended 6 s later is handed back. A third one does nothing.
///
/// Each call gives an independent future; all of them complete on the same signal.
///
/// # Panics
///
/// If the library's own thread cannot be started, on which signals are listened for.
///
/// # Cancel safety
///
/// Dropping it is harmless. Tokio's handlers, once installed, stay installed.
pub async fn shutdown_signal() {
    let mut come = COME.subscribe();
    listen();
    // The sender is never dropped.
    let _ = come.changed().await;
}

/// How many signals have come. They are counted in one place: if each future listened for itself, the second signal of
/// one would be the first signal of another, which a worker that runs later waits for.
static COME: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// The process that listens: a forked process has a copy of this value, and nothing that listens.
static LISTENS: Mutex<Option<u32>> = Mutex::new(None);

/// Listens for signals from now on, for as long as the process lives.
fn listen() {
    let mut listens = LISTENS.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if *listens == Some(process) {
        return;
    }
    let ours = runtime::handle();
    let _inside = ours.enter();
    let mut signals = Signals::listen();
    ours.spawn(async move {
        loop {
            signals.next().await;
            COME.send_modify(|come| *come += 1);
        }
    });
    *listens = Some(process);
}

/// Whether the process is told once more that it is to end, from when this was made.
pub(crate) struct Again(watch::Receiver<u64>);

impl Again {
    pub(crate) fn from_now_on() -> Self {
        Self(COME.subscribe())
    }

    /// Waits until it is. The first signal of all is none: something else has told the worker to stop. Cancel safe.
    pub(crate) async fn told(&mut self) {
        loop {
            // The sender is never dropped.
            let _ = self.0.changed().await;
            if *self.0.borrow_and_update() > 1 {
                return;
            }
        }
    }
}

/// What a process is told to end by.
#[cfg(unix)]
struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        let listen = |kind, name| {
            let listening = signal(kind);
            listening
                .inspect_err(|error| warn!(%error, "{name} cannot be listened for"))
                .ok()
        };
        Self {
            terminate: listen(SignalKind::terminate(), "SIGTERM"),
            interrupt: listen(SignalKind::interrupt(), "Ctrl-C"),
        }
    }

    async fn next(&mut self) {
        async fn received(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => _ = signal.recv().await,
                None => pending().await,
            }
        }
        tokio::select! {
            () = received(&mut self.terminate) => {}
            () = received(&mut self.interrupt) => {}
        }
    }
}

/// What a process is told to end by.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            warn!(%error, "Ctrl-C cannot be listened for");
            pending().await
        }
    }
}
