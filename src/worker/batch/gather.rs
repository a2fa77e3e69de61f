//! Where jobs wait for one another until their batch begins.
//!
//! Jobs of one handler share a batch, or those of each group have a batch of their own, which begins whatever the others do.
//! The task of a batch exists from its first job on. It holds the jobs that have joined, until the batch is full or its time is
//! over. If the worker begins nothing more, the task drops them, and their attempts give them back. If the task is gone (its
//! runtime was shut down), the next job opens another batch.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::job::Job;
use crate::worker::any_handler::{Bounds, Gathering, Place};
use crate::worker::batch::course::{self, Begun, Waiting};
use crate::worker::batch::handler::BatchHandler;
use crate::worker::context::Context;

/// Which jobs share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// All jobs of the handler.
    All,
    /// Those of one group. A job without a group shares its batch with no other job.
    Group,
}

/// The batches of one handler.
pub(crate) struct Gather<H, J: Job, Args> {
    handler: Arc<H>,
    up_to: usize,
    within: Duration,
    share: Share,
    /// The batches that jobs join now, by the group of their jobs if these share it. No group has two, and each batch has a job that waits
    /// in a slot of the worker. So there are never more than slots.
    open: Mutex<OpenBatches<J>>,
    types: PhantomData<fn() -> Args>,
}

type OpenBatches<J> = HashMap<Option<String>, Open<J>>;

/// A batch that has not begun. It begins when this is dropped.
struct Open<J: Job> {
    joins: mpsc::UnboundedSender<Waiting<J>>,
    joined: usize,
    up_to: usize,
    /// Each attempt that waits has one as well.
    waits: Arc<()>,
}

impl<J: Job> Open<J> {
    /// How many of its attempts still wait.
    fn waiting(&self) -> usize {
        match self.joins.is_closed() {
            true => 0,
            false => Arc::strong_count(&self.waits) - 1,
        }
    }
}

/// An attempt that waits for its batch.
pub(crate) struct Joined<J: Job> {
    /// The attempt is told when the batch has begun, or begins without it.
    pub(crate) begins: oneshot::Receiver<Begun<J>>,
    /// The attempt has not left.
    _waits: Arc<()>,
}

impl<H, J, Args> Gather<H, J, Args>
where
    H: BatchHandler<J, Args>,
    J: Job,
    Args: 'static,
{
    pub(crate) fn new(handler: H, up_to: usize, within: Duration, share: Share) -> Self {
        Self {
            handler: Arc::new(handler),
            up_to,
            within,
            share,
            open: Mutex::default(),
            types: PhantomData,
        }
    }

    fn lock(&self) -> MutexGuard<'_, OpenBatches<J>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job joins the batch that is open for it.
    pub(crate) fn join(&self, job: J, context: Context, bounds: &Bounds<'_>) -> Joined<J> {
        let Place { group, up_to } = self.place(context.group());
        let (begin, begins) = oneshot::channel();
        let mut waiting = Waiting {
            job,
            context,
            span: Span::current(),
            begin,
        };
        let mut open = self.lock();
        let mut known = open.remove(&group);
        let (batch, waits) = loop {
            let mut batch = known.take().unwrap_or_else(|| {
                // All jobs of such a batch were cancelled, or lost their lease.
                open.retain(|_, batch| batch.waiting() > 0);
                self.opened(up_to, self.within, bounds.claims_end)
            });
            let waits = Arc::clone(&batch.waits);
            match batch.joins.send(waiting) {
                Ok(()) => {
                    batch.joined += 1;
                    break (batch, waits);
                }
                // The batch has just begun.
                Err(refused) => waiting = refused.0,
            }
        };
        if batch.joined < batch.up_to {
            open.insert(group, batch);
            // They have all slots of the worker, so no further job can come.
            if open.values().map(Open::waiting).sum::<usize>() >= bounds.slots {
                open.clear();
            }
        }
        Joined {
            begins,
            _waits: waits,
        }
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
            waits: Arc::default(),
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
    fn place(&self, group: Option<&str>) -> Place {
        let (group, up_to) = match (self.share, group) {
            (Share::All, _) => (None, self.up_to),
            (Share::Group, Some(group)) => (Some(group.to_owned()), self.up_to),
            (Share::Group, None) => (None, 1),
        };
        Place { group, up_to }
    }

    fn open(&self, place: Place, within: Duration, claims_end: &CancellationToken) {
        let opened = self.opened(place.up_to, within, claims_end);
        self.lock().insert(place.group, opened);
    }

    fn waiting(&self) -> usize {
        self.lock().values().map(|batch| batch.joined).sum()
    }

    fn begin(&self) {
        self.lock().clear();
    }
}
