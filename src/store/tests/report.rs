//! What workers say of themselves: who is shown, until when, and how many.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{Op, Operation, WORKERS};
use super::random::world::{World, Wrong, same};
use super::{Rig, Subject, completed, job, on_both};
use crate::store::history::History;
use crate::store::report::{Answer, Report};
use crate::store::workers::{Said, Workers};

const TTL: Duration = Duration::from_secs(150);

fn report(worker: &str) -> Report<'_> {
    Report {
        worker,
        age_ms: 5_000,
        stops: false,
        ttl_ms: TTL.as_millis() as u64,
        most: 3,
        about: b"about \xc1",
        number: 0,
        lines: "",
    }
}

impl Rig {
    /// Who is shown, in order.
    fn shown(&mut self) -> Vec<Said> {
        let (mut cursor, mut shown) = (Workers::FIRST.to_owned(), Vec::new());
        loop {
            let limit = 10;
            let page = self.call(&Workers {
                cursor: &cursor,
                limit,
            });
            shown.extend(page.workers);
            cursor = page.cursor;
            if cursor == Workers::FIRST {
                shown.sort();
                shown.dedup();
                return shown;
            }
        }
    }

    fn shown_ids(&mut self) -> Vec<String> {
        self.shown().into_iter().map(|said| said.worker).collect()
    }
}

fn a_worker_is_shown_until_it_stops(mut rig: Rig) {
    let began_ms = rig.now_us / 1_000;
    assert_eq!(rig.call(&report("a")), Answer::Reported);
    rig.wait(Duration::from_secs(60));
    let again = Report {
        age_ms: 65_000,
        ..report("a")
    };
    assert_eq!(rig.call(&again), Answer::Reported);
    let said = Said {
        worker: "a".to_owned(),
        since_ms: began_ms - 5_000,
        at_ms: began_ms + 60_000,
        number: 0,
        about: b"about \xc1".to_vec(),
    };
    assert_eq!(rig.shown(), [said]);
    let stops = Report {
        stops: true,
        ..report("a")
    };
    for _ in 0..2 {
        assert_eq!(rig.call(&stops), Answer::Reported);
        assert!(rig.shown().is_empty());
        assert_eq!((rig.size("workers"), rig.size("about")), (0, 0));
    }
}

/// The next report of any worker drops what it said; if there is none, Redis does.
fn a_worker_that_says_nothing_is_shown_no_more_and_forgotten(mut rig: Rig) {
    rig.call(&report("dead"));
    rig.wait(TTL - Duration::from_millis(1));
    rig.call(&report("other"));
    assert_eq!(rig.shown_ids(), ["dead", "other"]);
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.shown_ids(), ["other"]);
    assert_eq!(rig.size("about"), 2);
    rig.call(&report("other"));
    assert_eq!((rig.size("workers"), rig.size("about")), (1, 1));
    for part in ["workers", "about"] {
        let expected = matches!(rig.subject, Subject::Redis(_)).then_some(150_000);
        assert_eq!(rig.subject.expires_ms(part), expected, "{part}");
    }
}

fn g7_a_bounded_number_of_workers_is_remembered(mut rig: Rig) {
    for worker in ["a", "b", "c"] {
        assert_eq!(rig.call(&report(worker)), Answer::Reported);
    }
    assert_eq!(rig.call(&report("d")), Answer::Full);
    assert_eq!(rig.call(&report("a")), Answer::Reported, "it is known");
    assert_eq!(rig.shown_ids(), ["a", "b", "c"]);
    rig.wait(TTL);
    assert_eq!(rig.call(&report("d")), Answer::Reported);
    assert_eq!(rig.shown_ids(), ["d"]);
}

