//! Flows: a parent waits for its children, whatever becomes of them.

mod adding;
pub(super) mod callbacks;
mod far;
pub(super) mod far_operations;
mod heard;
pub(super) mod operations;
mod tended;

use std::time::Duration;

use super::unique::{claim, dead, end, met, retry, stall};
use super::{Rig, completed, job, on_both, with};
use crate::codec;
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::outcome::{Ending, Outcome, Output};
use crate::job::state::State;
use crate::policy::flow::{ChildOf, KnownChild, OnDeath, Standing};
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::store::cancel::Cancel;
use crate::store::children::{Children, Known};
use crate::store::enqueue::{Enqueue, NewJob, Novelty};
use crate::store::get::Get;
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::replay::Replay;

const MINUTE: Duration = Duration::from_secs(60);

fn child_of(parent: &str, number: u32, on_death: OnDeath) -> ChildOf {
    ChildOf {
        queue: None,
        route: None,
        parent: JobId::stored(parent),
        number,
        on_death,
        of_step: None,
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
        let ending: Ending = codec::decode_plain("an ending", &known.ending).unwrap();
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

on_both! {
    a_parent_runs_when_all_of_its_children_have_ended,
    what_a_parent_knows_goes_with_it,
    a_child_ends_in_any_way,
    a_child_that_is_tried_again_has_not_ended,
    a_dead_child_holds_its_parent_until_it_is_replayed,
    a_parent_goes_on_without_a_dead_child,
    a_parent_dies_with_its_child,
    a_parent_that_has_ended_hears_nothing_more,
}
