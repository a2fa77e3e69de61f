//! Handlers: their arguments, their outcomes, and what happens to those that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oxcart::{
    Attempt, AttemptKind, Backoff, Context, DeadReason, Ended, Extract, Failure, Job, JobState,
    Outcome, Queue, State, WorkerEvent,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::{eventually, eventually_async};

const AT_ONCE: Backoff = Backoff::NONE;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Act {
    FailTwice,
    Panic,
    Hang,
    Discard,
    DeclareDead,
    RetryLater,
    HugeResult,
}

impl Job for Act {
    const NAME: &'static str = "act";
    type Output = Vec<u8>;
}

async fn act(act: Act, context: Context) -> Result<Vec<u8>, Failure> {
    match act {
        Act::FailTwice if context.attempt().number <= 2 => Err("not yet")?,
        Act::FailTwice => Ok(vec![context.attempt().number as u8]),
        Act::Panic => panic!("at the disco"),
        Act::Hang => std::future::pending().await,
        Act::Discard => Err(Failure::discard("moot")),
        Act::DeclareDead => Err(Failure::dead("hopeless")),
        Act::RetryLater => Err(Failure::retry_after(Duration::from_secs(600), "busy")),
        Act::HugeResult => Ok(vec![0; 2 << 20]),
    }
}

#[tokio::test]
async fn errors_are_retried_and_the_history_tells_of_them() {
    let rig = Rig::new().await;
    let running = Running::start(rig.worker().handle(act));
    let request = rig.queue.enqueue(Act::FailTwice).backoff(AT_ONCE);
    let sent = request.await.unwrap();
    assert_eq!(sent.result().await.unwrap(), [3]);
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!((info.failed, info.state), (2, JobState::Completed));
    assert_eq!(info.ended.unwrap().1, Ended::Completed);
    let errors: Vec<_> = info
        .history
        .iter()
        .map(|a| (a.kind, a.error.as_str()))
        .collect();
    assert_eq!(errors, [(AttemptKind::Error, "not yet"); 2]);
    let told = running.stop().await;
    let retries = told
        .iter()
        .filter(|e| matches!(e.outcome(), Some(Outcome::Retry { .. })));
    assert_eq!(retries.count(), 2);
}

#[tokio::test]
async fn every_way_to_end() {
    let rig = Rig::new().await;
    let running = Running::start(rig.worker().concurrency(4).handle(act));
    let once = |act| rig.queue.enqueue(act).attempts(1);

    let panicked = once(Act::Panic).await.unwrap();
    let error = panicked.result().await.unwrap_err();
    assert!(
        error.is_dead() && error.to_string().contains("at the disco"),
        "{error}"
    );

    let hung = once(Act::Hang)
        .timeout(Duration::from_millis(50))
        .await
        .unwrap();
    assert!(hung.result().await.unwrap_err().is_dead());
    let info = hung.info().await.unwrap().unwrap();
    assert_eq!(info.history[0].kind, AttemptKind::Timeout);

    let discarded = once(Act::Discard).await.unwrap();
    let error = discarded.result().await.unwrap_err();
    assert!(
        error.is_cancelled() && error.to_string().contains("moot"),
        "{error}"
    );

    let declared = rig.queue.enqueue(Act::DeclareDead).await.unwrap();
    assert!(declared.result().await.unwrap_err().is_dead());
    let info = declared.info().await.unwrap().unwrap();
    assert_eq!(info.ended.unwrap().1, Ended::Dead(DeadReason::Declared));

    let huge = rig.queue.enqueue(Act::HugeResult).await.unwrap();
    assert!(huge.result().await.unwrap_err().is_dead());
    let info = huge.info().await.unwrap().unwrap();
    assert_eq!(info.history[0].kind, AttemptKind::BadResult);

    let later = rig.queue.enqueue(Act::RetryLater).await.unwrap();
    rig.until(|counts| counts.delayed == 1).await;
    let info = later.info().await.unwrap().unwrap();
    let wait = info
        .due_at
        .unwrap()
        .duration_since(info.history[0].ended_at);
    assert_eq!(wait, Duration::from_secs(600));
    let told = running.stop().await;
    let counts = rig.counts().await;
    // Each attempt is told twice: when it begins, and when its outcome is stored.
    for event in &told {
        let fence = |attempt: &Attempt| (attempt.id.clone(), attempt.fence);
        let WorkerEvent::Started(begun) = event else {
            continue;
        };
        let ended = told.iter().filter(|event| {
            matches!(event, WorkerEvent::Ended { attempt, .. } if fence(attempt) == fence(begun))
        });
        assert_eq!(ended.count(), 1, "{told:?}");
        assert_eq!((begun.queue.as_str(), begun.name.as_str()), ("test", "act"));
    }
    assert_eq!(told.len(), 12);
    assert_eq!((counts.dead, counts.active), (4, 0));
}

