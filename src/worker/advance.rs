//! A lane of a worker: one call after the other, which stores what has ended and claims what there is.
//!
//! A lane owns its connection, its numbering, and what its current call carries
//! until that is answered (`store/backend/repeated_call.rs`). Nothing is done twice, and nothing that
//! was claimed is forgotten. While a call is under way, ended attempts pile up for the next: load makes
//! the batches larger by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::sleep;
use tracing::{error, warn};

use crate::job::outcome::Outcome;
use crate::policy::pace::Pace;
use crate::service::lease::Lease;
use crate::service::slots::{Brought, NextCall};
use crate::service::trouble::CallKind;
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advanced, Claimed, Settlement};
use crate::store::backend::{ANSWER_PATIENCE, Became, LARGE, Lane, PAUSE_MAX};
use crate::worker::advance_call::AdvanceCall;
use crate::worker::attempt::{attend, release};
use crate::worker::decide::unstorable;
use crate::worker::handover::{Handover, Ticket};
use crate::worker::inner::WorkerInner;

/// A result has to be refused so often before its job is dead, unless the server says why it refuses.
const PROOFS: u32 = 5;
/// A worker that was about to go idle may miss the news of a job that another one handed back: after
/// this time all hear them once more.
const NEWS_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Makes the calls of one lane, until the slots are closed. Attempts run on the runtime `application`.
pub(crate) async fn run(worker: Arc<WorkerInner>, number: usize, application: Handle) {
    worker.settings.begin(&worker.shared).await;
    let connection = worker.store().connection(ANSWER_PATIENCE);
    let mut lane = Lane::new(connection, Pace::careful(BATCH_BYTES));
    let mut limit = 0;
    loop {
        if limit != lane.bytes() {
            limit = lane.bytes();
            worker.slots.limit(number, limit);
        }
        let Some(next) = worker.slots.next_call(number).await else {
            return;
        };
        // A call that is refused is divided into parts; the last part is sent first.
        let (mut parts, mut proofs) = (vec![next], 0);
        while let Some(next) = parts.pop() {
            match lane.call(&mut AdvanceCall::new(&worker, &next)).await {
                Became::Done { answer, sent, .. } => {
                    worker.trouble.clear(CallKind::Advance, &worker.hooks);
                    // Attempts that end at once go with the next call, together with those that
                    // ended meanwhile: so a call carries twice as many jobs.
                    let handover = absorb(&worker, next, answer, sent, &application);
                    handover.begun().await;
                    proofs = 0;
                }
                Became::Refused { why, is_certain } => {
                    proofs += if is_certain { PROOFS } else { 1 };
                    parts.extend(divide(&worker, next, &why, proofs).await);
                }
                // Another program wrote to the keys of the queue or used this lane, or a script was stopped in its
                // middle. Whether the call did anything is not known; the fences protect what is sent again.
                Became::Unknowable { why } => {
                    let queue = worker.queue.name();
                    let number = lane.number();
                    error!(
                        queue,
                        lane = number.lane,
                        call = number.call,
                        why,
                        "a call cannot be carried out"
                    );
                    lane.leave_behind();
                    take_back(&worker, next).await;
                }
                Became::Withdrawn | Became::Denied(_) => take_back(&worker, next).await,
            }
        }
    }
}

/// The outcomes of the call go with another call, after a pause.
async fn take_back(worker: &WorkerInner, next: NextCall) {
    worker.slots.take_back(next);
    sleep(PAUSE_MAX).await;
    // The call may have been made because of a token, so the worker looks for work again.
    worker.slots.look();
}

/// A call was refused, and would be refused again: it is divided into two. A single result that is
/// refused is the end of its job: the work is done, and doing it again would give the same result. But
/// a small result is never too large: then there is another reason, which may pass.
async fn divide(worker: &WorkerInner, mut next: NextCall, why: &str, proofs: u32) -> Vec<NextCall> {
    if let ([one], 0) = (&mut next.settle[..], next.claim) {
        let Outcome::Completed(result) = &one.outcome else {
            take_back(worker, next).await;
            return Vec::new();
        };
        if result.size() < LARGE {
            warn!(queue = worker.queue.name(), id = %one.id, why, "a small result is refused; it is sent again");
            take_back(worker, next).await;
            return Vec::new();
        }
        if proofs >= PROOFS {
            let error = format!(
                "the result has {} bytes and cannot be stored: {why}",
                result.size()
            );
            warn!(queue = worker.queue.name(), id = %one.id, error, "a job is dead");
            one.outcome = unstorable(error);
        }
        return vec![next];
    }
    warn!(
        queue = worker.queue.name(),
        settle = next.settle.len(),
        why,
        "a call is refused each time; it is divided"
    );
    let was_empty = next.settle.is_empty();
    let parts = worker.slots.divide(next);
    if was_empty {
        sleep(PAUSE_MAX).await;
    }
    parts
}

