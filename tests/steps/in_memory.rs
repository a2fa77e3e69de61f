//! Durable steps of queues in memory: what handlers see, and what is wrong with them.

use super::*;

/// How handlers in memory end, one job each.
async fn outcome_of<F, Fut>(handler: F) -> Outcome
where
    F: Fn(Ask, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<u32>, Failure>> + Send + 'static,
{
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    queue.enqueue(Ask(String::new())).await.unwrap();
    worker.drain().await.remove(0).outcome
}

fn dead(outcome: &Outcome, text: &str) {
    let Outcome::Dead { reason, entry, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(*reason, DeadReason::Declared);
    assert!(entry.error.contains(text), "{}", entry.error);
}

#[tokio::test]
async fn mistakes_are_not_retried_and_say_what_is_wrong() {
    let twice = outcome_of(async |_, context: Context| {
        context.step("a", async || Ok(1)).await?;
        context.step("a", async || Ok(2)).await.map(Some)
    });
    dead(&twice.await, "step 2 is called `a`, and so is step 1");
    let many = outcome_of(async |_, context: Context| {
        for n in 0..257 {
            context.step(&format!("n {n}"), async || Ok(n)).await?;
        }
        Ok(None)
    });
    dead(&many.await, "`n 256` would be step 257");
    let nameless =
        outcome_of(async |_, context: Context| context.step("", async || Ok(1)).await.map(Some));
    dead(&nameless.await, "the name of a step has 1 to 128 bytes");
    let large = outcome_of(async |_, context: Context| {
        let output = context
            .step("large", async || Ok(vec![7_u8; 70_000_000]))
            .await?;
        Ok(Some(output.len() as u32))
    });
    dead(&large.await, "the output of step `large` has");
}

/// A deploy changes the handler while its job sleeps.
#[tokio::test]
async fn a_step_that_has_changed_is_an_error_that_names_both_and_runs_nothing() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let before = Worker::builder(&queue).handle(async |_: Ask, context: Context| {
        context.step("charge", async || Ok(7)).await?;
        context.sleep("night", SECOND).await?;
        Ok::<_, Failure>(None)
    });
    let before = before.build().unwrap();
    let ledger = Ledger::create();
    let path = ledger.path().to_owned();
    let after = Worker::builder(&queue).state(Ledger::open(path)).handle(
        async |_: Ask, context: Context, ledger: State<Ledger>| {
            let refund = context.step("refund", async || {
                ledger.record("refund");
                Ok(8)
            });
            // A handler may go on, and nothing runs.
            refund.await.map(Some)
        },
    );
    let after = after.build().unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    assert!(matches!(
        before.drain().await[0].outcome,
        Outcome::Suspended { .. }
    ));
    oxcart.advance_time(SECOND);
    let ran = after.drain().await;
    let text = "its step 1 is a step named `charge` as it is stored, and a step named `refund` as the handler calls it";
    dead(&ran[0].outcome, text);
    assert_eq!(ledger.lines(), [""; 0]);
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::Declared)));
    // Replayed, with the earlier handler, it goes on where it was.
    assert_eq!(queue.replay(job.id()).await.unwrap(), Changed::Done);
    assert!(before.drain().await[0].outcome.is_completed());
}

#[tokio::test]
async fn steps_beside_one_another_and_waits_beside_steps() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let ledger = Ledger::create();
    let path = ledger.path().to_owned();
    let worker = Worker::builder(&queue)
        .state(Ledger::open(path))
        .handle(async |_: Ask, context: Context, ledger: State<Ledger>| {
            let slow = async || {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                ledger.record("slow");
                Ok(1_u32)
            };
            // The wait does not end the attempt before what runs beside it is stored.
            let (answer, slow) = tokio::join!(
                context.wait_for::<u32>("answer", None),
                context.step("slow", slow),
            );
            let late = tokio::select! {
                late = context.wait_for::<u32>("late", None) => late?,
                over = context.sleep("too late", SECOND) => { over?; None }
            };
            Ok::<_, Failure>(Some(answer?.unwrap_or(0) + slow? + late.unwrap_or(40)))
        })
        .build()
        .unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    assert!(matches!(
        worker.drain().await[0].outcome,
        Outcome::Suspended { after: None, .. }
    ));
    assert_eq!(ledger.lines(), ["slow"]);
    job.signal("answer", &1_u32).await.unwrap();
    let ran = worker.drain().await;
    assert!(matches!(&ran[0].outcome, Outcome::Suspended { steps, .. } if *steps == [3, 4]));
    oxcart.advance_time(SECOND);
    worker.drain().await;
    assert_eq!(job.result().await.unwrap(), Some(42));
    assert_eq!(ledger.lines(), ["slow"]);
}

#[tokio::test]
async fn a_wait_that_was_in_vain_stays_so() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue)
        .handle(async |_: Ask, context: Context| {
            let answer = context.wait_for::<u32>("answer", SECOND).await?;
            if context.attempt().number == 1 {
                return Err(Failure::retry_after(SECOND, "once more"));
            }
            Ok::<_, Failure>(answer)
        })
        .build()
        .unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    worker.drain().await;
    oxcart.advance_time(SECOND);
    assert!(matches!(
        worker.drain().await[0].outcome,
        Outcome::Retry { .. }
    ));
    let late = job.signal("answer", &1_u32).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotWaiting);
    oxcart.advance_time(SECOND);
    worker.drain().await;
    assert_eq!(job.result().await.unwrap(), None);
}

