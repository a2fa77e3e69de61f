//! Where jobs wait for one another until their batch begins.
//!
//! The task of a batch exists from its first job on. It holds the jobs that have joined, until the batch is full or its time is
//! over. If the worker begins nothing more, the task drops them, and their attempts give them back. If the task is gone (its
//! runtime was shut down), the next job opens another batch.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::job::Job;
use crate::worker::any_handler::Gathering;
use crate::worker::batch::course::{self, Begun, Waiting};
use crate::worker::batch::handler::BatchHandler;
use crate::worker::context::Context;

/// The batches of one handler.
pub(crate) struct Gather<H, J: Job, Args> {
    handler: Arc<H>,
    up_to: usize,
    within: Duration,
    /// The batch that jobs join now.
    open: Mutex<Option<Open<J>>>,
    types: PhantomData<fn() -> Args>,
}

/// A batch that has not begun. It begins when this is dropped.
struct Open<J: Job> {
    joins: mpsc::UnboundedSender<Waiting<J>>,
    joined: usize,
    up_to: usize,
}

impl<H, J, Args> Gather<H, J, Args>
where
    H: BatchHandler<J, Args>,
    J: Job,
    Args: 'static,
{
    pub(crate) fn new(handler: H, up_to: usize, within: Duration) -> Self {
        Self {
            handler: Arc::new(handler),
            up_to,
            within,
            open: Mutex::new(None),
            types: PhantomData,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open<J>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job joins the batch that is open. Its attempt is told when the batch has begun, or begins without it.
    pub(crate) fn join(
        &self,
        job: J,
        context: Context,
        claims_end: &CancellationToken,
    ) -> oneshot::Receiver<Begun<J>> {
        let (begin, begins) = oneshot::channel();
        let mut waiting = Some(Waiting {
            job,
            context,
            span: Span::current(),
            begin,
        });
        let mut guard = self.lock();
        let mut open = guard.take();
        while let Some(joins) = waiting.take() {
            let opens = || self.opened(self.up_to, self.within, claims_end);
            let batch = open.get_or_insert_with(opens);
            match batch.joins.send(joins) {
                Ok(()) => batch.joined += 1,
                // The batch has just begun.
                Err(refused) => (waiting, open) = (Some(refused.0), None),
            }
        }
        *guard = open.filter(|batch| batch.joined < batch.up_to);
        begins
    }

    fn opened(&self, up_to: usize, within: Duration, claims_end: &CancellationToken) -> Open<J> {
        let (joins, joining) = mpsc::unbounded_channel();
        let (handler, claims_end) = (Arc::clone(&self.handler), claims_end.clone());
        tokio::spawn(async move {
            let waiting = tokio::select! {
                biased;
                waiting = gathered(joining, within) => waiting,
                () = claims_end.cancelled() => return,
            };
            course::run(handler, waiting).await;
        });
        Open {
            joins,
            joined: 0,
            up_to,
        }
    }
}

/// What joins, until nothing more can or the time is over.
async fn gathered<J: Job>(
    mut joining: mpsc::UnboundedReceiver<Waiting<J>>,
    within: Duration,
) -> Vec<Waiting<J>> {
    let mut gathered = Vec::new();
    let mut over = std::pin::pin!(sleep(within));
    loop {
        tokio::select! {
            biased;
            joined = joining.recv_many(&mut gathered, usize::MAX) => {
                if joined == 0 {
                    return gathered;
                }
            }
            () = &mut over, if !joining.is_closed() => joining.close(),
        }
    }
}

impl<H, J, Args> Gathering for Gather<H, J, Args>
where
    H: BatchHandler<J, Args>,
    J: Job,
    Args: 'static,
{
    fn up_to(&self) -> usize {
        self.up_to
    }

    fn open(&self, jobs: usize, within: Duration, claims_end: &CancellationToken) {
        let opened = self.opened(jobs, within, claims_end);
        *self.lock() = Some(opened);
    }

    fn waiting(&self) -> usize {
        self.lock().as_ref().map_or(0, |batch| batch.joined)
    }

    fn begin(&self) {
        *self.lock() = None;
    }
}
