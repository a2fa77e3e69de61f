//! The dead-letter list: everything is kept, and can be put back in line.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use oxcart::{
    AttemptKind, Backoff, Changed, DeadReason, Ended, Failure, JobId, JobState, State, Stopped,
};

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

/// As many dead jobs, each with an error of its own.
async fn die(rig: &Rig, broken: &std::sync::Arc<Broken>, jobs: u32) {
    broken.0.store(true, Ordering::SeqCst);
    let worker = rig.worker().state(std::sync::Arc::clone(broken));
    let running = Running::start(worker.handle(number));
    let requests = (0..jobs).map(|n| rig.queue.enqueue(Number(n)).attempts(1));
    rig.queue.enqueue_many(requests).await.unwrap();
    rig.until(|counts| counts.dead == u64::from(jobs)).await;
    running.stop().await;
}

#[tokio::test]
async fn dead_letters_are_grouped_and_replayed_in_their_order_in_steps() {
    let rig = Rig::new().await;
    let broken = std::sync::Arc::new(Broken(AtomicBool::new(true)));
    die(&rig, &broken, 700).await;
    let letters = || rig.queue.dead_letters();
    let groups = letters().groups().await.unwrap();
    assert_eq!((groups.dead, groups.read, groups.left_out), (700, 700, 0));
    let [group] = &groups.groups[..] else {
        panic!("{groups:?}");
    };
    assert_eq!((group.count, &*group.name), (700, "number"));
    assert!(group.first_at <= group.last_at);
    assert_eq!(
        letters().groups().read_at_most(256).await.unwrap().read,
        256
    );

    let dry = letters().fingerprint(group.fingerprint).replay().dry_run();
    let dry = dry.await.unwrap();
    assert_eq!((dry.matching, dry.done), (700, 0));
    assert_eq!(dry.first_at, Some(group.first_at));
    assert_eq!(rig.counts().await.dead, 700);
    for none in [
        letters().named("other"),
        letters().error_contains("unbroken"),
        letters().older_than(std::time::Duration::from_secs(3_600)),
        letters().died_before(group.first_at),
        letters().matching(|job| job.priority == 7),
    ] {
        assert_eq!(none.clone().replay().await.unwrap().done, 0, "{none:?}");
    }

    // Stopped between two steps, and carried on.
    let dead = ids(&rig.queue, JobState::Dead).await;
    let part = letters().error_contains("BROKEN").replay();
    let part = part.on_progress(|tally| match tally.done > 0 {
        true => std::ops::ControlFlow::Break(()),
        false => std::ops::ControlFlow::Continue(()),
    });
    let part = part.await.unwrap();
    assert_eq!((part.done, part.stopped), (256, Some(Stopped::Asked)));
    let rest = letters().replay().per_second(1_000_000).await.unwrap();
    assert_eq!((rest.done, rest.gone, rest.stopped), (444, 0, None));
    assert_eq!(ids(&rig.queue, JobState::Waiting).await, dead);
}

