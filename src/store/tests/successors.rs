//! Successors: a job with a unique key runs, and a job with the same key waits for its end. And the operation of the random sequences.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{New, Op, PRODUCERS};
use super::unique::{
    after, claim, dead, end, enqueue_op, is_free, met, payload, retry, says, stall, unique,
};
use super::{Rig, completed, on_both, with};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::state::State;
use crate::policy::settings::QueueSettings;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::redis::keys::PLACES;
use crate::store::advance::Claimed;
use crate::store::cancel::Cancel;
use crate::store::edit::Edited;
use crate::store::enqueue::{Due, NewJob};
use crate::store::orphans::How;
use crate::store::promote::Promote;
use crate::store::remove::Remove;

const MINUTE: Duration = Duration::from_secs(60);

fn key() -> Unique {
    Unique::by("k").on_duplicate(OnDuplicate::KeepLatest)
}

fn options() -> JobOptions {
    JobOptions::new().unique(key())
}

fn latest(id: &str) -> NewJob {
    unique(id, key())
}

fn state(rig: &mut Rig, id: &str) -> Option<State> {
    rig.state(&JobId::stored(id))
}

/// The next job is this one, and is completed.
fn completed_one(rig: &mut Rig, id: &str) {
    let job = claim(rig).expect("one waits");
    assert_eq!(job.id.as_str(), id);
    end(rig, &job, completed());
}

/// A job runs, and another one waits for its end.
fn one_runs_and_one_waits(rig: &mut Rig) -> Claimed {
    assert_eq!(met(rig, &[latest("a")]), ["a"]);
    let first = claim(rig).unwrap();
    assert_eq!(met(rig, &[latest("b")]), ["b"]);
    assert_eq!(state(rig, "b"), Some(State::Blocked));
    first
}

fn the_last_of_the_duplicates_runs_when_the_first_job_has_ended(mut rig: Rig) {
    let said = |id, word| says(word, latest(id), options());
    assert_eq!(met(&mut rig, &[said("a", 1)]), ["a"]);
    assert_eq!(met(&mut rig, &[said("x", 2)]), ["~a"], "it waits");
    let first = claim(&mut rig).unwrap();
    assert_eq!(met(&mut rig, &[said("b", 3)]), ["b"]);
    assert_eq!(met(&mut rig, &[said("c", 4)]), ["~b"]);
    assert_eq!(met(&mut rig, &[said("d", 5)]), ["~b"]);
    assert_eq!((payload(&mut rig, "a"), payload(&mut rig, "b")), (2, 5));
    assert!(claim(&mut rig).is_none());
    assert_eq!((rig.total("added"), rig.total("replaced")), (2, 3));

    end(&mut rig, &first, completed());
    assert_eq!((rig.size("blocked"), rig.size("unique")), (0, 1));
    let second = claim(&mut rig).unwrap();
    assert_eq!((second.id.as_str(), second.record.last()), ("b", Some(&5)));
    assert_eq!(
        met(&mut rig, &[said("e", 6)]),
        ["e"],
        "it has a successor, too"
    );
    end(&mut rig, &second, completed());
    assert_eq!(claim(&mut rig).unwrap().id.as_str(), "e");
}

/// However the job ends that has the key, its successor has it then.
fn a_successor_goes_on_whatever_becomes_of_the_other_job(mut rig: Rig) {
    let ends: [fn() -> Outcome; 3] = [completed, || Outcome::Cancelled("moot".into()), dead];
    for how in ends {
        let first = one_runs_and_one_waits(&mut rig);
        end(&mut rig, &first, how());
        assert_eq!(state(&mut rig, "b"), Some(State::Waiting), "{:?}", how());
        assert_eq!(met(&mut rig, &[unique("x", "k")]), [":b"]);
        completed_one(&mut rig, "b");
        assert!(is_free(&mut rig));
        let ids = &["a", "b"].map(JobId::stored);
        rig.call(&Remove::of(ids));
    }
    // It waits for another attempt when it is cancelled, or removed.
    for remove in [false, true] {
        let first = one_runs_and_one_waits(&mut rig);
        end(&mut rig, &first, retry());
        assert_eq!(state(&mut rig, "b"), Some(State::Blocked));
        let (ids, reason) = (&[first.id][..], "moot");
        match remove {
            true => assert_eq!(rig.call(&Remove::of(ids)).removed, ["a"]),
            false => assert_eq!(rig.call(&Cancel { ids, reason }).cancelled, ["a"]),
        }
        assert_eq!(state(&mut rig, "b"), Some(State::Waiting));
        completed_one(&mut rig, "b");
        let ids = &["a", "b"].map(JobId::stored);
        rig.call(&Remove::of(ids));
    }
    // It is to be cancelled while it runs; or its worker dies.
    let first = one_runs_and_one_waits(&mut rig);
    rig.cancel(&["a"]);
    end(&mut rig, &first, retry());
    assert_eq!(state(&mut rig, "b"), Some(State::Waiting));
    completed_one(&mut rig, "b");
    let ids = &["a", "b"].map(JobId::stored);
    rig.call(&Remove::of(ids));
    rig.set(QueueSettings::new().max_stalls(0));
    one_runs_and_one_waits(&mut rig);
    stall(&mut rig);
    assert_eq!(state(&mut rig, "a"), Some(State::Dead));
    assert_eq!(state(&mut rig, "b"), Some(State::Waiting));
}

