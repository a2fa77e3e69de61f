//! G3: a call whose answer was lost is repeated and does nothing twice.

use super::{Rig, completed, job, on_both, positions, settlement};
use crate::id::JobId;
use crate::job::outcome::Outcome;
use crate::store::advance::{Advance, Answer, Settlement, Suspects};
use crate::store::enqueue::{Due, Enqueue, Enqueued, Met, NewJob, Novelty, There};
use crate::store::get::Get;

fn g3_a_repeated_enqueue_does_not_bring_back_a_job_that_is_done_and_gone(mut rig: Rig) {
    rig.keep_nothing();
    assert_eq!(rig.enqueue_as(1, &[job("a")]), Some(vec![]));
    rig.lane = "worker-lane";
    let claimed = rig.claim_one().unwrap();
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert_eq!(rig.state(&claimed.id), None);

    rig.lane = "lane";
    assert_eq!(rig.enqueue_as(1, &[job("a")]), Some(vec![]));
    assert_eq!(rig.state(&claimed.id), None);
    assert_eq!(rig.size("waiting"), 0);
}

fn g3_a_repeated_enqueue_gives_its_first_answer_and_a_late_one_is_refused(mut rig: Rig) {
    rig.enqueue_as(1, &[job("a")]);
    let both = [job("a"), job("b"), job("b")];
    assert_eq!(rig.enqueue_as(2, &both), Some(vec![0, 2]));
    assert_eq!(rig.enqueue_as(2, &both), Some(vec![0, 2]));
    assert_eq!(rig.enqueue_as(1, &[job("c")]), None);
    assert_eq!(rig.state(&JobId::new("c").unwrap()), None);
    assert_eq!(rig.size("waiting"), 2);
}

fn g3_a_repeated_advance_gives_the_same_claims_and_settles_once(mut rig: Rig) {
    rig.enqueue(&["a", "b", "c", "d"].map(job));
    let first = rig.advance(&[], 1);
    let done = [settlement(
        &first.claimed[0].id,
        &first.claimed[0].receipt,
        completed(),
    )];
    let call = rig.call + 1;
    let once = rig.advance_as(call, &done, 2, true);
    let twice = rig.advance_as(call, &done, 2, true);
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

fn g3_a_repeated_advance_leaves_out_what_others_have_taken_since(mut rig: Rig) {
    rig.enqueue(&["a", "b"].map(job));
    let call = rig.call + 1;
    let once = rig.advance_as(call, &[], 2, true);
    // Meanwhile `a` was released and is claimed by another worker.
    rig.lane = "other";
    let a = &once.claimed[0];
    assert!(rig.settle(&a.id, &a.receipt, Outcome::Released));
    let again = rig.claim_one().unwrap();
    assert_eq!(again.id, a.id);
    assert!(again.fence > a.fence);

    rig.lane = "lane";
    let twice = rig.advance_as(call, &[], 2, true);
    assert_eq!(twice.claimed.len(), 1);
    assert_eq!(twice.claimed[0].id, once.claimed[1].id);
    assert_eq!(twice.claimed[0].fence, once.claimed[1].fence);
}

fn said_to_be_new(rig: &mut Rig, jobs: &[NewJob]) -> (Vec<usize>, u64) {
    rig.call += 1;
    let answer = rig.call(&Enqueue {
        lane: rig.lane,
        call: rig.call,
        jobs: &jobs.iter().collect::<Vec<_>>(),
        novelty: Novelty::New,
    });
    match answer {
        Enqueued::Added {
            there, replaced, ..
        } => (positions(&there), replaced),
        other => panic!("{other:?}"),
    }
}

/// Wherever the job is that has the id: it stays as it is.
fn g1_a_new_id_that_is_not_new_costs_no_job_when_it_comes_alone(mut rig: Rig) {
    let mut due_later = job("a");
    due_later.due = Due::After { ms: 1_000 };
    for held in ["waiting", "active", "completed", "delayed"] {
        rig.clear();
        match held {
            "delayed" => _ = rig.enqueue(&[due_later.clone()]),
            _ => _ = rig.enqueue(&[job("a")]),
        }
        if held == "active" || held == "completed" {
            let claimed = rig.claim_one().unwrap();
            if held == "completed" {
                assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
            }
        }
        let id = JobId::new("a").unwrap();
        let record = |rig: &mut Rig| rig.call(&Get { id: "a" }).map(|found| found.record);
        let (before, state) = (record(&mut rig), rig.state(&id));
        for same in [job("a"), due_later.clone()] {
            let clash = said_to_be_new(&mut rig, std::slice::from_ref(&same));
            assert_eq!(clash, (vec![0], 0), "{held}");
        }
        assert_eq!(
            (record(&mut rig), rig.state(&id)),
            (before, state),
            "{held}"
        );
        assert_eq!(rig.size(held), 1);
        rig.check_whole(&id);
        assert_eq!((rig.total("clashed"), rig.total("added")), (2, 1), "{held}");
    }
}

/// What cannot be found out beforehand is told, and all that was sent is there.
fn g1_a_new_id_that_is_not_new_is_told_when_it_comes_among_others(mut rig: Rig) {
    rig.enqueue(&["a", "b"].map(job));
    assert_eq!(
        said_to_be_new(&mut rig, &["c", "b", "d"].map(job)),
        (vec![], 1)
    );
    assert_eq!(rig.total("clashed"), 1);
    assert_eq!(rig.size("waiting"), 4);
    let claimed = rig.advance(&[], 10).claimed;
    let ids: Vec<&str> = claimed.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["a", "c", "b", "d"]);
}

