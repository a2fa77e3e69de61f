//! Jobs that a worker handed back for want of a handler of their name, and the workers that get them.

use std::time::Duration;

use super::{Rig, completed, job, on_both, settlement};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind, Counters};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Advanced, Answer, Claimed, Settlement, Suspects};
use crate::store::pause::Pause;
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::resume::Resume;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn handed_back(claimed: &Claimed, name: &str) -> Settlement {
    let entry = AttemptEntry::new(AttemptKind::UnknownName, format!("no `{name}`"));
    let outcome = Outcome::Bounced {
        after: DAY,
        entry,
        name: Some(name.to_owned()),
    };
    settlement(&claimed.id, &claimed.receipt, outcome)
}

fn ids(advanced: &Advanced) -> Vec<&str> {
    advanced.claimed.iter().map(|c| c.id.as_str()).collect()
}

impl Rig {
    /// Claims for these handlers.
    pub(super) fn ask(&mut self, claim: usize, handlers: &[&'static str], heard: u64) -> Advanced {
        self.ask_with(&[], claim, BATCH_BYTES, handlers, heard)
    }

    pub(super) fn ask_with(
        &mut self,
        settle: &[Settlement],
        claim: usize,
        claim_bytes: usize,
        handlers: &[&'static str],
        heard: u64,
    ) -> Advanced {
        self.call += 1;
        let verb = Advance {
            lane: self.lane,
            call: self.call,
            worker: "worker",
            settle,
            claim,
            claim_bytes,
            suspects: Suspects {
                at_most: 1,
                alone: true,
            },
            lease_ms: self.lease_ms,
            hold: true,
            handlers: Some(handlers),
            heard,
            again: false,
            traits: false,
            ask: false,
        };
        match self.call(&verb) {
            Answer::Advanced(advanced) => advanced,
            other => panic!("{other:?}"),
        }
    }

    /// Claims all that wait, and hands each back under the first letter of its id.
    pub(super) fn hand_all_back(&mut self) -> Advanced {
        let claimed = self.advance(&[], 256).claimed;
        let name = |claimed: &Claimed| claimed.id.as_str()[..1].to_owned();
        let back: Vec<_> = claimed.iter().map(|c| handed_back(c, &name(c))).collect();
        self.advance(&back, 0)
    }
}

fn g4_jobs_handed_back_keep_their_places_among_those_in_line(mut rig: Rig) {
    let with = |id: &str, priority| {
        let mut job = job(id);
        job.priority = Some(priority);
        job
    };
    let front = {
        let mut job = job("a-front");
        job.front = true;
        job
    };
    rig.enqueue(&[
        job("a1"),
        job("b1"),
        job("a2"),
        with("b-urgent", 3),
        with("a-low", 900),
        front,
    ]);
    rig.hand_all_back();
    rig.enqueue(&[job("x1"), with("x-urgent", 7), with("x-low", 800)]);
    let first = rig.ask(3, &["a", "c"], 0);
    assert_eq!(ids(&first), ["x-urgent", "a-front", "a1"]);
    assert!(first.more);
    let rest = rig.ask(9, &["a", "c"], 0);
    assert_eq!(ids(&rest), ["a2", "x1", "x-low", "a-low"]);
    assert!(!rest.more && rest.unhandled > 0, "those of b are left");
    let last = rig.ask(9, &["a", "b"], 0);
    assert_eq!(ids(&last), ["b-urgent", "b1"]);
    assert_eq!(last.unhandled, 0);
    assert_eq!((rig.size("unhandled"), rig.size("names")), (0, 0));
    for claimed in first
        .claimed
        .iter()
        .chain(&rest.claimed)
        .chain(&last.claimed)
    {
        assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
        rig.check_whole(&claimed.id);
    }
}

fn jobs_handed_back_are_given_to_no_other_name(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("ab")]);
    let claimed = rig.advance(&[], 2).claimed;
    let back = [
        handed_back(&claimed[0], "mail"),
        handed_back(&claimed[1], "mail-bulk"),
    ];
    let told = rig.advance(&back, 0);
    assert!(told.unhandled > 0 && !told.more);
    for handlers in [&["mai"][..], &["mail-"], &["mail-bulk2", "n", ""]] {
        let asked = rig.ask(9, handlers, told.unhandled);
        assert_eq!(ids(&asked), [""; 0], "{handlers:?}");
    }
    assert!(
        rig.claim_one().is_none(),
        "nor to a worker that asks for none"
    );
    let id = JobId::new("a").unwrap();
    assert_eq!(rig.state(&id), Some(State::Waiting));
    assert_eq!(ids(&rig.ask(9, &["mail"], 0)), ["a"]);
    assert_eq!(ids(&rig.ask(9, &["mail-bulk"], 0)), ["ab"]);
}

