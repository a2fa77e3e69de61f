//! The dead-letter list: everything is kept, and can be put back in line.

use std::sync::atomic::{AtomicBool, Ordering};

use oxcart::{AttemptKind, Backoff, Changed, DeadReason, Ended, Failure, JobId, JobState, State};

use crate::rig::{Number, Rig, Running};
use crate::support::ids;

struct Broken(AtomicBool);

async fn number(Number(n): Number, broken: State<std::sync::Arc<Broken>>) -> Result<u32, Failure> {
    if broken.0.load(Ordering::SeqCst) {
        Err(format!("broken {n}"))?;
    }
    Ok(n)
}

#[tokio::test]
async fn a_dead_job_keeps_everything_and_gets_a_fresh_budget_when_replayed() {
    let rig = Rig::new().await;
    let broken = std::sync::Arc::new(Broken(AtomicBool::new(true)));
    let worker = rig
        .worker()
        .state(std::sync::Arc::clone(&broken))
        .handle(number);
    let running = Running::start(worker);
    let request = rig
        .queue
        .enqueue(Number(5))
        .attempts(3)
        .backoff(Backoff::NONE);
    let sent = request.header("tenant", "acme").priority(4).await.unwrap();
    assert!(sent.result().await.unwrap_err().is_dead());

    assert_eq!(ids(&rig.queue, JobState::Dead).await, [sent.id().clone()]);
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::AttemptsSpent)));
    assert_eq!((info.failed, info.priority), (3, 4));
    assert_eq!(info.payload::<Number>().unwrap().0, 5);
    assert_eq!(info.headers.len(), 1);
    let errors: Vec<_> = info
        .history
        .iter()
        .map(|a| (a.kind, a.error.as_str()))
        .collect();
    assert_eq!(errors, [(AttemptKind::Error, "broken 5"); 3]);
    assert!(info.history.is_sorted_by_key(|attempt| attempt.ended_at));

    broken.0.store(false, Ordering::SeqCst);
    assert!(rig.queue.replay(sent.id()).await.unwrap().is_done());
    assert_eq!(sent.result().await.unwrap(), 5);
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!((info.failed, info.history.len()), (0, 3));
    let again = rig.queue.replay(sent.id()).await.unwrap();
    assert_eq!(again, Changed::InState(JobState::Completed));
    let nobody = JobId::generate();
    assert_eq!(rig.queue.replay(&nobody).await.unwrap(), Changed::NotFound);
    running.stop().await;
}
