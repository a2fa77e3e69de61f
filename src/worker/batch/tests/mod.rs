//! What becomes of the jobs of a batch.

mod groups;
mod rig;

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::Batch;
use crate::job::Job;
use crate::job::failure::Failure;
use crate::job::outcome::Outcome;
use crate::memory::Server;
use crate::oxcart::Oxcart;
use crate::service::lease::Lease;
use crate::worker::Worker;
use crate::worker::batch::batched::Batched;
use rig::{Rig, Work, handle};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(30);

fn completed(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Completed(output) => output.read().unwrap(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_batch_begins_when_it_is_full_or_when_its_first_job_has_waited_long_enough() {
    let rig = Rig::new(Batch::up_to(4).within(SHORT));
    let began = Instant::now();
    let attempts = rig.claim([Work::Succeed; 10]).await;
    let outcomes = rig.outcomes(10).await;
    assert!(began.elapsed() >= SHORT);
    let sizes = attempts.iter().map(|one| completed(&outcomes[&one.id]));
    assert_eq!(sizes.collect::<Vec<_>>(), [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]);

    let rig = Rig::new(Batch::up_to(4).within(LONG));
    let first = rig.claim([Work::Succeed; 3]).await;
    sleep(SHORT).await;
    assert!(first.iter().all(|one| !one.running.is_finished()));
    rig.claim([Work::Succeed]).await;
    rig.outcomes(4).await;
    assert_eq!(rig.seen.sizes(), [4]);
}

#[tokio::test]
async fn each_job_has_its_own_outcome() {
    let rig = Rig::new(Batch::up_to(3).within(LONG));
    let attempts = rig.claim([Work::Succeed, Work::Refuse, Work::Skip]).await;
    let outcomes = rig.outcomes(3).await;
    let mut ended = attempts.iter().map(|one| &outcomes[&one.id]);
    assert_eq!(completed(ended.next().unwrap()), 3);
    assert_eq!(ended.next().unwrap().to_string(), "dead: refused");
    let skipped = "retry: the batch handler gave this job no outcome";
    assert_eq!(ended.next().unwrap().to_string(), skipped);
}

#[tokio::test]
async fn an_error_or_a_panic_is_one_of_every_job_that_has_no_outcome() {
    for (last, wanted) in [
        (Work::FailAll, "dead: all of them"),
        (Work::Panic, "retry: panicked: as asked"),
    ] {
        let rig = Rig::new(Batch::up_to(4).within(LONG));
        let jobs = [Work::Succeed, Work::Skip, last, Work::Succeed];
        let attempts = rig.claim(jobs).await;
        let outcomes = rig.outcomes(4).await;
        assert_eq!(completed(&outcomes[&attempts[0].id]), 4);
        for one in &attempts[1..] {
            assert_eq!(outcomes[&one.id].to_string(), wanted);
        }
    }
}

#[tokio::test]
async fn an_outcome_ends_its_attempt_at_once_and_the_last_one_waits_for_the_handler() {
    let tail = Some(Semaphore::new(0));
    let rig = Rig::with_tail(Batch::up_to(3).within(LONG), tail);
    let attempts = rig.claim([Work::Succeed, Work::Succeed, Work::Wait]).await;
    let first = rig.outcomes(2).await;
    assert!(attempts[..2].iter().all(|one| first.contains_key(&one.id)));
    rig.stage.permits.add_permits(1);
    sleep(SHORT).await;
    assert_eq!((rig.worker.slots.running(), rig.seen.ended()), (1, 0));
    rig.stage.tail.as_ref().unwrap().add_permits(1);
    let last = rig.outcomes(1).await;
    assert_eq!(completed(&last[&attempts[2].id]), 3);
    assert_eq!(rig.seen.ended(), 1);

    // What is given is given, also if the handler does not end.
    let rig = Rig::with_tail(Batch::up_to(1).within(LONG), Some(Semaphore::new(0)));
    let attempts = rig.claim_limited([Work::Succeed], Some(SHORT)).await;
    assert_eq!(completed(&rig.outcomes(1).await[&attempts[0].id]), 1);
    while rig.seen.ended() == 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn g2_a_lost_lease_ends_one_job_of_a_batch_and_not_the_others() {
    let rig = Rig::new(Batch::up_to(3).within(LONG));
    let attempts = rig.claim([Work::Wait; 3]).await;
    rig.begun(1).await;
    let lost = &attempts[1];
    lost.lease.lose(Instant::now());
    lost.lease.stop.cancel();
    let outcomes = rig.outcomes(1).await;
    assert_eq!(outcomes[&lost.id], Outcome::LeaseLost);
    rig.stage.permits.add_permits(2);
    let outcomes = rig.outcomes(2).await;
    assert_eq!(completed(&outcomes[&attempts[2].id]), 3);
    let cancelled = rig.seen.cancelled.lock().unwrap();
    assert_eq!(cancelled.iter().collect::<Vec<_>>(), [&lost.id]);
}

#[tokio::test]
async fn a_handler_is_stopped_when_no_job_of_its_batch_is_left() {
    let rig = Rig::new(Batch::up_to(2).within(LONG));
    // The handler would skip them if only their tokens were fired.
    let attempts = rig.claim([Work::Wait; 2]).await;
    rig.begun(1).await;
    for (one, ended) in attempts.iter().zip([0, 1]) {
        assert_eq!(rig.seen.ended(), 0);
        one.running.abort();
        let outcomes = rig.outcomes(1).await;
        assert_eq!(outcomes[&one.id], Outcome::Released);
        while rig.seen.ended() < ended {
            yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_time_limit_counts_from_the_beginning_of_the_batch_and_ends_one_job() {
    let rig = Rig::new(Batch::up_to(3).within(LONG));
    let limited = rig.claim_limited([Work::Wait], Some(SHORT)).await;
    let unlimited = rig.claim([Work::Succeed, Work::Wait]).await;
    let outcomes = rig.outcomes(2).await;
    let timed_out = outcomes[&limited[0].id].to_string();
    assert!(timed_out.contains("its time limit of 30ms"), "{timed_out}");
    assert_eq!(rig.seen.cancelled.lock().unwrap().len(), 1);
    assert_eq!(completed(&outcomes[&unlimited[0].id]), 3);
    rig.stage.permits.add_permits(1);
    assert_eq!(completed(&rig.outcomes(1).await[&unlimited[1].id]), 3);

    // The wait for the batch is longer than the time limit.
    let rig = Rig::new(Batch::up_to(3).within(3 * SHORT));
    let limited = rig.claim_limited([Work::Succeed], Some(SHORT)).await;
    assert_eq!(completed(&rig.outcomes(1).await[&limited[0].id]), 1);
}

#[tokio::test]
async fn a_job_that_is_stopped_while_it_waits_is_not_in_the_batch() {
    let stops: [fn(&Lease); 4] = [
        |lease| lease.stop.cancel(),
        |lease| lease.cancel.cancel(),
        |lease| lease.lose(Instant::now()),
        // The process was frozen.
        |lease| lease.confirm(Instant::now(), Duration::ZERO),
    ];
    for stop in stops {
        let rig = Rig::new(Batch::up_to(2).within(LONG));
        let early = rig.claim([Work::Succeed]).await;
        while rig.worker.handlers[Work::NAME]
            .gathering()
            .unwrap()
            .waiting()
            == 0
        {
            yield_now().await;
        }
        stop(&early[0].lease);
        rig.claim([Work::Succeed]).await;
        let outcomes = rig.outcomes(2).await;
        let early = &outcomes[&early[0].id];
        assert!(matches!(early, Outcome::Released | Outcome::LeaseLost));
        assert_eq!(rig.seen.sizes(), [1]);
    }
}

#[tokio::test]
async fn a_batch_that_has_not_begun_is_released_when_the_worker_stops() {
    let rig = Rig::new(Batch::up_to(3).within(LONG));
    let waits = rig.claim([Work::Succeed; 2]).await;
    sleep(SHORT).await;
    rig.worker.claims_end.cancel();
    let outcomes = rig.outcomes(2).await;
    assert!(
        waits
            .iter()
            .all(|one| outcomes[&one.id] == Outcome::Released)
    );
    // It was claimed too late to begin.
    let late = rig.claim([Work::Succeed; 3]).await;
    let outcomes = rig.outcomes(3).await;
    assert!(
        late.iter()
            .all(|one| outcomes[&one.id] == Outcome::Released)
    );
    assert!(rig.seen.sizes().is_empty());

    let rig = Rig::new(Batch::up_to(2).within(LONG));
    rig.claim([Work::Wait; 2]).await;
    rig.begun(1).await;
    rig.worker.claims_end.cancel();
    rig.stage.permits.add_permits(2);
    let outcomes = rig.outcomes(2).await;
    assert!(outcomes.values().all(Outcome::is_completed));
}

/// The handler gets exactly the jobs that are not given back, whatever comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_job_is_in_the_batch_or_given_back_and_never_both() {
    let (mut begun, mut given_back) = (0, 0);
    let mut pause = Duration::from_micros(50);
    while begun < 30 || given_back < 30 {
        let rig = Rig::new(Batch::up_to(6).within(LONG));
        let attempts = rig.claim([Work::Succeed; 6]).await;
        let claimed = Instant::now();
        while claimed.elapsed() < pause {
            yield_now().await;
        }
        // The worker stops, or each job is to come to an end.
        if (begun + given_back) % 2 == 0 {
            rig.worker.claims_end.cancel();
        } else {
            attempts.iter().for_each(|one| one.lease.cancel.cancel());
        }
        let outcomes = rig.outcomes(6).await;
        let handled = rig.seen.ids.lock().unwrap().clone();
        for one in attempts {
            let outcome = &outcomes[&one.id];
            assert_eq!(outcome.is_completed(), handled.contains(&one.id));
            assert!(outcome.is_completed() || *outcome == Outcome::Released);
        }
        // So that both happen at nearly the same moment, again and again.
        if handled.len() < 6 {
            given_back += 1;
            pause += pause / 8 + Duration::from_micros(1);
        } else {
            begun += 1;
            pause -= pause / 8;
        }
    }
}

#[test]
fn g1_the_jobs_of_a_batch_whose_runtime_is_shut_down_are_handed_back() {
    let runtime = || Runtime::new().unwrap();
    let rig = Rig::new(Batch::up_to(2).within(LONG));
    let (waits, begins, next) = (runtime(), runtime(), runtime());
    waits.block_on(async {
        rig.claim([Work::Succeed]).await;
        sleep(SHORT).await;
    });
    drop(waits);
    begins.block_on(async {
        assert!(
            rig.outcomes(1)
                .await
                .values()
                .all(|one| *one == Outcome::Released)
        );
        // The first of these joins no batch of the runtime that is gone.
        rig.claim([Work::Wait, Work::Skip]).await;
        rig.begun(1).await;
    });
    drop(begins);
    next.block_on(async {
        assert!(
            rig.outcomes(2)
                .await
                .values()
                .all(|one| *one == Outcome::Released)
        );
        rig.claim([Work::Succeed; 2]).await;
        assert!(rig.outcomes(2).await.values().all(Outcome::is_completed));
    });
    assert_eq!(rig.seen.sizes(), [2, 2]);
}

#[tokio::test]
async fn a_job_that_is_moved_into_a_task_gets_its_outcome_there() {
    async fn moves(jobs: Vec<Batched<Work>>) -> Result<(), Failure> {
        for one in jobs {
            tokio::spawn(async move {
                sleep(SHORT).await;
                one.complete(1);
            });
        }
        Ok(())
    }
    let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
    let queue = oxcart.queue("work").unwrap();
    let batch = Batch::up_to(2).within(LONG);
    let builder = Worker::builder(&queue).handle_batch(batch, moves);
    let worker = builder.build().unwrap().run_until(std::future::pending());
    let running = tokio::spawn(worker);
    let sent = queue.enqueue_many([Work::Wait; 2]).await.unwrap();
    for one in sent {
        assert_eq!(one.result().await.unwrap(), 1);
    }
    running.abort();
}

#[test]
fn a_batch_that_cannot_be_is_refused_when_the_worker_is_built() {
    async fn none(_: Vec<Batched<Work>>) -> Result<(), Failure> {
        Ok(())
    }
    let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
    let queue = oxcart.queue("work").unwrap();
    for (batch, why) in [
        (Batch::up_to(0), "can never begin"),
        (Batch::up_to(11), "takes 11 slots, and the worker has 10"),
        (
            Batch::up_to(2).within(Duration::from_secs(11)),
            "10s are allowed",
        ),
    ] {
        let built = Worker::builder(&queue).handle_batch(batch, none).build();
        let error = built.unwrap_err();
        assert!(
            error.is_invalid() && error.to_string().contains(why),
            "{error}"
        );
        assert!(
            error.to_string().contains("the handler of `work`"),
            "{error}"
        );
    }
    let twice = Worker::builder(&queue)
        .handle_batch(Batch::up_to(2), none)
        .handle(async |_: Work| Ok::<_, Failure>(1));
    assert!(
        twice
            .build()
            .unwrap_err()
            .to_string()
            .contains("two handlers")
    );
    let missing = Worker::builder(&queue).handle_batch(Batch::up_to(2), handle);
    let error = missing.build().unwrap_err();
    assert!(error.to_string().contains("there is no `State<"), "{error}");
}
