//! More of the code of docs/how-do-i.md.

use super::*;
use oxcart::Flow;

#[tokio::test]
async fn one_after_the_other() -> Done {
    let billing = billing();
    for customer in [7, 7, 8] {
        billing
            .enqueue(Charge { customer })
            .ordered_by(format!("customer-{customer}"))
            .await?;
    }
    assert_eq!(billing.counts().await?.blocked, 1); // the second of customer 7
    Ok(())
}

#[tokio::test]
async fn look_after_a_queue() -> Done {
    let billing = billing();
    billing.enqueue(Charge { customer: 7 }).await?;
    billing.pause().await?; // no job begins, in no process
    billing.resume().await?;
    billing.jobs_named("charge")?.pause().await?; // jobs of other types go on
    assert_eq!(billing.counts().await?.paused_names, ["charge"]);
    billing.jobs_named("charge")?.resume().await?;

    let put_back = billing.orphans().put_back().await?; // jobs whose list was deleted by hand
    assert_eq!(put_back, 0);

    let refused = billing.delete().await.unwrap_err(); // it still has a job
    assert!(refused.is_not_empty());
    let deleted = billing.delete().with_jobs().await?;
    assert_eq!(deleted.jobs(), 1);
    Ok(())
}

#[tokio::test]
async fn know_what_a_job_is_doing() -> Done {
    let billing = billing();
    let worker = Worker::builder(&billing)
        .handle(async |job: Charge, context: Context| {
            context.log(format!("the card of {} is asked", job.customer));
            Ok::<_, Failure>(job.customer + 1_000)
        })
        .build()?;
    let charge = billing.enqueue(Charge { customer: 7 }).await?;
    worker.drain().await;
    let lines = charge.logs().await?; // also while it runs
    assert_eq!(
        (lines[0].attempt, lines[0].text.as_str()),
        (1, "the card of 7 is asked")
    );
    Ok(())
}

#[tokio::test]
async fn steps_that_are_done_once() -> Done {
    async fn charge(job: Charge, ctx: Context) -> Result<u64, Failure> {
        let receipt = ctx
            .step("charge", async || Ok(job.customer + 1_000))
            .await?;
        ctx.sleep("an hour", HOUR).await?;
        match ctx.wait_for::<bool>("approved", 24 * HOUR).await? {
            Some(true) => Ok(receipt),
            _ => Err(Failure::cancel("not approved in a day")),
        }
    }
    let oxcart = Oxcart::in_memory();
    let billing = oxcart.queue("billing")?;
    let worker = Worker::builder(&billing).handle(charge).build()?;
    let job = billing.enqueue(Charge { customer: 7 }).await?;
    worker.drain().await;
    oxcart.advance_time(HOUR);
    worker.drain().await;
    billing.signal(job.id(), "approved", &true).await?; // in any process
    worker.drain().await;
    assert_eq!(job.result().await?, 1_007);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Summary;

impl Job for Summary {
    const NAME: &'static str = "summary";
    type Output = usize;
}

#[tokio::test]
async fn run_a_job_when_others_have_ended() -> Done {
    let billing = billing();
    let worker = Worker::builder(&billing)
        .handle(async |job: Charge| Ok::<_, Failure>(job.customer + 1_000))
        .handle(async |_: Summary, context: Context| {
            let receipts = context.children().await?.outputs::<Charge>()?;
            Ok::<_, Failure>(receipts.len())
        })
        .build()?;
    let summary = Flow::new(billing.enqueue(Summary))
        .children([7, 8, 9].map(|customer| billing.enqueue(Charge { customer })))
        .await?; // one call: all four jobs, or none
    worker.drain().await;
    assert_eq!(summary.result().await?, 3);
    Ok(())
}
