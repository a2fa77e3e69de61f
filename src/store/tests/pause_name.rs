//! Jobs of a paused name wait at their places, and nothing else does.

mod groups;
pub(super) mod operations;
mod suspects;

use std::time::Duration;

use super::{Rig, completed, job, on_both, settlement};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::job::traits::EndTraits;
use crate::policy::job_names::{PAUSED_AT_MOST, paused_in};
use crate::policy::key::encode_key;
use crate::policy::limits::Rate;
use crate::policy::settings::QueueSettings;
use crate::policy::unique::Unique;
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Advanced, Answer, Claimed, Settlement, Suspects};
use crate::store::cancel::Cancel;
use crate::store::counts::Counts;
use crate::store::delete::Delete;
use crate::store::edit::Edit;
use crate::store::enqueue::{Due, NewJob};
use crate::store::pause::Pause;
use crate::store::pause_name::{self, PauseName};
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::resume::Resume;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const PROMOTE: Promote<'_> = Promote {
    limit: 10,
    worker: "worker",
    hold: true,
};
/// What the workers here have handlers for.
const ALL: &[&str] = &["mail", "mail#2", "report"];

/// A job whose name is what its id begins with.
fn named(id: &str) -> NewJob {
    named_with(id, &JobOptions::new())
}

fn named_with(id: &str, options: &JobOptions) -> NewJob {
    let name = id.split('-').next().unwrap_or_default();
    NewJob {
        record: EncodedRecord::new(name, vec![0xc0], options, Vec::new()),
        priority: options.priority,
        ..job(id)
    }
}

fn in_group(id: &str) -> NewJob {
    named_with(id, &JobOptions::new().group("g"))
}

fn in_order(id: &str) -> NewJob {
    named_with(id, &JobOptions::new().ordered_by("o"))
}

fn after(new: NewJob, delay: Duration) -> NewJob {
    let ms = delay.as_millis() as u64;
    let due = Due::After { ms };
    NewJob { due, ..new }
}

fn entry() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

fn ids(advanced: &Advanced) -> Vec<&str> {
    advanced.claimed.iter().map(|c| c.id.as_str()).collect()
}

impl Rig {
    fn pause_name(&mut self, name: &str, pause: bool) -> bool {
        let (name, most) = (&encode_key(name), PAUSED_AT_MOST);
        let answer = self.call(&PauseName { name, pause, most });
        answer == pause_name::Answer::Done { changed: true }
    }

    /// A call of a worker that has handlers for all names and asks for everything.
    fn work(&mut self, settle: &[Settlement], claim: usize) -> Advanced {
        self.call += 1;
        self.work_as(self.call, settle, claim)
    }

    fn work_as(&mut self, call: u64, settle: &[Settlement], claim: usize) -> Advanced {
        let verb = Advance {
            lane: self.lane,
            call,
            worker: "worker",
            settle,
            claim,
            claim_bytes: BATCH_BYTES,
            suspects: Suspects {
                at_most: 5,
                alone: true,
            },
            lease_ms: self.lease_ms,
            hold: true,
            handlers: Some(ALL),
            heard: 0,
            again: false,
            traits: true,
            ask: false,
        };
        match self.call(&verb) {
            Answer::Advanced(advanced) => advanced,
            other => panic!("{other:?}"),
        }
    }

    fn claims(&mut self, claim: usize) -> Vec<String> {
        let worked = self.work(&[], claim);
        ids(&worked).into_iter().map(str::to_owned).collect()
    }

    /// Ends an attempt, of a job that may have traits.
    pub(super) fn ends(&mut self, job: &Claimed, outcome: Outcome) {
        let mut ended = settlement(&job.id, &job.receipt, outcome);
        ended.traits = EndTraits::of(&job.record);
        assert!(self.work(&[ended], 0).refused.is_empty());
    }

    fn is_waiting(&mut self, id: &str) -> bool {
        self.state(&JobId::stored(id)) == Some(State::Waiting)
    }

