//! Batch handlers: called alone, drained, and with all that surrounds the attempt of a job.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use oxcart::{
    Batch, Batched, Context, Error, Extract, ExtractOnce, Failure, Job, Next, Outcome, Oxcart,
    Pending, Queue, State, States, Worker, WorkerBuilder, WorkerEvent,
};
use serde::{Deserialize, Serialize};

use super::{Act, Notes, SHORT, Seen, described, notes, queue, ran};

const LONG: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row(i64);

impl Job for Row {
    const NAME: &'static str = "row";
    type Output = i64;
}

#[derive(Clone, Default)]
struct Table(Arc<Mutex<Vec<Vec<i64>>>>);

impl Table {
    /// The batches in which rows came.
    fn batches(&self) -> Vec<Vec<i64>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// All rows are inserted or none; each one that is negative is refused.
async fn insert(rows: Vec<Batched<Row>>, table: State<Table>) -> Result<(), Failure> {
    let (wrong, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.job.0 < 0);
    for row in wrong {
        let why = format!("{} is negative", row.job.0);
        row.fail(Failure::dead(why));
    }
    let (rows, pending): (Vec<Row>, Vec<Pending<Row>>) =
        rows.into_iter().map(Batched::into_parts).unzip();
    let values: Vec<_> = rows.into_iter().map(|row| row.0).collect();
    if values.contains(&0) {
        return Err("the table is locked".into());
    }
    table.0.lock().unwrap().push(values.clone());
    for (row, value) in pending.into_iter().zip(values) {
        row.complete(value * 10);
    }
    Ok(())
}

fn worker(queue: &Queue, table: &Table, up_to: usize) -> WorkerBuilder {
    let batch = Batch::up_to(up_to).within(LONG);
    let builder = Worker::builder(queue).concurrency(100);
    builder.state(table.clone()).handle_batch(batch, insert)
}

#[tokio::test]
async fn a_batch_handler_is_a_plain_function_in_a_test() {
    let table = State::new(Table::default());
    let (seven, first) = Context::builder().batched(Row(7));
    let (wrong, second) = Context::builder().attempt(2).batched(Row(-1));
    assert_eq!(wrong.context().attempt().number, 2);
    assert_eq!(wrong.context().attempt().name, "row");
    insert(vec![seven, wrong], table.clone()).await.unwrap();
    assert_eq!(first.given().unwrap().unwrap(), 70);
    let refused = second.given().unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "-1 is negative");
    assert_eq!(table.batches(), [[7]]);

    let (zero, nothing) = Context::builder().batched(Row(0));
    let error = insert(vec![zero], table).await.unwrap_err();
    assert_eq!(error.to_string(), "the table is locked");
    assert!(nothing.given().is_none());
}

#[tokio::test]
async fn a_drain_runs_batches_as_they_are_full_and_what_is_left_at_last() {
    let (queue, table) = (queue(), Table::default());
    let worker = worker(&queue, &table, 4).build().unwrap();
    let sent = queue.enqueue_many((1..=10).map(Row)).await.unwrap();
    let ran = worker.drain().await;
    assert_eq!(
        table.batches(),
        [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10]]
    );
    let ids: Vec<_> = ran.iter().map(|ran| &ran.attempt.id).collect();
    assert_eq!(ids, sent.iter().map(|one| one.id()).collect::<Vec<_>>());
    assert_eq!(sent[9].result().await.unwrap(), 100);

    // More than one call takes.
    let worker = self::worker(&queue, &table, 100).build().unwrap();
    queue.enqueue_many((1..=300).map(Row)).await.unwrap();
    assert_eq!(worker.drain().await.len(), 300);
    let sizes = table.batches().into_iter().map(|batch| batch.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [100, 100, 100]);
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.left(), counts.totals.completed), (0, 310));
}

#[tokio::test]
async fn a_drain_of_a_batch_retries_each_job_by_itself() {
    let oxcart = Oxcart::in_memory();
    let (queue, table) = (oxcart.queue("stage").unwrap(), Table::default());
    let worker = worker(&queue, &table, 3).build().unwrap();
    for value in [1, 0, -2] {
        queue.enqueue(Row(value)).attempts(2).await.unwrap();
    }
    let ran = worker.drain().await;
    let outcomes: Vec<_> = ran.iter().map(|ran| described(&ran.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            "retry: the table is locked",
            "retry: the table is locked",
            "dead: -2 is negative"
        ]
    );
    assert!(worker.drain().await.is_empty());
    oxcart.advance_time(Duration::from_secs(3_600));
    let ran = worker.drain().await;
    assert_eq!(ran.len(), 2);
    assert!(ran.iter().all(|ran| ran.attempt.number == 2));
}

