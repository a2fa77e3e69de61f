//! A task that follows one of the queue's streams, only while a part of this process wants to hear what is announced there.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The task that runs.
pub(crate) struct Follower {
    /// A forked process has a copy of this value, and none of the task.
    process: u32,
    /// Says when the task has found its place in the stream.
    started: watch::Receiver<bool>,
    stop: CancellationToken,
}

impl Follower {
    /// Starts the task that `following` makes, which says by the sender when it has found its place.
    pub(crate) fn start<F>(
        runtime: &Handle,
        following: impl FnOnce(watch::Sender<bool>) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (ready, started) = watch::channel(false);
        let stop = CancellationToken::new();
        let (stopped, following) = (stop.clone(), following(ready));
        runtime.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = following => {}
            }
        });
        Self {
            process: std::process::id(),
            started,
            stop,
        }
    }

    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    pub(crate) fn runs(&self) -> bool {
        self.is_here() && self.started.has_changed().is_ok()
    }

    pub(crate) fn started(&self) -> watch::Receiver<bool> {
        self.started.clone()
    }

    /// Stops it, if it runs in this process.
    pub(crate) fn stop(follower: Option<Self>) {
        if let Some(follower) = follower.as_ref().filter(|follower| follower.is_here()) {
            follower.stop.cancel();
        }
        Self::forget_if_elsewhere(follower);
    }

    /// In a forked process this belongs to the parent's task. Dropping it would wake the copy of that task, so it is
    /// forgotten instead.
    pub(crate) fn forget_if_elsewhere(follower: Option<Self>) {
        if follower
            .as_ref()
            .is_some_and(|follower| !follower.is_here())
        {
            std::mem::forget(follower);
        }
    }
}
