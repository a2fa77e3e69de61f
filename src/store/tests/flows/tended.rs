//! What a queue does with jobs of flows beside running them: delays and gates, expiry, edits, dead letters that are dropped, lists
//! that are lost.

use std::time::Duration;

use super::super::unique::{after, claim, dead, end};
use super::super::{Rig, completed, job, on_both, with};
use super::{cancel, child, ends, mortal, open, parent, replay, standings, state, states, two};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::state::State;
use crate::policy::flow::{OnDeath, Standing};
use crate::policy::settings::QueueSettings;
use crate::redis::keys::PLACES;
use crate::store::edit::Edited;
use crate::store::enqueue::Due;
use crate::store::orphans::How;
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::trim::Trim;

const MINUTE: Duration = Duration::from_secs(60);

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
    let place = |name| PLACES.iter().position(|part| *part == name).unwrap();
    rig.enqueue(&two(OnDeath::Hold));
    assert!(rig.orphans(How::Look).is_empty());
    rig.subject.lose_list(place("blocked"));
    assert_eq!(rig.orphans(How::PutBack), ["p"]);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    ends(&mut rig, "a", completed());
    rig.subject.lose_list(place("waiting"));
    assert_eq!(rig.orphans(How::Remove), ["b"]);
    assert_eq!(
        standings(&mut rig, "p"),
        [Standing::Ended, Standing::Removed]
    );
    // While its list is lost, the last of its children ends.
    rig.call(&Remove::of(&["p", "a"].map(JobId::stored)));
    rig.enqueue(&[parent("p", 1), child("a", "p", 0)]);
    rig.subject.lose_list(place("blocked"));
    ends(&mut rig, "a", completed());
    assert_eq!(rig.orphans(How::PutBack), ["p"]);
    ends(&mut rig, "p", completed());
}

/// Another program deleted what is known of a child: its parent hears nothing of it.
fn a_child_whose_record_is_gone_is_found_and_its_parent_goes_on(mut rig: Rig) {
    for how in [How::PutBack, How::Remove] {
        rig.clear();
        rig.call = 0;
        rig.enqueue(&two(OnDeath::Hold));
        rig.subject.lose_record("b");
        assert_eq!(rig.orphans(How::Look), ["b"]);
        assert_eq!(rig.orphans(how), ["b"]);
        assert!(rig.orphans(How::Look).is_empty());
        assert_eq!(state(&mut rig, "p"), Some(State::Blocked), "`a` is open");
        ends(&mut rig, "a", completed());
        assert_eq!(
            standings(&mut rig, "p"),
            [Standing::Ended, Standing::Removed]
        );
        // And if it was the last one.
        rig.enqueue(&[parent("q", 1), child("c", "q", 0)]);
        rig.subject.lose_record("c");
        assert_eq!(rig.orphans(how), ["c"]);
        assert_eq!(state(&mut rig, "q"), Some(State::Waiting));
    }
}

/// One child is removed because it is in no list, another one's record is gone: nothing is left that the parent waits for.
fn a_parent_whose_children_are_all_removed_goes_on(mut rig: Rig) {
    rig.enqueue(&two(OnDeath::Hold));
    rig.subject.lose_record("b");
    let place = PLACES.iter().position(|part| *part == "waiting").unwrap();
    rig.subject.lose_list(place);
    assert_eq!(rig.orphans(How::Remove), ["a", "b"]);
    assert_eq!(standings(&mut rig, "p"), [Standing::Removed; 2]);
    assert_eq!(state(&mut rig, "p"), Some(State::Waiting));
}

on_both! {
    a_parent_is_delayed_or_passes_its_gate_when_its_children_have_ended,
    a_parent_expires_while_it_waits_for_its_children,
    a_parent_that_is_edited_goes_on_waiting,
    a_dead_child_that_holds_its_parent_is_not_dropped,
    lists_of_a_flow_that_are_lost_are_found,
    a_child_whose_record_is_gone_is_found_and_its_parent_goes_on,
    a_parent_whose_children_are_all_removed_goes_on,
}