fn added(there: Vec<usize>) -> Enqueued {
    Enqueued::Added {
        there: there
            .into_iter()
            .map(|position| There {
                position,
                met: Met::Itself,
            })
            .collect(),
        replaced: 0,
        is_first: false,
    }
}

impl Rig {
    /// Adds this job, or with none asks whether the call of this number ran.
    fn enqueued_as(&mut self, call: u64, job: Option<&NewJob>) -> Enqueued {
        let lane = self.lane;
        self.call(&Enqueue {
            lane,
            call,
            jobs: job.as_slice(),
            novelty: Novelty::New,
        })
    }

    /// Settles, or asks whether the call of this number ran.
    fn advanced_as(&mut self, call: u64, settle: &[Settlement], ask: bool) -> Answer {
        let (lane, lease_ms) = (self.lane, self.lease_ms);
        self.call(&Advance {
            lane,
            call,
            worker: "worker",
            settle,
            claim: usize::from(!ask),
            claim_bytes: 1_000,
            suspects: Suspects::default(),
            lease_ms,
            hold: false,
            handlers: None,
            heard: 0,
            again: false,
            traits: false,
            ask,
        })
    }
}

/// Whether a call ran is asked as often as it takes until the answer comes through; and what was asked
/// for may come late, or again.
fn g3_a_question_gets_the_answer_of_an_enqueue_that_ran_or_takes_its_number(mut rig: Rig) {
    let (a, both) = ([job("a")], [job("a"), job("b")]);
    assert_eq!(rig.enqueue_as(1, &a), Some(vec![]));
    assert_eq!(rig.enqueue_as(2, &both), Some(vec![0]));
    for _ in 0..2 {
        assert_eq!(rig.enqueued_as(2, None), added(vec![0]));
    }
    let c = job("c");
    for _ in 0..2 {
        assert_eq!(rig.enqueued_as(3, None), Enqueued::Asked);
    }
    for _ in 0..2 {
        assert_eq!(rig.enqueued_as(3, Some(&c)), Enqueued::Asked);
        assert_eq!(rig.state(&c.id), None);
    }
    assert_eq!(rig.enqueued_as(2, None), Enqueued::Superseded);
    assert_eq!(rig.enqueued_as(4, Some(&c)), added(vec![]));
    assert_eq!(rig.size("waiting"), 3);
}

fn g3_a_question_gets_the_answer_of_an_advance_that_ran_or_takes_its_number(mut rig: Rig) {
    rig.enqueue(&["a", "b", "c"].map(job));
    let first = rig.advance(&[], 2);
    let call = rig.call;
    for _ in 0..2 {
        let again = rig.advanced_as(call, &[], true);
        assert!(matches!(again, Answer::Advanced(again) if again.claimed == first.claimed));
    }
    let a = &first.claimed[0];
    let done = [settlement(&a.id, &a.receipt, completed())];
    for _ in 0..2 {
        assert_eq!(rig.advanced_as(call + 1, &[], true), Answer::Asked);
    }
    for _ in 0..2 {
        assert_eq!(rig.advanced_as(call + 1, &done, false), Answer::Asked);
        assert_eq!((rig.size("completed"), rig.size("waiting")), (0, 1));
    }
    assert_eq!(rig.advanced_as(call, &[], true), Answer::Superseded);
    let next = rig.advance_as(call + 2, &done, 1, true);
    assert_eq!((next.refused.len(), next.claimed.len()), (0, 1));
    assert_eq!(rig.size("completed"), 1);
}

on_both!(
    g1_a_new_id_that_is_not_new_costs_no_job_when_it_comes_alone,
    g1_a_new_id_that_is_not_new_is_told_when_it_comes_among_others,
    g3_a_question_gets_the_answer_of_an_enqueue_that_ran_or_takes_its_number,
    g3_a_question_gets_the_answer_of_an_advance_that_ran_or_takes_its_number,
    g3_a_repeated_enqueue_does_not_bring_back_a_job_that_is_done_and_gone,
    g3_a_repeated_enqueue_gives_its_first_answer_and_a_late_one_is_refused,
    g3_a_repeated_advance_gives_the_same_claims_and_settles_once,
    g3_a_repeated_advance_leaves_out_what_others_have_taken_since,
);