#[tokio::test]
async fn a_replay_stops_by_itself_when_the_jobs_fail_again() {
    let rig = Rig::new().await;
    let broken = std::sync::Arc::new(Broken(AtomicBool::new(true)));
    die(&rig, &broken, 400).await;
    let worker = rig.worker().state(std::sync::Arc::clone(&broken));
    let running = Running::start(worker.handle(number));
    let replay = || rig.queue.dead_letters().replay().stop_if_failing(0.2);
    let failing = replay().await.unwrap();
    assert_eq!(failing.stopped, Some(Stopped::Failing), "{failing:?}");
    assert!(failing.failed_again >= 8, "{failing:?}");
    assert!(failing.done < 400, "{failing:?}");

    // What was replayed and has not run yet would succeed.
    rig.until(|counts| counts.dead == 400).await;
    broken.0.store(false, Ordering::SeqCst);
    let mended = replay().await.unwrap();
    assert_eq!((mended.done, mended.stopped), (400, None), "{mended:?}");
    rig.until(|counts| counts.dead + counts.left() == 0).await;
    running.stop().await;
    for bad in [-0.1, 1.1, f64::NAN] {
        let bad = rig.queue.dead_letters().replay().stop_if_failing(bad);
        assert!(bad.await.unwrap_err().is_invalid());
    }
    let never = rig.queue.dead_letters().replay().per_second(0);
    assert!(never.await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn dead_letters_are_removed_unless_they_were_replayed_meanwhile() {
    let rig = Rig::new().await;
    let broken = std::sync::Arc::new(Broken(AtomicBool::new(true)));
    die(&rig, &broken, 10).await;
    let dead = ids(&rig.queue, JobState::Dead).await;
    assert!(rig.queue.replay(&dead[3]).await.unwrap().is_done());
    let would = rig.queue.dead_letters().remove().dry_run().await.unwrap();
    assert_eq!((would.matching, would.done), (9, 0));
    let gone = rig.queue.dead_letters().remove().await.unwrap();
    assert_eq!((gone.matching, gone.done), (9, 9));
    assert_eq!(ids(&rig.queue, JobState::Waiting).await, dead[3..4]);
    assert_eq!(rig.counts().await.dead, 0);
}

/// What it was changed to is what its handler gets.
#[tokio::test]
async fn a_dead_job_is_edited_before_it_is_replayed() {
    let rig = Rig::new().await;
    let broken = std::sync::Arc::new(Broken(AtomicBool::new(true)));
    die(&rig, &broken, 1).await;
    let id = ids(&rig.queue, JobState::Dead).await.remove(0);
    let edit = rig.queue.edit(&id).payload(&Number(77)).attempts(3);
    assert_eq!(edit.await.unwrap(), Changed::Done);
    let moved = rig.queue.edit(&id).payload(&Number(78)).priority(1);
    assert_eq!(moved.await.unwrap(), Changed::InState(JobState::Dead));
    let info = rig.queue.job(&id).await.unwrap().unwrap();
    assert_eq!((info.state, info.attempts), (JobState::Dead, 3));
    broken.0.store(false, Ordering::SeqCst);
    let worker = rig.worker().state(std::sync::Arc::clone(&broken));
    let running = Running::start(worker.handle(number));
    assert!(rig.queue.replay(&id).await.unwrap().is_done());
    let result = rig.queue.handle::<Number>(id).result().await.unwrap();
    assert_eq!(result, 77);
    running.stop().await;
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Charge {
    order: u64,
    card: u64,
}

impl oxcart::Job for Charge {
    const NAME: &'static str = "charge";
    const SECRET: &'static [&'static str] = &["card"];
    type Output = u64;
}

async fn charge(
    Charge { order, card }: Charge,
    broken: State<std::sync::Arc<Broken>>,
) -> Result<u64, Failure> {
    if broken.0.load(Ordering::SeqCst) {
        return Err(Failure::dead("no"));
    }
    Ok(order + card)
}

/// Programs that do not know the type do not show them either; the handler gets them.
#[tokio::test]
async fn secret_fields_are_masked_until_they_are_revealed() {
    let rig = Rig::new().await;
    let broken = std::sync::Arc::new(Broken(AtomicBool::new(true)));
    let worker = || {
        rig.worker()
            .state(std::sync::Arc::clone(&broken))
            .handle(charge)
    };
    let running = Running::start(worker());
    let sent = rig
        .queue
        .enqueue(Charge {
            order: 7,
            card: 4_111,
        })
        .await
        .unwrap();
    assert!(sent.result().await.unwrap_err().is_dead());
    running.stop().await;
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(info.secret, ["card"]);
    let shown: serde_json::Value = info.payload().unwrap();
    assert_eq!(shown, serde_json::json!({"order": 7, "card": "(secret)"}));
    assert!(!format!("{info:?}").contains("4111"));
    let shown: serde_json::Value = info.reveal().payload().unwrap();
    assert_eq!(shown["card"], 4_111);

    let export = async |letters: oxcart::DeadLetters| {
        let letters = letters.export().collect::<Vec<_>>().await;
        let letters: Result<Vec<oxcart::DeadLetter>, _> = letters.into_iter().collect();
        letters.unwrap()
    };
    let masked = export(rig.queue.dead_letters()).await;
    let refused = rig.queue.import_dead(masked).await.unwrap_err();
    assert!(refused.is_invalid(), "{refused}");
    let whole = export(rig.queue.dead_letters().reveal()).await;
    let text: Vec<String> = whole
        .iter()
        .map(|it| serde_json::to_string(it).unwrap())
        .collect();
    assert_eq!(rig.queue.dead_letters().remove().await.unwrap().done, 1);
    let back = text.iter().map(|text| serde_json::from_str(text).unwrap());
    let back: Vec<oxcart::DeadLetter> = back.collect();
    let imported = rig.queue.import_dead(back.clone()).await.unwrap();
    assert_eq!((imported.imported, imported.there), (1, 0));
    assert_eq!(rig.queue.import_dead(back).await.unwrap().there, 1);
    let again = sent.info().await.unwrap().unwrap();
    assert_eq!(
        (again.state, again.history.len(), again.failed),
        (JobState::Dead, 1, 1)
    );

    broken.0.store(false, Ordering::SeqCst);
    let running = Running::start(worker());
    assert_eq!(rig.queue.dead_letters().replay().await.unwrap().done, 1);
    assert_eq!(sent.result().await.unwrap(), 4_118);
    running.stop().await;
}

/// Who says who they are is noted; nobody else is, and pays nothing.
#[tokio::test]
async fn what_an_operator_does_is_noted() {
    let rig = Rig::new().await;
    let broken = std::sync::Arc::new(Broken(AtomicBool::new(true)));
    die(&rig, &broken, 3).await;
    assert_eq!(rig.queue.audit().await.unwrap(), []);
    let url = rig.server.url();
    let ada = oxcart::Oxcart::builder().operator("ada").connect(&url);
    let queue = ada.await.unwrap().queue("test").unwrap();
    queue.pause().await.unwrap();
    queue.dead_letters().named("number").replay().await.unwrap();
    queue.dead_letters().replay().dry_run().await.unwrap();
    rig.queue.resume().await.unwrap();
    let entries = rig.queue.audit().await.unwrap();
    let said = entries
        .iter()
        .map(|it| (&*it.action, &*it.target, it.phase, it.jobs));
    let said: Vec<_> = said.collect();
    let target = "dead letters: name=number";
    assert_eq!(
        said,
        [
            ("replay", target, oxcart::AuditPhase::Ended, Some(3)),
            ("replay", target, oxcart::AuditPhase::Began, None),
            ("pause", "", oxcart::AuditPhase::Asked, None),
        ]
    );
    assert!(entries.iter().all(|entry| entry.operator == "ada"));
    assert_eq!(
        rig.queue.audit().before(3).limit(1).await.unwrap(),
        entries[1..2]
    );
    // One connection serves several people.
    let shared = rig.oxcart.as_operator("bob").queue("test").unwrap();
    shared.pause().await.unwrap();
    let last = rig.queue.audit().limit(1).await.unwrap();
    assert_eq!((&*last[0].operator, &*last[0].action), ("bob", "pause"));
    rig.queue.resume().await.unwrap();
    assert_eq!(rig.queue.audit().await.unwrap().len(), 4);
    rig.queue.delete().with_jobs().await.unwrap();
    assert_eq!(rig.queue.audit().await.unwrap(), []);
}