#[tokio::test]
async fn arguments_are_extracted_and_follow_ups_enqueued() {
    struct Base(u32);
    struct Tenant(String);
    impl Extract for Tenant {
        async fn extract(context: &Context) -> Result<Self, Failure> {
            let tenant = context.header("tenant").unwrap_or("none");
            Ok(Tenant(tenant.to_owned()))
        }
    }
    async fn number(
        Number(n): Number,
        base: State<Base>,
        tenant: Tenant,
        queue: Queue,
        context: Context,
    ) -> Result<u32, Failure> {
        assert_eq!(tenant.0, "acme");
        assert!(
            context.attempt().fence.get() > 0
                && context.lease_remaining() > Duration::from_secs(20)
        );
        assert_eq!(
            (
                context.attempt().number,
                context.attempt().attempts,
                context.attempt().stalls
            ),
            (1, 10, 0)
        );
        context.progress(&"half way").await?;
        if n > 0 {
            queue
                .enqueue(Number(n - 1))
                .header("tenant", "acme")
                .await?;
        }
        Ok(base.0 + n)
    }
    let rig = Rig::new().await;
    let running = Running::start(rig.worker().state(Base(100)).handle(number));
    let sent = rig
        .queue
        .enqueue(Number(3))
        .header("tenant", "acme")
        .await
        .unwrap();
    assert_eq!(sent.result().await.unwrap(), 103);
    rig.until(|counts| counts.totals.completed == 4).await;
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(
        info.progress::<String>().unwrap().as_deref(),
        Some("half way")
    );
    running.stop().await;
}

/// A rolling deploy: the new job type arrives before the workers that know it.
#[tokio::test]
async fn an_unknown_name_bounces_until_a_worker_knows_it() {
    let rig = Rig::new().await;
    let old = Running::start(rig.worker().handle(act));
    let sent = rig.queue.enqueue(Number(4)).attempts(1).await.unwrap();
    eventually_async(PATIENCE, async || {
        sent.info().await.unwrap().unwrap().bounces > 0
    })
    .await;
    let told = old.stop().await;
    assert!(
        told.iter()
            .any(|e| matches!(e.outcome(), Some(Outcome::Bounced { .. }))),
        "{told:?}"
    );
    let new = rig
        .worker()
        .handle(async |Number(n)| Ok::<_, Failure>(n * 10));
    let new = Running::start(new);
    assert_eq!(sent.result().await.unwrap(), 40);
    assert_eq!(sent.info().await.unwrap().unwrap().failed, 0);
    new.stop().await;
}

#[tokio::test]
async fn an_unreadable_payload_is_dead_when_its_age_is_over() {
    #[derive(Serialize, Deserialize)]
    struct Text(String);
    impl Job for Text {
        const NAME: &'static str = "number";
        type Output = u32;
    }
    let rig = Rig::new().await;
    let worker = rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n));
    let running = Running::start(worker.bounce_for(Duration::from_millis(500)));
    let sent = rig.queue.enqueue(Text("no number".into())).await.unwrap();
    let error = sent.result().await.unwrap_err();
    assert!(error.is_dead(), "{error}");
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(info.ended.unwrap().1, Ended::Dead(DeadReason::Undecodable));
    assert_eq!(info.history[0].kind, AttemptKind::Undecodable);
    running.stop().await;
}

