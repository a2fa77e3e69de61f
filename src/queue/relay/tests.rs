//! Relays that die, are late, or meet one another.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;

use super::*;
use crate::codec;
use crate::id::{JobId, incarnation};
use crate::job::Job;
use crate::job::failure::Failure;
use crate::job::options::JobOptions;
use crate::job::outcome::Ending;
use crate::job::record::EncodedRecord;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::queue::Queue;
use crate::queue::draft::{Draft, Sent as Committed};
use crate::store::enqueue::{Due, NewJob};
use crate::store::outbox::Numbered;
use crate::store::outbox::message::Message;
use crate::worker::Worker;
use crate::worker::context::Context;
use crate::worker::extract::State;

#[derive(serde::Serialize, serde::Deserialize)]
struct Step;

impl Job for Step {
    const NAME: &'static str = "step";
    type Output = ();
}

/// How often each job ran.
type Runs = Arc<Mutex<BTreeMap<String, usize>>>;

fn job(id: &str) -> NewJob {
    let payload = crate::codec::encode_plain(&Step);
    NewJob {
        id: JobId::new(id).unwrap(),
        record: EncodedRecord::new("step", payload, &JobOptions::new(), Vec::new()),
        due: Due::Now,
        priority: None,
        front: false,
        await_ms: None,
        callbacks: None,
    }
}

fn message(id: &str) -> Message {
    Message::Job(job(id))
}

/// A worker that forgets its jobs as soon as they have ended.
fn worker(queue: &Queue, runs: &Runs) -> Worker {
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    let note = async |_: Step, context: Context, runs: State<Runs>| {
        let id = context.attempt().id.to_string();
        *runs.lock().unwrap().entry(id).or_default() += 1;
        Ok::<_, Failure>(())
    };
    let builder = Worker::builder(queue).queue_settings(settings);
    let builder = builder.state(Arc::clone(runs)).handle(note);
    builder.build().unwrap()
}

/// Polls it so many times and drops it: what has a turn after each call is killed between two of them. Whether it had ended.
async fn killed_after(turns: usize, relay: &mut Relay) -> bool {
    let mut run = pin!(relay.run());
    for _ in 0..turns {
        let polled = poll_fn(|context| Poll::Ready(run.as_mut().poll(context))).await;
        if let Poll::Ready(run) = polled {
            assert!(run.is_ok_and(|run| run.trouble.is_none()));
            return true;
        }
    }
    false
}

/// A draft of so many messages for three queues, one of which sends to itself, and to a queue behind another one.
async fn send(a: &Queue, n: usize) {
    let name = |name: &str| QueueName::new(name).unwrap();
    let mut draft = Draft::new(&a.inner);
    for at in 0..n {
        let id = format!("j{at:04}");
        let (target, message) = match at % 4 {
            0 => ("a", message(&id)),
            1 => ("b", message(&id)),
            2 => ("c", message(&id)),
            _ => {
                let (target, message) = ("c".to_owned(), message(&id).encode());
                ("b", Message::Forward { target, message })
            }
        };
        draft.add(&name(target), &message).await.unwrap();
    }
    let root = job("root");
    assert_eq!(
        draft.commit_quietly(&[&root]).await.unwrap(),
        Committed::Yes
    );
}

struct Scene {
    queues: [Queue; 3],
    workers: [Worker; 3],
    runs: Runs,
}

impl Scene {
    fn new() -> Self {
        let setup = Setup::in_memory();
        let queues = ["a", "b", "c"].map(|name| Arc::clone(&setup).queue(name));
        let runs = Runs::default();
        let workers = queues.each_ref().map(|queue| worker(queue, &runs));
        Self {
            queues,
            workers,
            runs,
        }
    }

    fn relays(&self) -> [Relay; 3] {
        self.queues.each_ref().map(|queue| Relay::of(&queue.inner))
    }

    /// Runs what there is, and carries the rest.
    async fn finish(&self) {
        loop {
            let mut ran = 0;
            for worker in &self.workers {
                ran += worker.drain().await.len();
            }
            if ran == 0 {
                return;
            }
        }
    }

    fn assert_each_ran_once(&self, n: usize, what: &str) {
        let runs = self.runs.lock().unwrap();
        let more: Vec<_> = runs.iter().filter(|(_, times)| **times != 1).collect();
        assert!(more.is_empty(), "{what}: {more:?}");
        assert_eq!(runs.len(), n + 1, "{what}");
    }
}

#[tokio::test]
async fn g1_g3_a_relay_that_is_killed_between_any_two_of_its_calls_loses_and_doubles_nothing() {
    const MESSAGES: usize = 40;
    for turns in 0.. {
        let scene = Scene::new();
        send(&scene.queues[0], MESSAGES).await;
        let [mut relay, ..] = scene.relays();
        let has_ended = killed_after(turns, &mut relay).await;
        // What has come so far runs, and is forgotten, before the next relay begins.
        for worker in &scene.workers[1..] {
            worker.drain().await;
        }
        scene.finish().await;
        scene.assert_each_ran_once(MESSAGES, &format!("killed after {turns} turns"));
        for queue in &scene.queues {
            assert_eq!(queue.outbox().await.unwrap(), []);
        }
        if has_ended {
            assert!(turns > 10, "{turns}");
            return;
        }
    }
}

