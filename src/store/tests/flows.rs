//! Flows: a parent waits for its children, whatever becomes of them. And the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{New, Op, Operation, PRODUCERS};
use super::random::world::{World, Wrong};
use super::unique::{after, claim, dead, end, met, retry, stall, unique};
use super::{Rig, completed, job, on_both, with};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::outcome::{Ending, Outcome, Output};
use crate::job::state::State;
use crate::policy::flow::{ChildOf, KnownChild, OnDeath, Standing};
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::redis::keys::PLACES;
use crate::store::cancel::Cancel;
use crate::store::children::{Children, Known};
use crate::store::edit::Edited;
use crate::store::enqueue::{Due, Enqueue, NewJob, Novelty};
use crate::store::get::Get;
use crate::store::orphans::{How, Orphans};
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::trim::Trim;

const MINUTE: Duration = Duration::from_secs(60);

fn child_of(parent: &str, number: u32, on_death: OnDeath) -> ChildOf {
    ChildOf {
        queue: None,
        parent: JobId::stored(parent),
        number,
        on_death,
    }
}

/// A job that waits for so many children.
fn parent(id: &str, children: u32) -> NewJob {
    let options = JobOptions {
        children,
        ..JobOptions::new()
    };
    with(id, &options)
}

fn child(id: &str, of: &str, number: u32) -> NewJob {
    mortal(id, of, number, OnDeath::Hold)
}

fn mortal(id: &str, of: &str, number: u32, on_death: OnDeath) -> NewJob {
    with(id, &options(of, number, on_death))
}

fn options(of: &str, number: u32, on_death: OnDeath) -> JobOptions {
    JobOptions {
        child_of: Some(child_of(of, number, on_death)),
        ..JobOptions::new()
    }
}

/// `p` waits for `a` and `b`.
fn two(on_death: OnDeath) -> Vec<NewJob> {
    vec![
        parent("p", 2),
        mortal("a", "p", 0, on_death),
        mortal("b", "p", 1, on_death),
    ]
}

/// A call with a flow, for each queue of `bad_input`.
pub(super) fn flow() -> [NewJob; 2] {
    [parent("parent", 1), child("child", "parent", 0)]
}

