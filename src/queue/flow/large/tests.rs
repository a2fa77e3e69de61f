//! Flows over three queues whose relays die between any two of their calls, are late, or meet one another.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::*;
use crate::id::Fence;
use crate::job::Job;
use crate::job::failure::Failure;
use crate::job::outcome::{Outcome, Output};
use crate::job::traits::EndTraits;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::queue::Queue;
use crate::queue::flow::Flow;
use crate::queue::flow::nodes::Plan;
use crate::queue::relay::{CALLS_AT_MOST, Relay};
use crate::queue::setup::Setup;
use crate::store::advance::{Advance, Answer, Settlement, Suspects};
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::worker::Worker;
use crate::worker::context::Context;

#[derive(serde::Serialize, serde::Deserialize)]
struct Part;

impl Job for Part {
    const NAME: &'static str = "part";
    type Output = u32;
}

/// Three queues without workers: the test does what these would, but relays nothing unless it says so.
struct Scene {
    queues: [Queue; 3],
    calls: [u64; 3],
    runs: BTreeMap<(usize, String), usize>,
}

impl Scene {
    async fn new() -> Self {
        let setup = Setup::in_memory();
        let queues = ["a", "b", "c"].map(|name| Arc::clone(&setup).queue(name));
        for queue in &queues {
            let settings = QueueSettings::new().keep_completed(Retention::Nothing);
            queue.change_settings(settings).await.unwrap();
        }
        Self {
            queues,
            calls: [0; 3],
            runs: BTreeMap::new(),
        }
    }

    /// A flow with parents and children in every pair of queues, at three depths; how many jobs it has.
    fn flow(&self) -> Flow<Part> {
        let part = |of: usize| self.queues[of].enqueue(Part);
        let hour = Retention::For(std::time::Duration::from_secs(3_600));
        let mut flow = Flow::new(part(0).keep(hour));
        for parent in 0..3 {
            let mut below = Flow::new(part(parent));
            for child in 0..3 {
                let deepest = Flow::new(part(child)).child(part((child + 1) % 3));
                below = below.child(part(child)).child(deepest);
            }
            flow = flow.child(below);
        }
        flow
    }

    /// Enqueues it, and leaves it to others to carry its messages.
    async fn send(&self) -> usize {
        let mut flow = self.flow();
        let Ok(Plan::Messages(mut jobs)) = flow.nodes.prepare() else {
            panic!("it lies in several queues");
        };
        let root = jobs.remove(0);
        let draft = drafted(&root, jobs).await.unwrap();
        assert_eq!(draft.commit_quietly(&[&root.job]).await.unwrap(), Sent::Yes);
        flow.jobs()
    }

    /// Runs what waits in one of the queues; how many jobs.
    async fn work(&mut self, which: usize) -> usize {
        let claimed = self.advance(which, &[], BATCH_JOBS).await;
        let mut settle = Vec::new();
        for job in &claimed {
            let ran = (which, job.id.to_string());
            *self.runs.entry(ran).or_default() += 1;
            let children = self.queues[which].children(&job.id).await.unwrap();
            for child in &children {
                assert!(child.ended.is_some(), "{} runs before {}", job.id, child.id);
            }
            settle.push(Settlement {
                id: job.id.clone(),
                fence: Fence(1),
                receipt: job.receipt.clone(),
                keep: None,
                is_requested: false,
                outcome: Outcome::Completed(Output::new(vec![7])),
                traits: EndTraits::of(&job.record),
            });
        }
        Advance::sort(&mut settle);
        self.advance(which, &settle, 0).await;
        claimed.len()
    }

    async fn advance(
        &mut self,
        which: usize,
        settle: &[Settlement],
        claim: usize,
    ) -> Vec<crate::store::advance::Claimed> {
        self.calls[which] += 1;
        let verb = Advance {
            lane: "lane",
            call: self.calls[which],
            worker: "worker",
            settle,
            claim,
            claim_bytes: BATCH_BYTES,
            suspects: Suspects {
                at_most: 1,
                alone: true,
            },
            lease_ms: 60_000,
            hold: true,
            handlers: None,
            heard: 0,
            again: false,
            traits: true,
            ask: false,
        };
        match self.queues[which].inner.call(&verb).await.unwrap() {
            Answer::Advanced(advanced) => advanced.claimed,
            other => panic!("{other:?}"),
        }
    }

    /// Everything runs, and is carried, until nothing is left; the relay that makes the last of so many calls is killed behind it.
    async fn finish(&mut self, mut calls_left: usize) -> usize {
        loop {
            let mut done = 0;
            for which in 0..3 {
                let mut relay = Relay::of(&self.queues[which].inner);
                done += polled(&mut relay, &mut calls_left).await;
                done += self.work(which).await as u64;
            }
            if done == 0 && calls_left != 0 {
                return calls_left;
            }
            if calls_left == 0 {
                calls_left = usize::MAX;
            }
        }
    }