/// The payload of the job that runs is tried again; then the last one runs.
fn a_successor_waits_for_the_retries_of_the_other_job(mut rig: Rig) {
    let first = one_runs_and_one_waits(&mut rig);
    end(&mut rig, &first, retry());
    let replace = |id| unique(id, Unique::by("k").on_duplicate(OnDuplicate::Replace));
    assert_eq!(
        met(
            &mut rig,
            &[
                says(7, latest("c"), options()),
                unique("d", "k"),
                replace("e")
            ]
        ),
        ["~b", ":a", "~b"]
    );
    assert!(claim(&mut rig).is_none());
    rig.wait(MINUTE);
    let again = claim(&mut rig).unwrap();
    assert_eq!(again.id, first.id);
    assert!(claim(&mut rig).is_none());
    stall(&mut rig);
    assert_eq!(state(&mut rig, "b"), Some(State::Blocked));
    let again = claim(&mut rig).unwrap();
    end(&mut rig, &again, completed());
    completed_one(&mut rig, "b");
    assert!(is_free(&mut rig));
}

fn nothing_is_left_of_a_successor_that_ends(mut rig: Rig) {
    let first = one_runs_and_one_waits(&mut rig);
    let (ids, reason) = (&[JobId::stored("b")][..], "moot");
    assert_eq!(rig.call(&Cancel { ids, reason }).cancelled, ["b"]);
    assert_eq!(rig.size("unique"), 1);
    assert_eq!(met(&mut rig, &[latest("c")]), ["c"]);
    let ids = &[JobId::stored("c")];
    assert_eq!(rig.call(&Remove::of(ids)).removed, ["c"]);
    assert_eq!(rig.size("unique"), 1);
    let expires = with("d", &options().expires_in(MINUTE));
    assert_eq!(met(&mut rig, &[expires]), ["d"]);
    rig.wait(MINUTE);
    rig.call(&Promote {
        limit: 10,
        worker: "w",
        hold: true,
    });
    assert_eq!(state(&mut rig, "d"), Some(State::Cancelled));
    assert_eq!((rig.size("unique"), rig.size("blocked")), (1, 0));
    end(&mut rig, &first, completed());
    assert!(is_free(&mut rig));
}

fn a_successor_gets_in_line_at_its_place_or_is_delayed(mut rig: Rig) {
    let first = one_runs_and_one_waits(&mut rig);
    rig.enqueue(&[super::job("x")]);
    end(&mut rig, &first, completed());
    for id in ["b", "x"] {
        completed_one(&mut rig, id);
    }
    rig.call(&Remove::of(&["a", "b", "x"].map(JobId::stored)));

    rig.enqueue(&[latest("a")]);
    let first = claim(&mut rig).unwrap();
    assert_eq!(met(&mut rig, &[after(latest("b"), 2 * MINUTE)]), ["b"]);
    rig.wait(MINUTE);
    end(&mut rig, &first, completed());
    assert_eq!(state(&mut rig, "b"), Some(State::Delayed));
    assert!(claim(&mut rig).is_none());
    rig.wait(MINUTE);
    completed_one(&mut rig, "b");
}

/// It comes to its group, or its order, when the key is free.
fn a_successor_passes_its_gate(mut rig: Rig) {
    let of_group = |id: &str| with(id, &options().group("g"));
    rig.enqueue(&[of_group("a")]);
    let first = claim(&mut rig).unwrap();
    let plain = |id: &str| with(id, &JobOptions::new().group("g"));
    assert_eq!(
        met(&mut rig, &[of_group("b"), plain("c"), plain("d")]),
        ["b", "c", "d"]
    );
    assert_eq!((rig.size("blocked"), rig.size("blocked_by")), (2, 1));
    end(&mut rig, &first, completed());
    assert_eq!((rig.size("blocked"), rig.size("blocked_by")), (2, 2));
    for id in ["c", "b", "d"] {
        completed_one(&mut rig, id);
    }
    rig.call(&Remove::of(&["a", "b", "c", "d"].map(JobId::stored)));

    // A job of an order has its place there since it was enqueued.
    let ordered = |id: &str| with(id, &options().ordered_by("o"));
    rig.enqueue(&[ordered("a")]);
    let first = claim(&mut rig).unwrap();
    let plain = with("c", &JobOptions::new().ordered_by("o"));
    assert_eq!(met(&mut rig, &[ordered("b"), plain]), ["b", "c"]);
    end(&mut rig, &first, completed());
    for id in ["b", "c"] {
        completed_one(&mut rig, id);
    }
}

