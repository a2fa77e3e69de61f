//! Children that a job adds while it runs: each is added once, wherever the process of its parent dies, and the parent goes on once.

use std::future::IntoFuture;

use futures::future::join_all;
use oxcart::{Chain, Child, Children, Flow, OnDeath, Saga};

use super::*;

/// Doubles what it is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    of: String,
    number: u32,
}

impl Job for Part {
    const NAME: &'static str = "part";
    type Output = u32;
}

async fn part(part: Part, ledger: State<Ledger>) -> Result<u32, Failure> {
    ledger.record(&format!("{} part {}", part.of, part.number));
    Ok(2 * part.number)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Dies {
    Never,
    BeforeStep,
    /// The children are added, and the attempt has not ended.
    AfterStep,
    /// The children have ended, and the next attempt goes on.
    Behind,
}

/// Adds as many children as that.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Assemble {
    name: String,
    parts: u32,
    dies: Dies,
}

impl Job for Assemble {
    const NAME: &'static str = "assemble";
    type Output = u32;
}

fn die_once(ledger: &Ledger, job: &Assemble, at: Dies) {
    let line = format!("{} dies", job.name);
    if job.dies == at && !ledger.lines().contains(&line) {
        ledger.record(&line);
        std::process::abort();
    }
}

async fn assemble(job: Assemble, ledger: State<Ledger>, context: Context) -> Result<u32, Failure> {
    die_once(&ledger, &job, Dies::BeforeStep);
    let queue = context.queue().clone();
    let of = job.name.clone();
    let parts = (0..job.parts).map(|number| {
        queue.enqueue(Part {
            of: of.clone(),
            number,
        })
    });
    let children = context.spawn_children("parts", parts);
    let beside = context.step("beside", async || {
        if job.dies == Dies::AfterStep {
            // A step that runs keeps the attempt from being put aside.
            while queue.children(context.id()).await?.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        die_once(&ledger, &job, Dies::AfterStep);
        Ok(())
    });
    let (children, beside) = tokio::join!(children, beside);
    beside?;
    die_once(&ledger, &job, Dies::Behind);
    ledger.record(&format!("{} goes on", job.name));
    Ok(children?.outputs::<Part>()?.into_iter().sum())
}

fn assembler(queue: &Queue, ledger: Ledger) -> WorkerBuilder {
    let settings = QueueSettings::new().max_stalls(5);
    Worker::builder(queue)
        .lease(SECOND)
        .concurrency(8)
        .queue_settings(settings)
        .state(ledger)
        .handle(assemble)
        .handle(part)
}

#[test]
fn assembling_process() {
    work_as_a_process(assembler);
}

fn start(url: &str, ledger: &Ledger) -> Process {
    spawn_worker("children::assembling_process", url, ledger)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_added_once_wherever_the_process_dies() {
    const PARTS: u32 = 5;
    let (server, queue) = server_and_queue().await;
    let ledger = Ledger::create();
    let mut process = start(&server.url(), &ledger);
    for dies in [Dies::BeforeStep, Dies::AfterStep, Dies::Behind] {
        let name = format!("{dies:?}");
        let job = Assemble {
            name: name.clone(),
            parts: PARTS,
            dies,
        };
        let job = queue.enqueue(job).await.unwrap();
        eventually(PATIENCE, || !process.is_running()).await;
        process = start(&server.url(), &ledger);
        let sum = tokio::time::timeout(PATIENCE, job.result()).await;
        assert_eq!(sum.unwrap().unwrap(), PARTS * (PARTS - 1));
        let children = queue.children(job.id()).await.unwrap();
        assert_eq!(children.len(), PARTS as usize, "{name}");
        let lines = ledger.lines();
        let count = |line: &str| lines.iter().filter(|known| *known == line).count();
        assert_eq!(count(&format!("{name} dies")), 1);
        assert_eq!(count(&format!("{name} goes on")), 1);
        for number in 0..PARTS {
            // One that ran in the process that died may have run twice, and is one job.
            let times = count(&format!("{name} part {number}"));
            assert!(
                (1..=2).contains(&times),
                "{name}: {number} ran {times} times"
            );
        }
    }
    let counts = queue.counts().await.unwrap();
    assert_eq!(counts.left() + counts.dead, 0);
}

/// Their children end while they are being put aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_on_once_at_whatever_moment_its_children_end() {
    let (_server, queue) = server_and_queue().await;
    let ledger = Ledger::create();
    let path = ledger.path().to_owned();
    let running = Running::start(assembler(&queue, Ledger::open(path)));
    let job = |n: u32| Assemble {
        name: n.to_string(),
        parts: if n == 0 { 200 } else { 1 + n % 2 },
        dies: Dies::Never,
    };
    let jobs = queue.enqueue_many((0..200).map(job)).await.unwrap();
    let results = join_all(jobs.iter().map(|job| job.result().into_future())).await;
    for (n, result) in results.into_iter().enumerate() {
        let parts = job(n as u32).parts;
        assert_eq!(result.unwrap(), parts * (parts - 1), "{n}");
    }
    let lines = ledger.lines();
    for n in 0..200 {
        let line = format!("{n} goes on");
        assert_eq!(lines.iter().filter(|known| **known == line).count(), 1);
    }
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.left(), counts.dead), (0, 0));
    running.end().await;
}

