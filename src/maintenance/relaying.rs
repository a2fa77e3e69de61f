//! Carries what waits in the outbox of the queue to other queues: at once when a call of this worker has put something there, and every few seconds
//! if recovery finds that something waits. As long as nothing does, not one command is sent for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::time::{Instant, sleep_until};

use crate::queue::relay::Relay;
use crate::service::WorkerShared;
use crate::service::hooks::WorkerEvent;
use crate::service::trouble::CallKind;

/// After trouble with the queue's own outbox.
const PAUSE: Duration = Duration::from_secs(1);

/// Goes on until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>) {
    let mut relay = Relay::of(&shared.queue.inner);
    let mut again_at = None;
    loop {
        let again: OptionFuture<_> = again_at.map(sleep_until).into();
        tokio::select! {
            () = shared.outbox.notified() => {}
            Some(()) = again => {}
        }
        again_at = round(&shared, &mut relay).await;
    }
}

/// One run; when the next one is due, if it is.
async fn round(shared: &WorkerShared, relay: &mut Relay) -> Option<Instant> {
    let run = match relay.run().await {
        Ok(run) => run,
        Err(trouble) => {
            shared
                .trouble
                .note(CallKind::Relaying, &trouble, &shared.hooks);
            return Some(Instant::now() + PAUSE);
        }
    };
    for (target, kind) in run.unknown {
        shared.hooks.tell(|queue| WorkerEvent::MessageUnknown {
            queue,
            target,
            kind,
        });
    }
    match run.trouble {
        Some(trouble) => shared
            .trouble
            .note(CallKind::Relaying, &trouble, &shared.hooks),
        // A target that is only left alone for a while is not well again.
        None if relay.again_at().is_some() => {}
        None => shared.trouble.clear(CallKind::Relaying, &shared.hooks),
    }
    match run.more {
        true => Some(Instant::now()),
        false => relay.again_at(),
    }
}
