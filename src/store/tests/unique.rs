//! Unique keys: who has one, until when, and what becomes of a job that is enqueued meanwhile. And the operation of the random
//! sequences.

mod debounce;

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{New, Op, Operation, PRODUCERS};
use super::random::world::{World, Wrong};
use super::{Rig, completed, job, on_both, settlement, with};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::job::traits::EndTraits;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::store::advance::Claimed;
use crate::store::cancel::Cancel;
use crate::store::edit::Edited;
use crate::store::enqueue::{Due, Enqueue, Enqueued, Met, NewJob, Novelty};
use crate::store::get::Get;
use crate::store::recover::{Doubt, Recover};
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::trim::Trim;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn unique(id: &str, unique: impl Into<Unique>) -> NewJob {
    with(id, &JobOptions::new().unique(unique))
}

/// With a payload by which it is told apart.
pub(super) fn says(word: u8, new: NewJob, options: JobOptions) -> NewJob {
    let record = EncodedRecord::new("test", vec![0xcc, word], &options, Vec::new());
    NewJob { record, ..new }
}

fn replaces(id: &str, how: OnDuplicate) -> NewJob {
    unique(id, Unique::by("k").on_duplicate(how))
}

pub(super) fn after(new: NewJob, delay: Duration) -> NewJob {
    let ms = delay.as_millis() as u64;
    let due = Due::After { ms };
    NewJob { due, ..new }
}

pub(super) fn retry() -> Outcome {
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let after = MINUTE;
    Outcome::Retry { after, entry }
}

pub(super) fn dead() -> Outcome {
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let reason = DeadReason::Declared;
    Outcome::Dead { reason, entry }
}

/// What became of each job: its own id, or a sign and the id of another one.
pub(super) fn met(rig: &mut Rig, jobs: &[NewJob]) -> Vec<String> {
    rig.call += 1;
    met_as(rig, rig.call, jobs)
}

fn met_as(rig: &mut Rig, call: u64, jobs: &[NewJob]) -> Vec<String> {
    let sent: Vec<&NewJob> = jobs.iter().collect();
    let answer = rig.call(&Enqueue {
        lane: rig.lane,
        call,
        jobs: &sent,
        novelty: Novelty::Unsure,
    });
    let Enqueued::Added { there, .. } = answer else {
        panic!("{answer:?}");
    };
    let mut told: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    for there in there {
        told[there.position] = match there.met {
            Met::Itself => "=".to_owned(),
            Met::Duplicate(id) => format!(":{id}"),
            Met::Replaced(id) => format!("~{id}"),
            Met::NotWithout(id) => format!("!{id}"),
        };
    }
    told
}

pub(super) fn claim(rig: &mut Rig) -> Option<Claimed> {
    rig.traits = true;
    rig.claim_one()
}

pub(super) fn end(rig: &mut Rig, job: &Claimed, outcome: Outcome) {
    let mut ended = settlement(&job.id, &job.receipt, outcome);
    ended.traits = EndTraits::of(&job.record);
    rig.traits = true;
    assert!(rig.advance(&[ended], 0).refused.is_empty());
}

/// Whether nothing has the key: nothing is left of it then.
pub(super) fn is_free(rig: &mut Rig) -> bool {
    rig.size("unique") == 0 && rig.size("remembered") == 0
}

fn replay(rig: &mut Rig, id: &str) -> Vec<(String, String)> {
    let ids = &[JobId::stored(id)];
    rig.call(&Replay { ids }).others
}

pub(super) fn payload(rig: &mut Rig, id: &str) -> u8 {
    let record = rig.call(&Get { id }).expect("it is there").record;
    *record.last().unwrap()
}

fn a_second_job_is_told_of_the_first_whatever_that_does(mut rig: Rig) {
    assert_eq!(
        met(&mut rig, &[unique("a", "k"), unique("other", "l")]),
        ["a", "other"]
    );
    let second = &[unique("b", "k")];
    assert_eq!(met(&mut rig, second), [":a"]);
    let first = claim(&mut rig).unwrap();
    assert_eq!(
        (first.id.as_str(), met(&mut rig, second)),
        ("a", vec![":a".to_owned()])
    );
    end(&mut rig, &first, retry());
    assert_eq!(
        met(&mut rig, second),
        [":a"],
        "it waits for its next attempt"
    );
    assert_eq!((rig.total("added"), rig.total("duplicates")), (2, 3));
    assert_eq!(rig.state(&JobId::stored("b")), None);
}