    /// Nothing is left of where the jobs waited.
    fn assert_none_aside(&mut self) {
        let sizes = ["unhandled", "names", "asked", "attempts"].map(|part| self.size(part));
        assert_eq!(sizes, [0; 4], "unhandled, names, asked, attempts");
    }
}

fn jobs_of_a_paused_name_wait_at_their_places_and_the_others_go_on(mut rig: Rig) {
    rig.enqueue(&["mail-1", "report-1", "mail-2", "report-2", "mail-3"].map(named));
    assert!(rig.pause_name("mail", true));
    assert!(!rig.pause_name("mail", true), "it is paused already");
    let first = rig.work(&[], 9);
    assert_eq!(ids(&first), ["report-1", "report-2"]);
    assert!(!first.more, "nothing is left for anybody");
    let urgent = JobOptions::new().priority(3);
    rig.enqueue(&[
        named("report-3"),
        named("mail-4"),
        named_with("mail-0", &urgent),
    ]);
    let counted = rig.call(&Counts);
    assert_eq!(counted.jobs("waiting"), 6);
    assert_eq!(paused_in(counted.text("paused_names").unwrap()), ["mail"]);
    assert!(rig.pause_name("mail", false));
    assert!(!rig.pause_name("mail", false));
    let rest = rig.work(&[], 9);
    let order = ["mail-0", "mail-1", "mail-2", "mail-3", "report-3", "mail-4"];
    assert_eq!(ids(&rest), order);
    let is_fresh = |claimed: &Claimed| claimed.counters.is_none();
    assert!(rest.claimed.iter().all(is_fresh), "no attempt was burnt");
    rig.assert_none_aside();
    assert_eq!(rig.call(&Counts).text("paused_names"), None);
}

/// A call of a worker that expects only plain jobs claims nothing, and learns that it has to ask for more.
fn a_plain_call_claims_nothing_while_a_name_is_paused(mut rig: Rig) {
    rig.enqueue(&["mail-1", "report-1"].map(named));
    rig.pause_name("mail", true);
    let plain = rig.advance(&[], 5);
    assert!(plain.claimed.is_empty() && plain.traits && plain.more);
    assert_eq!(rig.claims(5), ["report-1"]);
    rig.pause_name("mail", false);
    rig.enqueue(&[named("report-2")]);
    assert_eq!(ids(&rig.advance(&[], 5)), ["report-2"]);
}

/// A call looks at a bounded part of the line, and says that there is more.
fn g7_calls_are_bounded_however_many_jobs_are_paused(mut rig: Rig) {
    for page in 0..3 {
        let many: Vec<NewJob> = (0..200)
            .map(|n| named(&format!("mail-{page}-{n}")))
            .collect();
        rig.enqueue(&many);
    }
    rig.enqueue(&[named("report-1")]);
    rig.pause_name("mail", true);
    let mut calls = 0;
    let mut before = 0;
    loop {
        calls += 1;
        let worked = rig.work(&[], 3);
        let aside = rig.size("unhandled");
        assert!(aside - before <= 256, "{before}, and then {aside}");
        before = aside;
        if !worked.claimed.is_empty() {
            assert_eq!(ids(&worked), ["report-1"]);
            break;
        }
        assert!(worked.more);
    }
    assert_eq!(
        (calls, rig.size("unhandled"), rig.size("waiting")),
        (3, 600, 0)
    );
    rig.pause_name("mail", false);
    let mut order = Vec::new();
    while order.len() < 600 {
        order.extend(rig.claims(100));
    }
    let pages = (0..3).flat_map(|page| (0..200).map(move |n| format!("mail-{page}-{n}")));
    assert_eq!(order, pages.collect::<Vec<_>>());
}

