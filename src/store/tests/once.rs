//! G3: a call whose answer was lost is repeated and does nothing twice.

use super::{Rig, completed, job, settlement};
use crate::id::JobId;
use crate::job::outcome::Outcome;
use crate::policy::retention::Retention;
use crate::store::enqueue::{Enqueue, Enqueued, NewJob};

impl Rig {
    async fn enqueue_as(&mut self, call: u64, jobs: &[NewJob]) -> Option<Vec<usize>> {
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        let lane = self.lane;
        let jobs = &jobs[..];
        match self.call(&Enqueue { lane, call, jobs }).await {
            Enqueued::Added { there } => Some(there),
            Enqueued::Superseded => None,
        }
    }
}

#[tokio::test]
async fn g3_a_repeated_enqueue_does_not_bring_back_a_job_that_is_done_and_gone() {
    let mut rig = Rig::new();
    rig.keep = Retention::Remove;
    assert_eq!(rig.enqueue_as(1, &[job("a")]).await, Some(vec![]));
    rig.lane = "worker-lane";
    let claimed = rig.claim_one().await.unwrap();
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()).await);
    assert_eq!(rig.state(&claimed.id).await, None);

    rig.lane = "lane";
    assert_eq!(rig.enqueue_as(1, &[job("a")]).await, Some(vec![]));
    assert_eq!(rig.state(&claimed.id).await, None);
    assert_eq!(rig.size("waiting"), 0);
}

#[tokio::test]
async fn g3_a_repeated_enqueue_gives_its_first_answer_and_a_late_one_is_refused() {
    let mut rig = Rig::new();
    rig.enqueue_as(1, &[job("a")]).await;
    let both = [job("a"), job("b"), job("b")];
    assert_eq!(rig.enqueue_as(2, &both).await, Some(vec![0, 2]));
    assert_eq!(rig.enqueue_as(2, &both).await, Some(vec![0, 2]));
    assert_eq!(rig.enqueue_as(1, &[job("c")]).await, None);
    assert_eq!(rig.state(&JobId::new("c").unwrap()).await, None);
    assert_eq!(rig.size("waiting"), 2);
}

#[tokio::test]
async fn g3_a_repeated_advance_gives_the_same_claims_and_settles_once() {
    let mut rig = Rig::new();
    rig.enqueue(&["a", "b", "c", "d"].map(job)).await;
    let first = rig.advance(&[], 1).await;
    let done = [settlement(
        &first.claimed[0].id,
        &first.claimed[0].receipt,
        completed(),
    )];
    let call = rig.call + 1;
    let once = rig.advance_as(call, &done, 2, true).await;
    let twice = rig.advance_as(call, &done, 2, true).await;
    assert!(once.refused.is_empty() && twice.refused.is_empty());
    let ids = |claimed: &[super::Claimed]| -> Vec<_> {
        claimed
            .iter()
            .map(|c| (c.id.clone(), c.fence, c.record.clone()))
            .collect()
    };
    assert_eq!(ids(&once.claimed), ids(&twice.claimed));
    assert_eq!(once.claimed.len(), 2);
    assert_eq!(rig.size("completed"), 1);
    assert_eq!(rig.size("waiting"), 1);
}

#[tokio::test]
async fn g3_a_repeated_advance_leaves_out_what_others_have_taken_since() {
    let mut rig = Rig::new();
    rig.enqueue(&["a", "b"].map(job)).await;
    let call = rig.call + 1;
    let once = rig.advance_as(call, &[], 2, true).await;
    // Meanwhile `a` was released and is claimed by another worker.
    rig.lane = "other";
    let a = &once.claimed[0];
    assert!(rig.settle(&a.id, &a.receipt, Outcome::Released).await);
    let again = rig.claim_one().await.unwrap();
    assert_eq!(again.id, a.id);
    assert!(again.fence > a.fence);

    rig.lane = "lane";
    let twice = rig.advance_as(call, &[], 2, true).await;
    assert_eq!(twice.claimed.len(), 1);
    assert_eq!(twice.claimed[0].id, once.claimed[1].id);
    assert_eq!(twice.claimed[0].fence, once.claimed[1].fence);
}