/// However a job ends, its key is free, and nothing is left of it.
fn the_key_is_free_when_the_job_ends_in_any_way(mut rig: Rig) {
    let ends: [fn() -> Outcome; 3] = [completed, || Outcome::Cancelled("moot".into()), dead];
    for how in ends {
        rig.enqueue(&[unique("a", "k")]);
        let first = claim(&mut rig).unwrap();
        end(&mut rig, &first, how());
        assert!(is_free(&mut rig), "{:?}", how());
        rig.call(&Remove::of(&[first.id]));
    }
    let id = &[JobId::stored("a")];
    for delay in [Duration::ZERO, MINUTE] {
        met(&mut rig, &[after(unique("a", "k"), delay)]);
        let reason = "moot";
        assert_eq!(rig.call(&Cancel { ids: id, reason }).cancelled, ["a"]);
        assert!(is_free(&mut rig));
        rig.call(&Remove::of(id));
        met(&mut rig, &[after(unique("a", "k"), delay)]);
        assert_eq!(rig.call(&Remove::of(id)).removed, ["a"]);
        assert!(is_free(&mut rig));
    }
}

pub(super) fn stall(rig: &mut Rig) {
    rig.wait(10 * MINUTE);
    for _ in 0..2 {
        rig.call(&Recover {
            expected_ms: rig.now_us / 1_000,
            tolerance_ms: 0,
            limit: 9,
            lease_ms: 60_000,
            gap_ms: 0,
            quiet_ms: 0,
            doubt: Doubt::None,
        });
    }
}

fn a_job_whose_worker_dies_keeps_its_key_until_it_is_poisoned(mut rig: Rig) {
    rig.set(QueueSettings::new().max_stalls(1));
    rig.enqueue(&[unique("a", "k")]);
    assert!(claim(&mut rig).is_some());
    stall(&mut rig);
    assert_eq!(met(&mut rig, &[unique("b", "k")]), [":a"]);
    assert!(claim(&mut rig).is_some());
    stall(&mut rig);
    assert_eq!(rig.state(&JobId::stored("a")), Some(State::Dead));
    assert!(is_free(&mut rig));
}

fn nobody_takes_the_key_of_a_newer_job_away(mut rig: Rig) {
    let started = || Unique::by("k").until_started();
    rig.enqueue(&[unique("a", started())]);
    let first = claim(&mut rig).unwrap();
    assert_eq!(
        met(&mut rig, &[unique("b", started())]),
        ["b"],
        "it has started"
    );
    end(&mut rig, &first, completed());
    assert_eq!(met(&mut rig, &[unique("c", started())]), [":b"]);
    let second = claim(&mut rig).unwrap();
    assert!(is_free(&mut rig));
    end(&mut rig, &second, dead());

    rig.enqueue(&[unique("d", "k")]);
    assert_eq!(rig.call(&Remove::of(&[second.id])).removed, ["b"]);
    assert_eq!(met(&mut rig, &[unique("e", "k")]), [":d"]);
}

fn jobs_of_two_types_never_meet(mut rig: Rig) {
    let options = JobOptions::new().unique("k");
    let record = EncodedRecord::new("other", vec![0xc0], &options, Vec::new());
    let other = NewJob { record, ..job("b") };
    assert_eq!(met(&mut rig, &[unique("a", "k"), other]), ["a", "b"]);
}

fn a_key_can_be_remembered_for_a_time_whatever_becomes_of_the_job(mut rig: Rig) {
    rig.set(QueueSettings::new().keep_completed(Retention::Nothing));
    let once = || Unique::by("k").for_time(5 * MINUTE);
    rig.enqueue(&[unique("a", once())]);
    let first = claim(&mut rig).unwrap();
    end(&mut rig, &first, completed());
    assert_eq!(
        met(&mut rig, &[unique("b", once())]),
        [":a"],
        "it is gone, and remembered"
    );
    rig.wait(5 * MINUTE - Duration::from_millis(1));
    assert_eq!(met(&mut rig, &[unique("b", "k")]), [":a"]);
    rig.wait(Duration::from_millis(1));
    assert_eq!(met(&mut rig, &[unique("b", once())]), ["b"]);

    // A removed job takes its key along; what is over is forgotten.
    rig.call(&Remove::of(&[JobId::stored("b")]));
    assert!(is_free(&mut rig));
    rig.enqueue(&[unique("c", once())]);
    rig.wait(5 * MINUTE);
    trim(&mut rig);
    assert!(is_free(&mut rig));
    assert_eq!(rig.state(&JobId::stored("c")), Some(State::Waiting));
}