fn a_group_goes_on_with_its_other_jobs(mut rig: Rig) {
    rig.enqueue(&["mail-1", "mail-2", "report-1", "mail-3", "report-2"].map(in_group));
    rig.pause_name("mail", true);
    let first = rig.work(&[], 1);
    assert_eq!(ids(&first), ["report-1"]);
    assert_eq!(rig.claims(5), ["report-2"]);
    assert_eq!((rig.size("blocked"), rig.size("unhandled")), (3, 0));
    rig.ends(&first.claimed[0], completed());
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(5), ["mail-1", "mail-2", "mail-3"]);
}

/// The first of an order keeps its turn, as if it had been delayed.
fn an_order_waits_for_its_job_of_a_paused_name(mut rig: Rig) {
    rig.enqueue(&["report-1", "mail-1", "report-2"].map(in_order));
    rig.pause_name("mail", true);
    let first = rig.work(&[], 5);
    assert_eq!(ids(&first), ["report-1"]);
    rig.ends(&first.claimed[0], completed());
    assert_eq!(rig.claims(5), [""; 0]);
    assert!(rig.is_waiting("mail-1"));
    rig.pause_name("mail", false);
    let mail = rig.work(&[], 5);
    assert_eq!(ids(&mail), ["mail-1"]);
    rig.ends(&mail.claimed[0], completed());
    assert_eq!(rig.claims(5), ["report-2"]);
}

/// It was handed back by a worker that does not know the version of its payload.
fn a_job_that_waits_by_name_and_version_waits_while_the_name_is_paused(mut rig: Rig) {
    rig.enqueue(&[named("mail-1"), named("report-1")]);
    let running = rig.work(&[], 1);
    assert_eq!(ids(&running), ["mail-1"]);
    rig.pause_name("mail", true);
    let (entry, after, name) = (entry(), DAY, Some("mail#2".to_owned()));
    rig.ends(&running.claimed[0], Outcome::Bounced { after, entry, name });
    assert_eq!(rig.claims(5), ["report-1"]);
    // It does not grow older.
    for _ in 0..3 {
        rig.wait(DAY);
        rig.call(&PROMOTE);
        assert_eq!(rig.claims(5), [""; 0]);
    }
    assert_eq!((rig.size("unhandled"), rig.size("waiting")), (1, 0));
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(5), ["mail-1"]);
}

fn jobs_that_become_due_or_are_retried_wait_too(mut rig: Rig) {
    rig.enqueue(&[named("mail-1")]);
    rig.enqueue(&[
        after(named("mail-2"), MINUTE),
        after(named("report-1"), MINUTE),
    ]);
    let running = rig.work(&[], 5);
    assert_eq!(ids(&running), ["mail-1"]);
    rig.pause_name("mail", true);
    let (entry, after) = (entry(), Duration::ZERO);
    rig.ends(&running.claimed[0], Outcome::Retry { after, entry });
    rig.wait(MINUTE);
    assert_eq!(rig.claims(5), ["report-1"]);
    assert!(rig.is_waiting("mail-1") && rig.is_waiting("mail-2"));
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(5), ["mail-1", "mail-2"]);
}

fn a_job_of_a_paused_name_expires_and_keeps_its_unique_key(mut rig: Rig) {
    let expiring = JobOptions::new().expires_in(MINUTE);
    let unique = JobOptions::new().unique(Unique::by("key"));
    rig.enqueue(&[
        named_with("mail-1", &expiring),
        named_with("mail-2", &unique),
    ]);
    rig.pause_name("mail", true);
    assert_eq!(rig.claims(5), [""; 0]);
    rig.enqueue(&[named_with("mail-3", &unique)]);
    assert_eq!(
        rig.state(&JobId::stored("mail-3")),
        None,
        "its key is taken"
    );
    rig.wait(MINUTE);
    assert_eq!(rig.claims(5), [""; 0]);
    assert_eq!(rig.state(&JobId::stored("mail-1")), Some(State::Cancelled));
    rig.pause_name("mail", false);
    let mail = rig.work(&[], 5);
    assert_eq!(ids(&mail), ["mail-2"]);
    rig.ends(&mail.claimed[0], completed());
    assert_eq!((rig.size("unique"), rig.size("expires")), (0, 0));
}

