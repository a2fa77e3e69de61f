//! Workers of one queue that have handlers for different jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{
    AttemptKind, DeadReason, Ended, EventKind, Failure, Job, JobState, Outcome, State,
    WorkerBuilder, WorkerEvent,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::rig::{PATIENCE, Rig, Running};
use crate::support::{eventually, eventually_async};

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

/// What is promised is milliseconds; this is less than the five seconds after which an idle worker
/// looks anyway, and enough for a busy machine.
const SOON: Duration = Duration::from_secs(3);

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

/// How many commands clients have sent so far to look for work.
fn looks(rig: &Rig) -> u64 {
    let info: String = rig.server.ask(&["INFO", "commandstats"]);
    let calls = |command: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix(command));
        line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    };
    calls("cmdstat_evalsha:calls=") + calls("cmdstat_bzpopmin:calls=")
}

async fn stop(running: impl IntoIterator<Item = Running>) -> Vec<WorkerEvent> {
    let mut told = Vec::new();
    for running in running {
        told.extend(running.stop().await);
    }
    told
}

fn bounces(told: &[WorkerEvent]) -> usize {
    let bounced = |event: &&WorkerEvent| matches!(event.outcome(), Some(Outcome::Bounced { .. }));
    told.iter().filter(bounced).count()
}

#[tokio::test]
async fn g5_a_job_goes_at_once_to_the_worker_that_has_its_handler() {
    const ROUNDS: u64 = 10;
    let rig = Rig::new().await;
    let mail = Running::start(mails(&rig));
    let others = [Running::start(reports(&rig)), Running::start(reports(&rig))];
    until_idle().await;
    let mut all = Vec::new();
    for round in 1..=ROUNDS {
        let began = Instant::now();
        for n in 0..6 {
            rig.queue.enqueue(Mail(n)).await.unwrap();
        }
        rig.until(|counts| counts.totals.completed == 6 * round)
            .await;
        let took = began.elapsed();
        println!("six jobs took {took:?}");
        assert!(took < SOON, "{took:?}");
        all.push(took);
    }
    all.sort();
    let median = all[all.len() / 2];
    assert!(median < SOON / 10, "{median:?}");
    let told = stop(others).await;
    assert!(bounces(&told) as u64 <= 6 * ROUNDS, "a job bounces once");
    mail.stop().await;
    assert_eq!(rig.counts().await.dead, 0);
}

#[tokio::test]
async fn nothing_dies_that_a_worker_can_run_however_short_the_patience() {
    let rig = Rig::new().await;
    let short = Duration::from_secs(2);
    // It needs longer for all of them than a job without a worker may wait.
    let slow = rig.worker().concurrency(1).handle(async |Mail(n)| {
        tokio::time::sleep(Duration::from_millis(60)).await;
        Ok::<_, Failure>(n)
    });
    let mail = Running::start(slow.bounce_for(short));
    let others = [
        Running::start(reports(&rig).bounce_for(short)),
        Running::start(reports(&rig).bounce_for(short)),
    ];
    until_idle().await;
    for n in 0..60 {
        rig.queue.enqueue(Mail(n)).await.unwrap();
    }
    rig.until(|counts| counts.totals.completed + counts.dead == 60)
        .await;
    assert_eq!(rig.counts().await.dead, 0);
    stop(others).await;
    mail.stop().await;
}

