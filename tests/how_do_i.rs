//! The code of docs/how-do-i.md: each piece of it stands here, in a test, and does what the page says.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use oxcart::{
    Batch, Batched, Changed, Context, Ended, Enqueued, Extract, Failure, Job, JobState, Next,
    Outcome, Oxcart, Queue, QueueSettings, Rate, Worker, WorkerEvent, Workers,
};
use serde::{Deserialize, Serialize};

#[path = "how_do_i/more.rs"]
mod more;

const PAGE: &str = include_str!("../docs/how-do-i.md");
const HOUR: Duration = Duration::from_secs(60 * 60);

type Done = Result<(), Box<dyn StdError>>;

#[derive(Serialize, Deserialize)]
struct Charge {
    customer: u64,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = u64; // what the handler gives: the number of a receipt
}

fn billing() -> Queue {
    Oxcart::in_memory().queue("billing").expect("a valid name")
}

/// Without what formatting may change.
fn plain(code: &str) -> String {
    let code: String = code.split_whitespace().collect();
    code.replace(",}", "}")
        .replace(",)", ")")
        .replace(",]", "]")
}

#[test]
fn each_piece_of_code_of_the_page_is_tested_here() {
    let here = [
        include_str!("how_do_i.rs"),
        include_str!("how_do_i/more.rs"),
    ];
    let here = plain(&here.concat());
    let pieces: Vec<_> = PAGE.split("```").skip(1).step_by(2).collect();
    assert!(pieces.len() >= 10, "{}", pieces.len());
    for piece in pieces {
        let Some(code) = piece.strip_prefix("rust,ignore") else {
            panic!("no code of Rust: {piece}");
        };
        assert!(here.contains(&plain(code)), "not tested:\n{code}");
    }
}

