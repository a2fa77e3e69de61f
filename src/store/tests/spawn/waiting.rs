//! What becomes of a job that waits for children: it is cancelled, edited or removed, waits for other things beside, and passes its gates.

use super::*;
use crate::store::orphans::How;

/// A dead letter that a job waits for is not dropped; a child that is removed counts no more.
fn a_removed_child_lets_its_parent_go_on(mut rig: Rig) {
    let p = parent(&mut rig, &JobOptions::new());
    rig.spawn(&p, 1, 0, &[child("a", 1, 0), child("b", 1, 1)]);
    end(&mut rig, &p, suspended(&[1]));
    ends(&mut rig, "a", dead());
    rig.set(QueueSettings::new().keep_dead_at_most(0));
    trim(&mut rig);
    assert_eq!(rig.is("a"), Some(State::Dead));
    remove(&mut rig, &["a"]);
    assert_eq!(rig.is("p"), Some(State::Blocked));
    let ids = &["b"].map(JobId::stored);
    rig.call(&Cancel {
        ids,
        reason: "moot",
    });
    assert_eq!((rig.is("p"), rig.open(1)), (Some(State::Waiting), 0));
    // Dropped, because the parent runs.
    let p = claim(&mut rig).unwrap();
    rig.spawn(&p, 2, 2, &[child("c", 2, 2)]);
    ends(&mut rig, "c", dead());
    trim(&mut rig);
    assert_eq!((rig.is("c"), rig.open(2)), (None, 0));
    end(&mut rig, &p, suspended(&[2]));
    ends(&mut rig, "p", completed());
}

fn a_job_that_waits_can_be_cancelled_edited_and_removed(mut rig: Rig) {
    for how in 0..3 {
        let p = parent(&mut rig, &JobOptions::new());
        rig.spawn(&p, 1, 0, &[child("a", 1, 0)]);
        end(&mut rig, &p, suspended(&[1]));
        let (id, ids) = (&JobId::stored("p"), &[JobId::stored("p")]);
        let state = match how {
            0 => {
                let reason = "moot";
                rig.call(&Cancel { ids, reason });
                Some(State::Cancelled)
            }
            1 => {
                remove(&mut rig, &["p"]);
                None
            }
            _ => {
                let (priority, due, rewrite) = (Some(3), None, None);
                rig.call(&Edit {
                    id,
                    priority,
                    due,
                    rewrite,
                });
                assert_eq!(rig.is("p"), Some(State::Blocked));
                Some(State::Waiting)
            }
        };
        ends(&mut rig, "a", completed());
        assert_eq!(rig.is("p"), state, "{how}");
        remove(&mut rig, &["p", "a"]);
        assert!(is_empty(&mut rig), "{how}");
    }
}

/// A job that has waited for children before it ran keeps count of these apart; and it is replayed into the line.
fn a_parent_of_a_flow_adds_more(mut rig: Rig) {
    let of = |number, on_death| JobOptions {
        child_of: Some(ChildOf {
            of_step: None,
            ..child_of("p", 1, number, on_death)
        }),
        ..JobOptions::new()
    };
    let waits = JobOptions {
        children: 1,
        ..JobOptions::new()
    };
    rig.enqueue(&[with("p", &waits), with("a", &of(0, OnDeath::GoOn))]);
    ends(&mut rig, "a", dead());
    let p = claim(&mut rig).unwrap();
    assert_eq!(rig.spawn(&p, 1, 1, &[child("b", 1, 1)]), Spawned::Stored);
    let known = rig.children("p");
    assert_eq!((known.total, known.open), (2, 0));
    end(&mut rig, &p, dead());
    let ids = &["p", "a"].map(JobId::stored);
    rig.call(&Replay { ids });
    assert_eq!(rig.is("p"), Some(State::Waiting));
    let mut running = [(); 3].map(|()| claim(&mut rig).unwrap());
    running.sort_by(|one, other| one.id.cmp(&other.id));
    let [a, b, p] = running;
    end(&mut rig, &p, suspended(&[1]));
    // News of a child of the flow is none for the step.
    end(&mut rig, &a, completed());
    assert_eq!((rig.is("p"), rig.open(1)), (Some(State::Blocked), 1));
    end(&mut rig, &b, completed());
    ends(&mut rig, "p", completed());
}