/// In pages, whatever their number.
fn g7_all_workers_are_shown_and_dropped_in_bounded_calls(mut rig: Rig) {
    let ids: Vec<String> = (0..400).map(|n| format!("worker-{n:03}")).collect();
    for worker in &ids {
        rig.call(&Report {
            most: 1_000,
            ..report(worker)
        });
    }
    assert_eq!(rig.shown_ids(), ids);
    rig.wait(TTL);
    assert!(rig.shown().is_empty());
    for left in [400 - 256 + 1, 1] {
        rig.call(&Report {
            most: 1_000,
            ..report("last")
        });
        assert_eq!(rig.size("about"), left);
    }
}

const MINUTE: Duration = Duration::from_secs(60);

impl Rig {
    /// What is known of the last minutes, the last one first; empty for nothing.
    fn minutes(&mut self, number: u64) -> Vec<String> {
        let (from, limit) = (number - 1, number);
        let mut minutes = self.call(&History { from, limit }).minutes;
        minutes.reverse();
        minutes
    }

    fn count(&mut self, worker: &str, number: u64, lines: &str) {
        let answer = self.call(&Report {
            number,
            lines,
            ..report(worker)
        });
        assert_eq!(answer, Answer::Reported);
    }

    /// The lines of this minute, without the first one.
    fn counted(&mut self) -> String {
        let minute = self.minutes(1).remove(0);
        let lines = minute.split_once('\n').map(|(_, lines)| lines.to_owned());
        lines.unwrap_or_default()
    }
}

fn what_workers_have_counted_in_a_minute_is_added_up(mut rig: Rig) {
    rig.count("a", 1, "1 2 3 4 5:6,7:8 - mail");
    rig.count("b", 1, "1 0 0 0 7:1,100:1 2:2 mail\n0 0 1 0 - 3:1 a report");
    let both = "2 2 3 4 5:6,7:9,100:1 2:2 mail\n0 0 1 0 - 3:1 a report";
    assert_eq!(rig.counted(), both);
    rig.wait(MINUTE);
    rig.count("a", 2, "1 0 0 0 - - mail");
    assert_eq!(rig.counted(), "1 0 0 0 - - mail");
    let minutes = rig.minutes(3);
    assert!(
        minutes[1].ends_with(both) && minutes[2].is_empty(),
        "{minutes:?}"
    );
}

/// A repeated report, and what cannot be read, count nothing.
fn what_a_worker_has_counted_is_counted_once(mut rig: Rig) {
    for _ in 0..3 {
        rig.count("a", 1, "1 0 0 0 - 2:1 mail\n1 2 - - mail");
    }
    assert_eq!(rig.counted(), "1 0 0 0 - 2:1 mail");
    let stops = Report {
        stops: true,
        number: 1,
        lines: "1 0 0 0 - 2:1 mail",
        ..report("a")
    };
    rig.call(&stops);
    assert_eq!(rig.counted(), "1 0 0 0 - 2:1 mail");
    // Each worker has numbers of its own.
    rig.count("b", 1, "1 0 0 0 - 2:1 mail");
    rig.count("b", 2, "1 0 0 0 - 2:1 mail");
    assert_eq!(rig.counted(), "3 0 0 0 - 2:3 mail");
}

/// Each report writes down what the queue has counted, and how many jobs wait; where nothing happens, that is done now and then.
fn the_totals_of_the_queue_are_written_down(mut rig: Rig) {
    let (minute, now_ms) = (rig.now_us / 60_000_000, rig.now_us / 1_000);
    rig.enqueue(&["a", "b", "c"].map(job));
    let done = rig.claim_one().unwrap();
    assert!(rig.settle(&done.id, &done.receipt, completed()));
    rig.count("w", 0, "");
    let told = format!("{minute} {now_ms} 3 0 1 0 0 0 2");
    assert_eq!(rig.minutes(1), [told.as_str()]);
    // The next one is at a multiple of ten minutes.
    let quiet = 10 - minute % 10;
    for ago in 1..quiet {
        rig.wait(MINUTE);
        rig.count("w", 0, "");
        assert_eq!(rig.minutes(ago + 1).concat(), told);
    }
    rig.wait(MINUTE);
    rig.count("w", 0, "");
    assert!(rig.minutes(1)[0].ends_with(" 3 0 1 0 0 0 2"));
    assert_eq!(rig.size("history"), 3);
}