/// Jobs of other handlers run meanwhile, the most urgent first.
#[tokio::test]
async fn a_drain_mixes_batches_with_other_jobs() {
    let (queue, table, seen) = (queue(), Table::default(), Seen::default());
    let act = |seen: Seen| {
        move |_: Act| {
            seen.note("acted");
            async { Ok::<_, Failure>(1) }
        }
    };
    let builder = worker(&queue, &table, 3).handle(act(seen.clone()));
    let worker = builder.build().unwrap();
    queue.enqueue(Row(1)).await.unwrap();
    queue.enqueue(Act::Succeed).await.unwrap();
    queue.enqueue(Row(2)).await.unwrap();
    let names = worker.drain().await.into_iter();
    let names: Vec<_> = names.map(|ran| ran.attempt.name).collect();
    assert_eq!(names, ["act", "row", "row"]);
    assert_eq!((seen.all().len(), table.batches()), (1, vec![vec![1, 2]]));
}

#[tokio::test]
async fn middleware_and_hooks_see_each_job_of_a_batch() {
    let (queue, table, seen) = (queue(), Table::default(), Seen::default());
    queue.enqueue_many([3, -3, 4].map(Row)).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    async fn no_fours(context: Context, next: Next) -> Outcome {
        let outcome = next.run(context).await;
        match &outcome {
            Outcome::Completed(output) if output.read::<i64>().unwrap() == 40 => {
                next.fail(Failure::cancel("no fours"))
            }
            _ => outcome,
        }
    }
    let notes: Notes = notes("it", &seen);
    let builder = worker(&queue, &table, 3).wrap(notes).wrap(no_fours);
    let outcomes =
        ran(builder.on_event(move |event| keep.lock().unwrap().push(event.clone()))).await;
    let wanted = [
        "completed: -",
        "dead: -3 is negative",
        "cancelled: no fours",
    ];
    assert_eq!(outcomes, wanted);
    let seen = seen.all();
    assert_eq!(seen[..3], ["it begins"; 3]);
    for wanted in wanted {
        assert!(seen.contains(&format!("it: {wanted}")), "{seen:?}");
    }
    let told = told.lock().unwrap();
    let started = told
        .iter()
        .filter(|one| matches!(one, WorkerEvent::Started(_)));
    assert_eq!((started.count(), told.len()), (3, 6));
}

/// Some jobs never get to the handler, and some come late: the others do not wait for them.
#[tokio::test]
async fn a_drain_begins_a_batch_without_jobs_that_middleware_keeps() {
    async fn keeps(context: Context, next: Next) -> Outcome {
        match context.header("kept") {
            Some("out") => next.fail(Failure::dead("kept out")),
            Some("back") => {
                tokio::task::yield_now().await;
                next.fail(Failure::dead("kept back"))
            }
            _ => next.run(context).await,
        }
    }
    let (queue, table) = (queue(), Table::default());
    for kept in ["back", "out", "no", "back", "no"] {
        queue.enqueue(Row(1)).header("kept", kept).await.unwrap();
    }
    let builder = worker(&queue, &table, 5).wrap(keeps);
    let outcomes = ran(builder).await;
    let completed = outcomes.iter().filter(|one| *one == "completed: -");
    assert_eq!((completed.count(), outcomes.len()), (2, 5));
    assert_eq!(table.batches(), [[1, 1]]);

    // One at a time, a batch is one job: the drain does not wait for ever.
    let one = Arc::new(tokio::sync::Semaphore::new(1));
    let lonely = move |context: Context, next: Next| {
        let one = Arc::clone(&one);
        async move {
            let _permit = one.acquire().await.unwrap();
            next.run(context).await
        }
    };
    queue.enqueue_many([5, 6].map(Row)).await.unwrap();
    let batch = Batch::up_to(2).within(SHORT);
    let builder = Worker::builder(&queue).state(table.clone());
    ran(builder.handle_batch(batch, insert).wrap(lonely)).await;
    assert_eq!(table.batches(), [[5], [6]]);
}

/// Made once for all jobs.
struct Connection(usize);

struct Pool(Mutex<usize>);

impl Extract for Connection {
    fn check(states: &States) -> Result<(), Error> {
        State::<Pool>::check(states)
    }

