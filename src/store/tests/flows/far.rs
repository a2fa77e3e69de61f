//! Children and parents in different queues: what is sent, and what becomes of it where it arrives.

use std::time::Duration;

use super::super::outbox::numbered;
use super::super::unique::dead;
use super::super::{Rig, completed, on_both, with};
use super::{MINUTE, cancel, child_of, claim, ends, gives, remove, replay, states};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::state::State;
use crate::policy::flow::{ChildOf, OnDeath, Standing};
use crate::policy::settings::QueueSettings;
use crate::store::enqueue::NewJob;
use crate::store::outbox::Outbox;
use crate::store::outbox::message::{ExpectedChild, Message};
use crate::store::promote::Promote;
use crate::store::receive::{Receive, Received};
use crate::store::recover::{Doubt, Recover};
use crate::store::remove::Remove;
use crate::store::trim::Trim;

/// A child of `p`, which is in the queue `home`; all of the flow was sent by `route`.
pub(super) fn far(number: u32, on_death: OnDeath, route: Option<&str>) -> ChildOf {
    ChildOf {
        queue: Some("home".to_owned()),
        route: route.map(str::to_owned),
        ..child_of("p", number, on_death)
    }
}

pub(super) fn far_child(id: &str, number: u32, on_death: OnDeath, route: Option<&str>) -> NewJob {
    let options = JobOptions {
        child_of: Some(far(number, on_death, route)),
        ..JobOptions::new()
    };
    with(id, &options)
}

/// What a parent here is told of its child, which is elsewhere.
pub(super) fn news(number: u32, id: &str, standing: Standing, on_death: OnDeath) -> Message {
    Message::Child {
        parent: JobId::stored("p"),
        number,
        id: JobId::stored(id),
        standing,
        on_death,
        ended_ms: 17,
        ending: vec![0xc0],
    }
}

pub(super) fn expected(children: &[(u32, &str)]) -> Message {
    let children = children.iter().map(|(number, id)| ExpectedChild {
        number: *number,
        queue: Some("there".to_owned()),
        id: JobId::stored(id),
        name: "test".to_owned(),
    });
    Message::Children {
        parent: JobId::stored("p"),
        children: children.collect(),
    }
}

/// The messages in the outbox: for whom they are, and what they say.
pub(super) fn sent(rig: &mut Rig) -> Vec<(String, Message)> {
    let dump = rig.subject.dump();
    let mut sent: Vec<_> = dump.outbox().collect();
    sent.sort_by_key(|(_, position, _)| *position);
    let read = |(target, _, message): (&str, u64, &[u8])| {
        (target.to_owned(), Message::decode(message).unwrap())
    };
    sent.into_iter().map(read).collect()
}

/// How the children stood of which was told by way of `route`.
pub(super) fn told(rig: &mut Rig, route: &str) -> Vec<(String, Standing)> {
    let told = sent(rig).into_iter().map(|(target, message)| {
        assert_eq!(target, route);
        let Message::Forward { target, message } = message else {
            panic!("not to be sent on: {message:?}");
        };
        assert_eq!(target, "home");
        match Message::decode(&message) {
            Some(Message::Child {
                id,
                standing,
                parent,
                ..
            }) => {
                assert_eq!(parent.as_str(), "p");
                (id.to_string(), standing)
            }
            other => panic!("{other:?}"),
        }
    });
    told.collect()
}

pub(super) fn take(rig: &mut Rig, first: u64, messages: &[Message]) -> Received {
    let messages = messages.iter().map(Message::encode).collect();
    rig.call(&Receive {
        source: "elsewhere",
        messages: &numbered(first, messages),
    })
}

/// Takes in all of them, of whatever kinds.
pub(super) fn take_all(rig: &mut Rig, first: u64, messages: &[Message]) {
    let last = first + messages.len() as u64 - 1;
    while take(rig, first, messages).position < last {}
}

/// However it ends, its parent is told, once.
fn the_end_of_a_child_is_sent_to_its_parent(mut rig: Rig) {
    for how in 0..8 {
        let expires = |options: JobOptions| match how {
            4 => options.expires_in(MINUTE),
            _ => options,
        };
        let options = JobOptions {
            child_of: Some(far(3, OnDeath::Hold, Some("root"))),
            ..expires(JobOptions::new())
        };
        rig.enqueue(&[with("a", &options)]);
        assert_eq!(sent(&mut rig).len(), 0);
        let standing = match how {
            0 => {
                ends(&mut rig, "a", gives(7));
                Standing::Ended
            }
            1 => {
                ends(&mut rig, "a", Outcome::Cancelled("moot".into()));
                Standing::Ended
            }
            2 => {
                cancel(&mut rig, "a");
                Standing::Ended
            }
            3 => {
                remove(&mut rig, "a");
                Standing::Removed
            }
            4 => {
                rig.wait(MINUTE);
                rig.call(&Promote {
                    limit: 9,
                    worker: "w",
                    hold: true,
                });
                Standing::Ended
            }
            5 => {
                ends(&mut rig, "a", dead());
                Standing::Dead
            }
            6 => {
                rig.set(QueueSettings::new().max_stalls(0));
                assert!(claim(&mut rig).is_some());
                super::stall(&mut rig);
                Standing::Dead
            }
            _ => {
                assert!(claim(&mut rig).is_some());
                rig.cancel(&["a"]);
                super::stall(&mut rig);
                Standing::Ended
            }
        };
        assert_eq!(
            told(&mut rig, "root"),
            [("a".to_owned(), standing)],
            "{how}"
        );
        rig.clear();
    }
}