/// More than the script reads of one name at once.
fn g7_a_claim_of_many_names_is_complete_in_order_and_bounded(mut rig: Rig) {
    let numbered = |n: usize| job(&format!("{}{n:03}", ["a", "b", "c"][n % 3]));
    rig.enqueue(&(0..120).map(numbered).collect::<Vec<_>>());
    rig.hand_all_back();
    let mut seen = Vec::new();
    loop {
        let claimed = rig.ask(25, &["a", "b", "c"], 0);
        assert!(claimed.claimed.len() <= 25);
        assert_eq!(claimed.more, seen.len() + claimed.claimed.len() < 120);
        seen.extend(ids(&claimed).into_iter().map(str::to_owned));
        if !claimed.more {
            break;
        }
    }
    let expected: Vec<_> = (0..120).map(|n| numbered(n).id.to_string()).collect();
    assert_eq!(seen, expected);

    let large = |id: &str| {
        let mut job = job(id);
        let payload = vec![0; 1_000];
        job.record = EncodedRecord::new("test", payload, &JobOptions::new(), Vec::new());
        job
    };
    rig.enqueue(&["d1", "d2", "d3"].map(large));
    rig.hand_all_back();
    let first = rig.ask_with(&[], 9, 2_500, &["d"], 0);
    assert_eq!((ids(&first), first.more), (vec!["d1", "d2"], true));
    assert_eq!(ids(&rig.ask(9, &["d"], 0)), ["d3"]);
}

/// Each worker that hears the news wakes one more; a worker that has heard it already wakes none.
fn g5_news_of_jobs_handed_back_are_passed_on_once(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b")]);
    assert_eq!(rig.subject.pop_token(), Some(0.0));
    let told = rig.hand_all_back().unhandled;
    assert_eq!(rig.subject.pop_token(), Some(0.0), "the news themselves");
    let heard = rig.ask(5, &["c"], 0);
    assert_eq!(heard.unhandled, told);
    assert_eq!(rig.subject.pop_token(), Some(0.0), "who hears passes on");
    rig.ask(5, &["c"], told);
    assert_eq!(rig.subject.pop_token(), None, "who knows does not");

    // Pausing keeps it for later; and then it is news again.
    rig.call(&Pause);
    assert_eq!(rig.ask(5, &["a"], told).unhandled, 0);
    assert_eq!(rig.subject.pop_token(), None);
    rig.call(&Resume);
    assert_eq!(rig.subject.pop_token(), Some(0.0));
    let news = rig.ask(5, &["c"], told).unhandled;
    assert_ne!(news, told);
    assert_eq!(rig.subject.pop_token(), Some(0.0));
    assert_eq!(ids(&rig.ask(5, &["a", "b"], news)), ["a", "b"]);
}

/// Another program deletes them, or an eviction.
fn news_that_are_lost_are_told_again(mut rig: Rig) {
    let promote = Promote {
        limit: 10,
        worker: "worker",
        hold: true,
    };
    rig.enqueue(&[job("a")]);
    rig.hand_all_back();
    rig.subject.pop_token();
    rig.call(&promote);
    assert_eq!(rig.subject.pop_token(), None, "all have heard");
    rig.subject.lose_news();
    assert_eq!(ids(&rig.ask(1, &["a"], 0)), [""; 0]);
    rig.call(&Pause);
    rig.call(&promote);
    assert_eq!(rig.subject.pop_token(), None);
    rig.call(&Resume);
    assert_eq!(rig.subject.pop_token(), Some(0.0), "the pause is over");
    rig.subject.lose_news();
    rig.call(&promote);
    assert_eq!(rig.subject.pop_token(), Some(0.0), "told again");
    assert_eq!(ids(&rig.ask(1, &["a"], 0)), ["a"]);
    rig.subject.lose_news();
    rig.call(&promote);
    assert!(rig.subject.dump().get("meta", "unhandled").is_none());
}