fn g7_what_was_counted_is_bounded_and_written_anew_a_day_later(mut rig: Rig) {
    let names = |from: u32| {
        let lines = (from..from + 60).map(|n| format!("1 0 0 0 - - name-{n:03}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    rig.count("a", 1, &names(0));
    rig.count("a", 2, &names(60));
    let counted = rig.counted();
    assert_eq!(counted.lines().count(), 101);
    assert!(counted.ends_with("\n20 0 0 0 - - (others)"), "{counted}");
    rig.wait(24 * 60 * MINUTE);
    rig.count("a", 3, "1 0 0 0 - - mail");
    assert_eq!(rig.counted(), "1 0 0 0 - - mail");
    assert_eq!(rig.size("history"), 2);
    let expected = matches!(rig.subject, Subject::Redis(_)).then_some(86_400_000);
    assert_eq!(rig.subject.expires_ms("history"), expected);
}

on_both!(
    g7_what_was_counted_is_bounded_and_written_anew_a_day_later,
    the_totals_of_the_queue_are_written_down,
    what_a_worker_has_counted_is_counted_once,
    what_workers_have_counted_in_a_minute_is_added_up,
    a_worker_is_shown_until_it_stops,
    a_worker_that_says_nothing_is_shown_no_more_and_forgotten,
    g7_a_bounded_number_of_workers_is_remembered,
    g7_all_workers_are_shown_and_dropped_in_bounded_calls,
);

/// A worker of a random sequence says something.
#[derive(Debug)]
struct Reports {
    worker: u8,
    age_ms: u64,
    stops: bool,
    ttl_ms: u64,
    number: u64,
    lines: &'static str,
}

/// One line, two, and what another program may have made of them.
const LINES: [&str; 5] = [
    "",
    "1 0 0 0 3:1 - mail",
    "2 1 0 1 3:1,12:4 100:2 mail\n0 0 5 0 - 7:5 a report",
    "1 1 1 1 5:1 5:1 other",
    "1 2 3 - - mail\nnoise",
];

pub(in crate::store::tests) fn operation() -> impl Strategy<Value = Op> {
    let says = (select(&[0, 1, 90_000][..]), prop::bool::weighted(0.2));
    // Redis drops the keys by its own clock, which no test turns: not within a sequence.
    let ttl = select(&[61_000, 600_000][..]);
    let counted = (0..3u64, select(&LINES[..]));
    (0..WORKERS, says, ttl, counted).prop_map(
        |(worker, (age_ms, stops), ttl_ms, (number, lines))| {
            Op::Other(Arc::new(Reports {
                worker,
                age_ms,
                stops,
                ttl_ms,
                number,
                lines,
            }))
        },
    )
}

impl Operation for Reports {
    /// And all are looked at before that and after it.
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        shown_alike(world)?;
        world.both(&Report {
            worker: &format!("worker-{}", self.worker),
            age_ms: self.age_ms,
            stops: self.stops,
            ttl_ms: self.ttl_ms,
            most: 2,
            about: b"about",
            number: self.number,
            lines: self.lines,
        })?;
        shown_alike(world)?;
        let held = world.redis.dump();
        let (workers, about) = (held.names("workers"), held.names("about"));
        let is_whole = workers == about && workers.len() <= 2;
        let told = || format!("{workers:?} are remembered, and {about:?} have said something");
        is_whole.then_some(()).ok_or_else(told)
    }
}

/// The few workers are one page; its order differs.
fn shown_alike(world: &mut World<'_>) -> Result<(), Wrong> {
    let verb = Workers {
        cursor: Workers::FIRST,
        limit: 10,
    };
    let (mut redis, mut memory) = (world.redis.call(&verb)?, world.memory.call(&verb));
    redis.workers.sort();
    memory.workers.sort();
    same("workers", &redis, &memory)?;
    world.both(&History { from: 2, limit: 3 })
}
