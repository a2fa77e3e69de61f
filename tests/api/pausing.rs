//! Jobs of one name are paused, and workers go on with all other jobs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use oxcart::{ErrorKind, EventKind, Failure, Job, State, WorkerBuilder};
use serde::{Deserialize, Serialize};

use crate::rig::{PATIENCE, Rig, Running};

#[derive(Serialize, Deserialize)]
struct Mail(u32);

#[derive(Serialize, Deserialize)]
struct Report(u32);

impl Job for Mail {
    const NAME: &'static str = "mail";
    type Output = ();
}

impl Job for Report {
    const NAME: &'static str = "report";
    type Output = ();
}

type Ran = Arc<Mutex<Vec<String>>>;

fn note(ran: &Ran, what: &str, n: u32) -> Result<(), Failure> {
    ran.lock().unwrap().push(format!("{what} {n}"));
    Ok(())
}

fn worker(rig: &Rig, ran: &Ran) -> WorkerBuilder {
    rig.worker()
        .concurrency(1)
        .state(Arc::clone(ran))
        .handle(async |Mail(n), ran: State<Ran>| note(&ran, "mail", n))
        .handle(async |Report(n), ran: State<Ran>| note(&ran, "report", n))
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

#[tokio::test]
async fn paused_jobs_wait_while_workers_go_on_and_come_in_their_order() {
    let rig = Rig::new().await;
    let ran = Ran::default();
    let mails = rig.queue.jobs_named("mail").unwrap();
    assert_eq!(mails.name(), "mail");
    assert!(mails.pause().await.unwrap());
    assert!(!mails.pause().await.unwrap());
    let running = Running::start(worker(&rig, &ran));
    for n in 0..5 {
        rig.queue.enqueue(Mail(n)).await.unwrap();
        rig.queue.enqueue(Report(n)).await.unwrap();
    }
    rig.until(|counts| counts.totals.completed == 5).await;
    let counts = rig.counts().await;
    assert_eq!(counts.paused_names, ["mail"]);
    assert!(!counts.paused);
    assert_eq!((counts.waiting, counts.left()), (5, 5));
    assert_eq!(ran.lock().unwrap().join(" ").matches("mail").count(), 0);
    assert!(mails.resume().await.unwrap());
    assert!(!mails.resume().await.unwrap());
    rig.until(|counts| counts.totals.completed == 10).await;
    let counts = rig.counts().await;
    assert_eq!((counts.totals.retried, counts.totals.dead), (0, 0));
    assert!(counts.paused_names.is_empty());
    let after = ran.lock().unwrap()[5..].to_vec();
    assert_eq!(after, ["mail 0", "mail 1", "mail 2", "mail 3", "mail 4"]);
    running.stop().await;
}

/// Idle workers block on the token, although there are jobs that no worker may take.
#[tokio::test]
async fn workers_with_nothing_but_paused_jobs_are_quiet() {
    let rig = Rig::new().await;
    let ran = Ran::default();
    let mails = rig.queue.jobs_named("mail").unwrap();
    mails.pause().await.unwrap();
    let running = [(), (), ()].map(|()| Running::start(worker(&rig, &ran)));
    for n in 0..20 {
        rig.queue.enqueue(Mail(n)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = looks(&rig);
    tokio::time::sleep(Duration::from_secs(4)).await;
    // Each waits for the token for up to five seconds, looks once, and waits again.
    let looked = looks(&rig) - before;
    assert!(looked <= 3 * 5, "{looked} calls in four seconds");
    assert_eq!(rig.counts().await.waiting, 20);
    mails.resume().await.unwrap();
    rig.until(|counts| counts.totals.completed == 20).await;
    for running in running {
        running.stop().await;
    }
}

#[tokio::test]
async fn the_pause_of_a_name_is_told_and_bad_names_are_refused() {
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    let odd = rig.queue.jobs_named("mail to ü").unwrap();
    odd.pause().await.unwrap();
    rig.queue.pause().await.unwrap();
    odd.resume().await.unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap();
        told.push(event.unwrap().kind);
    }
    let expected = [
        EventKind::NamePaused("mail to ü".to_owned()),
        EventKind::Paused,
        EventKind::NameResumed("mail to ü".to_owned()),
    ];
    assert_eq!(told, expected);
    let long = "x".repeat(257);
    for name in ["", "a\0b", &long] {
        let refused = rig.queue.jobs_named(name).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    for n in 0..256 {
        let jobs = rig.queue.jobs_named(format!("name {n}")).unwrap();
        assert!(jobs.pause().await.unwrap());
    }
    let full = odd.pause().await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Invalid, "{full}");
    assert!(full.to_string().contains("256 names"), "{full}");
    let counts = rig.counts().await;
    assert_eq!(counts.paused_names.len(), 256);
    assert!(
        rig.queue
            .jobs_named("name 0")
            .unwrap()
            .resume()
            .await
            .unwrap()
    );
    assert!(odd.pause().await.unwrap());
}