pub(super) fn trim(rig: &mut Rig) {
    rig.call(&Trim {
        limit: 100,
        lane_ttl_ms: 3_600_000,
        lanes_cursor: "0",
    });
}

fn a_dead_job_takes_its_key_again_or_is_not_replayed(mut rig: Rig) {
    let ids: Vec<JobId> = ["a", "b"].map(JobId::stored).to_vec();
    for id in ["a", "b"] {
        rig.enqueue(&[unique(id, "k")]);
        let job = claim(&mut rig).unwrap();
        end(&mut rig, &job, dead());
    }
    let told = rig.call(&Replay { ids: &ids });
    assert_eq!(told.replayed, ["a"]);
    assert_eq!(told.others, [("b".to_owned(), "duplicate".to_owned())]);
    assert_eq!(rig.state(&ids[1]), Some(State::Dead));
    assert_eq!(met(&mut rig, &[unique("c", "k")]), [":a"]);
    let job = claim(&mut rig).unwrap();
    end(&mut rig, &job, completed());
    assert_eq!(replay(&mut rig, "b"), []);
    assert_eq!(rig.state(&ids[1]), Some(State::Waiting));
}

fn jobs_of_one_call_meet_each_other(mut rig: Rig) {
    let reject = |id| unique(id, "k");
    assert_eq!(
        met(&mut rig, &[reject("a"), job("x"), reject("b"), reject("b")]),
        ["a", "x", ":a", ":a"]
    );
    rig.call(&Remove::of(&[JobId::stored("a")]));

    let options = || JobOptions::new().unique(Unique::by("k").on_duplicate(OnDuplicate::Replace));
    let first = after(says(1, job("a"), options()), MINUTE);
    let jobs = [
        first,
        says(2, job("b"), options()),
        says(3, job("c"), options()),
    ];
    assert_eq!(met(&mut rig, &jobs), ["a", "~a", "~a"]);
    assert_eq!(payload(&mut rig, "a"), 3);
    assert_eq!(rig.state(&JobId::stored("a")), Some(State::Delayed));
}

/// Its lost answer is given again, with the ids of the others.
fn a_repeated_call_gives_its_first_answer(mut rig: Rig) {
    rig.enqueue(&[unique("a", "k")]);
    let jobs = [
        unique("b", "k"),
        replaces("c", OnDuplicate::Replace),
        unique("d", "l"),
    ];
    rig.call += 1;
    let call = rig.call;
    let first = met_as(&mut rig, call, &jobs);
    assert_eq!(first, [":a", "~a", "d"]);
    assert_eq!(met_as(&mut rig, call, &jobs), first);
    assert_eq!(rig.total("duplicates"), 1);
}

fn a_job_that_waits_is_replaced_where_it_is(mut rig: Rig) {
    let options = || JobOptions::new().unique(Unique::by("k").on_duplicate(OnDuplicate::Replace));
    let large = |id: &str| NewJob {
        record: EncodedRecord::new("test", vec![7; 3_000], &options(), Vec::new()),
        ..job(id)
    };
    rig.enqueue(&[says(1, job("a"), options()), job("x")]);
    assert_eq!(met(&mut rig, &[large("b")]), ["~a"]);
    assert_eq!(rig.size("payloads"), 1);
    assert_eq!(met(&mut rig, &[says(2, job("c"), options())]), ["~a"]);
    assert_eq!(rig.size("payloads"), 0);
    // It goes to the back of another priority, and out of it again.
    let urgent = NewJob {
        priority: Some(7),
        ..says(3, job("d"), options().priority(7))
    };
    assert_eq!(met(&mut rig, &[urgent]), ["~a"]);
    let claimed = claim(&mut rig).unwrap();
    assert_eq!(
        (claimed.id.as_str(), claimed.record.last()),
        ("a", Some(&3))
    );
    assert_eq!(
        met(&mut rig, &[says(4, job("e"), options())]),
        [":a"],
        "it runs"
    );
    end(&mut rig, &claimed, retry());
    assert_eq!(met(&mut rig, &[says(5, job("f"), options())]), ["~a"]);
    assert_eq!(payload(&mut rig, "a"), 5);
    assert_eq!(rig.total("replaced"), 4);
    rig.check_whole(&JobId::stored("a"));
}