/// A job of the queue that has sent the whole flow tells straight; and all that is known of its end is told.
fn news_have_all_that_a_parent_wants_to_know(mut rig: Rig) {
    rig.enqueue(&[
        far_child("a", 3, OnDeath::Hold, None),
        far_child("b", 4, OnDeath::GoOn, None),
    ]);
    ends(&mut rig, "a", gives(7));
    ends(&mut rig, "b", dead());
    let sent = sent(&mut rig);
    let targets: Vec<_> = sent.iter().map(|(target, _)| &target[..]).collect();
    assert_eq!(targets, ["home", "home"]);
    let ms = rig.now_us / 1_000;
    match &sent[0].1 {
        Message::Child {
            number,
            on_death,
            ended_ms,
            ending,
            ..
        } => {
            assert_eq!((*number, *on_death, *ended_ms), (3, OnDeath::Hold, ms));
            assert!(ending.ends_with(&[7]), "{ending:?}");
        }
        other => panic!("{other:?}"),
    }
    match &sent[1].1 {
        Message::Child {
            number,
            on_death,
            standing,
            ..
        } => {
            assert_eq!(
                (*number, *on_death, *standing),
                (4, OnDeath::GoOn, Standing::Dead)
            );
        }
        other => panic!("{other:?}"),
    }
}

fn a_replayed_child_tells_again(mut rig: Rig) {
    rig.enqueue(&[far_child("a", 0, OnDeath::Hold, Some("root"))]);
    ends(&mut rig, "a", dead());
    replay(&mut rig, "a");
    ends(&mut rig, "a", gives(7));
    let a = |standing| ("a".to_owned(), standing);
    assert_eq!(
        told(&mut rig, "root"),
        [a(Standing::Dead), a(Standing::Ended)]
    );
}

/// Nobody here knows whether its parent waits for it.
fn a_dead_child_of_a_parent_elsewhere_is_not_dropped(mut rig: Rig) {
    rig.set(QueueSettings::new().keep_dead_at_most(0));
    rig.enqueue(&[
        far_child("a", 0, OnDeath::Hold, Some("root")),
        far_child("b", 1, OnDeath::GoOn, Some("root")),
        far_child("c", 2, OnDeath::Fail, Some("root")),
    ]);
    for id in ["a", "b", "c"] {
        ends(&mut rig, id, dead());
    }
    rig.call(&Trim {
        limit: 9,
        lane_ttl_ms: 1,
        lanes_cursor: "0",
    });
    let dead = Some(State::Dead);
    assert_eq!(states(&mut rig, &["a", "b", "c"]), [dead, None, dead]);
    let last = told(&mut rig, "root").pop();
    assert_eq!(last, Some(("b".to_owned(), Standing::Removed)));
}

/// A script that ends them has said so before it wrote anything.
fn a_worker_is_told_that_something_waits(mut rig: Rig) {
    rig.traits = true;
    rig.enqueue(&[far_child("a", 0, OnDeath::Hold, Some("root"))]);
    let first = rig.claim_one().unwrap();
    let mut settled = super::super::settlement(&first.id, &first.receipt, completed());
    settled.traits = crate::job::traits::EndTraits::of(&first.record);
    let ended = rig.advance(&[settled], 0);
    assert!(ended.has_sent);
    assert!(!rig.advance(&[], 1).has_sent);
    let waiting = rig.call(&Outbox {
        from: "",
        limit: 0,
        bytes: 0,
    });
    assert_eq!(waiting.unwrap().depth, 1);
    let recovered = rig.call(&Recover {
        expected_ms: rig.now_us / 1_000,
        tolerance_ms: 1,
        limit: 5,
        lease_ms: 60_000,
        gap_ms: Duration::from_secs(60).as_millis() as u64,
        quiet_ms: 0,
        doubt: Doubt::None,
    });
    assert!(
        format!("{recovered:?}").contains("messages: true"),
        "{recovered:?}"
    );
    rig.call(&Remove::of(&["a"].map(JobId::stored)));
    assert_eq!(sent(&mut rig).len(), 1, "it had ended");
}

on_both! {
    the_end_of_a_child_is_sent_to_its_parent,
    news_have_all_that_a_parent_wants_to_know,
    a_replayed_child_tells_again,
    a_dead_child_of_a_parent_elsewhere_is_not_dropped,
    a_worker_is_told_that_something_waits,
}