/// What a child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ends(bool);

impl Job for Ends {
    const NAME: &'static str = "ends";
    type Output = u32;
}

async fn ends(job: Ends) -> Result<u32, Failure> {
    match job.0 {
        true => Ok(7),
        false => Err(Failure::dead("broken")),
    }
}

/// A handler of `Ask` in memory, and one of its children.
async fn drained<F, Fut>(handler: F) -> (Queue, Vec<oxcart::Ran>)
where
    F: Fn(Ask, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<u32>, Failure>> + Send + 'static,
{
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue).handle(handler).handle(ends);
    let worker = worker.build().unwrap();
    queue.enqueue(Ask(String::new())).await.unwrap();
    let ran = worker.drain().await;
    (queue, ran)
}

fn last(ran: &[oxcart::Ran]) -> &Outcome {
    &ran.last().unwrap().outcome
}

fn declared_dead(ran: &[oxcart::Ran], text: &str) {
    let Outcome::Dead { reason, entry, .. } = last(ran) else {
        panic!("{ran:?}");
    };
    assert_eq!(*reason, DeadReason::Declared);
    assert!(entry.error.contains(text), "{}", entry.error);
}

fn good(context: &Context) -> oxcart::Enqueue<Ends> {
    context.queue().enqueue(Ends(true))
}

#[tokio::test]
async fn a_drain_runs_children_and_what_they_give_back_is_typed() {
    let (_, ran) = drained(async |_, context: Context| {
        let none: Children = context.spawn_children::<Child>("none", []).await?;
        assert!(none.is_empty());
        let below = Flow::new(good(&context)).child(good(&context));
        let first = [Child::new(good(&context)), Child::new(below)];
        let first = context.spawn_children("first", first).await?;
        let second = context.spawn_children("second", [good(&context)]).await?;
        assert_eq!((first.len(), second.len()), (2, 1));
        // These are of its steps, and not of a flow.
        assert!(context.children().await?.is_empty());
        let outputs = first.outputs::<Ends>()?.into_iter();
        Ok(Some(outputs.chain(second.outputs::<Ends>()?).sum()))
    })
    .await;
    assert!(last(&ran).is_completed(), "{ran:?}");
    // Three attempts, and four children.
    assert_eq!(ran.len(), 7, "{ran:?}");
}

/// Each attempt of a link of a chain sees the job before it, whatever it has added meanwhile.
#[tokio::test]
async fn a_link_of_a_chain_may_add_children() {
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let add = async |_: Ask, context: Context| {
        let before = context.previous::<Ends>().await?;
        let added = context.spawn_children("added", [good(&context), good(&context)]);
        let added = added.await?.outputs::<Ends>()?;
        assert_eq!(context.children().await?.len(), 1);
        Ok::<_, Failure>(Some(before + added.iter().sum::<u32>()))
    };
    let worker = Worker::builder(&queue).handle(add).handle(ends);
    let worker = worker.build().unwrap();
    let link = queue.enqueue(Ask(String::new()));
    let chain = Chain::new(queue.enqueue(Ends(true))).then(link);
    let job = chain.await.unwrap();
    worker.drain().await;
    assert_eq!(job.result().await.unwrap(), Some(21));
    let all = queue.children(job.id()).await.unwrap();
    assert_eq!(all.len(), 3, "{all:?}");
}

fn dies(context: &Context) -> oxcart::Enqueue<Ends> {
    context.queue().enqueue(Ends(false))
}

