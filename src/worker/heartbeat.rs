//! Whether the application's runtime runs: the library's thread asks it a few times a second.
//!
//! The question also wakes a sleeping thread of that runtime. If the thread that keeps the runtime's
//! timers is blocked by a handler, the woken thread takes the timers over. Without it, no thread might
//! do so before the next job comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::service::WorkerShared;
use crate::worker::handover::give_back_late;

const ASKED_EVERY: Duration = Duration::from_millis(250);

/// It runs until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>, application: Handle) {
    let ask = || {
        let shared = Arc::clone(&shared);
        application.spawn(async move {
            shared.application.is_alive();
            shared.slots.resume_claims();
        })
    };
    let mut asked = ask();
    loop {
        sleep(ASKED_EVERY).await;
        give_back_late(&shared);
        // A runtime that does not answer is not asked twice.
        if asked.is_finished() {
            asked = ask();
        }
    }
}