/// It waits for the first of several things.
fn a_job_waits_for_children_or_for_a_moment(mut rig: Rig) {
    for ends_first in [true, false] {
        let p = parent(&mut rig, &JobOptions::new());
        rig.spawn(&p, 1, 0, &[child("a", 1, 0)]);
        let what = What::Step {
            number: 2,
            kind: StepKind::Sleep,
            name: "nap",
            after_ms: Some(60_000),
        };
        let slept = rig.call(&Step {
            id: &p.id,
            receipt: &p.receipt,
            what,
            value: b"",
        });
        assert!(matches!(slept, Stored::Yes { .. }));
        end(&mut rig, &p, suspended(&[1, 2]));
        assert_eq!(rig.is("p"), Some(State::Delayed));
        if ends_first {
            ends(&mut rig, "a", completed());
            assert_eq!(
                (rig.is("p"), rig.size("delayed")),
                (Some(State::Waiting), 0)
            );
            ends(&mut rig, "p", completed());
        } else {
            let a = claim(&mut rig).unwrap();
            rig.wait(MINUTE - Duration::from_secs(1));
            rig.wait(Duration::from_secs(1));
            // A job that waits for its next attempt is not woken.
            let p = claim(&mut rig).unwrap();
            end(&mut rig, &p, retry());
            assert_eq!(rig.is("p"), Some(State::Delayed));
            end(&mut rig, &a, completed());
            assert_eq!((rig.is("p"), rig.open(1)), (Some(State::Delayed), 0));
        }
        remove(&mut rig, &["p", "a"]);
    }
}

/// A group has room while a job of it waits; an order waits.
fn the_gates_of_a_job_that_waits(mut rig: Rig) {
    let p = parent(&mut rig, &JobOptions::new().ordered_by("o"));
    rig.enqueue(&[with("q", &JobOptions::new().ordered_by("o"))]);
    rig.spawn(&p, 1, 0, &[child("a", 1, 0)]);
    end(&mut rig, &p, suspended(&[1]));
    let a = claim(&mut rig).unwrap();
    assert!(claim(&mut rig).is_none());
    end(&mut rig, &a, completed());
    for id in ["p", "q"] {
        ends(&mut rig, id, completed());
    }
    // Its child is of the same group, which lets one run at a time; both end in one call.
    rig.set(QueueSettings::new().group_concurrency(1));
    remove(&mut rig, &["p", "q", "a"]);
    let p = parent(&mut rig, &JobOptions::new().group("g"));
    let of_group = JobOptions {
        child_of: Some(child_of("p", 1, 0, OnDeath::Hold)),
        ..JobOptions::new().group("g")
    };
    rig.spawn(&p, 1, 0, &[with("a", &of_group)]);
    assert!(claim(&mut rig).is_none());
    end(&mut rig, &p, suspended(&[1]));
    ends(&mut rig, "a", completed());
    ends(&mut rig, "p", completed());
}

/// Another program deleted what is known of children that a job has added: the step that waits for them hears nothing.
fn children_of_a_step_whose_records_are_gone_are_found(mut rig: Rig) {
    for how in [How::PutBack, How::Remove] {
        rig.clear();
        rig.call = 0;
        let p = parent(&mut rig, &JobOptions::new());
        rig.spawn(&p, 1, 0, &[child("a", 1, 0), child("b", 1, 1)]);
        end(&mut rig, &p, suspended(&[1]));
        assert!(rig.orphans(How::Look).is_empty());
        rig.subject.lose_record("b");
        assert_eq!(rig.orphans(How::Look), ["b"]);
        assert_eq!(rig.orphans(how), ["b"]);
        assert!(rig.orphans(How::Look).is_empty());
        assert_eq!((rig.is("p"), rig.open(1)), (Some(State::Blocked), 1));
        ends(&mut rig, "a", completed());
        ends(&mut rig, "p", completed());
        remove(&mut rig, &["p", "a"]);
        // And if it was the last one.
        let p = parent(&mut rig, &JobOptions::new());
        rig.spawn(&p, 1, 0, &[child("c", 1, 0)]);
        end(&mut rig, &p, suspended(&[1]));
        rig.subject.lose_record("c");
        assert_eq!(rig.orphans(how), ["c"]);
        ends(&mut rig, "p", completed());
    }
}

/// Its parent sleeps, and comes to the step that waits for it only then.
fn a_dead_child_of_a_job_that_sleeps_is_not_dropped(mut rig: Rig) {
    rig.set(QueueSettings::new().keep_dead_at_most(0));
    let p = parent(&mut rig, &JobOptions::new());
    rig.spawn(&p, 1, 0, &[child("a", 1, 0)]);
    end(&mut rig, &p, retry());
    assert_eq!(rig.is("p"), Some(State::Delayed));
    ends(&mut rig, "a", dead());
    trim(&mut rig);
    assert_eq!(rig.is("a"), Some(State::Dead));
    remove(&mut rig, &["p"]);
    trim(&mut rig);
    assert_eq!(rig.is("a"), None);
}

on_both! {
    children_of_a_step_whose_records_are_gone_are_found,
    a_dead_child_of_a_job_that_sleeps_is_not_dropped,
    a_removed_child_lets_its_parent_go_on,
    a_job_that_waits_can_be_cancelled_edited_and_removed,
    a_parent_of_a_flow_adds_more,
    a_job_waits_for_children_or_for_a_moment,
    the_gates_of_a_job_that_waits,
}