#[tokio::test]
async fn concurrency_is_kept_to_and_changes_while_running() {
    struct Gauge {
        now: AtomicUsize,
        most: AtomicUsize,
        gate: Arc<Semaphore>,
    }
    async fn gauge(Number(n): Number, gauge: State<Gauge>) -> Result<u32, Failure> {
        let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.most.fetch_max(now, Ordering::SeqCst);
        gauge.gate.acquire().await?.forget();
        gauge.now.fetch_sub(1, Ordering::SeqCst);
        Ok(n)
    }
    let rig = Rig::new().await;
    rig.queue.enqueue_many((0..100).map(Number)).await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let state = Gauge {
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        gate: Arc::clone(&gate),
    };
    let running = Running::start(rig.worker().concurrency(3).state(state).handle(gauge));
    rig.until(|counts| counts.active == 3).await;
    // What Redis has noted down, the worker hears a moment later.
    eventually(PATIENCE, || running.control.running() == 3).await;
    running.control.set_concurrency(40).unwrap();
    rig.until(|counts| counts.active == 40).await;
    eventually(PATIENCE, || running.control.running() == 40).await;
    running.control.set_concurrency(1).unwrap();
    gate.add_permits(42);
    rig.until(|counts| counts.totals.completed == 42).await;
    rig.until(|counts| counts.active == 1).await;
    gate.add_permits(1_000);
    rig.until(|counts| counts.totals.completed == 100).await;
    running.stop().await;
}

/// Code of the application runs in more places than the handler.
#[tokio::test]
async fn a_hook_or_an_argument_that_panics_loses_no_job() {
    struct Grenade;
    impl Extract for Grenade {
        async fn extract(_: &Context) -> Result<Self, Failure> {
            panic!("boom in an argument");
        }
    }
    let rig = Rig::new().await;
    async fn number(_: Number, _: Grenade) -> Result<u32, Failure> {
        Ok(1)
    }
    let worker = rig.worker().handle(number).handle(act);
    let running = Running::start(worker.on_event(|_| panic!("boom in a hook")));
    let sent = rig.queue.enqueue(Number(1)).attempts(1).await.unwrap();
    let error = sent.result().await.unwrap_err();
    assert!(error.to_string().contains("boom in an argument"), "{error}");
    let good = rig.queue.enqueue(Act::FailTwice).backoff(AT_ONCE);
    assert_eq!(good.result().await.unwrap(), [3]);
    running.stop().await;
}

/// What a panic carries is dropped by the worker, and may do the same.
#[tokio::test]
async fn a_panic_that_panics_again_when_it_is_dropped_is_one_failure() {
    struct Grenade(u32);
    impl Drop for Grenade {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Grenade(self.0 - 1));
            }
        }
    }
    let rig = Rig::new().await;
    async fn number(job: Number) -> Result<u32, Failure> {
        std::panic::panic_any(Grenade(job.0));
    }
    let worker = rig.worker().handle(number).handle(act);
    let worker = worker.backoff("grenade", |_, _| std::panic::panic_any(Grenade(3)));
    let running = Running::start(worker.on_event(|_| std::panic::panic_any(Grenade(2))));
    for layers in [0, 1, 7] {
        for attempts in [1, 2] {
            let request = rig.queue.enqueue(Number(layers)).backoff(AT_ONCE);
            let sent = request.attempts(attempts).await.unwrap();
            assert!(sent.result().await.unwrap_err().is_dead());
            let info = sent.info().await.unwrap().unwrap();
            assert_eq!(info.failed, attempts);
            let kinds: Vec<_> = info.history.iter().map(|attempt| attempt.kind).collect();
            assert_eq!(kinds, vec![AttemptKind::Panic; attempts as usize]);
        }
    }
    let named = rig.queue.enqueue(Act::FailTwice).attempts(3);
    let named = named.backoff(Backoff::named("grenade")).await.unwrap();
    // Its strategy panics: it waits for as long as the default says.
    assert_eq!(named.result().within(PATIENCE).await.unwrap(), [3]);
    running.stop().await;
}
