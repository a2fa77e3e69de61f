//! The library's own runtime: one thread, started with the first connection, shared by all queues
//! and workers of the process.
//!
//! Everything that must go on while the application blocks its threads, or does not drive its
//! runtime, runs here: connections, the tasks that send for producers, the lanes and leases of
//! workers. The application's code (handlers, futures that it awaits) never does, but for hooks
//! ([`WorkerBuilder::on_event`](crate::WorkerBuilder::on_event)), which must not block.
//!
//! Invariant: whatever is made with [`handle`] outlives every runtime of the application.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::runtime::{Builder, Handle};

use crate::error::{Error, ErrorKind};

struct Started {
    /// A forked process has a copy of this value, and none of its thread.
    process: u32,
    handle: Handle,
}

static STARTED: Mutex<Option<Started>> = Mutex::new(None);

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is the library's own thread: nothing else that runs on it runs at this moment.
pub(crate) fn is_here() -> bool {
    IS_OURS.get()
}

/// Starts the thread, unless it runs.
pub(crate) fn start() -> Result<Handle, Error> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some(running) = &*started
        && running.process == process
    {
        return Ok(running.handle.clone());
    }
    let handle = start_thread().map_err(|source| {
        Error::new(
            ErrorKind::Internal,
            "the thread on which oxcart talks to Redis cannot be started",
        )
        .with_source(source)
    })?;
    *started = Some(Started {
        process,
        handle: handle.clone(),
    });
    Ok(handle)
}

/// The runtime of the thread.
pub(crate) fn handle() -> Handle {
    start().expect("the thread runs since the first connection was made")
}

/// Runs a future on the thread, and waits for what it gives.
///
/// A caller that is dropped meanwhile drops only its wait: the future goes on to its end.
pub(crate) async fn run<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    match handle().spawn(future).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(cancelled) => unreachable!("the runtime never ends: {cancelled}"),
        },
    }
}

/// Drops what is the application's on a thread of its own, within the application's runtime if that is
/// given. For the rare case that the last reference to it is on the library's thread.
pub(crate) fn drop_elsewhere<T: Send + 'static>(theirs: T, application: Option<Handle>) {
    let dropping = move || {
        let _within = application.as_ref().map(Handle::enter);
        drop(theirs);
    };
    // If no thread can be started, it is dropped here.
    let _ = thread::Builder::new().spawn(dropping);
}

/// Drops the payload of a panic. If that panics too, the payload of the second panic is forgotten, and
/// not dropped: it might panic again, and so on for ever.
pub(crate) fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

fn start_thread() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("oxcart".into())
        .spawn(move || {
            IS_OURS.set(true);
            runtime.block_on(std::future::pending::<()>())
        })?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_thread_serves_whoever_asks_from_wherever() {
        let on_the_thread = || async { thread::current().name().map(str::to_owned) };
        for _ in 0..2 {
            let runtime = Builder::new_current_thread().build().unwrap();
            let name = runtime.block_on(run(on_the_thread()));
            assert_eq!(name.as_deref(), Some("oxcart"));
        }
    }

    #[test]
    fn a_caller_that_is_dropped_stops_nothing() {
        let (ended, waiting) = std::sync::mpsc::channel();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let running = run(async move {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                ended.send(()).unwrap();
            });
            let mut running = std::pin::pin!(running);
            assert!(running.as_mut().now_or_never().is_none());
        });
        drop(runtime);
        waiting.recv().unwrap();
    }
}