    async fn extract(context: &Context) -> Result<Self, Failure> {
        let pool = State::<Pool>::extract(context).await?;
        let mut left = pool.0.lock().unwrap();
        *left = left.checked_sub(1).ok_or("the pool is empty")?;
        Ok(Self(*left))
    }
}

impl ExtractOnce for Connection {}

/// Made from each job.
struct Tenant(String);

impl Extract for Tenant {
    async fn extract(context: &Context) -> Result<Self, Failure> {
        let tenant = context.header("tenant").ok_or("no tenant")?;
        Ok(Self(tenant.to_owned()))
    }
}

#[tokio::test]
async fn arguments_are_made_once_for_a_batch_or_taken_from_each_job() {
    async fn by_tenant(
        rows: Vec<Batched<Row>>,
        connection: Connection,
        queue: Queue,
    ) -> Result<(), Failure> {
        assert_eq!(queue.name(), "stage");
        for row in rows {
            match Tenant::extract(row.context()).await {
                Ok(tenant) => row.complete((tenant.0.len() + connection.0) as i64),
                Err(failure) => row.fail(failure),
            }
        }
        Ok(())
    }
    let queue = queue();
    let batch = Batch::up_to(2).within(LONG);
    let builder = Worker::builder(&queue).handle_batch(batch, by_tenant);
    let error = builder.build().unwrap_err();
    assert!(error.to_string().contains("there is no `State<"), "{error}");

    let pool = Pool(Mutex::new(1));
    let builder = Worker::builder(&queue)
        .state(pool)
        .handle_batch(batch, by_tenant);
    let acme = queue.enqueue(Row(1)).header("tenant", "acme");
    let acme = acme.await.unwrap();
    for _ in 0..3 {
        queue.enqueue(Row(2)).attempts(1).await.unwrap();
    }
    let empty = "dead: the pool is empty";
    let wanted = ["completed: -", "dead: no tenant", empty, empty];
    assert_eq!(ran(builder).await, wanted);
    assert_eq!(acme.result().await.unwrap(), 4);
}

#[tokio::test]
async fn progress_is_one_of_each_job() {
    async fn reports(rows: Vec<Batched<Row>>) -> Result<(), Failure> {
        for row in &rows {
            row.context().progress(&row.job.0).await?;
        }
        let reports = rows.into_iter().map(|row| async { row.complete(1) });
        join_all(reports).await;
        Ok(())
    }
    let queue = queue();
    let sent = queue.enqueue_many([8, 9].map(Row)).await.unwrap();
    let batch = Batch::up_to(2).within(LONG);
    ran(Worker::builder(&queue).handle_batch(batch, reports)).await;
    for (one, wanted) in sent.iter().zip([8, 9]) {
        let info = one.info().await.unwrap().unwrap();
        assert_eq!(info.progress::<i64>().unwrap(), Some(wanted));
    }
}

/// Tells the groups of each batch.
async fn tell(
    rows: Vec<Batched<Row>>,
    seen: State<Arc<Mutex<Vec<String>>>>,
) -> Result<(), Failure> {
    let group = |row: &Batched<Row>| row.context().group().unwrap_or("-").to_owned();
    let groups: Vec<_> = rows.iter().map(group).collect();
    seen.lock().unwrap().push(groups.join(" "));
    rows.into_iter().for_each(|row| row.complete(0));
    Ok(())
}

#[tokio::test]
async fn a_drain_collects_the_jobs_of_each_group_by_themselves() {
    let queue = queue();
    for group in ["a", "b", "", "a", "b", "a", ""] {
        let row = queue.enqueue(Row(1));
        match group {
            "" => row.await.unwrap(),
            group => row.group(group).await.unwrap(),
        };
    }
    let batch = Batch::up_to(2).within(LONG).by_group();
    let seen = State::new(Arc::<Mutex<Vec<String>>>::default());
    let builder = Worker::builder(&queue).state(Arc::clone(&seen));
    let worker = builder.handle_batch(batch, tell).build().unwrap();
    assert_eq!(worker.drain().await.len(), 7);
    let mut batches = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(
        batches.last().unwrap(),
        "a",
        "it is not full, and so the last"
    );
    batches.sort();
    assert_eq!(batches, ["-", "-", "a", "a a", "b b"]);
    // And called alone.
    let (row, _) = Context::builder().group("a").batched(Row(1));
    let (none, _) = Context::builder().batched(Row(1));
    tell(vec![row, none], seen.clone()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["a -"]);
}
