//! Workers of one queue that have handlers for different jobs.

use std::time::{Duration, Instant};

use oxcart::{Failure, Job, WorkerBuilder, WorkerEvent};
use serde::{Deserialize, Serialize};

use crate::rig::{PATIENCE, Rig, Running};
use crate::support::eventually_async;

macro_rules! jobs {
    ($($job:ident: $name:literal),*) => {$(
        #[derive(Debug, Clone, Serialize, Deserialize)]
        struct $job(u32);

        impl Job for $job {
            const NAME: &'static str = $name;
            type Output = u32;
        }
    )*};
}

jobs!(Mail: "mail", Report: "report", Invoice: "invoice");

/// What is promised is milliseconds; this is less than any fallback, and enough for a busy machine.
const SOON: Duration = Duration::from_millis(900);

fn mails(rig: &Rig) -> WorkerBuilder {
    rig.worker().handle(async |Mail(n)| Ok::<_, Failure>(n))
}

fn reports(rig: &Rig) -> WorkerBuilder {
    rig.worker().handle(async |Report(n)| Ok::<_, Failure>(n))
}

/// Long enough that all of them block on the token.
async fn until_idle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn g5_a_job_goes_at_once_to_the_worker_that_has_its_handler() {
    let rig = Rig::new().await;
    let mail = Running::start(mails(&rig));
    let others = [Running::start(reports(&rig)), Running::start(reports(&rig))];
    until_idle().await;
    for round in 0..5 {
        let began = Instant::now();
        for n in 0..6 {
            rig.queue.enqueue(Mail(n)).await.unwrap();
        }
        rig.until(|counts| counts.totals.completed == 6 * (round + 1))
            .await;
        let took = began.elapsed();
        println!("six jobs took {took:?}");
        assert!(took < SOON, "{took:?}");
    }
    assert_eq!(rig.counts().await.dead, 0);
    for running in others {
        running.stop().await;
    }
    mail.stop().await;
}

#[tokio::test]
async fn six_jobs_and_a_short_patience_none_is_dead() {
    let rig = Rig::new().await;
    let short = Duration::from_secs(2);
    let mail = Running::start(mails(&rig).bounce_for(short));
    let others = [
        Running::start(reports(&rig).bounce_for(short)),
        Running::start(reports(&rig).bounce_for(short)),
    ];
    until_idle().await;
    for n in 0..6 {
        rig.queue.enqueue(Mail(n)).await.unwrap();
    }
    rig.until(|counts| counts.totals.completed + counts.dead == 6)
        .await;
    assert_eq!(rig.counts().await.dead, 0);
    for running in others {
        running.stop().await;
    }
    mail.stop().await;
}
