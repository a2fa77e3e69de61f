//! What the people who look after a job see of its steps.

use super::*;
use oxcart::{StepState, StepsInfo};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Serialize, Deserialize)]
struct Pay {
    card: String,
}

impl Job for Pay {
    const NAME: &'static str = "pay";
    const SECRET: &'static [&'static str] = &["card"];
    type Output = ();
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Paid {
    card: String,
    euros: u32,
}

async fn pay(job: Pay, context: Context) -> Result<(), Failure> {
    context.checkpoint(&vec![1_u8; 3_000]).await?;
    let card = job.card.clone();
    let paid = async || Ok(Paid { card, euros: 7 });
    context.step("pay", paid).await?;
    context.step("note", async || Ok("x".repeat(9_000))).await?;
    context.sleep("night", HOUR).await?;
    let approved = context.wait_for::<Paid>("approved", HOUR).await?;
    context.wait_for::<Paid>("checked", HOUR).await?;
    match approved {
        Some(_) => Err(Failure::dead("approved")),
        None => Ok(()),
    }
}

/// The names of the steps for which the job is put aside.
async fn holding_up(queue: &Queue, id: &JobId) -> Vec<String> {
    let job = queue.job(id).await.unwrap().unwrap();
    let info = queue.steps(id).info().await.unwrap();
    info.holding_up(&job)
        .map(|step| step.name.clone())
        .collect()
}

/// Names and states.
fn seen(info: &StepsInfo) -> Vec<(&str, StepState)> {
    let steps = info.steps.iter();
    steps.map(|step| (&*step.name, step.state)).collect()
}

fn waits(info: &StepsInfo) -> Vec<&str> {
    info.waits().map(|step| &*step.name).collect()
}

#[tokio::test]
async fn what_is_done_and_what_a_job_waits_for_is_told() {
    use StepState::{Done, Signalled, Sleeping, Slept, TimedOut, Waiting};
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue).handle(pay).build().unwrap();
    let card = "4111".to_owned();
    let id = queue.enqueue(Pay { card }).await.unwrap().id().clone();
    let none = queue.steps(&id).info().await.unwrap();
    assert_eq!(none, StepsInfo::default());

    worker.drain().await;
    let info = queue.steps(&id).info().await.unwrap();
    let (pay, note) = (("pay", Done), ("note", Done));
    assert_eq!(seen(&info), [pay, note, ("night", Sleeping)]);
    assert_eq!(waits(&info), ["night"]);
    assert_eq!(holding_up(&queue, &id).await, ["night"]);
    let due = info.steps[2].due.unwrap();
    assert_eq!(due.duration_since(info.steps[2].at), HOUR);
    // A list of 3,000 small numbers, and a text of 9,000 letters.
    assert_eq!(info.checkpoint_size, Some(3_003));
    assert_eq!(info.steps[1].size, 9_003);
    assert_eq!((info.steps[2].size, &info.steps[2].error), (0, &None));
    // What they gave was not asked for.
    assert_eq!(info.steps[1].output::<String>().unwrap(), None);
    assert_eq!(info.checkpoint::<Vec<u8>>().unwrap(), None);

    let asked = queue.steps(&id).with_outputs();
    let info = asked.clone().info().await.unwrap();
    let of_pay = info.steps[0].output::<Paid>().unwrap().unwrap();
    assert_eq!((&*of_pay.card, of_pay.euros), ("(secret)", 7));
    let of_note = info.steps[1].output::<String>().unwrap().unwrap();
    assert_eq!(of_note.len(), 9_000);
    assert_eq!(info.steps[2].output::<String>().unwrap(), None);
    let cursor = info.checkpoint::<Vec<u8>>().unwrap();
    assert_eq!(cursor, Some(vec![1; 3_000]));
    assert!(!format!("{info:?}").contains("4111"));
    let all = asked.reveal().info().await.unwrap();
    let of_pay = all.steps[0].output::<Paid>().unwrap().unwrap();
    assert_eq!(of_pay.card, "4111");

    oxcart.advance_time(HOUR);
    worker.drain().await;
    let info = queue.steps(&id).info().await.unwrap();
    assert_eq!(seen(&info)[2..], [("night", Slept), ("approved", Waiting)]);
    assert_eq!(waits(&info), ["approved"]);
    assert!(info.steps[3].due > Some(due));
    assert_eq!(holding_up(&queue, &id).await, ["approved"]);

    let (card, euros) = ("4222".to_owned(), 1);
    let value = Paid { card, euros };
    queue.signal(&id, "approved", &value).await.unwrap();
    worker.drain().await;
    oxcart.advance_time(HOUR);
    worker.drain().await;
    let info = queue.steps(&id).with_outputs().info().await.unwrap();
    assert_eq!(
        seen(&info)[3..],
        [("approved", Signalled), ("checked", TimedOut)]
    );
    assert_eq!(waits(&info), [""; 0]);
    let approved = info.steps[3].output::<Paid>().unwrap().unwrap();
    assert_eq!((&*approved.card, approved.euros), ("(secret)", 1));

    assert_eq!(queue.remove(&id).await.unwrap(), Changed::Done);
    for steps in [queue.steps(&id), queue.steps(&id).with_outputs()] {
        assert_eq!(steps.info().await.unwrap(), StepsInfo::default());
    }
}

