//! A breaker that is declared for a type of jobs.

use std::future::pending;

use oxcart::{
    Breaker, BreakerSettings, BreakerState, Failure, Job, JobState, Oxcart, Queue, State, Worker,
    WorkerBuilder,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Charge, Dependency, LIMIT, SECOND};
use crate::support::{Server, eventually_async};

const JOBS: usize = 10;

/// How a job ends.
#[derive(Serialize, Deserialize)]
enum Call {
    Down,
    Declined,
    Fine,
    Panics,
    Hangs,
    Snoozes,
}

impl Job for Call {
    const NAME: &'static str = "call";
    type Output = ();
}

async fn call(job: Call) -> Result<(), Failure> {
    match job {
        Call::Down => Err("503".into()),
        Call::Declined => Err(Failure::dead("402")),
        Call::Fine => Ok(()),
        Call::Panics => panic!("a bug"),
        Call::Hangs => pending().await,
        Call::Snoozes => Err(Failure::snooze(SECOND)),
    }
}

struct Case {
    oxcart: Oxcart,
    stripe: Breaker,
    queue: Queue,
}

impl Case {
    fn new() -> Self {
        let oxcart = Oxcart::in_memory();
        let settings = BreakerSettings::new().trips_at(3, 60 * SECOND);
        Self {
            stripe: oxcart
                .breaker("stripe")
                .unwrap()
                .settings(settings)
                .unwrap(),
            queue: oxcart.queue("billing").unwrap(),
            oxcart,
        }
    }

    fn worker(&self) -> WorkerBuilder {
        Worker::builder(&self.queue).concurrency(1).handle(call)
    }

    /// Runs such jobs, one after the other; how many attempts failed, and how the breaker stands.
    async fn runs(&self, worker: WorkerBuilder, job: fn() -> Call) -> (u64, BreakerState) {
        let worker = worker.build().unwrap();
        for _ in 0..JOBS {
            let job = self.queue.enqueue(job()).attempts(2);
            job.timeout(SECOND / 20).await.unwrap();
        }
        worker.drain().await;
        let failed = self.queue.counts().await.unwrap().totals.retried;
        (failed, self.stripe.info().await.unwrap().state)
    }
}

#[tokio::test]
async fn attempts_that_may_be_tried_again_open_it_and_no_others() {
    let calls = [
        ((|| Call::Down) as fn() -> Call, 3, BreakerState::Open),
        (|| Call::Hangs, 3, BreakerState::Open),
        (|| Call::Declined, 0, BreakerState::Closed),
        (|| Call::Fine, 0, BreakerState::Closed),
        (|| Call::Panics, 10, BreakerState::Closed),
        (|| Call::Snoozes, 0, BreakerState::Closed),
    ];
    for (job, failed, state) in calls {
        let case = Case::new();
        let worker = case.worker().wrap(case.stripe.around::<Call>());
        assert_eq!(case.runs(worker, job).await, (failed, state));
    }
}

/// Attempts that are the last one count as well.
#[tokio::test]
async fn jobs_that_have_one_attempt_open_it() {
    let case = Case::new();
    let worker = case.worker().wrap(case.stripe.around::<Call>());
    let worker = worker.build().unwrap();
    for _ in 0..JOBS {
        case.queue.enqueue(Call::Down).attempts(1).await.unwrap();
    }
    worker.drain().await;
    let counts = case.queue.counts().await.unwrap();
    assert_eq!((counts.dead, counts.delayed), (3, 7));
}

#[tokio::test]
async fn it_is_of_the_jobs_of_its_type_alone() {
    let case = Case::new();
    let worker = case.worker().wrap(case.stripe.around::<Charge>());
    let runs = case.runs(worker, || Call::Down).await;
    assert_eq!(runs, (10, BreakerState::Closed));
}

#[tokio::test]
async fn the_application_says_which_failures_are_the_dependencys() {
    let case = Case::new();
    let around = case.stripe.around::<Call>();
    let around = around.counting(|entry| !entry.error.contains("503"));
    let runs = case.runs(case.worker().wrap(around), || Call::Down).await;
    assert_eq!(runs, (10, BreakerState::Closed));
}