pub(super) fn call<'a>(jobs: &'a [&'a NewJob]) -> Enqueue<'a> {
    Enqueue {
        lane: "producer",
        call: 9,
        jobs,
        novelty: Novelty::Unsure,
    }
}

fn state(rig: &mut Rig, id: &str) -> Option<State> {
    rig.state(&JobId::stored(id))
}

fn states(rig: &mut Rig, ids: &[&str]) -> Vec<Option<State>> {
    ids.iter().map(|id| state(rig, id)).collect()
}

fn read(rig: &mut Rig, id: &str) -> Known {
    rig.call(&Children {
        id,
        from: 0,
        max_bytes: 1 << 20,
    })
}

/// What a job knows of its children.
fn known(rig: &mut Rig, id: &str) -> Vec<KnownChild> {
    let known = read(rig, id).children.into_iter();
    known
        .map(|(_, stored)| KnownChild::decode(&stored).unwrap())
        .collect()
}

fn open(rig: &mut Rig, id: &str) -> (u64, u64) {
    let known = read(rig, id);
    (known.total, known.open)
}

fn standings(rig: &mut Rig, id: &str) -> Vec<Standing> {
    known(rig, id).iter().map(|child| child.standing).collect()
}

/// The next job is this one, and ends so.
fn ends(rig: &mut Rig, id: &str, outcome: Outcome) {
    let job = claim(rig).unwrap_or_else(|| panic!("{id} should wait"));
    assert_eq!(job.id.as_str(), id);
    end(rig, &job, outcome);
}

fn gives(word: u8) -> Outcome {
    Outcome::Completed(Output::new(vec![word]))
}

fn cancel(rig: &mut Rig, id: &str) {
    let ids = &[JobId::stored(id)];
    let reason = "moot";
    assert_eq!(rig.call(&Cancel { ids, reason }).cancelled, [id]);
}

fn remove(rig: &mut Rig, id: &str) {
    let ids = &[JobId::stored(id)];
    assert_eq!(rig.call(&Remove::of(ids)).removed, [id]);
}

fn replay(rig: &mut Rig, id: &str) {
    let ids = &[JobId::stored(id)];
    assert_eq!(rig.call(&Replay { ids }).replayed, [id]);
}

fn is_empty(rig: &mut Rig) -> bool {
    ["jobs", "attempts", "blocked", "results"]
        .iter()
        .all(|part| rig.size(part) == 0)
}

fn a_parent_runs_when_all_of_its_children_have_ended(mut rig: Rig) {
    assert_eq!(met(&mut rig, &two(OnDeath::Hold)), ["p", "a", "b"]);
    rig.enqueue(&[job("x")]);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    assert_eq!(open(&mut rig, "p"), (2, 2));
    ends(&mut rig, "a", gives(7));
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    assert_eq!(open(&mut rig, "p"), (2, 1));
    ends(&mut rig, "b", gives(8));
    assert_eq!(state(&mut rig, "p"), Some(State::Waiting));
    let known = known(&mut rig, "p");
    let ms = rig.now_us / 1_000;
    for (known, (id, word)) in known.iter().zip([("a", 7), ("b", 8)]) {
        let ending: Ending = crate::codec::decode_plain("an ending", &known.ending).unwrap();
        assert_eq!(ending, Ending::Ok(vec![word].into()));
        assert_eq!((known.standing, known.id.as_str()), (Standing::Ended, id));
        assert_eq!((known.name.as_str(), known.ended_ms), ("test", ms));
        assert_eq!(known.queue, None);
    }
    // It has the place that it was given when it was enqueued.
    for id in ["p", "x"] {
        ends(&mut rig, id, completed());
    }
    assert_eq!(state(&mut rig, "p"), Some(State::Completed));
}

/// The outputs live as long as the parent, whatever becomes of the children; and go with it.
fn what_a_parent_knows_goes_with_it(mut rig: Rig) {
    rig.set(QueueSettings::new().keep_completed(Retention::Nothing));
    rig.enqueue(&two(OnDeath::Hold));
    ends(&mut rig, "a", gives(7));
    assert_eq!(state(&mut rig, "a"), None);
    ends(&mut rig, "b", gives(8));
    assert_eq!(known(&mut rig, "p").len(), 2);
    let running = claim(&mut rig).unwrap();
    assert_eq!(known(&mut rig, "p").len(), 2);
    end(&mut rig, &running, retry());
    rig.wait(MINUTE);
    assert_eq!(known(&mut rig, "p").len(), 2);
    ends(&mut rig, "p", completed());
    assert!(is_empty(&mut rig));
    for remove_first in ["p", "a"] {
        rig.enqueue(&two(OnDeath::Hold));
        remove(&mut rig, remove_first);
        for id in ["p", "a", "b"].iter().filter(|id| **id != remove_first) {
            remove(&mut rig, id);
        }
        assert!(is_empty(&mut rig), "{remove_first} was removed first");
    }
}

fn a_child_ends_in_any_way(mut rig: Rig) {
    for how in 0..6 {
        let expires = JobOptions {
            child_of: Some(child_of("p", 0, OnDeath::Hold)),
            ..JobOptions::new().expires_in(MINUTE)
        };
        let of_group = JobOptions {
            child_of: Some(child_of("p", 0, OnDeath::Hold)),
            ..JobOptions::new().group("g")
        };
        let first = match how {
            0 => with("a", &expires),
            1 => with("a", &of_group),
            _ => child("a", "p", 0),
        };
        rig.enqueue(&[parent("p", 1), first]);
        assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
        let expected = match how {
            0 => {
                rig.wait(MINUTE);
                rig.call(&Promote {
                    limit: 9,
                    worker: "w",
                    hold: true,
                });
                Standing::Ended
            }
            1 => {
                ends(&mut rig, "a", completed());
                Standing::Ended
            }
            2 => {
                ends(&mut rig, "a", Outcome::Cancelled("moot".into()));
                Standing::Ended
            }
            3 => {
                cancel(&mut rig, "a");
                Standing::Ended
            }
            4 => {
                let running = claim(&mut rig).unwrap();
                rig.cancel(&["a"]);
                end(&mut rig, &running, retry());
                Standing::Ended
            }
            _ => {
                remove(&mut rig, "a");
                Standing::Removed
            }
        };
        assert_eq!(state(&mut rig, "p"), Some(State::Waiting), "{how}");
        assert_eq!(standings(&mut rig, "p"), [expected], "{how}");
        assert_eq!(open(&mut rig, "p"), (1, 0));
        ends(&mut rig, "p", completed());
        rig.call(&Remove::of(&["p", "a"].map(JobId::stored)));
        assert!(is_empty(&mut rig));
    }
}

/// Retries, stalls and releases are no end.
fn a_child_that_is_tried_again_has_not_ended(mut rig: Rig) {
    rig.enqueue(&[parent("p", 1), child("a", "p", 0)]);
    ends(&mut rig, "a", retry());
    rig.wait(MINUTE);
    ends(&mut rig, "a", Outcome::Released);
    assert!(claim(&mut rig).is_some());
    stall(&mut rig);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    ends(&mut rig, "a", completed());
    ends(&mut rig, "p", completed());
}

fn a_dead_child_holds_its_parent_until_it_is_replayed(mut rig: Rig) {
    rig.enqueue(&two(OnDeath::Hold));
    ends(&mut rig, "a", dead());
    ends(&mut rig, "b", completed());
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    let standings_of = [Standing::Dead, Standing::Ended];
    assert_eq!(standings(&mut rig, "p"), standings_of);
    assert_eq!(open(&mut rig, "p"), (2, 1));
    replay(&mut rig, "a");
    ends(&mut rig, "a", dead());
    assert_eq!(open(&mut rig, "p"), (2, 1));
    replay(&mut rig, "a");
    ends(&mut rig, "a", gives(9));
    assert_eq!(open(&mut rig, "p"), (2, 0));
    ends(&mut rig, "p", completed());

    // Or it is removed; or its worker died.
    rig.call(&Remove::of(&["p", "a", "b"].map(JobId::stored)));
    rig.set(QueueSettings::new().max_stalls(0));
    rig.enqueue(&[parent("p", 1), child("a", "p", 0)]);
    assert!(claim(&mut rig).is_some());
    stall(&mut rig);
    assert_eq!(
        states(&mut rig, &["a", "p"]),
        [Some(State::Dead), Some(State::Blocked)]
    );
    remove(&mut rig, "a");
    assert_eq!(standings(&mut rig, "p"), [Standing::Removed]);
    ends(&mut rig, "p", completed());
}

fn a_parent_goes_on_without_a_dead_child(mut rig: Rig) {
    rig.enqueue(&two(OnDeath::GoOn));
    ends(&mut rig, "a", dead());
    assert_eq!(open(&mut rig, "p"), (2, 1));
    replay(&mut rig, "a");
    ends(&mut rig, "b", completed());
    assert_eq!(state(&mut rig, "p"), Some(State::Waiting));
    // Its output comes late, and counts no second time.
    let first = claim(&mut rig).unwrap();
    let second = claim(&mut rig).unwrap();
    let (p, a) = match first.id.as_str() {
        "p" => (first, second),
        _ => (second, first),
    };
    end(&mut rig, &a, gives(9));
    assert_eq!(standings(&mut rig, "p"), [Standing::Ended; 2]);
    assert_eq!(open(&mut rig, "p"), (2, 0));
    end(&mut rig, &p, completed());
}

fn a_parent_dies_with_its_child(mut rig: Rig) {
    // The root waits for `p`, which waits for `a` and `b`.
    let jobs = [
        parent("root", 1),
        with(
            "p",
            &JobOptions {
                children: 2,
                ..options("root", 0, OnDeath::Fail)
            },
        ),
        mortal("a", "p", 0, OnDeath::Fail),
        mortal("b", "p", 1, OnDeath::Fail),
    ];
    assert_eq!(met(&mut rig, &jobs), ["root", "p", "a", "b"]);
    ends(&mut rig, "a", dead());
    let all = ["root", "p", "a", "b"];
    let dead_or_waiting = [
        Some(State::Dead),
        Some(State::Dead),
        Some(State::Dead),
        Some(State::Waiting),
    ];
    assert_eq!(states(&mut rig, &all), dead_or_waiting);
    assert_eq!((rig.total("dead"), rig.size("blocked")), (3, 0));
    let history = rig.call(&Get { id: "p" }).unwrap().history;
    let last = history.last().expect("it says why").escape_ascii();
    assert!(last.to_string().contains("its child a died"), "{last}");
    // The others go on, and change nothing.
    ends(&mut rig, "b", completed());
    assert_eq!(states(&mut rig, &all[..2]), [Some(State::Dead); 2]);
    // Replayed, both wait again for what has not completed.
    replay(&mut rig, "root");
    replay(&mut rig, "p");
    assert_eq!(states(&mut rig, &all[..2]), [Some(State::Blocked); 2]);
    assert!(claim(&mut rig).is_none());
    replay(&mut rig, "a");
    for id in ["a", "p", "root"] {
        ends(&mut rig, id, completed());
    }
}

fn a_parent_that_has_ended_hears_nothing_more(mut rig: Rig) {
    for how in 0..2 {
        rig.enqueue(&two(OnDeath::Fail));
        match how {
            0 => cancel(&mut rig, "p"),
            _ => remove(&mut rig, "p"),
        }
        ends(&mut rig, "a", completed());
        ends(&mut rig, "b", dead());
        let ended = (how == 0).then_some(State::Cancelled);
        assert_eq!(state(&mut rig, "p"), ended);
        rig.call(&Remove::of(&["p", "a", "b"].map(JobId::stored)));
        assert!(is_empty(&mut rig));
    }
    // A child of an earlier job with the same id is not that of this one.
    rig.enqueue(&[parent("p", 1), child("a", "p", 0)]);
    remove(&mut rig, "p");
    rig.enqueue(&[parent("p", 1), child("b", "p", 0)]);
    ends(&mut rig, "a", completed());
    assert_eq!(open(&mut rig, "p"), (1, 1));
    ends(&mut rig, "b", completed());
    ends(&mut rig, "p", completed());
}

/// All jobs of a flow are added, or none.
fn a_flow_is_added_as_a_whole(mut rig: Rig) {
    rig.enqueue(&[job("b"), unique("x", "k")]);
    assert_eq!(met(&mut rig, &two(OnDeath::Hold)), ["!b", "!b", "="]);
    let keyed = with(
        "c",
        &JobOptions {
            child_of: Some(child_of("q", 0, OnDeath::Hold)),
            ..JobOptions::new().unique("k")
        },
    );
    let flow = [parent("q", 1), keyed.clone()];
    assert_eq!(met(&mut rig, &flow), ["!c", ":x"]);
    assert_eq!(states(&mut rig, &["p", "a", "q", "c"]), [None; 4]);
    assert_eq!((rig.size("attempts"), rig.size("blocked")), (0, 0));
    // What is beside it in the call is added, and may have the keys of what is not.
    let blocked = [parent("q", 2), keyed, child("b", "q", 1)];
    let beside = [unique("y", "l"), job("z")];
    let call: Vec<NewJob> = beside.into_iter().chain(blocked).collect();
    assert_eq!(met(&mut rig, &call), ["y", "z", "!c", ":x", "!c"]);
    // The first job of a flow is there: so is the flow.
    rig.call(&Remove::of(&["b", "x", "y", "z"].map(JobId::stored)));
    assert_eq!(met(&mut rig, &two(OnDeath::Hold)), ["p", "a", "b"]);
    ends(&mut rig, "a", completed());
    remove(&mut rig, "a");
    assert_eq!(met(&mut rig, &two(OnDeath::Hold)), ["=", "!p", "!p"]);
    assert_eq!(open(&mut rig, "p"), (2, 1));
    // Two jobs of it have one id, or one key.
    let twice = [parent("q", 2), child("c", "q", 0), child("c", "q", 1)];
    assert_eq!(met(&mut rig, &twice), ["!c", "!c", "="]);
    let keys = |id: &str, number| {
        let child_of = Some(child_of("q", number, OnDeath::Hold));
        let options = JobOptions::new().unique("m");
        with(
            id,
            &JobOptions {
                child_of,
                ..options
            },
        )
    };
    let twice = [parent("q", 2), keys("c", 0), keys("d", 1)];
    assert_eq!(met(&mut rig, &twice), ["!d", "!d", ":c"]);
    assert_eq!(states(&mut rig, &["q", "c", "d"]), [None; 3]);
}

/// Its payload would come without its children, or without its parent.
fn a_job_of_a_flow_is_not_replaced(mut rig: Rig) {
    let key = |how| Unique::by("k").on_duplicate(how);
    let parent = with(
        "p",
        &JobOptions {
            children: 1,
            ..JobOptions::new().unique("k")
        },
    );
    rig.enqueue(&[parent, child("a", "p", 0)]);
    for how in [OnDuplicate::Replace, OnDuplicate::KeepLatest] {
        assert_eq!(met(&mut rig, &[unique("x", key(how))]), [":p"]);
    }
    let debounced = after(unique("x", key(OnDuplicate::Debounce)), MINUTE);
    assert_eq!(met(&mut rig, &[debounced]), [":p"]);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    ends(&mut rig, "a", completed());
    ends(&mut rig, "p", completed());
    assert_eq!(rig.size("unique"), 0);
}

fn a_parent_is_delayed_or_passes_its_gate_when_its_children_have_ended(mut rig: Rig) {
    let first = |options: JobOptions| {
        let children = 1;
        with(
            "p",
            &JobOptions {
                children,
                ..options
            },
        )
    };
    rig.enqueue(&[
        after(first(JobOptions::new()), 2 * MINUTE),
        child("a", "p", 0),
    ]);
    ends(&mut rig, "a", completed());
    assert_eq!(state(&mut rig, "p"), Some(State::Delayed));
    rig.wait(2 * MINUTE);
    ends(&mut rig, "p", completed());
    rig.call(&Remove::of(&["p", "a"].map(JobId::stored)));

    // A child that is due later comes behind its parent, and its parent knows it all the same.
    rig.enqueue(&[first(JobOptions::new()), after(child("a", "p", 0), MINUTE)]);
    assert_eq!(open(&mut rig, "p"), (1, 1));
    assert_eq!(standings(&mut rig, "p"), [Standing::Open]);
    rig.wait(MINUTE);
    ends(&mut rig, "a", completed());
    ends(&mut rig, "p", completed());
    rig.call(&Remove::of(&["p", "a"].map(JobId::stored)));

    // Among the jobs of its gate it stands where it was enqueued, but a job of its group that has the turn keeps it.
    for (options, held, order) in [
        (JobOptions::new().group("g"), 0, ["y", "p"]),
        (JobOptions::new().ordered_by("o"), 1, ["p", "y"]),
    ] {
        rig.enqueue(&[first(options.clone()), child("a", "p", 0)]);
        rig.enqueue(&[with("x", &options), with("y", &options)]);
        let a = claim(&mut rig).unwrap();
        let x = claim(&mut rig).unwrap();
        assert_eq!((a.id.as_str(), x.id.as_str()), ("a", "x"));
        assert_eq!(
            (rig.size("blocked_by"), rig.size("blocked")),
            (held, held + 1)
        );
        end(&mut rig, &a, completed());
        assert_eq!(
            (rig.size("blocked_by"), rig.size("blocked")),
            (held + 1, held + 1)
        );
        end(&mut rig, &x, completed());
        for id in order {
            ends(&mut rig, id, completed());
        }
        rig.call(&Remove::of(&["p", "a", "x", "y"].map(JobId::stored)));
    }
}

fn a_parent_expires_while_it_waits_for_its_children(mut rig: Rig) {
    let options = JobOptions {
        children: 1,
        ..JobOptions::new().expires_in(MINUTE)
    };
    rig.enqueue(&[with("p", &options), child("a", "p", 0)]);
    rig.wait(MINUTE);
    rig.call(&Promote {
        limit: 9,
        worker: "w",
        hold: true,
    });
    assert_eq!(state(&mut rig, "p"), Some(State::Cancelled));
    ends(&mut rig, "a", completed());
    assert_eq!(rig.size("blocked"), 0);
}

fn a_parent_that_is_edited_goes_on_waiting(mut rig: Rig) {
    rig.enqueue(&[parent("p", 1), child("a", "p", 0), job("x")]);
    let later = Some(Due::After { ms: 60_000 });
    assert_eq!(rig.edit("p", Some(7), later), Edited::Done);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    assert_eq!(rig.edit("p", None, Some(Due::Now)), Edited::Done);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    ends(&mut rig, "a", completed());
    for id in ["p", "x"] {
        ends(&mut rig, id, completed());
    }
}

fn a_dead_child_that_holds_its_parent_is_not_dropped(mut rig: Rig) {
    let trim = |rig: &mut Rig| {
        rig.call(&Trim {
            limit: 100,
            lane_ttl_ms: 3_600_000,
            lanes_cursor: "0",
        });
    };
    rig.set(QueueSettings::new().keep_dead(MINUTE));
    rig.enqueue(&two(OnDeath::Hold));
    ends(&mut rig, "a", dead());
    rig.enqueue(&[job("x")]);
    ends(&mut rig, "b", completed());
    ends(&mut rig, "x", dead());
    rig.wait(2 * MINUTE);
    trim(&mut rig);
    assert_eq!(
        states(&mut rig, &["a", "x", "p"]),
        [Some(State::Dead), None, Some(State::Blocked)]
    );
    // Nobody waits for it any more.
    cancel(&mut rig, "p");
    trim(&mut rig);
    assert_eq!(state(&mut rig, "a"), None);
    // A parent that was dead when its child was dropped waits for it no more.
    rig.call(&Remove::of(&["p", "b"].map(JobId::stored)));
    rig.set(QueueSettings::new().keep_dead_at_most(1));
    rig.enqueue(&[parent("p", 1), mortal("a", "p", 0, OnDeath::Fail)]);
    ends(&mut rig, "a", dead());
    trim(&mut rig);
    assert_eq!(states(&mut rig, &["a", "p"]), [None, Some(State::Dead)]);
    replay(&mut rig, "p");
    ends(&mut rig, "p", completed());
}

fn lists_of_a_flow_that_are_lost_are_found(mut rig: Rig) {
    let orphans = |rig: &mut Rig, how| {
        rig.call(&Orphans {
            cursor: Orphans::FIRST,
            limit: 100,
            how,
            lease_ms: 60_000,
        })
        .ids
    };
    let place = |name| PLACES.iter().position(|part| *part == name).unwrap();
    rig.enqueue(&two(OnDeath::Hold));
    assert!(orphans(&mut rig, How::Look).is_empty());
    rig.subject.lose_list(place("blocked"));
    assert_eq!(orphans(&mut rig, How::PutBack), ["p"]);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    ends(&mut rig, "a", completed());
    rig.subject.lose_list(place("waiting"));
    assert_eq!(orphans(&mut rig, How::Remove), ["b"]);
    assert_eq!(
        standings(&mut rig, "p"),
        [Standing::Ended, Standing::Removed]
    );
    // While its list is lost, the last of its children ends.
    rig.call(&Remove::of(&["p", "a"].map(JobId::stored)));
    rig.enqueue(&[parent("p", 1), child("a", "p", 0)]);
    rig.subject.lose_list(place("blocked"));
    ends(&mut rig, "a", completed());
    assert_eq!(orphans(&mut rig, How::PutBack), ["p"]);
    ends(&mut rig, "p", completed());
}

fn a_lost_answer_is_given_again(mut rig: Rig) {
    let jobs = two(OnDeath::Hold);
    let sent: Vec<&NewJob> = jobs.iter().collect();
    let call = |rig: &mut Rig, call| {
        let (lane, jobs, novelty) = (rig.lane, &sent[..], Novelty::Unsure);
        rig.call(&Enqueue {
            lane,
            call,
            jobs,
            novelty,
        })
    };
    let _ = call(&mut rig, 1);
    let again = call(&mut rig, 1);
    assert!(format!("{again:?}").contains("there: []"), "{again:?}");
    assert_eq!(open(&mut rig, "p"), (2, 2));
    let refused = call(&mut rig, 2);
    assert_eq!(format!("{:?}", call(&mut rig, 2)), format!("{refused:?}"));
}

fn what_a_parent_knows_is_read_in_pages(mut rig: Rig) {
    let mut jobs = vec![parent("p", 255)];
    jobs.extend((0..255).map(|n| child(&format!("c{n:03}"), "p", n)));
    rig.enqueue(&jobs);
    let page = |rig: &mut Rig, from, max_bytes| {
        let id = "p";
        let known = rig.call(&Children {
            id,
            from,
            max_bytes,
        });
        (known.next, known.children.len())
    };
    assert_eq!(page(&mut rig, 0, 1 << 20), (255, 255));
    assert_eq!(page(&mut rig, 250, 1 << 20), (255, 5));
    assert_eq!(page(&mut rig, 0, 1), (1, 1));
    assert_eq!(page(&mut rig, 255, 1 << 20), (255, 0));
    let id = "nobody";
    let none = rig.call(&Children {
        id,
        from: 0,
        max_bytes: 9,
    });
    assert_eq!((none.total, none.open), (0, 0));
    rig.call(&Remove::of(&["p"].map(JobId::stored)));
    assert_eq!(rig.size("attempts"), 0);
}

on_both! {
    a_parent_runs_when_all_of_its_children_have_ended,
    what_a_parent_knows_goes_with_it,
    a_child_ends_in_any_way,
    a_child_that_is_tried_again_has_not_ended,
    a_dead_child_holds_its_parent_until_it_is_replayed,
    a_parent_goes_on_without_a_dead_child,
    a_parent_dies_with_its_child,
    a_parent_that_has_ended_hears_nothing_more,
    a_flow_is_added_as_a_whole,
    a_job_of_a_flow_is_not_replaced,
    a_parent_is_delayed_or_passes_its_gate_when_its_children_have_ended,
    a_parent_expires_while_it_waits_for_its_children,
    a_parent_that_is_edited_goes_on_waiting,
    a_dead_child_that_holds_its_parent_is_not_dropped,
    lists_of_a_flow_that_are_lost_are_found,
    a_lost_answer_is_given_again,
    what_a_parent_knows_is_read_in_pages,
}

/// A job of a flow: which of the jobs before it is its parent, and what its death means there.
pub(super) type Node = (New, u8, OnDeath);

#[derive(Debug)]
struct EnqueueFlow {
    lane: u8,
    nodes: Vec<Node>,
}

impl Operation for EnqueueFlow {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.enqueue_flow(self.lane, &self.nodes)
    }
}

