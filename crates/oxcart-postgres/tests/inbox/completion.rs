//! A job that a commit completes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use oxcart::{Changed, Context, Failure, Handler, Job, JobId, Oxcart, State, Worker};
use oxcart_postgres::{ErrorKind, InTransaction, Inbox};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::rig::{add, add_once, attempt, balance, bank};

#[derive(Serialize, Deserialize)]
struct Deposit {
    cents: i64,
}

impl Job for Deposit {
    const NAME: &'static str = "deposit";
    type Output = i64;
}

/// How often the handler was called, and whether it is to fail after its commit: as if the answer to the commit had been lost.
#[derive(Clone, Default)]
struct Calls {
    calls: Arc<AtomicU32>,
    loses_answers: Arc<AtomicBool>,
}

impl Calls {
    fn count(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn deposit(
    job: Deposit,
    context: Context,
    pool: State<PgPool>,
    calls: State<Calls>,
) -> Result<i64, Failure> {
    calls.calls.fetch_add(1, Ordering::SeqCst);
    let mut tx = pool.begin().await?;
    let balance = add(&mut tx, job.cents).await?;
    context.complete_in(&mut tx, &balance).await?;
    tx.commit().await?;
    match calls.loses_answers.load(Ordering::SeqCst) {
        true => Err(Failure::retry("no answer to the commit")),
        false => Ok(balance),
    }
}

/// Runs one attempt of the wrapped handler.
async fn run(
    pool: &PgPool,
    calls: &Calls,
    id: &JobId,
    fence: u64,
    number: u32,
) -> Result<i64, Failure> {
    let context = Context::builder()
        .id(id.clone())
        .fence(fence)
        .attempt(number);
    let context = context.state(pool.clone()).state(calls.clone()).build();
    let handler = Inbox::new(pool).wrap(deposit);
    handler.call(Deposit { cents: 100 }, context).await
}

#[tokio::test]
async fn a_completed_job_is_settled_without_its_handler() {
    let pool = bank().await;
    let (calls, id) = (Calls::default(), JobId::generate());
    for number in [1, 1, 2, 3] {
        let output = run(&pool, &calls, &id, u64::from(number), number).await;
        assert_eq!(output.expect("completed"), 100);
    }
    assert_eq!((calls.count(), balance(&pool).await), (1, 100));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_completes_the_job_at_once() {
    let pool = bank().await;
    let (calls, id) = (Calls::default(), JobId::generate());
    calls.loses_answers.store(true, Ordering::SeqCst);
    let output = run(&pool, &calls, &id, 1, 1).await;
    assert_eq!(output.expect("it has looked again"), 100);
    assert_eq!((calls.count(), balance(&pool).await), (1, 100));
}

#[tokio::test]
async fn without_the_wrapper_the_work_is_refused_and_not_doubled() {
    let pool = bank().await;
    let id = JobId::generate();
    for fence in [1, 1, 2] {
        let mut tx = pool.begin().await.expect("a transaction");
        add(&mut tx, 100).await.expect("added");
        match attempt(&id, fence).complete_in(&mut tx, &100i64).await {
            Ok(()) => tx.commit().await.expect("committed"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Completed, "{error}");
                assert!(error.to_string().contains("inbox.wrap"), "{error}");
            }
        }
    }
    assert_eq!(balance(&pool).await, 100);
}

/// The effect gives a part of the output, and the same transaction completes the job.
#[tokio::test]
async fn an_effect_and_a_completion_go_together() {
    let pool = bank().await;
    let id = JobId::generate();
    for (fence, expected) in [(1, Ok(())), (2, Err(ErrorKind::Completed))] {
        let context = attempt(&id, fence);
        let mut tx = pool.begin().await.expect("a transaction");
        let given = add_once(&context, &mut tx)
            .await
            .expect("the same each time");
        assert_eq!(given, 100);
        let completed = context.complete_in(&mut tx, &format!("{given}")).await;
        assert_eq!(completed.map_err(|error| error.kind()), expected);
        tx.commit().await.expect("committed");
    }
    assert_eq!(balance(&pool).await, 100);
}

/// A second transaction of the same attempt is another one; a second call in the same transaction is not.
#[tokio::test]
async fn a_job_is_completed_by_one_transaction() {
    let pool = bank().await;
    let context = attempt(&JobId::generate(), 1);
    let mut tx = pool.begin().await.expect("a transaction");
    context.complete_in(&mut tx, &1).await.expect("completed");
    context
        .complete_in(&mut tx, &7)
        .await
        .expect("the output is replaced");
    tx.commit().await.expect("committed");
    let mut tx = pool.begin().await.expect("a transaction");
    for error in [
        context.complete_in(&mut tx, &2).await,
        context.hold_in(&mut tx).await,
    ] {
        assert_eq!(error.expect_err("done before").kind(), ErrorKind::Completed);
    }
    // Who commits in spite of that changes nothing of it.
    tx.commit().await.expect("committed");
    let output: Vec<u8> = sqlx::query_scalar("SELECT output FROM oxcart.inbox_job")
        .fetch_one(&pool)
        .await
        .expect("it is there");
    assert_eq!(output, [7]);
}

/// The next attempt has begun, and does nothing yet: the earlier one may not commit any more.
#[tokio::test]
async fn when_the_next_attempt_has_begun_the_one_before_cannot_commit() {
    let pool = bank().await;
    let id = JobId::generate();
    let early = attempt(&id, 1);
    let second = async |_: Deposit| Err::<i64, _>(Failure::retry("it does nothing"));
    let context = Context::builder().id(id).fence(2).stalls(1).build();
    let wrapped = Inbox::new(&pool).wrap(second);
    let failed = wrapped.call(Deposit { cents: 1 }, context);
    assert!(failed.await.is_err());
    let mut tx = pool.begin().await.expect("a transaction");
    add(&mut tx, 100).await.expect("added");
    let error = early
        .complete_in(&mut tx, &100i64)
        .await
        .expect_err("too late");
    assert_eq!(error.kind(), ErrorKind::Stale);
}

/// As an application uses it, with its worker.
#[tokio::test]
async fn a_worker_runs_wrapped_handlers() {
    let pool = bank().await;
    let calls = Calls::default();
    calls.loses_answers.store(true, Ordering::SeqCst);
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("bank").expect("a name");
    let worker = Worker::builder(&queue)
        .state(pool.clone())
        .state(calls.clone())
        .handle(Inbox::new(&pool).wrap(deposit))
        .build()
        .expect("it has its states");
    let handle = queue.enqueue(Deposit { cents: 5 }).await.expect("enqueued");
    worker.drain().await;
    assert_eq!(handle.result().await.expect("completed"), 5);
    assert_eq!((calls.count(), balance(&pool).await), (1, 5));
    // The wrapper asks for what the handler asks for.
    let without = Worker::builder(&queue)
        .handle(Inbox::new(&pool).wrap(deposit))
        .build();
    assert!(without.is_err_and(|error| error.to_string().contains("State")));
}

/// The attempt of before the replay is frozen, and about to commit: it may not any more, once the job has begun anew.
#[tokio::test]
async fn a_replayed_job_leaves_nothing_to_the_attempts_of_before() {
    let pool = bank().await;
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("bank").expect("a name");
    let frozen = Frozen::default();
    let worker = || {
        let handler = async |_: Deposit, context: Context, frozen: State<Frozen>| {
            let is_first = context.attempt().earlier == 0;
            if is_first {
                *frozen.lock().expect("no panic") = Some(context);
            }
            Err::<i64, _>(Failure::dead("as asked"))
        };
        let worker = Worker::builder(&queue).state(Arc::clone(&frozen));
        let worker = worker.handle(Inbox::new(&pool).wrap(handler)).build();
        worker.expect("a worker")
    };
    let job = queue.enqueue(Deposit { cents: 1 }).await.expect("enqueued");
    worker().drain().await;
    let replayed = queue.replay(job.id()).await.expect("asked");
    assert_eq!(replayed, Changed::Done);
    worker().drain().await;
    let early = frozen.lock().expect("no panic").take().expect("it ran");
    let mut tx = pool.begin().await.expect("a transaction");
    let error = early.complete_in(&mut tx, &100i64).await;
    assert_eq!(error.expect_err("too late").kind(), ErrorKind::Stale);
}

type Frozen = Arc<Mutex<Option<Context>>>;

/// The handler gives up while its commit is still under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_under_way_is_waited_for() {
    let pool = bank().await;
    let context = Context::builder().id(JobId::generate()).fence(1);
    let context = context.state(pool.clone()).build();
    let slow = async |job: Deposit, context: Context, pool: State<PgPool>| {
        let mut tx = pool.begin().await?;
        let balance = add(&mut tx, job.cents).await?;
        context.complete_in(&mut tx, &balance).await?;
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            tx.commit().await
        });
        Err::<i64, _>(Failure::retry("the answer to the commit took too long"))
    };
    let wrapped = Inbox::new(&pool).wrap(slow);
    let output = wrapped.call(Deposit { cents: 100 }, context).await;
    assert_eq!(output.expect("it has waited"), 100);
    assert_eq!(balance(&pool).await, 100);
}