#[tokio::test]
async fn a_long_loop_goes_on_where_it_was() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue)
        .handle(async |_: Ask, context: Context| {
            let first = context.last_checkpoint::<u32>().await?.unwrap_or(0);
            for row in first..10 {
                if row == 7 && context.attempt().number == 1 {
                    return Err(Failure::retry_after(SECOND, "broken"));
                }
                context.checkpoint(&(row + 1)).await?;
            }
            Ok::<_, Failure>(Some(first))
        })
        .build()
        .unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    worker.drain().await;
    oxcart.advance_time(SECOND);
    worker.drain().await;
    assert_eq!(job.result().await.unwrap(), Some(7));
}

/// Another attempt has the job: its worker was frozen for longer than its lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_stale_attempt_stores_no_step() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let (began, begins) = (
        State::new(tokio::sync::Semaphore::new(0)),
        State::new(tokio::sync::Semaphore::new(0)),
    );
    let handler =
        async |_: Ask, context: Context, gates: State<[State<tokio::sync::Semaphore>; 2]>| {
            let stalls = context.attempt().stalls;
            let output = context.step("once", async || {
                if stalls == 0 {
                    gates[0].add_permits(1);
                    gates[1].acquire().await.unwrap().forget();
                }
                Ok(stalls)
            });
            output.await.map(Some)
        };
    let worker = Worker::builder(&queue)
        .lease(SECOND)
        .state([began.clone(), begins.clone()])
        .handle(handler);
    let worker = worker.build().unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    let stale = tokio::spawn(async move { worker.drain().await });
    began.acquire().await.unwrap().forget();
    oxcart.advance_time(60 * SECOND);
    let other = Worker::builder(&queue)
        .lease(SECOND)
        .state([began.clone(), begins.clone()])
        .handle(handler);
    let other = other.build().unwrap();
    assert!(other.drain().await[0].outcome.is_completed());
    begins.add_permits(1);
    let ran = stale.await.unwrap();
    assert_eq!(ran[0].outcome, Outcome::LeaseLost);
    assert_eq!(job.result().await.unwrap(), Some(1));
}

/// A handler of several jobs cannot end for one of them.
#[tokio::test]
async fn no_job_of_a_batch_sleeps() {
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue)
        .handle_batch(
            oxcart::Batch::up_to(2),
            async |jobs: Vec<oxcart::Batched<Ask>>| {
                for job in jobs {
                    let slept = job.context().sleep("night", SECOND).await;
                    match slept {
                        Ok(()) => job.complete(None),
                        Err(failure) => job.fail(failure),
                    }
                }
                Ok::<_, Failure>(())
            },
        )
        .build()
        .unwrap();
    queue.enqueue(Ask(String::new())).await.unwrap();
    dead(&worker.drain().await[0].outcome, "cannot sleep, or wait");
}

/// Middleware sees that an attempt was put aside; and what the hooks hear.
#[tokio::test]
async fn a_handler_alone_gets_what_its_test_gives() {
    let context = Context::builder()
        .signal("answer", &5_u32)
        .checkpoint(&3_u32)
        .build();
    assert_eq!(
        waits(Ask(String::new()), context.clone()).await.unwrap(),
        Some(5)
    );
    assert_eq!(context.last_checkpoint::<u32>().await.unwrap(), Some(3));
    context.checkpoint(&4_u32).await.unwrap();
    assert_eq!(context.last_checkpoint::<u32>().await.unwrap(), Some(4));
    context.sleep("an hour", 3_600 * SECOND).await.unwrap();
    let output: u32 = context.step("one", async || Ok(1)).await.unwrap();
    assert_eq!(output, 1);
    let twice = context.step("one", async || Ok(1_u32)).await;
    assert!(twice.is_err());
    let _ = |event: &WorkerEvent| event.outcome().is_some();
}

/// From one queue to another, as text.
#[tokio::test]
async fn an_exported_job_goes_on_where_it_was() {
    use futures::TryStreamExt;
    let (from, to) = (Oxcart::in_memory(), Oxcart::in_memory());
    let handler = |may_end: bool| {
        move |_: Ask, context: Context| async move {
            let first = context
                .step("once", async || Ok(u32::from(!may_end)))
                .await?;
            if !may_end {
                context.checkpoint(&7_u32).await?;
                return Err(Failure::dead("broken"));
            }
            let cursor: Option<u32> = context.last_checkpoint().await?;
            Ok(cursor.map(|cursor| cursor + first))
        }
    };
    let queue = from.queue(QUEUE).unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    let worker = Worker::builder(&queue).handle(handler(false));
    worker.build().unwrap().drain().await;
    let letters: Vec<_> = queue.dead_letters().export().try_collect().await.unwrap();
    let line = serde_json::to_string(&letters[0]).unwrap();
    assert!(line.contains("\"format\":2"), "{line}");
    let other = to.queue(QUEUE).unwrap();
    let bad = line.replace("\"step1\"", "\"step0\"");
    let refused = other
        .import_dead([serde_json::from_str(&bad).unwrap()])
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Incompatible);
    let letter = serde_json::from_str(&line).unwrap();
    assert_eq!(other.import_dead([letter]).await.unwrap().imported, 1);
    assert!(other.replay(job.id()).await.unwrap().is_done());
    let worker = Worker::builder(&other).handle(handler(true));
    let drained = worker.build().unwrap().drain().await.remove(0);
    assert!(
        matches!(drained.outcome, Outcome::Completed(_)),
        "{drained:?}"
    );
    let job: oxcart::JobHandle<Ask> = other.handle(job.id().clone());
    assert_eq!(
        job.result().await.unwrap(),
        Some(8),
        "step 1 was not done again"
    );
}