/// Each job is for one of three workers, and all of them have few slots.
#[tokio::test]
async fn a_backlog_of_several_names_is_done_and_bounces_each_job_a_few_times_at_most() {
    const EACH: u32 = 400;
    let rig = Rig::new().await;
    for n in 0..EACH {
        rig.queue.enqueue(Mail(n)).await.unwrap();
        rig.queue.enqueue(Report(n)).await.unwrap();
        rig.queue.enqueue(Invoice(n)).await.unwrap();
    }
    let invoices = rig.worker().handle(async |Invoice(n)| Ok::<_, Failure>(n));
    let began = Instant::now();
    let running = [mails(&rig), reports(&rig), invoices];
    let running = running.map(|worker| Running::start(worker.concurrency(5)));
    let all = 3 * u64::from(EACH);
    rig.until(|counts| counts.totals.completed == all).await;
    println!("{all} jobs took {:?}", began.elapsed());
    let told = stop(running).await;
    println!("{} bounces", bounces(&told));
    assert!(bounces(&told) as u64 <= all, "a job bounces once");
    let counts = rig.counts().await;
    assert_eq!((counts.dead, counts.waiting, counts.delayed), (0, 0, 0));
    for part in ["unhandled", "names", "attempts"] {
        let key = format!("oxcart:{{test}}:{part}");
        let kept: u64 = rig.server.ask(&["EXISTS", &key]);
        let of_completed = part == "attempts";
        assert_eq!(kept > 0, of_completed, "{part}");
    }
}

#[tokio::test]
async fn a_worker_that_starts_later_or_gets_a_slot_later_takes_what_others_could_not_run() {
    let rig = Rig::new().await;
    let other = Running::start(reports(&rig));
    let gate = Arc::new(Semaphore::new(0));
    let shut = Arc::clone(&gate);
    let held = rig
        .worker()
        .concurrency(1)
        .state(shut)
        .handle(async |Invoice(n), gate: State<Arc<Semaphore>>| {
            gate.acquire().await?.forget();
            Ok::<_, Failure>(n)
        })
        .handle(async |Mail(n)| Ok::<_, Failure>(n));
    let held = Running::start(held);
    let first = rig.queue.enqueue(Invoice(0)).await.unwrap();
    held.until_started(1).await;
    let sent = rig.queue.enqueue(Mail(7)).await.unwrap();
    let bounced = async || sent.info().await.unwrap().unwrap().bounces > 0;
    eventually_async(PATIENCE, bounced).await;
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!((info.state, info.bounces), (JobState::Waiting, 1));

    let began = Instant::now();
    gate.add_permits(1);
    assert_eq!(sent.result().await.unwrap(), 7);
    println!("with a slot: {:?}", began.elapsed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    first.result().await.unwrap();
    held.stop().await;

    let sent = rig.queue.enqueue(Mail(8)).await.unwrap();
    let bounced = async || sent.info().await.unwrap().unwrap().bounces > 0;
    eventually_async(PATIENCE, bounced).await;
    let began = Instant::now();
    let new = Running::start(mails(&rig));
    assert_eq!(sent.result().await.unwrap(), 8);
    println!("a new worker: {:?}", began.elapsed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    stop([new, other]).await;
}

/// No worker can run them: every idle worker looks once, or twice, and then it is quiet.
#[tokio::test]
async fn what_no_worker_can_run_keeps_none_of_them_busy() {
    const WORKERS: u64 = 4;
    const JOBS: u64 = 50;
    const WATCHED: Duration = Duration::from_secs(12);
    let rig = Rig::new().await;
    let idle: Vec<_> = (0..WORKERS)
        .map(|_| Running::start(reports(&rig)))
        .collect();
    until_idle().await;
    let before = looks(&rig);
    rig.queue
        .enqueue_many((0..JOBS as u32).map(Mail))
        .await
        .unwrap();
    until_idle().await;
    let at_once = looks(&rig) - before;
    println!("{at_once} looks at once");
    // At a concurrency of ten: five claims, and as many ends. Each makes news, and so does the reminder;
    // each worker that hears news looks twice, once for its names, and waits once more.
    let news = JOBS / 10 + 2;
    assert!(at_once <= 20 + (news + 1) * WORKERS * 4, "{at_once}");
    let counts = rig.counts().await;
    assert_eq!((counts.waiting, counts.delayed, counts.dead), (JOBS, 0, 0));

    let before = looks(&rig);
    tokio::time::sleep(WATCHED).await;
    let looked = looks(&rig) - before;
    let a_minute = looked as f64 * 60.0 / WATCHED.as_secs_f64() / WORKERS as f64;
    println!("{a_minute:.0} commands a minute and worker");
    assert!(a_minute < 60.0, "{a_minute}");
    let told = stop(idle).await;
    assert_eq!(bounces(&told) as u64, JOBS, "each has bounced once");
}

#[tokio::test]
async fn a_job_that_no_worker_has_a_handler_for_is_dead_when_its_age_is_over() {
    let rig = Rig::new().await;
    let short = Duration::from_millis(500);
    let running = Running::start(reports(&rig).bounce_for(short));
    let sent = rig.queue.enqueue(Mail(1)).await.unwrap();
    let error = sent.result().await.unwrap_err();
    assert!(
        error.is_dead() && error.to_string().contains("`mail`"),
        "{error}"
    );
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::UnknownName)));
    assert_eq!(info.history[0].kind, AttemptKind::UnknownName);
    running.stop().await;
    // It gets a new chance.
    let mail = Running::start(mails(&rig));
    assert!(rig.queue.replay(sent.id()).await.unwrap().is_done());
    assert_eq!(sent.result().await.unwrap(), 1);
    mail.stop().await;
}