#[tokio::test]
async fn a_dead_child_means_what_is_said() {
    let (_, ran) = drained(async |_, context: Context| {
        let child = Child::new(dies(&context)).on_death(OnDeath::GoOn);
        let children = context.spawn_children("go on", [child]).await?;
        Ok(Some(children.outputs::<Ends>()?.len() as u32))
    })
    .await;
    assert!(last(&ran).is_completed(), "{ran:?}");

    let (queue, ran) = drained(async |_, context: Context| {
        let children = [dies(&context), good(&context)];
        let children = children.map(|child| Child::new(child).on_death(OnDeath::Fail));
        let children = context.spawn_children("fail", children).await?;
        Ok(Some(children.outputs::<Ends>()?.len() as u32))
    })
    .await;
    let text = ", a `ends`, is dead";
    assert!(ran.iter().any(|ran| match &ran.outcome {
        Outcome::Dead { entry, .. } => entry.error.contains(text),
        _ => false,
    }));
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.dead, counts.left()), (2, 0));

    let (queue, _) = drained(async |_, context: Context| {
        let children = context.spawn_children("hold", [dies(&context)]).await?;
        Ok(Some(children.len() as u32))
    })
    .await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.dead, counts.blocked), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_added_is_an_error_and_adds_nothing() {
    let (queue, ran) = drained(async |_, context: Context| {
        let many = (0..257).map(|_| good(&context));
        context.spawn_children("many", many).await?;
        Ok(None)
    })
    .await;
    declared_dead(&ran, "257 jobs; 256 fit into one call");
    assert_eq!(queue.counts().await.unwrap().left(), 0);

    let other = Oxcart::in_memory().queue(QUEUE).unwrap();
    let (_, ran) = drained(move |_, context: Context| {
        let other = other.clone();
        async move {
            let child = other.enqueue(Ends(true));
            context.spawn_children("elsewhere", [child]).await?;
            Ok(None)
        }
    })
    .await;
    declared_dead(&ran, "in another connection");

    let (queue, ran) = drained(async |_, context: Context| {
        let id = context.id().clone();
        let child = good(&context).id(id);
        let error = context.spawn_children("there", [child]).await.unwrap_err();
        assert!(error.to_string().contains("is there already"), "{error}");
        let children = context.spawn_children("then", [good(&context)]).await?;
        Ok(Some(children.len() as u32))
    })
    .await;
    assert!(last(&ran).is_completed(), "{ran:?}");
    assert_eq!(queue.counts().await.unwrap().left(), 0);

    let context = Context::builder().build();
    let alone = context.spawn_children::<Child>("alone", []).await;
    let error = alone.unwrap_err().to_string();
    assert!(error.contains("use Worker::drain"), "{error}");
}

/// It would wait for the job that waits for it.
#[tokio::test]
async fn a_child_in_the_order_of_its_parent_is_an_error() {
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue).handle(ends);
    let worker = worker.handle(async |_: Ask, context: Context| {
        let other = good(&context).ordered_by("other");
        context.spawn_children("other", [other]).await?;
        let below = good(&context).ordered_by("own");
        let child = Flow::new(good(&context)).child(below);
        context.spawn_children("own", [child]).await?;
        Ok::<_, Failure>(None)
    });
    let job = queue.enqueue(Ask(String::new())).ordered_by("own");
    job.await.unwrap();
    let ran = worker.build().unwrap().drain().await;
    declared_dead(&ran, "has the order `own` of the job that adds it");
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.left(), counts.totals.added), (0, 2));
}

/// A deploy changes the handler while its job waits for children.
#[tokio::test]
async fn a_wait_for_children_that_has_changed_is_an_error_that_names_both() {
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let before = Worker::builder(&queue).handle(async |_: Ask, context: Context| {
        context.spawn_children("parts", [good(&context)]).await?;
        Ok::<_, Failure>(None)
    });
    let before = before.build().unwrap();
    queue.enqueue(Ask(String::new())).await.unwrap();
    before.drain().await;
    let after = Worker::builder(&queue)
        .handle(ends)
        .handle(async |_: Ask, context: Context| {
            context.step("parts", async || Ok(1)).await?;
            Ok::<_, Failure>(None)
        });
    let ran = after.build().unwrap().drain().await;
    let text =
        "its step 1 is a wait for children named `parts` as it is stored, and a step named `parts`";
    declared_dead(&ran, text);
}

/// What it has done is undone when a child fails it.
#[tokio::test]
async fn a_saga_reacts_to_the_death_of_a_child() {
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let ledger = Ledger::create();
    let path = ledger.path().to_owned();
    let saga = async |_: Ask, saga: Saga, context: Context, ledger: State<Ledger>| {
        let reserve = saga.step("reserve", async || {
            ledger.record("reserve");
            Ok::<u32, Failure>(1)
        });
        let undo = async |_: u32, ledger: State<Ledger>| {
            ledger.record("release");
            Ok::<(), Failure>(())
        };
        reserve.undo(undo).await?;
        let child = context.queue().enqueue(Ends(false));
        let child = Child::new(child).on_death(OnDeath::Fail);
        context.spawn_children("ship", [child]).await?;
        Ok::<_, Failure>(None)
    };
    let worker = Worker::builder(&queue).state(Ledger::open(path));
    let worker = worker.handle(saga).handle(ends).build().unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    worker.drain().await;
    let info = job.info().await.unwrap().unwrap();
    let Some(Ended::Compensated(reason)) = info.ended else {
        panic!("{info:?}");
    };
    assert!(reason.contains("is dead"), "{reason}");
    assert_eq!(ledger.lines(), ["reserve", "release"]);
}
