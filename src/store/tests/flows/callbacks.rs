//! Jobs that a flow adds when one of its children is dead, and when all of them have ended or died: each once.

use std::sync::Arc;

use super::super::unique::{claim, dead, end, met, stall};
use super::super::{Rig, completed, job, on_both};
use super::{cancel, child, ends, mortal, open, parent, remove, replay, state};
use crate::job::state::State;
use crate::policy::flow::OnDeath;
use crate::policy::settings::QueueSettings;
use crate::store::BATCH_BYTES;
use crate::store::enqueue::{Callback, Callbacks, NewJob};
use crate::store::outbox::message::Message;
use crate::store::outbox::{Outbox, Waiting};
use crate::store::receive::Receive;
use crate::store::sent::Sent;

/// A job with this id, for that queue.
pub(in crate::store::tests) fn callback(target: &str, id: &str) -> Callback {
    Callback::new(target, &Message::Job(job(id)).encode())
}

/// The same job, and what is added when something has become of its children.
pub(in crate::store::tests) fn with_callbacks(
    new: NewJob,
    on_failure: Option<Callback>,
    on_complete: Option<Callback>,
) -> NewJob {
    let callbacks = Callbacks {
        on_failure,
        on_complete,
    };
    NewJob {
        callbacks: Some(Arc::new(callbacks)),
        ..new
    }
}

/// `p` waits for so many children, `warn` and `close` are for the queue `desk`.
fn batch(children: u32) -> NewJob {
    let (warn, close) = (callback("desk", "warn"), callback("desk", "close"));
    with_callbacks(parent("p", children), Some(warn), Some(close))
}