#[tokio::test]
async fn the_reason_of_a_bounce_is_told_at_the_first_one() {
    #[derive(Serialize, Deserialize)]
    struct OldMail {
        address: String,
    }
    impl Job for OldMail {
        const NAME: &'static str = "ban";
        type Output = ();
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Ban {
        user_id: u64,
    }
    impl Job for Ban {
        const NAME: &'static str = "ban";
        type Output = ();
    }
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    let worker = rig.worker().handle(async |ban: Ban| {
        let _ = ban.user_id;
        Ok::<_, Failure>(())
    });
    let running = Running::start(worker);
    let old = OldMail {
        address: "a@b".to_owned(),
    };
    let unread = rig.queue.enqueue(old).await.unwrap();
    let unknown = rig.queue.enqueue(Mail(1)).await.unwrap();
    let wanted = [
        (unread.id().clone(), "missing field `user_id`"),
        (unknown.id().clone(), "no handler for jobs named `mail`"),
    ];
    for (id, why) in &wanted {
        let told = || {
            let told = running.told.lock().unwrap();
            told.iter().any(|event| {
                event.job_id() == Some(id)
                    && matches!(event.outcome(), Some(Outcome::Bounced { entry, .. })
                        if entry.error.contains(why))
            })
        };
        eventually(PATIENCE, told).await;
    }
    let mut left = wanted.to_vec();
    tokio::time::timeout(PATIENCE, async {
        while !left.is_empty() {
            let event = events.next().await.unwrap();
            if let EventKind::Bounced(id, reason) = event.kind {
                left.retain(|(of, why)| *of != id || !reason.contains(why));
            }
        }
    })
    .await
    .unwrap();
    // Another worker may read it: it is offered again, to any.
    let info = unread.info().await.unwrap().unwrap();
    assert_eq!((info.state, info.failed), (JobState::Delayed, 0));
    running.stop().await;
}

#[tokio::test]
async fn jobs_that_others_could_not_run_are_removed_paused_and_replaced_like_those_in_line() {
    let rig = Rig::new().await;
    let other = Running::start(reports(&rig));
    let gone = rig.queue.enqueue(Mail(1)).await.unwrap();
    let kept = rig.queue.enqueue(Mail(2)).await.unwrap();
    let bounced =
        async |sent: &oxcart::JobHandle<Mail>| sent.info().await.unwrap().unwrap().bounces > 0;
    eventually_async(PATIENCE, async || {
        bounced(&gone).await && bounced(&kept).await
    })
    .await;
    assert!(rig.queue.remove(gone.id()).await.unwrap().is_done());
    assert!(gone.info().await.unwrap().is_none());
    rig.queue.pause().await.unwrap();
    let mail = Running::start(mails(&rig));
    until_idle().await;
    assert_eq!(rig.counts().await.waiting, 1);
    let began = Instant::now();
    rig.queue.resume().await.unwrap();
    assert_eq!(kept.result().await.unwrap(), 2);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    stop([mail, other]).await;
}