#[test]
fn each_line_of_the_list_leads_somewhere() {
    let headings: Vec<_> = PAGE.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    let anchors = headings.iter().map(|h| h.to_lowercase().replace(' ', "-"));
    let anchors: Vec<_> = anchors.collect();
    let list = PAGE.lines().filter(|line| line.starts_with("| "));
    for line in list.skip(1) {
        let (_, target) = line.rsplit_once("](").expect("a link");
        let target = target.trim_end_matches(") |");
        match target.strip_prefix('#') {
            Some(anchor) => assert!(anchors.iter().any(|a| a == anchor), "{anchor}"),
            None => {
                let file = target.split('#').next().unwrap_or(target);
                let path = format!("{}/docs/{file}", env!("CARGO_MANIFEST_DIR"));
                assert!(std::fs::exists(&path).unwrap_or(false), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn once_per_key() -> Done {
    let billing = billing();
    let once = |customer: u64| {
        billing
            .enqueue(Charge { customer })
            .unique(customer.to_string())
    };
    assert_eq!(once(7).await?.enqueued(), Enqueued::New);
    assert_eq!(once(7).await?.enqueued(), Enqueued::Duplicate);
    assert_eq!(billing.counts().await?.waiting, 1);
    Ok(())
}

#[tokio::test]
async fn not_faster_than() -> Done {
    let billing = billing();
    let limits = QueueSettings::new()
        .rate(Rate::burst(100, Duration::from_secs(1)))
        .concurrency(20);
    billing.change_settings(limits).await?;

    async fn charge(_job: Charge) -> Result<u64, Failure> {
        Err(Failure::rate_limited(Duration::from_secs(30))) // 429 Too Many Requests
    }
    // At 100 starts a second, jobs that take 300 ms need 30 slots; a worker has 10 unless set otherwise.
    let worker = Worker::builder(&billing)
        .concurrency(50)
        .handle(charge)
        .build()?;
    let job = billing.enqueue(Charge { customer: 7 }).await?;
    worker.drain().await;
    assert_eq!(
        job.info().await?.expect("it waits").state,
        JobState::Waiting
    );
    assert!(billing.counts().await?.held_until.is_some());
    Ok(())
}

#[tokio::test]
async fn wait_for_many() -> Done {
    let billing = billing();
    let handler = async |job: Charge| Ok::<_, Failure>(job.customer + 1_000);
    let worker = Worker::builder(&billing).handle(handler).build()?;
    let working = tokio::spawn(worker.run_until(std::future::pending()));
    let charges =
        [7, 8, 9].map(|customer| billing.enqueue(Charge { customer }).result().into_future());
    let receipts: Vec<u64> = futures::future::try_join_all(charges).await?;
    assert_eq!(receipts, [1_007, 1_008, 1_009]);
    working.abort();
    Ok(())
}

#[tokio::test]
async fn cancel_a_job_that_waits() -> Done {
    let billing = billing();
    let job = billing.enqueue(Charge { customer: 7 }).delay(HOUR).await?;
    assert_eq!(
        billing
            .cancel(job.id())
            .reason("the customer has left")
            .await?,
        Changed::Done
    );
    assert!(job.result().await.unwrap_err().is_cancelled());
    let info = job.info().await?.expect("it is kept");
    assert_eq!(
        info.ended,
        Some(Ended::Cancelled("the customer has left".into()))
    );
    assert_eq!(
        billing.cancel(job.id()).reason("once more").await?,
        Changed::InState(JobState::Cancelled)
    );
    let job = billing.enqueue(Charge { customer: 7 }).delay(HOUR).await?;
    assert!(billing.remove(job.id()).await?.is_done());
    assert_eq!(billing.remove(job.id()).await?, Changed::NotFound);
    Ok(())
}

async fn ask_the_bank(customer: u64) -> Result<u64, Failure> {
    Ok(customer + 1_000)
}

#[tokio::test]
async fn a_handler_that_listens() -> Done {
    async fn charge(job: Charge, ctx: Context) -> Result<u64, Failure> {
        if let Some(reason) = ctx.cancel_reason() {
            return Err(Failure::cancel(reason));
        }
        tokio::select! {
            receipt = ask_the_bank(job.customer) => receipt,
            () = ctx.cancellation().cancelled() => Err("stopped".into()),
        }
    }
    let context = Context::builder().build();
    assert_eq!(
        charge(Charge { customer: 7 }, context).await.unwrap(),
        1_007
    );
    let context = Context::builder()
        .cancelled("the customer has left")
        .build();
    let failure = charge(Charge { customer: 7 }, context).await.unwrap_err();
    assert_eq!(failure.to_string(), "the customer has left");
    Ok(())
}

#[tokio::test]
async fn put_a_job_off() -> Done {
    async fn charge(job: Charge, ctx: Context) -> Result<u64, Failure> {
        match ctx.attempt().snoozes {
            0 => Err(Failure::snooze(HOUR)), // the bank opens in an hour
            _ => Ok(job.customer + 1_000),
        }
    }
    let oxcart = Oxcart::in_memory();
    let billing = oxcart.queue("billing")?;
    let worker = Worker::builder(&billing).handle(charge).build()?;
    let job = billing.enqueue(Charge { customer: 7 }).await?;
    worker.drain().await;
    assert_eq!(
        job.info().await?.expect("it waits").state,
        JobState::Delayed
    );
    oxcart.advance_time(HOUR);
    worker.drain().await;
    assert_eq!(job.result().await?, 1_007);
    Ok(())
}

#[tokio::test]
async fn change_a_job() -> Done {
    let billing = billing();
    let handler = async |job: Charge| Ok::<_, Failure>(job.customer + 1_000);
    let worker = Worker::builder(&billing).handle(handler).build()?;
    let job = billing.enqueue(Charge { customer: 7 }).delay(HOUR).await?;
    let edit = billing
        .edit(job.id())
        .payload(&Charge { customer: 8 })
        .priority(10)
        .now();
    assert_eq!(edit.await?, Changed::Done);
    worker.drain().await;
    assert_eq!(job.result().await?, 1_008);
    assert_eq!(
        job.edit().now().await?,
        Changed::InState(JobState::Completed)
    );
    Ok(())
}

#[tokio::test]
async fn look_at_jobs() -> Done {
    let billing = billing();
    let worker = Worker::builder(&billing)
        .handle(async |job: Charge| match job.customer {
            13 => Err(Failure::cancel("the customer has left")),
            customer => Ok(customer + 1_000),
        })
        .build()?;
    billing
        .enqueue_many([7, 8, 13].map(|customer| Charge { customer }))
        .await?;
    worker.drain().await;

    let page = billing.jobs(JobState::Completed).limit(1).await?;
    assert_eq!(page.jobs[0].result::<u64>()?, Some(1_007));
    let next = page.next.expect("there is more");
    let page = billing.jobs(JobState::Completed).after(next).await?;
    assert_eq!(page.jobs[0].payload::<Charge>()?.customer, 8);

    let mut cancelled = billing.jobs(JobState::Cancelled).stream();
    while let Some(job) = cancelled.try_next().await? {
        assert_eq!(
            job.ended,
            Some(Ended::Cancelled("the customer has left".into()))
        );
    }
    Ok(())
}

#[tokio::test]
async fn cancel_a_job_that_runs() -> Done {
    let billing = billing();
    async fn charge(job: Charge) -> Result<u64, Failure> {
        if job.customer == 13 {
            // ask your database here
            return Err(Failure::cancel("the customer has left"));
        }
        Ok(1)
    }
    let worker = Worker::builder(&billing).handle(charge).build()?;
    let job = billing.enqueue(Charge { customer: 13 }).await?;
    worker.drain().await;
    assert!(job.result().await.unwrap_err().is_cancelled());
    Ok(())
}

#[tokio::test]
async fn wrap_every_handler() -> Done {
    let billing = billing();
    async fn measure(context: Context, next: Next) -> Outcome {
        let began = Instant::now();
        let outcome = next.run(context.clone()).await;
        let (name, took) = (&context.attempt().name, began.elapsed());
        println!("{name} {} {took:?}", outcome.as_str()); // charge dead 3.1ms
        outcome
    }
    async fn signed_only(context: Context, next: Next) -> Outcome {
        match context.header("signature") {
            Some("valid") => next.run(context).await,
            _ => next.fail(Failure::dead("not signed")), // the handler does not run
        }
    }
    async fn charge(_job: Charge) -> Result<u64, Failure> {
        Ok(1)
    }
    let worker = Worker::builder(&billing)
        .wrap(measure) // the outermost
        .wrap(signed_only)
        .handle(charge)
        .build()?;
    billing.enqueue(Charge { customer: 7 }).await?;
    let ran = worker.drain().await;
    assert!(matches!(ran[0].outcome, Outcome::Dead { .. }));
    Ok(())
}

#[tokio::test]
async fn several_at_once() -> Done {
    let billing = billing();
    async fn charge_all(charges: Vec<Batched<Charge>>) -> Result<(), Failure> {
        for charge in charges {
            match charge.job.customer {
                0 => charge.fail(Failure::dead("there is no such customer")),
                customer => charge.complete(1_000 + customer),
            }
        }
        Ok(())
    }
    let batch = Batch::up_to(10).within(Duration::from_millis(50));
    let worker = Worker::builder(&billing)
        .handle_batch(batch, charge_all)
        .build()?;
    let sent = billing
        .enqueue_many((0..3).map(|customer| Charge { customer }))
        .await?;
    assert_eq!(worker.drain().await.len(), 3); // in one call of the handler
    assert!(sent[0].result().await.unwrap_err().is_dead());
    assert_eq!(sent[2].result().await?, 1_002);
    Ok(())
}

#[tokio::test]
async fn arguments_of_my_own() -> Done {
    let billing = billing();
    struct Tenant(String);

    impl Extract for Tenant {
        async fn extract(context: &Context) -> Result<Self, Failure> {
            let name = context.header("tenant"); // it may await, here
            let name = name.ok_or_else(|| Failure::dead("no tenant"))?;
            Ok(Tenant(name.to_owned()))
        }
    }
    async fn charge(_job: Charge, tenant: Tenant) -> Result<u64, Failure> {
        assert_eq!(tenant.0, "acme");
        Ok(1)
    }
    let worker = Worker::builder(&billing).handle(charge).build()?;
    billing
        .enqueue(Charge { customer: 7 })
        .header("tenant", "acme")
        .await?;
    let ran = worker.drain().await;
    assert!(ran[0].outcome.is_completed());
    Ok(())
}

#[tokio::test]
async fn metrics() -> Done {
    let billing = billing();
    let dead = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&dead);
    let worker = Worker::builder(&billing)
        .handle(async |_: Charge| Err::<u64, Failure>(Failure::dead("no")))
        .on_event(move |event| {
            if let WorkerEvent::Ended {
                attempt,
                outcome,
                duration,
                ..
            } = event
            {
                let labels = (&attempt.queue, &attempt.name, outcome.as_str());
                println!("{labels:?} {duration:?}"); // your histogram
                if let Outcome::Dead { .. } = outcome {
                    count.fetch_add(1, Relaxed);
                }
            }
        })
        .build()?;
    billing.enqueue(Charge { customer: 7 }).await?;
    worker.drain().await;
    assert_eq!(dead.load(Relaxed), 1);

    let counts = billing.counts().await?;
    assert_eq!((counts.left(), counts.totals.dead), (0, 1));
    Ok(())
}

#[tokio::test]
async fn logs_and_traces() -> Done {
    let billing = billing();
    async fn charge(_job: Charge, context: Context) -> Result<u64, Failure> {
        assert_eq!(
            context.header("traceparent"),
            Some("00-4bf92f35-00f067aa-01")
        );
        Ok(1)
    }
    let worker = Worker::builder(&billing).handle(charge).build()?;
    billing
        .enqueue(Charge { customer: 7 })
        .header("traceparent", "00-4bf92f35-00f067aa-01")
        .await?;
    worker.drain().await;
    assert_eq!(billing.counts().await?.totals.completed, 1);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Letter {}

impl Job for Letter {
    const NAME: &'static str = "letter";
    const QUEUE: &'static str = "mail";
    type Output = ();
}

async fn letter(_: Letter) -> Result<(), Failure> {
    Ok(())
}

#[tokio::test]
async fn a_queue_for_a_type() -> Done {
    let oxcart = Oxcart::in_memory();
    let billing = oxcart.queue("billing")?;
    oxcart.enqueue(Letter {}).await?; // into `mail`
    assert!(billing.enqueue(Letter {}).await.unwrap_err().is_invalid());
    let mail = oxcart.queue(Letter::QUEUE)?;
    let worker = Worker::builder(&mail).handle(letter).build()?;
    assert_eq!(worker.drain().await.len(), 1);
    assert!(Worker::builder(&billing).handle(letter).build().is_err());

    // What the page says of exceptions.
    billing.enqueue(Letter {}).any_queue().await?;
    let worker = Worker::builder(&billing).any_queue().handle(letter);
    assert_eq!(worker.build()?.drain().await.len(), 1);
    Ok(())
}

#[tokio::test]
async fn several_workers() -> Done {
    let oxcart = Oxcart::in_memory();
    let (billing, mail) = (oxcart.queue("billing")?, oxcart.queue("mail")?);
    async fn charge(job: Charge) -> Result<u64, Failure> {
        Ok(job.customer)
    }
    let receipt = billing.enqueue(Charge { customer: 7 }).await?;
    let sent = mail.enqueue(Letter {}).await?;
    let shutdown = async move {
        assert_eq!(receipt.result().await.ok(), Some(7));
        assert!(sent.result().await.is_ok());
    };
    let charges = Worker::builder(&billing)
        .concurrency(50)
        .handle(charge)
        .build()?;
    let letters = Worker::builder(&mail)
        .concurrency(2)
        .handle(letter)
        .build()?;
    Workers::new([charges, letters]).run_until(shutdown).await?;
    Ok(())
}

#[tokio::test]
async fn dead_letters() -> Done {
    let billing = billing();
    let worker = Worker::builder(&billing)
        .handle(async |_: Charge| Err::<u64, Failure>("no".into()))
        .build()?;
    billing.enqueue(Charge { customer: 7 }).attempts(1).await?;
    worker.drain().await;
    let died = billing.dead_letters().groups().await?;
    assert_eq!(
        (died.groups[0].count, died.groups[0].sample.as_str()),
        (1, "no")
    );
    let replayed = billing
        .dead_letters()
        .error_contains("no") // without a filter: all dead letters
        .replay()
        .per_second(500)
        .stop_if_failing(0.2)
        .await?;
    assert_eq!(replayed.done, 1);
    assert_eq!(billing.counts().await?.waiting, 1);
    Ok(())
}