/// The ids of the jobs that are on their way to a queue.
fn sent(rig: &mut Rig, target: &str) -> Vec<String> {
    let waiting: Option<Waiting> = rig.call(&Outbox {
        from: target,
        limit: 9,
        bytes: BATCH_BYTES,
    });
    let messages = waiting.filter(|waiting| waiting.target == target);
    let messages = messages.into_iter().flat_map(|waiting| waiting.messages);
    messages
        .map(|numbered| match Message::decode(&numbered.message) {
            Some(Message::Job(job)) => job.id.to_string(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn is_empty(rig: &mut Rig) -> bool {
    ["jobs", "attempts"].iter().all(|part| rig.size(part) == 0)
}

fn each_is_added_once(mut rig: Rig) {
    let jobs = ["a", "b", "c"].map(|id| child(id, "p", u32::from(id.as_bytes()[0] - b'a')));
    let flow: Vec<NewJob> = [batch(3)].into_iter().chain(jobs).collect();
    assert_eq!(met(&mut rig, &flow), ["p", "a", "b", "c"]);
    ends(&mut rig, "a", completed());
    assert!(sent(&mut rig, "desk").is_empty());
    ends(&mut rig, "b", dead());
    assert_eq!(sent(&mut rig, "desk"), ["warn"]);
    // Again, and another one.
    replay(&mut rig, "b");
    let c = claim(&mut rig).unwrap();
    ends(&mut rig, "b", dead());
    assert_eq!(sent(&mut rig, "desk"), ["warn"]);
    end(&mut rig, &c, dead());
    assert_eq!(sent(&mut rig, "desk"), ["warn", "close"]);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    for id in ["b", "c"] {
        replay(&mut rig, id);
        ends(&mut rig, id, completed());
    }
    ends(&mut rig, "p", completed());
    assert_eq!(sent(&mut rig, "desk"), ["warn", "close"]);
    for id in ["p", "a", "b", "c"] {
        remove(&mut rig, id);
    }
    assert!(is_empty(&mut rig));
}

/// In any way: completed, cancelled, removed, or dead because its worker died.
fn children_end_in_any_way(mut rig: Rig) {
    rig.set(QueueSettings::new().max_stalls(0));
    for how in 0..4 {
        let flow = [batch(2), child("a", "p", 0), child("b", "p", 1)];
        rig.enqueue(&flow);
        ends(&mut rig, "a", completed());
        let before = sent(&mut rig, "desk");
        match how {
            0 => ends(&mut rig, "b", completed()),
            1 => cancel(&mut rig, "b"),
            2 => remove(&mut rig, "b"),
            _ => {
                assert!(claim(&mut rig).is_some());
                stall(&mut rig);
            }
        }
        let more = sent(&mut rig, "desk")[before.len()..].to_vec();
        let expected: &[&str] = if how == 3 {
            &["warn", "close"]
        } else {
            &["close"]
        };
        assert_eq!(more, expected, "{how}");
        for id in ["p", "a", "b"] {
            if state(&mut rig, id).is_some() {
                remove(&mut rig, id);
            }
        }
        assert!(is_empty(&mut rig), "{how}");
    }
}

/// What becomes of the job of the flow itself changes nothing, as long as it is kept.
fn they_are_added_whatever_becomes_of_the_parent(mut rig: Rig) {
    let jobs = |on_death| ["a", "b"].map(|id| mortal(id, "p", u32::from(id == "b"), on_death));
    for how in 0..3 {
        let on_death = [OnDeath::Fail, OnDeath::GoOn, OnDeath::Hold][how];
        let flow: Vec<NewJob> = [batch(2)].into_iter().chain(jobs(on_death)).collect();
        rig.enqueue(&flow);
        let before = sent(&mut rig, "desk").len();
        if how == 2 {
            cancel(&mut rig, "p");
        }
        ends(&mut rig, "a", dead());
        ends(&mut rig, "b", dead());
        assert_eq!(sent(&mut rig, "desk")[before..], ["warn", "close"], "{how}");
        let state_of_p = [State::Dead, State::Waiting, State::Cancelled][how];
        assert_eq!(state(&mut rig, "p"), Some(state_of_p));
        for id in ["p", "a", "b"] {
            remove(&mut rig, id);
        }
    }
    // Once it is gone, nobody knows of them.
    rig.enqueue(&[batch(1), child("a", "p", 0)]);
    let before = sent(&mut rig, "desk");
    remove(&mut rig, "p");
    assert_eq!(rig.size("attempts"), 0);
    ends(&mut rig, "a", dead());
    assert_eq!(sent(&mut rig, "desk"), before);
}

fn one_of_them_may_be_for_the_queue_itself(mut rig: Rig) {
    let close = Some(callback("rig", "close"));
    let flow = [
        with_callbacks(parent("p", 1), None, close),
        child("a", "p", 0),
    ];
    rig.enqueue(&flow);
    ends(&mut rig, "a", dead());
    assert_eq!(open(&mut rig, "p"), (1, 1));
    let waiting = rig.call(&Outbox {
        from: "",
        limit: 9,
        bytes: BATCH_BYTES,
    });
    let waiting = waiting.unwrap();
    for _ in 0..2 {
        rig.call(&Receive {
            source: "rig",
            messages: &waiting.messages,
        });
    }
    rig.call(&Sent {
        target: "rig",
        position: waiting.oldest,
    });
    ends(&mut rig, "close", completed());
    assert!(claim(&mut rig).is_none());
}

/// A flow that is refused has none; one that is enqueued again has what it had.
fn a_flow_that_is_not_added_adds_nothing_later(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let flow = [batch(1), child("a", "p", 0)];
    assert_eq!(met(&mut rig, &flow), ["!a", "="]);
    assert_eq!(rig.size("attempts"), 0);
    ends(&mut rig, "a", dead());
    remove(&mut rig, "a");
    for _ in 0..2 {
        rig.enqueue(&flow);
    }
    ends(&mut rig, "a", completed());
    rig.enqueue(&flow);
    assert_eq!(sent(&mut rig, "desk"), ["close"]);
}

on_both! {
    each_is_added_once,
    children_end_in_any_way,
    they_are_added_whatever_becomes_of_the_parent,
    one_of_them_may_be_for_the_queue_itself,
    a_flow_that_is_not_added_adds_nothing_later,
}