/// A draft of several pages; relays of all queues, in any order, a call at a time, of which some die and some are late.
#[tokio::test]
async fn g1_g3_relays_that_meet_lose_and_double_nothing() {
    const MESSAGES: usize = 600;
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let scene = Scene::new();
        send(&scene.queues[0], MESSAGES).await;
        for _ in 0..6 {
            let mut relays = [scene.relays(), scene.relays()].into_iter().flatten();
            let mut relays: Vec<Relay> = relays.by_ref().collect();
            let mut runs: Vec<_> = relays
                .iter_mut()
                .map(|relay| Box::pin(relay.run()))
                .collect();
            for _ in 0..random.usize(5..60) {
                let which = random.usize(..runs.len().max(1));
                let Some(run) = runs.get_mut(which) else {
                    break;
                };
                let polled = poll_fn(|context| Poll::Ready(run.as_mut().poll(context))).await;
                if polled.is_ready() {
                    drop(runs.remove(which));
                }
                if random.u8(..10) == 0 {
                    scene.workers[random.usize(1..3)].drain().await;
                }
            }
        }
        scene.finish().await;
        scene.assert_each_ran_once(MESSAGES, &format!("seed {seed}"));
    }
}

/// What waits for the others is not behind all that waits for the first one, also if that is more than a run carries.
#[tokio::test]
async fn a_target_with_much_does_not_hold_up_the_others() {
    let scene = Scene::new();
    let [a, _, c] = &scene.queues;
    let forward = |target: &str, id: &str| {
        let (target, message) = (target.to_owned(), message(id).encode());
        Message::Forward { target, message }
    };
    // Each is a kind of its own, so each call brings one.
    let mut messages = Vec::new();
    for at in 0..200 {
        let id = format!("b{at:03}");
        messages.push(match at % 2 {
            0 => forward("b", &id),
            _ => {
                let outcome = codec::encode_plain(&Ending::Cancelled("moot".to_owned()));
                let ids = vec![JobId::new("nobody").unwrap()];
                let message = Message::Cancel { outcome, ids }.encode();
                let target = "b".to_owned();
                Message::Forward { target, message }
            }
        });
    }
    messages.push(forward("c", "c"));
    let numbered = (1..).zip(messages.iter().map(Message::encode));
    let numbered = numbered.map(|(position, message)| Numbered { position, message });
    let receive = Receive {
        source: &incarnation(),
        messages: &numbered.collect::<Vec<_>>(),
    };
    a.inner.call(&receive).await.unwrap();
    let mut relay = Relay::of(&a.inner);
    let run = relay.run().await.unwrap();
    assert!(run.more);
    assert_eq!(c.counts().await.unwrap().waiting, 1);
    while relay.run().await.unwrap().more {}
    assert_eq!(scene.queues[1].counts().await.unwrap().waiting, 100);
}

/// A relay whose runs are cut short comes to all targets.
#[tokio::test]
async fn a_run_begins_where_the_last_one_had_to_end() {
    let scene = Scene::new();
    let a = &scene.queues[0];
    let forward = |target: &str, id: &str| {
        let (target, message) = (target.to_owned(), message(id).encode());
        Message::Forward { target, message }.encode()
    };
    let targets: Vec<String> = (0..100).map(|at| format!("q{at:02}")).collect();
    let fill = async |round: u64| {
        let messages = targets
            .iter()
            .map(|target| forward(target, &format!("{target}-{round}")));
        let numbered = (1 + round * 1_000..).zip(messages);
        let numbered = numbered.map(|(position, message)| Numbered { position, message });
        let source = &incarnation();
        let messages = &numbered.collect::<Vec<_>>();
        a.inner.call(&Receive { source, messages }).await.unwrap();
    };
    let mut relay = Relay::of(&a.inner);
    fill(0).await;
    let run = relay.run().await.unwrap();
    assert_eq!((run.carried, run.more), (64, true));
    fill(1).await;
    relay.run().await.unwrap();
    let left: Vec<String> = a
        .outbox()
        .await
        .unwrap()
        .into_iter()
        .map(|of| of.queue)
        .collect();
    assert!(left.contains(&"q40".to_owned()), "{left:?}");
    assert!(!left.contains(&"q99".to_owned()), "{left:?}");
}

/// It waits for a worker that knows it; what is for other queues goes on.
#[tokio::test]
async fn what_cannot_be_read_holds_up_its_own_target_alone() {
    let scene = Scene::new();
    let a = &scene.queues[0];
    let forward = |target: &str, message: Vec<u8>| {
        let target = target.to_owned();
        Message::Forward { target, message }.encode()
    };
    let messages = [
        forward("b", b"soon ".to_vec()),
        forward("b", message("behind").encode()),
        forward("c", message("other").encode()),
    ];
    let numbered = (1..).zip(messages);
    let numbered = numbered.map(|(position, message)| Numbered { position, message });
    let receive = Receive {
        source: &incarnation(),
        messages: &numbered.collect::<Vec<_>>(),
    };
    a.inner.call(&receive).await.unwrap();
    let mut relay = Relay::of(&a.inner);
    let run = relay.run().await.unwrap();
    assert_eq!(run.unknown, [("b".to_owned(), "soon".to_owned())]);
    assert_eq!((run.carried, run.more), (1, false));
    assert!(relay.again_at().is_some_and(|at| at > Instant::now()));
    let again = relay.run().await.unwrap();
    assert!(again.unknown.is_empty(), "told once: {again:?}");
    let left = a.outbox().await.unwrap();
    assert_eq!((left.len(), left[0].messages, &*left[0].queue), (1, 2, "b"));
    assert_eq!(scene.queues[2].counts().await.unwrap().waiting, 1);
    assert_eq!(a.relay().await.unwrap(), 0);
}