fn a_job_that_is_set_aside_is_no_start(mut rig: Rig) {
    let rate = Rate::burst(1, MINUTE);
    rig.set(QueueSettings::new().rate(rate));
    rig.enqueue(&["mail-1", "mail-2", "report-1", "report-2"].map(named));
    rig.pause_name("mail", true);
    assert_eq!(rig.claims(5), ["report-1"]);
    assert!(rig.work(&[], 5).held);
}

fn the_pause_of_the_queue_lies_on_top(mut rig: Rig) {
    rig.enqueue(&["mail-1", "report-1"].map(named));
    rig.pause_name("mail", true);
    rig.call(&Pause);
    assert_eq!(rig.claims(5), [""; 0]);
    assert_eq!(rig.size("unhandled"), 0);
    rig.subject.pop_token();
    rig.pause_name("mail", false);
    assert_eq!(rig.subject.pop_token(), None, "the queue is paused");
    rig.pause_name("mail", true);
    rig.call(&Resume);
    assert_eq!(rig.claims(5), ["report-1"]);
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(5), ["mail-1"]);
}

fn g8_jobs_that_were_set_aside_are_changed_and_removed_like_others(mut rig: Rig) {
    rig.keep_nothing();
    rig.enqueue(&["mail-removed", "mail-cancelled", "mail-edited", "mail-dead"].map(named));
    let claimed = rig.work(&[], 4).claimed;
    for job in &claimed[..3] {
        rig.ends(job, Outcome::Released);
    }
    let (reason, entry) = (crate::job::outcome::DeadReason::Declared, entry());
    rig.ends(&claimed[3], Outcome::Dead { reason, entry });
    rig.pause_name("mail", true);
    let replayed = JobId::stored("mail-dead");
    let ids = std::slice::from_ref(&replayed);
    assert_eq!(rig.call(&Replay { ids }).replayed, ["mail-dead"]);
    assert_eq!(rig.claims(9), [""; 0]);
    assert_eq!(rig.size("unhandled"), 4);
    let ids = &[JobId::stored("mail-removed")];
    assert_eq!(rig.call(&Remove::of(ids)).removed, ["mail-removed"]);
    let (ids, reason) = (&[JobId::stored("mail-cancelled")], "moot");
    rig.call(&Cancel { ids, reason });
    let edited = JobId::stored("mail-edited");
    rig.call(&Edit {
        id: &edited,
        priority: Some(900),
        due: None,
        rewrite: None,
    });
    assert_eq!(rig.claims(9), [""; 0]);
    rig.pause_name("mail", false);
    let rest = rig.work(&[], 9).claimed;
    let order: Vec<&str> = rest.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(order, ["mail-dead", "mail-edited"]);
    for job in &rest {
        rig.ends(job, completed());
    }
    for id in ["removed", "cancelled", "edited", "dead"] {
        rig.check_whole(&JobId::stored(&format!("mail-{id}")));
    }
    rig.assert_none_aside();
}

/// What it claimed before the pause, a worker gets although its answer was lost.
fn g3_a_claim_whose_answer_was_lost_is_answered_again(mut rig: Rig) {
    rig.enqueue(&["mail-1", "mail-2"].map(named));
    rig.work(&[], 2);
    let call = rig.call;
    rig.pause_name("mail", true);
    let again = rig.work_as(call, &[], 2);
    assert!(again.repeated);
    assert_eq!(ids(&again), ["mail-1", "mail-2"]);
}

