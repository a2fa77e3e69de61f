//! The ready-made answer to "until when".

/// Completes on SIGTERM or Ctrl-C (on other systems than Unix: Ctrl-C). Only a process that
/// awaits it installs the handlers; the library does nothing by itself. They are installed when
/// it is first polled, which [`Worker::run_until`](crate::Worker::run_until) does when it starts.
///
/// A second signal does nothing: the worker is stopping already, for at most its grace period
/// ([`WorkerBuilder::grace`](crate::WorkerBuilder::grace)) and 10 s.
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
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    () = ctrl_c() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be listened for; only Ctrl-C works");
                ctrl_c().await;
            }
        }
    }
    #[cfg(not(unix))]
    ctrl_c().await;
}

async fn ctrl_c() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C cannot be listened for");
        std::future::pending::<()>().await;
    }
}
