//! What handlers say of their jobs.

use std::sync::Arc;
use std::time::Duration;

use oxcart::{Context, Failure, LogLine, QueueSettings, Retention};
use tokio::sync::Notify;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::eventually_async;

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// Its second attempt goes on with the log of the first.
#[tokio::test]
async fn a_log_is_read_while_the_job_runs_and_goes_on_through_its_attempts() {
    let rig = Rig::new().await;
    let gate = Arc::new(Notify::new());
    let waits = Arc::clone(&gate);
    let says = move |Number(n): Number, context: Context| {
        let gate = Arc::clone(&waits);
        async move {
            context.log(format!("begins with {n}"));
            if context.attempt().number == 1 {
                gate.notified().await;
                context.log("gives up");
                return Err(Failure::retry_after(Duration::ZERO, "not yet"));
            }
            context.log("x".repeat(5_000));
            Ok(n)
        }
    };
    let running = Running::start(rig.worker().handle::<Number, _>(says));
    let sent = rig.queue.enqueue(Number(7)).await.unwrap();
    eventually_async(PATIENCE, async || {
        texts(&sent.logs().await.unwrap()) == ["begins with 7"]
    })
    .await;
    assert!(sent.info().await.unwrap().unwrap().history.is_empty());
    gate.notify_one();
    assert_eq!(sent.result().await.unwrap(), 7);
    let lines = sent.logs().await.unwrap();
    let long = &lines[3];
    assert_eq!(
        texts(&lines[..3]),
        ["begins with 7", "gives up", "begins with 7"]
    );
    assert!(long.text.len() <= LogLine::BYTES_MAX && long.text.ends_with('…'));
    let told: Vec<_> = lines.iter().map(|it| (it.number, it.attempt)).collect();
    assert_eq!(told, [(1, 1), (2, 1), (3, 2), (4, 2)]);
    assert!(lines.is_sorted_by_key(|line| line.at) && lines[1].fence < lines[2].fence);
    let since = rig.queue.logs(sent.id()).after(3).await.unwrap();
    assert_eq!(since, lines[3..]);
    let removed = rig.queue.remove(sent.id()).await.unwrap();
    assert!(removed.is_done() && sent.logs().await.unwrap().is_empty());
    running.stop().await;
}

/// And a job that is dropped at its end leaves nothing of it.
#[tokio::test]
async fn the_last_hundred_lines_are_stored_before_the_job_ends() {
    let rig = Rig::new().await;
    let says = async |Number(n): Number, context: Context| {
        for line in 0..n {
            context.log(line.to_string());
        }
        Ok::<_, Failure>(n)
    };
    let running = Running::start(rig.worker().handle(says));
    let sent = rig.queue.enqueue(Number(250)).await.unwrap();
    sent.result().await.unwrap();
    let lines = sent.logs().await.unwrap();
    assert_eq!((lines.len(), &*lines[0].text), (LogLine::KEPT, "150"));
    running.stop().await;

    let nothing = QueueSettings::new().keep_completed(Retention::Nothing);
    let running = Running::start(rig.worker().handle(says).queue_settings(nothing));
    rig.until(|counts| counts.completed == 1).await;
    let dropped = rig.queue.enqueue(Number(3)).await.unwrap();
    rig.until(|counts| counts.totals.completed == 2).await;
    assert!(dropped.logs().await.unwrap().is_empty());
    assert!(rig.queue.remove(sent.id()).await.unwrap().is_done());
    running.stop().await;
    let left: u64 = rig.server.ask(&["EXISTS", "oxcart:{test}:attempts"]);
    assert_eq!(left, 0);
}
