//! The future that completes when the process is asked to end, and the second signal, which ends the grace period.

use std::future::pending;
use std::sync::LazyLock;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::warn;

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
/// If called outside of a tokio runtime.
///
/// # Cancel safety
///
/// Dropping it is harmless. Tokio's handlers, once installed, stay installed.
pub async fn shutdown_signal() {
    let mut signals = Signals::listen();
    signals.next().await;
    // The second signal ends the grace period only if this future has waited for the first.
    tokio::spawn(async move {
        signals.next().await;
        AGAIN.send_replace(());
    });
}

/// Changes with each second signal.
static AGAIN: LazyLock<watch::Sender<()>> = LazyLock::new(|| watch::Sender::new(()));

/// Waits for a second signal that comes after this was made.
pub(crate) struct Again(watch::Receiver<()>);

impl Again {
    pub(crate) fn from_now_on() -> Self {
        Self(AGAIN.subscribe())
    }

    /// Waits for the second signal. Cancel safe.
    pub(crate) async fn told(&mut self) {
        // The sender is never dropped.
        let _ = self.0.changed().await;
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