/// A probe whose job is put off, or whose worker stops, closes nothing.
#[tokio::test]
async fn a_probe_that_says_nothing_of_the_dependency_makes_room_for_another_one() {
    let case = Case::new();
    let worker = case.worker().wrap(case.stripe.around::<Call>());
    assert_eq!(
        case.runs(worker, || Call::Down).await,
        (3, BreakerState::Open)
    );
    let worker = case.worker().wrap(case.stripe.around::<Call>());
    let worker = worker.build().unwrap();
    for (job, state) in [
        (Call::Snoozes, BreakerState::HalfOpen),
        (Call::Panics, BreakerState::HalfOpen),
        (Call::Declined, BreakerState::Rising),
    ] {
        case.queue.delete().with_jobs().await.unwrap();
        case.oxcart.advance_time(5 * SECOND);
        case.queue.enqueue(job).attempts(1).await.unwrap();
        assert_eq!(worker.drain().await.len(), 1);
        // That a probe was dropped is told on the side.
        eventually_async(LIMIT, async || {
            let info = case.stripe.info().await.unwrap();
            (info.state, info.probes) == (state, 0)
        })
        .await;
    }
}

/// Its calls are a part of the attempt, and need no permit of their own.
#[tokio::test]
async fn a_handler_may_call_through_the_breaker_that_is_around_it() {
    let case = Case::new();
    let other = case.oxcart.breaker("stripe").unwrap();
    let worker = Worker::builder(&case.queue)
        .concurrency(1)
        .state(other)
        .wrap(case.stripe.around::<Call>())
        .handle(async |job: Call, other: State<Breaker>| {
            let answer = async || match job {
                Call::Fine => Ok(()),
                _ => Err("503"),
            };
            other.call(answer).await?;
            Ok::<_, Failure>(())
        })
        .build()
        .unwrap();
    for _ in 0..JOBS {
        case.queue.enqueue(Call::Down).attempts(1).await.unwrap();
    }
    worker.drain().await;
    let info = case.stripe.info().await.unwrap();
    assert_eq!((info.state, info.opened), (BreakerState::Open, 1));
    assert_eq!(case.queue.counts().await.unwrap().dead, 3);
    case.queue.delete().with_jobs().await.unwrap();
    case.oxcart.advance_time(5 * SECOND);
    case.queue.enqueue(Call::Fine).await.unwrap();
    worker.drain().await;
    let state = case.stripe.info().await.unwrap().state;
    assert_eq!(state, BreakerState::Rising);
}

#[tokio::test]
async fn an_outage_costs_the_attempts_that_open_it_and_then_the_jobs_flow() {
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let settings = BreakerSettings::new()
        .trips_at(3, 10 * SECOND)
        .open_for(SECOND / 4)
        .rising(1_000, SECOND);
    let stripe = oxcart
        .breaker("stripe")
        .unwrap()
        .settings(settings)
        .unwrap();
    let queue = oxcart.queue("billing").unwrap();
    let dependency = Dependency::default();
    dependency.is_down(true);
    let charge = async |job: Charge, dependency: State<Dependency>| {
        dependency.charge(job.number).await?;
        Ok::<_, Failure>(())
    };
    let worker = Worker::builder(&queue)
        .concurrency(1)
        .state(dependency.clone())
        .wrap(stripe.around::<Charge>())
        .handle(charge)
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));
    let jobs = (0..50).map(|number| Charge { number });
    let jobs = queue.enqueue_many(jobs).await.unwrap();
    eventually_async(LIMIT, async || {
        stripe.info().await.unwrap().opened > 0 && queue.counts().await.unwrap().delayed == 50
    })
    .await;
    dependency.is_down(false);
    for job in &jobs {
        job.result().within(LIMIT).await.unwrap();
    }
    assert_eq!(queue.counts().await.unwrap().totals.retried, 3);
    let job = jobs[0].info().await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Completed);
    stop.cancel();
    running.await.unwrap().unwrap();
}