    async fn assert_each_ran_once(&self, jobs: usize, what: &str) {
        let more: Vec<_> = self.runs.iter().filter(|(_, times)| **times != 1).collect();
        assert!(more.is_empty(), "{what}: {more:?}");
        assert_eq!(self.runs.len(), jobs, "{what}");
        for queue in &self.queues {
            assert_eq!(queue.counts().await.unwrap().left(), 0, "{what}");
            assert_eq!(queue.outbox().await.unwrap(), [], "{what}");
        }
    }
}

/// A run of a relay, or as much of it as calls are left; how many messages it has carried, as far as it came to say so.
async fn polled(relay: &mut Relay, calls_left: &mut usize) -> u64 {
    let mut run = pin!(relay.run());
    while *calls_left > 0 {
        *calls_left -= 1;
        let polled = poll_fn(|context| Poll::Ready(run.as_mut().poll(context))).await;
        if let Poll::Ready(run) = polled {
            let run = run.unwrap();
            assert!(run.trouble.is_none());
            return run.carried + u64::from(run.more);
        }
    }
    1
}

#[tokio::test]
async fn g1_g3_a_flow_ends_whatever_relay_is_killed_between_any_two_of_its_calls() {
    for calls in 1.. {
        let mut scene = Scene::new().await;
        let jobs = scene.send().await;
        let left = scene.finish(calls).await;
        let what = format!("killed after {calls} calls");
        scene.assert_each_ran_once(jobs, &what).await;
        if left < usize::MAX / 2 {
            // None was killed.
            assert!(calls > 100, "{calls}");
            return;
        }
    }
}

/// Several relays of each queue, a call at a time, in any order; some die, some are late; and jobs run meanwhile.
#[tokio::test]
async fn g1_g3_relays_that_meet_bring_a_flow_to_its_end() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut scene = Scene::new().await;
        let jobs = scene.send().await;
        for _ in 0..8 {
            let queues = [&scene.queues[..], &scene.queues[..]].concat();
            let mut relays: Vec<Relay> = queues.iter().map(|it| Relay::of(&it.inner)).collect();
            let runs = relays.iter_mut().map(|relay| Box::pin(relay.run()));
            let mut runs: Vec<_> = runs.collect();
            for _ in 0..random.usize(5..60) {
                let which = random.usize(..runs.len().max(1));
                let Some(run) = runs.get_mut(which) else {
                    break;
                };
                let polled = poll_fn(|context| Poll::Ready(run.as_mut().poll(context))).await;
                if polled.is_ready() {
                    drop(runs.remove(which));
                }
                if random.u8(..5) == 0 {
                    scene.work(random.usize(..3)).await;
                }
            }
        }
        scene.finish(usize::MAX).await;
        scene
            .assert_each_ran_once(jobs, &format!("seed {seed}"))
            .await;
    }
}

/// With workers that are run by hand, in whatever order.
#[tokio::test]
async fn a_flow_over_three_queues_is_drained() {
    let scene = Scene::new().await;
    let part = async |_: Part, context: Context| {
        let children = context.children().await?;
        let all = children.iter().all(|child| child.ended.is_some());
        assert!(all, "{children:?}");
        Ok::<_, Failure>(children.outputs::<Part>()?.iter().sum::<u32>() + 1)
    };
    let workers = scene.queues.each_ref().map(|queue| {
        let builder = Worker::builder(queue).handle(part);
        builder.build().unwrap()
    });
    let flow = scene.flow();
    let jobs = flow.jobs();
    let root = flow.await.unwrap();
    let mut ran = 0;
    loop {
        let before = ran;
        for worker in &workers {
            ran += worker.drain().await.len();
        }
        if ran == before {
            break;
        }
    }
    assert_eq!(ran, jobs);
    let children = scene.queues[0].children(root.id()).await.unwrap();
    let standings = children.iter().map(|child| child.output::<u32>().unwrap());
    assert_eq!(standings.flatten().sum::<u32>() as usize, jobs - 1);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Bulky(String);

impl Job for Bulky {
    const NAME: &'static str = "bulky";
    type Output = ();
}

/// More pages of its draft are to come out than one run of a relay has calls for.
#[tokio::test]
async fn a_flow_is_cancelled_as_a_whole_before_its_jobs_have_arrived() {
    let queue = Setup::in_memory().queue("a");
    let children = 2 * CALLS_AT_MOST + 2;
    let bulky = |_| queue.enqueue(Bulky("x".repeat(BATCH_BYTES * 5 / 8)));
    let mut flow = Flow::new(queue.enqueue(Part)).children((0..children).map(bulky));
    let root = flow.job_id().clone();
    let Ok(Plan::Messages(mut jobs)) = flow.nodes.prepare() else {
        panic!("it does not fit into one call");
    };
    let first = jobs.remove(0);
    let draft = drafted(&first, jobs).await.unwrap();
    let sent = draft.commit_quietly(&[&first.job]).await.unwrap();
    assert_eq!(sent, Sent::Yes);
    let cancelled = queue.cancel_flow(&root).await.unwrap();
    assert_eq!(cancelled.done, children as u64 + 1);
}
