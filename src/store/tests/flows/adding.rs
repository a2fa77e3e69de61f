//! Flows are added as a whole, and what parents know is read.

use std::time::Duration;

use super::super::unique::{after, met, unique};
use super::super::{Rig, completed, job, on_both, with};
use super::{child, child_of, ends, open, parent, remove, state, states, two};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::state::State;
use crate::policy::flow::OnDeath;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::store::children::Children;
use crate::store::enqueue::{Enqueue, NewJob, Novelty};
use crate::store::remove::Remove;

const MINUTE: Duration = Duration::from_secs(60);

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
    a_flow_is_added_as_a_whole,
    a_job_of_a_flow_is_not_replaced,
    a_lost_answer_is_given_again,
    what_a_parent_knows_is_read_in_pages,
}
