//! Steps of jobs: the signal that is waited for, and the undo that is left out.

use std::time::Duration;

use oxcart::{Context, Failure, Job, JobState, Queue, Saga, Worker};
use oxcart_dashboard::Role;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::acting::{assert_quiet, id};
use crate::devtools::Devtools;
use crate::site::{BASE, Site};
use crate::support::eventually_async;

const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody has to approve it; and if it is refused, it is undone, and cannot be.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order;

impl Job for Order {
    const NAME: &'static str = "fulfil-order";
    type Output = ();
}

pub(crate) async fn fulfil(_: Order, context: Context, saga: Saga) -> Result<(), Failure> {
    let done = |value: &'static str| move || async move { Ok::<_, Failure>(value.to_owned()) };
    saga.step("reserve", done("shelf 7")).undo(release).await?;
    saga.step("pay", done("receipt 4711")).undo(refund).await?;
    let week = Duration::from_secs(7 * 86_400);
    let approved: Option<bool> = context.wait_for("approved", week).await?;
    match approved {
        Some(true) => Ok(()),
        _ => Err(Failure::dead("it was refused")),
    }
}

async fn release(_: String) -> Result<(), Failure> {
    Ok(())
}

async fn refund(_: String) -> Result<(), Failure> {
    Err(Failure::dead("the bank is closed"))
}

/// The job `order` is in this state, and no worker runs.
pub(crate) async fn work_until(queue: &Queue, state: JobState) {
    let worker = Worker::builder(queue).handle(fulfil).build().unwrap();
    let reached = eventually_async(PATIENCE, async || {
        let job = queue.job(&id("order")).await.unwrap();
        job.is_some_and(|job| job.state == state)
    });
    worker.run_until(reached).await.unwrap();
}

pub(crate) async fn order(queue: &Queue) {
    queue.enqueue(Order).id(id("order")).await.unwrap();
    work_until(queue, JobState::Delayed).await;
}

pub(crate) async fn a_job_is_given_the_signal_for_which_it_waits(site: &Site, devtools: &Devtools) {
    let queue = site.queue("approvals");
    order(&queue).await;
    let page = site.page(devtools, Role::Operator).await;
    let at = format!("{BASE}/queues/approvals/jobs/order");
    page.go(&at).await;
    page.until_shown("It waits for the signal `approved`").await;
    // What is typed is not lost when the page changes by itself.
    page.eval("document.querySelector('textarea[name=payload]').closest('details').open = true")
        .await;
    page.type_into("textarea[name=payload]", "true").await;
    page.send_form(&format!("{at}/signal"), "").await;
    assert_eq!(page.status().await, 200);
    page.until_shown("The job has its signal approved").await;
    let steps = queue.steps(&id("order")).with_outputs();
    let given = steps.info().await.unwrap().steps[2]
        .output::<Value>()
        .unwrap();
    assert_eq!(given, Some(Value::Bool(true)));
    // Live.
    work_until(&queue, JobState::Completed).await;
    page.until_shown("It completed").await;
    assert_quiet(&page);
    page.close().await;
}

pub(crate) async fn a_stuck_saga_goes_on_without_an_undo(site: &Site, devtools: &Devtools) {
    let queue = site.queue("refusals");
    order(&queue).await;
    queue
        .signal(&id("order"), "approved", &false)
        .await
        .unwrap();
    work_until(&queue, JobState::Dead).await;
    let at = format!("{BASE}/queues/refusals/jobs/order");

    let viewer = site.page(devtools, Role::Viewer).await;
    viewer.go(&at).await;
    viewer.until_shown("the bank is closed").await;
    let forms = viewer.eval("document.querySelectorAll('main form[method=post]').length");
    assert_eq!(forms.await, 0);
    viewer.close().await;

    let page = site.page(devtools, Role::Operator).await;
    page.go(&at).await;
    page.send_by("form[action$=\"/skip\"]:has(input[value=pay]) button")
        .await;
    page.until_shown("The undo of pay is left out").await;
    page.until_shown("Skipped").await;
    page.send_form(&format!("{at}/replay"), "").await;
    work_until(&queue, JobState::Cancelled).await;
    page.until_shown("It could not be finished").await;
    let saga = queue.saga(&id("order")).info().await.unwrap().unwrap();
    let states: Vec<&str> = saga.steps.iter().map(|step| step.state.as_str()).collect();
    assert_eq!(states, ["undone", "skipped"]);
    assert_quiet(&page);
    page.close().await;
}