fn jobs_of_a_paused_name_do_not_grow_too_old(mut rig: Rig) {
    rig.enqueue(&["mail-1", "mail-2"].map(named));
    let first = rig.work(&[], 1).claimed;
    let back = Outcome::Bounced {
        after: MINUTE,
        entry: AttemptEntry::new(AttemptKind::UnknownName, "no handler".into()),
        name: Some("mail".to_owned()),
    };
    rig.ends(&first[0], back);
    rig.pause_name("mail", true);
    assert_eq!(rig.claims(5), [""; 0]);
    for _ in 0..5 {
        rig.wait(DAY);
        rig.call(&PROMOTE);
        assert_eq!((rig.size("unhandled"), rig.size("waiting")), (2, 0));
    }
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(5), ["mail-1", "mail-2"]);
}

/// Further jobs of a paused name are no news, so idle workers stay idle.
fn g5_workers_hear_of_paused_jobs_once_and_again_when_they_are_resumed(mut rig: Rig) {
    rig.enqueue(&[named("mail-1")]);
    rig.pause_name("mail", true);
    let told = rig.work(&[], 5).unhandled;
    assert!(told > 0);
    rig.wait(MINUTE);
    rig.enqueue(&[named("mail-2")]);
    assert_eq!(rig.work(&[], 5).unhandled, told);
    rig.subject.pop_token();
    rig.pause_name("mail", false);
    assert_eq!(rig.subject.pop_token(), Some(0.0));
    let heard = rig.work(&[], 1);
    assert_eq!(ids(&heard), ["mail-1"]);
    assert_ne!(heard.unhandled, told);
}

fn many_names_are_paused_and_no_more_than_are_allowed(mut rig: Rig) {
    let jobs = ["a b", "a%20b", "ü", "a"].map(|name| {
        let record = EncodedRecord::new(name, vec![0xc0], &JobOptions::new(), Vec::new());
        let id = JobId::stored(&format!("of-{}", encode_key(name)));
        NewJob {
            id,
            record,
            ..job("any")
        }
    });
    rig.enqueue(&jobs);
    for name in ["a b", "ü", "ab"] {
        assert!(rig.pause_name(name, true));
    }
    assert_eq!(rig.claims(5), ["of-a%2520b", "of-a"]);
    let (name, pause, most) = ("more", true, 3);
    let full = rig.call(&PauseName { name, pause, most });
    assert_eq!(full, pause_name::Answer::Full);
    let (name, known) = ("ab", pause_name::Answer::Done { changed: false });
    assert_eq!(rig.call(&PauseName { name, pause, most }), known);
    assert!(rig.pause_name("ü", false));
    let counted = rig.call(&Counts);
    assert_eq!(counted.text("paused_names"), Some(" a%20b ab "));
}

fn g8_a_queue_that_is_deleted_has_no_paused_names(mut rig: Rig) {
    rig.enqueue(&[named("mail-1")]);
    rig.pause_name("mail", true);
    rig.work(&[], 5);
    let (all, lanes_ms) = (true, 1_000);
    rig.call(&Delete { all, lanes_ms });
    rig.enqueue(&[named("mail-1")]);
    assert_eq!(rig.claims(5), ["mail-1"]);
}

on_both!(
    jobs_of_a_paused_name_wait_at_their_places_and_the_others_go_on,
    a_plain_call_claims_nothing_while_a_name_is_paused,
    g7_calls_are_bounded_however_many_jobs_are_paused,
    a_group_goes_on_with_its_other_jobs,
    an_order_waits_for_its_job_of_a_paused_name,
    a_job_that_waits_by_name_and_version_waits_while_the_name_is_paused,
    jobs_that_become_due_or_are_retried_wait_too,
    a_job_of_a_paused_name_expires_and_keeps_its_unique_key,
    a_job_that_is_set_aside_is_no_start,
    the_pause_of_the_queue_lies_on_top,
    g8_jobs_that_were_set_aside_are_changed_and_removed_like_others,
    g3_a_claim_whose_answer_was_lost_is_answered_again,
    jobs_of_a_paused_name_do_not_grow_too_old,
    g5_workers_hear_of_paused_jobs_once_and_again_when_they_are_resumed,
    many_names_are_paused_and_no_more_than_are_allowed,
    g8_a_queue_that_is_deleted_has_no_paused_names,
);