fn what_was_handed_back_is_offered_to_all_when_it_may_be_too_old(mut rig: Rig) {
    rig.enqueue(&[job("b"), job("a")]);
    rig.hand_all_back();
    rig.enqueue(&[job("x")]);
    let promote = Promote {
        limit: 10,
        worker: "worker",
        hold: true,
    };
    rig.wait(DAY - Duration::from_millis(1));
    assert_eq!(rig.call(&promote).moved, 0);
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.call(&promote).moved, 2);
    let claimed = rig.advance(&[], 10);
    assert_eq!(ids(&claimed), ["b", "a", "x"]);
    assert_eq!(claimed.unhandled, 0);
}

/// It has so many of them that it takes longer than that.
fn g1_what_a_worker_asks_for_waits_for_it_however_long_that_takes(mut rig: Rig) {
    rig.enqueue(&["a1", "a2", "a3", "b"].map(job));
    rig.hand_all_back();
    let promote = Promote {
        limit: 10,
        worker: "worker",
        hold: true,
    };
    rig.lease_ms = 2 * DAY.as_millis() as u64;
    rig.wait(DAY / 2);
    let busy = rig.ask(1, &["a"], 0).claimed;
    rig.wait(DAY / 2);
    assert_eq!(rig.call(&promote).moved, 3, "looked at");
    let unlike = rig.advance(&[], 10).claimed;
    assert_eq!(unlike.len(), 1);
    assert_eq!(unlike[0].id.as_str(), "b", "for which nobody has asked");
    // What it gives back has not bounced for a day.
    let released = [settlement(&busy[0].id, &busy[0].receipt, Outcome::Released)];
    rig.advance(&released, 0);
    let again = rig.claim_one().unwrap();
    let counters = Counters::decode(&again.counters.unwrap()).unwrap();
    assert_eq!((counters.bounces, counters.bounced_since_ms), (1, 0));
    // When it asks no more, they are judged.
    rig.wait(DAY / 2);
    assert_eq!(rig.call(&promote).moved, 2);
    assert_eq!(ids(&rig.advance(&[], 10)), ["a2", "a3"]);
}

fn g8_nothing_is_left_of_a_job_that_was_handed_back(mut rig: Rig) {
    rig.keep_nothing();
    rig.enqueue(&["a", "b"].map(job));
    rig.hand_all_back();
    let removed = rig.call(&Remove::of(&[JobId::new("a").unwrap()]));
    assert_eq!(removed.removed, ["a"]);
    let claimed = rig.ask(5, &["b"], 0).claimed;
    // It failed, waits, and is done at last.
    let back = rig.ask_with(&[handed_back(&claimed[0], "b")], 5, BATCH_BYTES, &["b"], 0);
    assert!(rig.settle(&back.claimed[0].id, &back.claimed[0].receipt, completed()));
    for part in [
        "jobs",
        "attempts",
        "places",
        "unhandled",
        "names",
        "asked",
        "waiting",
        "delayed",
    ] {
        assert_eq!(rig.size(part), 0, "{part}");
    }
}

on_both!(
    g4_jobs_handed_back_keep_their_places_among_those_in_line,
    jobs_handed_back_are_given_to_no_other_name,
    g7_a_claim_of_many_names_is_complete_in_order_and_bounded,
    g5_news_of_jobs_handed_back_are_passed_on_once,
    news_that_are_lost_are_told_again,
    what_was_handed_back_is_offered_to_all_when_it_may_be_too_old,
    g1_what_a_worker_asks_for_waits_for_it_however_long_that_takes,
    g8_nothing_is_left_of_a_job_that_was_handed_back,
);