fn duplicates_of_one_call_become_one_successor(mut rig: Rig) {
    let said = |id, word| says(word, latest(id), options());
    assert_eq!(met(&mut rig, &[said("a", 1), said("x", 2)]), ["a", "~a"]);
    let first = claim(&mut rig).unwrap();
    assert_eq!(
        met(&mut rig, &[said("b", 3), unique("y", "k"), said("c", 4)]),
        ["b", ":a", "~b"]
    );
    assert_eq!(payload(&mut rig, "b"), 4);
    end(&mut rig, &first, completed());
    completed_one(&mut rig, "b");
    assert!(is_free(&mut rig));
}

/// Nobody knows when it ends that the key is taken.
fn a_key_that_is_remembered_has_no_successor(mut rig: Rig) {
    rig.enqueue(&[unique("a", Unique::by("k").for_time(5 * MINUTE))]);
    let first = claim(&mut rig).unwrap();
    assert_eq!(met(&mut rig, &[latest("b")]), [":a"]);
    end(&mut rig, &first, completed());
    assert_eq!(met(&mut rig, &[latest("b")]), [":a"]);
}

fn a_successor_that_is_edited_goes_on_waiting(mut rig: Rig) {
    let first = one_runs_and_one_waits(&mut rig);
    rig.enqueue(&[super::job("x")]);
    let later = Some(Due::After { ms: 60_000 });
    assert_eq!(rig.edit("b", Some(7), later), Edited::Done);
    assert_eq!(state(&mut rig, "b"), Some(State::Blocked));
    assert_eq!(rig.edit("b", None, Some(Due::Now)), Edited::Done);
    end(&mut rig, &first, completed());
    for id in ["b", "x"] {
        completed_one(&mut rig, id);
    }
}

fn a_successor_whose_list_is_lost_is_found(mut rig: Rig) {
    let blocked = PLACES.iter().position(|part| *part == "blocked").unwrap();
    let active = PLACES.iter().position(|part| *part == "active").unwrap();
    let first = one_runs_and_one_waits(&mut rig);
    assert!(rig.orphans(How::Look).is_empty(), "it waits");
    rig.subject.lose_list(blocked);
    assert_eq!(rig.orphans(How::PutBack), ["b"]);
    assert_eq!(state(&mut rig, "b"), Some(State::Blocked));
    // The job that runs is put back, and has its key still.
    rig.subject.lose_list(active);
    assert_eq!(rig.orphans(How::PutBack), ["a"]);
    assert_eq!(state(&mut rig, "b"), Some(State::Blocked));
    rig.subject.lose_list(blocked);
    end(&mut rig, &first, completed());
    assert!(is_free(&mut rig));
    assert_eq!(rig.orphans(How::PutBack), ["b"]);
    assert_eq!(state(&mut rig, "b"), Some(State::Waiting));
    completed_one(&mut rig, "b");
    rig.call(&Remove::of(&["a", "b"].map(JobId::stored)));

    let first = one_runs_and_one_waits(&mut rig);
    rig.subject.lose_list(blocked);
    assert_eq!(rig.orphans(How::Remove), ["b"]);
    assert_eq!(rig.size("unique"), 1);
    end(&mut rig, &first, completed());
    assert!(is_free(&mut rig));
}

on_both! {
    the_last_of_the_duplicates_runs_when_the_first_job_has_ended,
    a_successor_goes_on_whatever_becomes_of_the_other_job,
    a_successor_waits_for_the_retries_of_the_other_job,
    nothing_is_left_of_a_successor_that_ends,
    a_successor_gets_in_line_at_its_place_or_is_delayed,
    a_successor_passes_its_gate,
    duplicates_of_one_call_become_one_successor,
    a_key_that_is_remembered_has_no_successor,
    a_successor_that_is_edited_goes_on_waiting,
    a_successor_whose_list_is_lost_is_found,
}

/// Jobs with one key are enqueued, most of which would be a successor.
pub(super) fn operation(new: impl Strategy<Value = New>) -> impl Strategy<Value = Op> {
    let other = |on_duplicate| Unique::by("n").on_duplicate(on_duplicate);
    let unique = select(vec![
        other(OnDuplicate::KeepLatest),
        other(OnDuplicate::KeepLatest),
        other(OnDuplicate::KeepLatest),
        other(OnDuplicate::KeepLatest),
        other(OnDuplicate::Reject),
        other(OnDuplicate::Replace),
        other(OnDuplicate::Debounce),
        other(OnDuplicate::Replace).until_started(),
        other(OnDuplicate::Replace).for_time(Duration::from_secs(1)),
    ]);
    (0..PRODUCERS, vec((new, unique), 1..4)).prop_map(|(lane, jobs)| enqueue_op(lane, jobs))
}
