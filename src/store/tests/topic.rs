//! Topics, and queues that are subscribed to them: what is promised.

pub(super) mod operations;

use std::time::Duration;

use super::subject::START_US;
use super::{Rig, job, on_both};
use crate::store::attach::{Attach, Attached, source_of_topic};
use crate::store::feed::{Fed, Feed};
use crate::store::follow::{Follow, Followed, Page};
use crate::store::publish::{Place, Publish};
use crate::store::subscribe::{Begin, Subscribe, Subscribed};
use crate::store::subscribed::{self, To};
use crate::store::topic::{Found, Standing, Topic};
use crate::store::unsubscribe::{Removed, Unsubscribe};

const DAY_MS: u64 = 86_400_000;
const MOST: usize = 3;

impl Rig {
    fn publish(&mut self, ids: &[&str]) -> Vec<u64> {
        self.publish_and_keep(ids, DAY_MS, 1_000_000)
    }

    fn publish_and_keep(&mut self, ids: &[&str], keep_ms: u64, keep_bytes: u64) -> Vec<u64> {
        let places = self.publish_and_tell(ids, keep_ms, keep_bytes);
        places.iter().map(|place| place.position).collect()
    }

    fn publish_and_tell(&mut self, ids: &[&str], keep_ms: u64, keep_bytes: u64) -> Vec<Place> {
        let events: Vec<_> = ids.iter().map(|id| (*id, id.as_bytes())).collect();
        self.call(&Publish {
            events: &events,
            keep_ms,
            keep_bytes,
        })
    }

    fn subscribe(&mut self, name: &str, queue: &str, start: Begin) -> Subscribed {
        self.call(&Subscribe {
            name,
            queue,
            start,
            wants: b"all",
            most: MOST,
        })
    }

    /// Number of the subscription, and where it begins.
    fn subscribe_anew(&mut self, name: &str, start: Begin) -> (u64, u64) {
        match self.subscribe(name, "work", start) {
            Subscribed::Done {
                since,
                position,
                is_new: true,
                ..
            } => (since, position),
            other => panic!("{other:?}"),
        }
    }

    fn follow(&mut self, name: &str, since: u64, after: u64) -> Page {
        match self.ask_to_follow(name, since, after) {
            Followed::Page(page) => page,
            Followed::Gone => panic!("{name} is gone"),
        }
    }

    fn ask_to_follow(&mut self, name: &str, since: u64, after: u64) -> Followed {
        self.call(&Follow {
            name,
            since,
            after,
            limit: 256,
            bytes: 1_000_000,
        })
    }

    fn topic(&mut self) -> Found {
        self.call(&Topic)
    }

    fn standing(&mut self, name: &str) -> Standing {
        let found = self.topic().subscriptions;
        found.into_iter().find(|it| it.name == name).unwrap()
    }

    fn attach(&mut self, topic: &str, since: u64, name: &str, start: Option<u64>) -> Attached {
        self.call(&Attach {
            topic,
            since,
            name,
            start,
            most: MOST,
        })
    }

    fn subscribed(&mut self, worker: Option<&str>, hold_ms: u64) -> Vec<To> {
        self.call(&subscribed::Subscribed {
            worker,
            hold_ms,
            without: &[],
            most: MOST,
        })
    }

    /// One of each: an event, a subscription, and a topic that feeds the queue.
    pub(super) fn publish_and_subscribe(&mut self) {
        self.publish(&["event"]);
        self.subscribe("mail", "work", Begin::Now);
        self.attach("orders", 5, "mail", Some(3));
    }
}

fn ids(page: &Page) -> Vec<&str> {
    let ids = page
        .events
        .iter()
        .map(|event| std::str::from_utf8(&event.bytes));
    ids.map(Result::unwrap).collect()
}