/// 256 large outputs are megabytes, which nobody reads who only wants to know what is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_do_not_cross_the_network_unless_they_are_asked_for() {
    let (server, queue) = server_and_queue().await;
    let handler = async |_: Ask, context: Context| {
        for n in 0..20 {
            let large = async || Ok("x".repeat(100_000));
            context.step(&format!("n {n}"), large).await?;
        }
        Ok::<_, Failure>(None)
    };
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    let ended = eventually_async(PATIENCE, async || {
        job.info().await.unwrap().unwrap().state == JobState::Completed
    });
    worker.run_until(ended).await.unwrap();
    let queue = queue_at(&server.url()).await;
    let bytes = || {
        server
            .info("total_net_output_bytes")
            .parse::<u64>()
            .unwrap()
    };
    let sent = async |steps: oxcart::StepsHandle| {
        let before = bytes();
        let info = steps.info().await.unwrap();
        assert_eq!(info.steps.len(), 20);
        assert!(info.steps.iter().all(|step| step.size == 100_005));
        bytes() - before
    };
    assert!(sent(queue.steps(job.id())).await < 200_000);
    assert!(sent(queue.steps(job.id()).with_outputs()).await > 2_000_000);
}

/// Somebody has put it off for longer than it sleeps.
#[tokio::test]
async fn a_job_that_is_delayed_for_another_reason_is_not_held_up_by_its_step() {
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue).handle(pay).build().unwrap();
    let card = "4111".to_owned();
    let id = queue.enqueue(Pay { card }).await.unwrap().id().clone();
    worker.drain().await;
    assert_eq!(holding_up(&queue, &id).await, ["night"]);
    let changed = queue.edit(&id).delay(2 * HOUR).await.unwrap();
    assert_eq!(changed, Changed::Done);
    assert_eq!(holding_up(&queue, &id).await, [""; 0]);
    let info = queue.steps(&id).info().await.unwrap();
    assert_eq!(waits(&info), ["night"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_says_that_it_was_asked_to_end() {
    let (_server, queue) = server_and_queue().await;
    let (began, begins) = oneshot::channel();
    let (end, ends) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some((began, ends)));
    let handler = move |_: Ask, _: Context| {
        let (began, ends) = once.lock().unwrap().take().unwrap();
        async move {
            began.send(()).unwrap();
            ends.await.unwrap();
            Ok::<_, Failure>(None::<u32>)
        }
    };
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    let asked = async || queue.steps(job.id()).info().await.unwrap().cancel_requested;
    worker
        .run_until(async {
            begins.await.unwrap();
            assert_eq!(asked().await, None);
            let cancel = queue.cancel(job.id()).reason("wrong price");
            assert_eq!(cancel.await.unwrap(), Changed::Requested);
            assert_eq!(asked().await.as_deref(), Some("wrong price"));
            end.send(()).unwrap();
        })
        .await
        .unwrap();
}