/// What a job knows of its children is read.
#[derive(Debug)]
struct ReadChildren {
    id: u8,
}

impl Operation for ReadChildren {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let id = super::random::world::names(&[self.id]);
        let (from, max_bytes) = (u32::from(self.id % 3), 300);
        world.both(&Children {
            id: id[0].as_str(),
            from,
            max_bytes,
        })
    }
}

/// The jobs of a flow get in line, of which each but the first is a child of one before it.
pub(super) fn operation(new: impl Strategy<Value = New>) -> impl Strategy<Value = Op> {
    let on_death = select(vec![OnDeath::Hold, OnDeath::Fail, OnDeath::GoOn]);
    (0..PRODUCERS, vec((new, any::<u8>(), on_death), 2..5)).prop_map(|(lane, mut nodes)| {
        // Mostly they have ids of their own.
        let (first, step) = (nodes[0].0.id, [1, 3, 7][usize::from(nodes[0].1 % 3)]);
        for (at, node) in nodes.iter_mut().enumerate() {
            if node.1 % 8 > 0 {
                node.0.id = (first + step * at as u8) % super::random::op::IDS;
            }
        }
        Op::Other(Arc::new(EnqueueFlow { lane, nodes }))
    })
}

pub(super) fn read_operation() -> impl Strategy<Value = Op> {
    any::<u8>().prop_map(|id| Op::Other(Arc::new(ReadChildren { id })))
}