fn g3_an_event_is_published_once(mut rig: Rig) {
    let first = rig.publish(&["a", "b"]);
    assert_eq!(first, [START_US, START_US + 1]);
    let before = rig.subject.dump();
    // The answer was lost.
    assert_eq!(rig.publish(&["a", "b"]), first);
    assert_eq!(rig.subject.dump(), before);
    let mixed = rig.publish(&["c", "a", "d"]);
    assert_eq!(mixed, [START_US + 2, START_US, START_US + 3]);
    let told = rig.publish_and_tell(&["a", "f", "c"], DAY_MS, 1_000_000);
    assert_eq!(
        told.iter().map(|place| place.is_new).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(told[1].position, START_US + 4);
    // Positions rise also if the clock was set back.
    rig.now_us -= 5_000_000;
    rig.subject.set_clock(rig.now_us);
    assert_eq!(rig.publish(&["e"]), [START_US + 5]);
    let found = rig.topic();
    assert!(found.is_there);
    assert_eq!((found.kept, found.bytes), (6, 6));
    assert_eq!((found.last, found.last_number), (START_US + 5, 6));
    assert_eq!(found.first, Some(START_US));
}

fn subscriptions_begin_where_they_are_told(mut rig: Rig) {
    let early = rig.subscribe_anew("early", Begin::Kept);
    assert_eq!(early.1, 0, "nothing was ever published");
    rig.publish(&["a"]);
    rig.wait(Duration::from_millis(1_000));
    let second = rig.publish(&["b"])[0];
    rig.wait(Duration::from_millis(1_000));
    rig.publish(&["c"]);
    let starts = [
        (Begin::Now, vec![]),
        (Begin::Kept, vec!["a", "b", "c"]),
        (Begin::From(second), vec!["b", "c"]),
        (Begin::From(second + 1), vec!["c"]),
        (Begin::From(u64::MAX >> 11), vec![]),
    ];
    for (start, wanted) in starts {
        let (since, position) = rig.subscribe_anew("late", start);
        let page = rig.follow("late", since, position);
        assert_eq!(ids(&page), wanted, "{start:?}");
        assert_eq!(page.wants, b"all");
        let behind = rig.topic().last_number - rig.standing("late").number;
        assert_eq!(behind, wanted.len() as u64, "{start:?}");
        // It is known already, and stays where it is.
        let again = rig.subscribe("late", "work", Begin::Now);
        let known = Subscribed::Done {
            since,
            position,
            is_new: false,
        };
        assert_eq!(again, known);
        let removed = Removed {
            since,
            queue: "work".to_owned(),
        };
        assert_eq!(
            rig.call(&Unsubscribe {
                name: "late",
                since: None
            }),
            Some(removed)
        );
        assert_eq!(
            rig.call(&Unsubscribe {
                name: "late",
                since: None
            }),
            None
        );
        let gone = rig.ask_to_follow("late", since, position);
        assert_eq!(gone, Followed::Gone);
    }
    let page = rig.follow("early", early.0, early.1);
    assert_eq!(ids(&page), ["a", "b", "c"]);
}

fn subscriptions_that_cannot_be_are_refused(mut rig: Rig) {
    let since = rig.subscribe_anew("mail", Begin::Now).0;
    let other = Subscribed::Other("work".to_owned());
    assert_eq!(rig.subscribe("mail", "elsewhere", Begin::Now), other);
    rig.subscribe_anew("b", Begin::Now);
    rig.subscribe_anew("c", Begin::Now);
    let before = rig.subject.dump();
    assert_eq!(rig.subscribe("d", "work", Begin::Now), Subscribed::Full);
    assert_eq!(rig.ask_to_follow("mail", since + 9, 0), Followed::Gone);
    assert_eq!(rig.subject.dump(), before);
}

/// What is too old, or too much, is dropped from the beginning, and never what was just published.
fn a_log_is_bounded(mut rig: Rig) {
    let (since, start) = rig.subscribe_anew("mail", Begin::Now);
    rig.publish(&["1", "2", "3"]);
    let page = rig.follow("mail", since, start);
    let second = &page.events[1];
    rig.follow("mail", since, second.position);
    rig.wait(Duration::from_millis(500));
    assert_eq!(rig.publish_and_keep(&["4"], 1_000, 3).len(), 1);
    assert_eq!(rig.topic().kept, 3);
    assert_eq!(rig.follow("mail", since, second.position).missed, 0);
    rig.wait(Duration::from_millis(700));
    let last = rig.publish_and_keep(&["5", "6"], 1_000, 2)[1];
    let found = rig.topic();
    assert_eq!((found.kept, found.bytes), (2, 2));
    // Of what it had not taken, 3 and 4 are gone; it is told so once, and counted.
    let page = rig.follow("mail", since, second.position);
    assert_eq!((page.missed, ids(&page)), (2, vec!["5", "6"]));
    assert_eq!(rig.follow("mail", since, second.position).missed, 0);
    assert_eq!(rig.standing("mail").missed, 2);
    rig.follow("mail", since, last);
    let standing = rig.standing("mail");
    assert_eq!(
        (standing.position, standing.number, standing.next),
        (last, 6, None)
    );
    // The ids of what was dropped are free again.
    assert_eq!(rig.publish_and_keep(&["1"], 0, 0).len(), 1);
    assert_eq!(rig.topic().kept, 1);
    let sizes = [rig.size("published"), rig.size("published_ids")];
    assert_eq!(sizes, [1, 1]);
}

/// A replica was promoted that had not all events. What a queue has taken of those is not taken for what is published since.
fn g3_a_topic_that_lost_events_goes_on_behind_what_was_taken(mut rig: Rig) {
    let (since, _) = rig.subscribe_anew("mail", Begin::Now);
    rig.publish(&["a"]);
    let taken = START_US + 60_000_000;
    rig.follow("mail", since, taken);
    assert_eq!(rig.publish(&["b"]), [taken + 1]);
    let page = rig.follow("mail", since, taken);
    assert_eq!((ids(&page), page.missed), (vec!["b"], 0));
}

fn pages_are_bounded(mut rig: Rig) {
    let (since, start) = rig.subscribe_anew("mail", Begin::Now);
    let names: Vec<String> = (0..100).map(|n| format!("{n:02}")).collect();
    rig.publish(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (limit, bytes, wanted) in [
        (70, 1_000, 70),
        (200, 99, 50),
        (200, 1, 1),
        (200, 1_000, 100),
    ] {
        let followed = rig.call(&Follow {
            name: "mail",
            since,
            after: start,
            limit,
            bytes,
        });
        let Followed::Page(page) = followed else {
            panic!("{followed:?}");
        };
        assert_eq!(ids(&page), names[..wanted]);
    }
}

/// A queue that is subscribed stands where the subscription begins; entries of which no job is made are passed over.
fn g3_a_queue_is_fed_from_a_topic(mut rig: Rig) {
    assert_eq!(rig.attach("orders", 7, "mail", Some(10)), Attached::Done);
    let source = source_of_topic("orders", 7);
    let mut feed = |after, positions: &[u64], upto, token| {
        let jobs: Vec<_> = positions.iter().map(|at| job(&format!("j{at}"))).collect();
        rig.call(&Feed {
            source: &source,
            positions,
            after: Some(after),
            upto: Some(upto),
            token,
            most: 9,
            jobs: &jobs.iter().collect::<Vec<_>>(),
        })
    };
    let fed = |before, now, is_first| Fed::Done {
        before: Some(before),
        now: Some(now),
        is_first,
    };
    assert_eq!(feed(10, &[12, 15], 17, "a"), fed(10, 17, true));
    // Repeated; late; none of a page is wanted; and somebody leaves out what lies between.
    assert_eq!(feed(10, &[12, 15], 17, "a"), fed(10, 17, false));
    assert_eq!(feed(10, &[12, 15], 16, "b"), fed(17, 17, false));
    assert_eq!(feed(17, &[], 20, "c"), fed(17, 20, false));
    assert_eq!(feed(21, &[22], 22, "d"), Fed::Behind);
    assert_eq!(rig.size("jobs"), 2);
    let to = rig.subscribed(None, 0);
    assert_eq!(to[0].position, Some(20));
    // Once more, which changes nothing; by another name, which would mix two subscriptions.
    let before = rig.subject.dump();
    assert_eq!(rig.attach("orders", 7, "mail", Some(3)), Attached::Done);
    let other = Attached::Other("mail".to_owned());
    assert_eq!(rig.attach("orders", 8, "post", Some(3)), other);
    assert_eq!(rig.attach("orders", 6, "mail", None), Attached::Done);
    assert_eq!(rig.subject.dump(), before);
    // Removed, and made again: what fed the queue before finds nothing any more.
    assert_eq!(rig.attach("orders", 9, "mail", Some(30)), Attached::Done);
    assert_eq!(rig.size("fed"), 1);
    let late = rig.call(&Feed {
        source: &source,
        positions: &[21],
        after: Some(20),
        upto: Some(21),
        token: "e",
        most: 9,
        jobs: &[&job("late")],
    });
    assert_eq!(late, Fed::Behind);
    assert_eq!(rig.attach("b", 1, "mail", Some(0)), Attached::Done);
    assert_eq!(rig.attach("c", 1, "mail", Some(0)), Attached::Done);
    assert_eq!(rig.attach("d", 1, "mail", Some(0)), Attached::Full);
    for (topic, since) in [("orders", 9), ("b", 1), ("c", 1)] {
        assert_eq!(rig.attach(topic, since, "mail", None), Attached::Done);
    }
    let sizes = [rig.size("fed"), rig.size("subscribed")];
    assert_eq!(sizes, [0, 0]);
}

/// One worker feeds a queue at a time; another one takes over when the first has not said for a while that it does.
fn one_worker_feeds_a_queue(mut rig: Rig) {
    rig.attach("orders", 7, "mail", Some(0));
    let mut holds = |worker, hold_ms| rig.subscribed(worker, hold_ms)[0].is_held;
    assert!(!holds(None, 0));
    assert!(holds(Some("a"), 3_000));
    assert!(!holds(Some("b"), 3_000));
    assert!(holds(Some("a"), 3_000));
    rig.wait(Duration::from_millis(2_999));
    assert!(!rig.subscribed(Some("b"), 3_000)[0].is_held);
    rig.wait(Duration::from_millis(1));
    assert!(rig.subscribed(Some("b"), 3_000)[0].is_held);
    assert!(!rig.subscribed(Some("a"), 3_000)[0].is_held);
    assert!(!rig.subscribed(Some("b"), 0)[0].is_held);
    assert!(rig.subscribed(Some("a"), 3_000)[0].is_held);
    // The clock was set back by a day.
    rig.now_us -= DAY_MS * 1_000;
    rig.subject.set_clock(rig.now_us);
    assert!(rig.subscribed(Some("b"), 3_000)[0].is_held);
}

/// A page of large events is read as a page of small ones is: no more than is answered. And no call drops more than about 1 MiB.
fn large_events_are_read_and_dropped_in_bounded_calls(mut rig: Rig) {
    let (since, start) = rig.subscribe_anew("mail", Begin::Now);
    let large = vec![b'x'; 300_000];
    for n in 0..10 {
        let id = format!("large-{n}");
        rig.call(&Publish {
            events: &[(&id, &large)],
            keep_ms: DAY_MS,
            keep_bytes: 100_000_000,
        });
    }
    let mut after = start;
    for _ in 0..3 {
        let page = rig.follow("mail", since, after);
        let sizes: Vec<usize> = page.events.iter().map(|event| event.bytes.len()).collect();
        assert!(sizes == [300_000; 4] || sizes == [300_000; 2], "{sizes:?}");
        after = page.events.last().unwrap().position;
    }
    rig.wait(Duration::from_millis(2 * DAY_MS));
    for left in [6, 2, 0] {
        rig.publish(&[&format!("small-{left}")]);
        assert_eq!(rig.topic().bytes / 300_000, left);
    }
    let many: Vec<String> = (0..200).map(|n| format!("many-{n}")).collect();
    rig.publish(&many.iter().map(String::as_str).collect::<Vec<_>>());
    rig.wait(Duration::from_millis(2 * DAY_MS));
    let before = rig.topic().kept;
    rig.publish(&["last"]);
    let dropped = before + 1 - rig.topic().kept;
    assert!((18..=50).contains(&dropped), "{dropped}");
}

/// The process that asked for a subscription was slow: another one has removed it and made it again.
fn a_late_call_does_not_bring_an_old_subscription_back(mut rig: Rig) {
    assert_eq!(rig.attach("orders", 9, "mail", Some(30)), Attached::Done);
    let before = rig.subject.dump();
    assert_eq!(rig.attach("orders", 7, "mail", Some(10)), Attached::Stale);
    assert_eq!(rig.attach("orders", 7, "mail", None), Attached::Done);
    assert_eq!(rig.subject.dump(), before);
    let (since, _) = rig.subscribe_anew("mail", Begin::Now);
    let name = "mail";
    let other = Some(since - 1);
    assert_eq!(rig.call(&Unsubscribe { name, since: other }), None);
    let this = Some(since);
    assert!(rig.call(&Unsubscribe { name, since: this }).is_some());
}

/// A queue that has forgotten where it stands is put somewhere; one that knows it is left there.
fn a_place_that_was_lost_is_found(mut rig: Rig) {
    rig.attach("orders", 7, "mail", Some(10));
    let before = rig.subject.dump();
    rig.attach("orders", 7, "mail", Some(99));
    assert_eq!(rig.subject.dump(), before);
    rig.subject.lose_fed();
    assert_eq!(rig.subscribed(None, 0)[0].position, None);
    rig.attach("orders", 7, "mail", Some(12));
    assert_eq!(rig.subscribed(None, 0)[0].position, Some(12));
    assert_eq!(rig.size("subscribed"), 1);
}

/// A worker that cannot feed from a topic leaves it to others, and takes few new ones at a time.
fn workers_leave_topics_to_others(mut rig: Rig) {
    for (topic, since) in [("a", 1), ("b", 2), ("c", 3)] {
        rig.attach(topic, since, "mail", Some(0));
    }
    let mut holds = |worker: &'static str, without: &[String], most| {
        let all = rig.call(&subscribed::Subscribed {
            worker: Some(worker),
            hold_ms: 3_000,
            without,
            most,
        });
        let held = all.into_iter().filter(|to| to.is_held);
        held.map(|to| to.topic).collect::<Vec<_>>()
    };
    assert_eq!(holds("v", &[], 2), ["a", "b"]);
    assert_eq!(holds("v", &[], 2), ["a", "b", "c"]);
    assert!(holds("w", &[], 9).is_empty());
    assert_eq!(holds("v", &["b".to_owned()], 9), ["a", "c"]);
    assert_eq!(holds("w", &[], 9), ["b"]);
    let seen = rig.subscribed(None, 0);
    assert!(seen.iter().all(|to| to.others_ms == 3_000), "{seen:?}");
}

on_both!(
    a_late_call_does_not_bring_an_old_subscription_back,
    a_log_is_bounded,
    a_place_that_was_lost_is_found,
    large_events_are_read_and_dropped_in_bounded_calls,
    workers_leave_topics_to_others,
    g3_a_queue_is_fed_from_a_topic,
    g3_a_topic_that_lost_events_goes_on_behind_what_was_taken,
    g3_an_event_is_published_once,
    one_worker_feeds_a_queue,
    pages_are_bounded,
    subscriptions_begin_where_they_are_told,
    subscriptions_that_cannot_be_are_refused,
);
