//! What a parent is told by other queues, and children that cannot be added where they arrive.

use super::super::outbox::numbered;
use super::super::unique::{dead, unique};
use super::super::{Rig, completed, job, on_both, with};
use super::far::{expected, far, far_child, news, sent, take, take_all, told};
use super::{child, child_of, ends, known, mortal, open, parent, remove, replay, standings, state};
use crate::job::options::JobOptions;
use crate::job::state::State;
use crate::policy::flow::{ChildOf, OnDeath, Standing};
use crate::store::get::Get;
use crate::store::outbox::message::Message;
use crate::store::receive::{NextOne, Receive};

fn a_parent_hears_of_children_elsewhere(mut rig: Rig) {
    take_all(
        &mut rig,
        1,
        &[
            Message::Job(parent("p", 2)),
            expected(&[(0, "a"), (1, "b")]),
        ],
    );
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    let queues: Vec<_> = known(&mut rig, "p")
        .into_iter()
        .map(|it| it.queue)
        .collect();
    assert_eq!(queues, [Some("there".to_owned()), Some("there".to_owned())]);
    let ended = |number, id| news(number, id, Standing::Ended, OnDeath::Hold);
    take(&mut rig, 10, &[ended(0, "a")]);
    assert_eq!(open(&mut rig, "p"), (2, 1));
    // What is told twice, of other jobs, or of other numbers, changes nothing.
    take(
        &mut rig,
        20,
        &[ended(0, "a"), ended(1, "x"), ended(2, "b"), ended(7, "a")],
    );
    take(&mut rig, 30, &[expected(&[(0, "x"), (1, "y")])]);
    assert_eq!(open(&mut rig, "p"), (2, 1));
    assert_eq!(standings(&mut rig, "p"), [Standing::Ended, Standing::Open]);
    take(&mut rig, 40, &[ended(1, "b"), ended(1, "b")]);
    assert_eq!(open(&mut rig, "p"), (2, 0));
    assert_eq!(known(&mut rig, "p")[1].ended_ms, 17);
    ends(&mut rig, "p", completed());
    assert_eq!(sent(&mut rig).len(), 0);
    // Nobody has such a parent.
    remove(&mut rig, "p");
    take_all(&mut rig, 50, &[expected(&[(0, "a")]), ended(0, "a")]);
    assert_eq!(rig.size("attempts"), 0);
}

fn what_the_death_of_a_child_elsewhere_means(mut rig: Rig) {
    let start = |rig: &mut Rig, on_death| {
        rig.clear();
        take_all(
            rig,
            1,
            &[Message::Job(parent("p", 1)), expected(&[(0, "a")])],
        );
        take(rig, 10, &[news(0, "a", Standing::Dead, on_death)]);
    };
    start(&mut rig, OnDeath::Hold);
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    take(&mut rig, 20, &[news(0, "a", Standing::Dead, OnDeath::Hold)]);
    take(
        &mut rig,
        30,
        &[news(0, "a", Standing::Ended, OnDeath::Hold)],
    );
    assert_eq!(state(&mut rig, "p"), Some(State::Waiting));

    start(&mut rig, OnDeath::GoOn);
    assert_eq!(state(&mut rig, "p"), Some(State::Waiting));
    take(
        &mut rig,
        20,
        &[news(0, "a", Standing::Ended, OnDeath::GoOn)],
    );
    assert_eq!(open(&mut rig, "p"), (1, 0));
    assert_eq!(standings(&mut rig, "p"), [Standing::Ended]);

    start(&mut rig, OnDeath::Fail);
    assert_eq!(state(&mut rig, "p"), Some(State::Dead));
    replay(&mut rig, "p");
    assert_eq!(state(&mut rig, "p"), Some(State::Blocked));
    take(
        &mut rig,
        20,
        &[news(0, "a", Standing::Removed, OnDeath::Fail)],
    );
    ends(&mut rig, "p", completed());
}

/// Its own parent may be here, or elsewhere.
fn the_death_of_a_parent_goes_on_to_its_own_parent(mut rig: Rig) {
    let here = JobOptions {
        children: 1,
        ..super::options("root", 0, OnDeath::Fail)
    };
    let group = JobOptions {
        children: 1,
        child_of: Some(far(5, OnDeath::Fail, Some("root"))),
        ..JobOptions::new().group("g")
    };
    for (options, above) in [(here, true), (group, false)] {
        rig.clear();
        let jobs = [
            Message::Job(parent("root", 1)),
            Message::Job(with("p", &options)),
            expected(&[(0, "a")]),
            news(0, "a", Standing::Dead, OnDeath::Fail),
        ];
        take_all(&mut rig, 1, &jobs);
        assert_eq!(state(&mut rig, "p"), Some(State::Dead));
        let dead = above.then_some(State::Dead).or(Some(State::Blocked));
        assert_eq!(state(&mut rig, "root"), dead);
        if !above {
            let dead = ("p".to_owned(), Standing::Dead);
            assert_eq!(told(&mut rig, "root"), [dead]);
        }
    }
}