/// An edit moves the job, and its key stays.
fn a_job_that_is_edited_keeps_its_key(mut rig: Rig) {
    let id = JobId::stored("a");
    rig.enqueue(&[unique("a", "k"), job("x")]);
    let later = Some(Due::After { ms: 60_000 });
    assert_eq!(rig.edit("a", Some(7), later), Edited::Done);
    assert_eq!(rig.state(&id), Some(State::Delayed));
    assert_eq!(met(&mut rig, &[unique("b", "k")]), [":a"]);
    assert_eq!(rig.edit("a", None, Some(Due::Now)), Edited::Done);
    assert_eq!(met(&mut rig, &[unique("b", "k")]), [":a"]);
    assert_eq!(claim(&mut rig).unwrap().id, id, "it is the more urgent one");
}

/// A request to cancel ends the job with its attempt, however that ends, and then its key is free.
fn a_job_that_is_cancelled_while_it_runs_has_its_key_until_it_has_ended(mut rig: Rig) {
    rig.enqueue(&[unique("a", "k")]);
    let first = claim(&mut rig).unwrap();
    rig.cancel(&["a"]);
    assert_eq!(met(&mut rig, &[unique("b", "k")]), [":a"]);
    end(&mut rig, &first, retry());
    assert_eq!(rig.state(&first.id), Some(State::Cancelled));
    assert!(is_free(&mut rig));

    assert_eq!(met(&mut rig, &[unique("b", "k")]), ["b"]);
    let second = claim(&mut rig).unwrap();
    rig.cancel(&["b"]);
    stall(&mut rig);
    assert_eq!(rig.state(&second.id), Some(State::Cancelled));
    assert!(is_free(&mut rig));
}

/// A job of a group that is replaced by one of another group goes there, and what waited for it goes on.
fn a_replaced_job_leaves_its_gate(mut rig: Rig) {
    let of_group = |id: &str, group: &str| {
        let replace = Unique::by("k").on_duplicate(OnDuplicate::Replace);
        with(id, &JobOptions::new().group(group).unique(replace))
    };
    let plain = with("b", &JobOptions::new().group("g"));
    rig.enqueue(&[of_group("a", "g"), plain]);
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (1, 1));
    assert_eq!(met(&mut rig, &[of_group("c", "h")]), ["~a"]);
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (2, 0));
    let order = [claim(&mut rig).unwrap().id, claim(&mut rig).unwrap().id];
    assert_eq!(order.map(|id| id.to_string()), ["b", "a"]);
}

on_both! {
    a_second_job_is_told_of_the_first_whatever_that_does,
    the_key_is_free_when_the_job_ends_in_any_way,
    a_job_whose_worker_dies_keeps_its_key_until_it_is_poisoned,
    nobody_takes_the_key_of_a_newer_job_away,
    jobs_of_two_types_never_meet,
    a_key_can_be_remembered_for_a_time_whatever_becomes_of_the_job,
    a_dead_job_takes_its_key_again_or_is_not_replayed,
    jobs_of_one_call_meet_each_other,
    a_repeated_call_gives_its_first_answer,
    a_job_that_waits_is_replaced_where_it_is,
    a_job_that_is_edited_keeps_its_key,
    a_job_that_is_cancelled_while_it_runs_has_its_key_until_it_has_ended,
    a_replaced_job_leaves_its_gate,
}

/// Jobs with unique keys are enqueued.
#[derive(Debug)]
struct EnqueueUnique {
    lane: u8,
    jobs: Vec<(New, Unique)>,
}

impl Operation for EnqueueUnique {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.enqueue_unique(self.lane, &self.jobs)
    }
}

/// The keys are few, so that jobs meet.
pub(super) fn operation(new: impl Strategy<Value = New>) -> impl Strategy<Value = Op> {
    let until = select(&[None, Some(0), Some(1_000), Some(600_000)][..]);
    let on_duplicate = select(
        &[
            OnDuplicate::Reject,
            OnDuplicate::Replace,
            OnDuplicate::Debounce,
        ][..],
    );
    let unique =
        (select(&["k", "l m"][..]), until, on_duplicate).prop_map(|(key, until, on_duplicate)| {
            let mut unique = Unique::by(key).on_duplicate(on_duplicate);
            if key == "l m" && on_duplicate == OnDuplicate::Debounce {
                unique = unique.wait_at_most(Duration::from_secs(40));
            }
            match until {
                None => unique,
                Some(0) => unique.until_started(),
                Some(ms) => unique.for_time(Duration::from_millis(ms)),
            }
        });
    (0..PRODUCERS, vec((new, unique), 1..4)).prop_map(|(lane, jobs)| enqueue_op(lane, jobs))
}

pub(super) fn enqueue_op(lane: u8, jobs: Vec<(New, Unique)>) -> Op {
    Op::Other(Arc::new(EnqueueUnique { lane, jobs }))
}