/// Takes in what a call brought: frees what is settled, starts what is claimed.
fn absorb(
    worker: &Arc<WorkerInner>,
    mut next: NextCall,
    advanced: Advanced,
    sent: Instant,
    application: &Handle,
) -> Handover {
    let clock = worker.heard_after(sent, advanced.now_ms);
    worker.leases.remove(next.settle.iter().map(|s| s.fence));
    advanced.correct(&mut next.settle);
    worker
        .hooks
        .tell_settled(&mut next.settle, &advanced.refused);
    worker.timers.due.set_by(clock, advanced.next_at_ms);
    worker.timers.tick.set_by(clock, advanced.tick_ms);
    if advanced.has_sent {
        worker.outbox.notify_one();
    }
    let handed_back = tell_again_of(worker, &next.settle);
    let length = worker.config.lease;
    let lease = |claimed: &Claimed| Arc::new(Lease::new(claimed, sent, length));
    let leases: Vec<_> = advanced.claimed.iter().map(lease).collect();
    worker.leases.add(leases.iter().cloned());
    worker.slots.brought(&Brought {
        reserved: next.claim,
        settled: next.settle.len(),
        claimed: leases.len(),
        more: advanced.more,
        traits: advanced.traits,
        traits_asked: next.traits,
        held: advanced.held,
        suspects: advanced.suspects > 0,
        suspects_asked: next.suspects.is_some(),
        unhandled: advanced.unhandled,
        by_name: next.by_name && !advanced.repeated,
        made_news: handed_back || next.again,
        woken: next.woken,
    });
    worker.metrics.refused(advanced.refused.len());
    let slots = || (worker.slots.running(), worker.slots.concurrency());
    worker
        .metrics
        .advanced(next.settle.len(), leases.len(), slots);
    let handover = Handover::new();
    let mut permits = Vec::new();
    if let Some(turn) = next.suspects {
        let suspects = advanced.claimed.iter().filter(|claimed| claimed.stalls > 0);
        let one_is_alone = suspects.clone().any(|claimed| claimed.alone);
        permits = turn.brought(suspects.count(), one_is_alone);
    }
    let mut attempts = Vec::with_capacity(leases.len());
    for (claimed, lease) in advanced.claimed.into_iter().zip(leases) {
        if worker.slots.is_claiming() {
            let permit = if claimed.stalls > 0 {
                permits.pop()
            } else {
                None
            };
            attempts.push((claimed, lease, permit, handover.ticket()));
        } else {
            // Claimed too late. It is given back here, because its attempt was never handed over.
            lease.give_back();
            worker.slots.ended(release(&lease));
        }
    }
    if let Some(last) = attempts.pop() {
        let worker = Arc::clone(worker);
        let attend = move |(claimed, lease, permit, ticket): (_, _, _, Ticket)| {
            ticket.of(attend(Arc::clone(&worker), claimed, lease, clock, permit))
        };
        // One task for all attempts: a task for each would wake the application's threads again and again. The task
        // starts the others, and becomes the last attempt itself.
        application.spawn(async move {
            for one in attempts {
                tokio::spawn(attend(one));
            }
            attend(last).await;
        });
    }
    handover
}

/// Whether any of these jobs was handed back by its name. If so, all workers hear of it once more in a
/// moment, and again when the job may be too old.
fn tell_again_of(worker: &WorkerInner, settled: &[Settlement]) -> bool {
    let mut handed_back = false;
    for settlement in settled {
        if let Outcome::Bounced { after, name, .. } = &settlement.outcome
            && name.is_some()
        {
            handed_back = true;
            let now = Instant::now();
            worker.timers.news.set(now + NEWS_AGAIN_AFTER);
            worker.timers.overdue.set(now + *after);
        }
    }
    handed_back
}