/// It is there as another job, or its key is taken: nobody waits for it.
fn a_child_that_cannot_be_added_is_refused(mut rig: Rig) {
    let keyed = |id: &str, of: ChildOf| {
        let options = JobOptions {
            child_of: Some(of),
            ..JobOptions::new().unique("k")
        };
        with(id, &options)
    };
    for on_death in [OnDeath::Hold, OnDeath::Fail, OnDeath::GoOn] {
        rig.clear();
        rig.enqueue(&[job("a"), unique("x", "k")]);
        let jobs = [
            Message::Job(parent("p", 2)),
            expected(&[(0, "a"), (1, "b")]),
            Message::Job(mortal("a", "p", 0, on_death)),
            Message::Job(keyed("b", child_of("p", 1, on_death))),
        ];
        take_all(&mut rig, 1, &jobs);
        assert_eq!(standings(&mut rig, "p"), [Standing::Refused; 2]);
        assert_eq!(open(&mut rig, "p"), (2, 0));
        if on_death == OnDeath::GoOn {
            assert_eq!(state(&mut rig, "p"), Some(State::Waiting));
            continue;
        }
        assert_eq!(state(&mut rig, "p"), Some(State::Dead));
        let history = rig.call(&Get { id: "p" }).unwrap().history;
        let why = history.last().unwrap().escape_ascii().to_string();
        let expected = "its child a could not be added: another job has its id";
        assert!(why.contains(expected), "{why}");
        let why = &known(&mut rig, "p")[1].ending;
        assert_eq!(why, b"job x has its unique key");
        // Replayed, it goes on without them.
        replay(&mut rig, "p");
        assert_eq!(state(&mut rig, "p"), Some(State::Waiting));
    }
    // Its parent is elsewhere.
    rig.clear();
    rig.enqueue(&[job("a"), unique("x", "k")]);
    let jobs = [
        far_child("a", 0, OnDeath::Hold, Some("root")),
        keyed("b", far(1, OnDeath::Hold, Some("root"))),
        far_child("c", 2, OnDeath::Hold, Some("root")),
    ];
    take_all(&mut rig, 1, &jobs.map(Message::Job));
    let refused = |id: &str| (id.to_owned(), Standing::Refused);
    assert_eq!(told(&mut rig, "root"), [refused("a"), refused("b")]);
    assert_eq!(state(&mut rig, "c"), Some(State::Waiting));
}

/// The queue has forgotten what it took, or another relay brings it.
fn a_child_that_is_there_is_not_refused(mut rig: Rig) {
    let jobs = [
        Message::Job(parent("p", 2)),
        expected(&[(0, "a"), (1, "b")]),
        Message::Job(child("a", "p", 0)),
    ];
    take_all(&mut rig, 1, &jobs);
    take_all(&mut rig, 11, &jobs);
    assert_eq!(open(&mut rig, "p"), (2, 2));
    assert_eq!(standings(&mut rig, "p"), [Standing::Open; 2]);
    let far = Message::Job(far_child("c", 0, OnDeath::Hold, Some("root")));
    take_all(&mut rig, 21, &[far.clone(), far]);
    assert_eq!(sent(&mut rig).len(), 0);
}

/// It told an earlier parent of the same id, which is gone, and tells nobody again.
fn a_child_that_has_ended_is_refused(mut rig: Rig) {
    let jobs = [
        Message::Job(parent("p", 2)),
        expected(&[(0, "a"), (1, "b")]),
        Message::Job(child("a", "p", 0)),
        Message::Job(child("b", "p", 1)),
    ];
    for ending in [completed(), dead()] {
        rig.clear();
        take_all(&mut rig, 1, &jobs);
        ends(&mut rig, "a", ending);
        remove(&mut rig, "p");
        take_all(&mut rig, 11, &jobs);
        assert_eq!(
            standings(&mut rig, "p"),
            [Standing::Refused, Standing::Open]
        );
        assert_eq!(open(&mut rig, "p"), (2, 1));
    }
}

/// They arrive one by one: one that is refused takes no other one with it.
fn jobs_that_arrive_together_are_added_each_for_itself(mut rig: Rig) {
    rig.enqueue(&[job("b")]);
    let jobs = [parent("p", 3), child("a", "p", 0), child("b", "p", 1)];
    take_all(&mut rig, 1, &jobs.map(Message::Job));
    assert_eq!(state(&mut rig, "a"), Some(State::Waiting));
    assert_eq!(open(&mut rig, "p"), (3, 3), "it knows nothing of b");
}

fn what_cannot_be_read_waits(mut rig: Rig) {
    take_all(&mut rig, 1, &[Message::Job(parent("p", 1))]);
    let texts = |texts: &[&str]| {
        let texts = texts.iter().map(|text| {
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            [&length[..], text.as_bytes()].concat()
        });
        texts.collect::<Vec<_>>().concat()
    };
    let mut position = 10;
    for (kind, said) in [
        ("child", &["p", "x", "a", "ended", "", "1", ""][..]),
        ("child", &["p", "0", "a", "open", "", "1", ""]),
        ("child", &["p", "0", "a", "gone", "", "1", ""]),
        ("child", &["p", "0", "a", "ended", "hold", "1", ""]),
        ("child", &["p", "0", "a", "ended", "", "-1", ""]),
        ("child", &["p", "0", "a", "ended", "", "1"]),
        ("children", &["p", "0", "there", "a"]),
        ("children", &["p", "0x", "there", "a", "test"]),
        ("children", &["p", "0", "there", "a b", "test"]),
        ("children", &[]),
    ] {
        position += 1;
        let message = [format!("{kind} ").into_bytes(), texts(said)].concat();
        let received = rig.call(&Receive {
            source: "elsewhere",
            messages: &numbered(position, vec![message]),
        });
        assert_eq!(
            (received.taken, received.next),
            (0, NextOne::Unknown),
            "{kind} {said:?}"
        );
    }
    assert_eq!(open(&mut rig, "p"), (1, 1));
}

on_both! {
    a_parent_hears_of_children_elsewhere,
    what_the_death_of_a_child_elsewhere_means,
    the_death_of_a_parent_goes_on_to_its_own_parent,
    a_child_that_cannot_be_added_is_refused,
    a_child_that_is_there_is_not_refused,
    a_child_that_has_ended_is_refused,
    jobs_that_arrive_together_are_added_each_for_itself,
    what_cannot_be_read_waits,
}
