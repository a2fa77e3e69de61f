//! Limits of a queue, and a hold: what is claimed, who comes back when more may be, and that nothing is claimed too early.

pub(super) mod operations;
mod wakeups;

use super::*;
use crate::policy::limits::Rate;
use crate::queue::info::Counts as Counted;
use crate::store::pause::Pause;
use crate::store::resume::Resume;
use crate::store::trim::Trim;

const SECOND: Duration = Duration::from_secs(1);
/// A second, and its margin.
const WINDOW_MS: u64 = 1_020;

fn unlimited() -> QueueSettings {
    QueueSettings::new().rate(None).concurrency(None)
}

impl Rig {
    fn limit(&mut self, limits: QueueSettings) {
        self.set(limits);
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    pub(super) fn set_clock_back(&mut self, by: Duration) {
        self.now_us -= by.as_micros() as u64;
        self.subject.set_clock(self.now_us);
    }

    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.wait(Duration::from_millis(ms));
    }

    fn enqueue_some(&mut self, jobs: std::ops::Range<u32>) {
        let jobs: Vec<_> = jobs.map(|n| job(&format!("job-{n:02}"))).collect();
        self.enqueue(&jobs);
    }

    /// When an idle worker is to look, as the wake-up token says.
    fn pop_token(&mut self) -> Option<u64> {
        let token = match &mut self.subject {
            Subject::Redis(redis) => redis.pop_token(),
            Subject::Memory(memory) => memory.pop_token(),
        };
        token.map(|token| token as u64)
    }

    /// Another worker than the one of `advance` claims.
    fn other(&mut self, claim: usize, hold: bool) -> Advanced {
        self.call += 1;
        let verb = Advance {
            lane: "other-lane",
            call: self.call,
            worker: "other",
            settle: &[],
            claim,
            claim_bytes: BATCH_BYTES,
            suspects: Suspects::default(),
            lease_ms: self.lease_ms,
            hold,
            handlers: None,
            heard: 0,
            again: false,
            traits: false,
            ask: false,
        };
        match self.call(&verb) {
            Answer::Advanced(advanced) => advanced,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn counts(&mut self) -> Counted {
        Counted::from_counted(&self.call(&Counts))
    }
}

fn ids(advanced: &Advanced) -> Vec<&str> {
    let claimed = advanced.claimed.iter();
    claimed.map(|claimed| claimed.id.as_str()).collect()
}

fn completed_all(advanced: &Advanced) -> Vec<Settlement> {
    let claimed = advanced.claimed.iter();
    claimed
        .map(|claimed| settlement(&claimed.id, &claimed.receipt, completed()))
        .collect()
}

fn a_burst_starts_at_once_and_then_one_worker_comes_back_when_it_has_left_the_window(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(3, SECOND)));
    assert_eq!(rig.pop_token(), Some(0), "a change wakes a worker");
    rig.enqueue_some(0..9);
    let begin = rig.now_ms();
    let first = rig.advance(&[], 5);
    assert_eq!(ids(&first), ["job-00", "job-01", "job-02"]);
    assert_eq!((first.more, first.held), (false, true));
    assert_eq!(first.next_at_ms, Some(begin + WINDOW_MS));
    rig.pop_token();
    // The others are not told the moment, and none is woken.
    let other = rig.other(5, true);
    assert_eq!((other.claimed.len(), other.next_at_ms), (0, None));
    assert_eq!(rig.pop_token(), None);
    let counts = rig.counts();
    assert_eq!((counts.started, counts.waiting, counts.active), (3, 6, 3));

    // Ends do not count, and what is in line keeps its places.
    rig.wait_ms(WINDOW_MS - 1);
    let ended = rig.advance(&completed_all(&first), 5);
    assert_eq!((ended.claimed.len(), ended.held), (0, true));
    rig.wait_ms(1);
    let next = rig.advance(&[], 2);
    assert_eq!(ids(&next), ["job-03", "job-04"]);
    assert_eq!((next.more, next.held), (true, false));
    assert_eq!(
        rig.pop_token(),
        Some(0),
        "there is a start left for another worker"
    );
    assert_eq!(ids(&rig.other(5, true)), ["job-05"]);
}

fn a_smooth_rate_starts_one_after_the_other(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::smooth(10, SECOND)));
    rig.enqueue_some(0..9);
    let mut gaps = Vec::new();
    for _ in 0..6 {
        let next = rig.advance(&[], 9);
        assert_eq!(next.claimed.len(), 1);
        let wait_ms = next.next_at_ms.unwrap() - rig.now_ms();
        gaps.push(wait_ms);
        rig.wait_ms(wait_ms);
    }
    assert!(gaps.iter().all(|ms| (72..=105).contains(ms)), "{gaps:?}");
}

fn a_concurrency_is_kept_over_all_workers_and_the_end_of_a_job_starts_the_next(mut rig: Rig) {
    rig.limit(QueueSettings::new().concurrency(2));
    rig.enqueue_some(0..5);
    let first = rig.advance(&[], 1);
    let other = rig.other(5, true);
    assert_eq!((ids(&first), ids(&other)), (vec!["job-00"], vec!["job-01"]));
    rig.pop_token();
    let full = rig.advance(&[], 3);
    assert_eq!(
        (full.claimed.len(), full.held, full.next_at_ms),
        (0, true, None)
    );
    assert_eq!(rig.pop_token(), None);
    // The same call that ends a job claims the next.
    let next = rig.advance(&completed_all(&first), 3);
    assert_eq!(ids(&next), ["job-02"]);
    // A worker that stops wakes another.
    rig.advance(&completed_all(&next), 0);
    assert_eq!(rig.pop_token(), Some(0));
    assert_eq!(ids(&rig.other(5, true)), ["job-03"]);
}

fn a_change_holds_from_the_next_call_on_and_none_takes_limits_away(mut rig: Rig) {
    rig.limit(
        QueueSettings::new()
            .rate(Rate::burst(1, SECOND))
            .concurrency(9),
    );
    rig.enqueue_some(0..9);
    assert_eq!(rig.advance(&[], 5).claimed.len(), 1);
    rig.pop_token();
    rig.limit(QueueSettings::new().rate(Rate::burst(3, SECOND)));
    assert_eq!(rig.pop_token(), Some(0));
    assert_eq!(rig.advance(&[], 5).claimed.len(), 2);
    rig.limit(QueueSettings::new().rate(Rate::burst(1, SECOND)));
    rig.wait_ms(WINDOW_MS);
    assert_eq!(rig.advance(&[], 5).claimed.len(), 1);
    rig.limit(unlimited());
    assert!(rig.subject.dump().get("meta", "started").is_none());
    assert_eq!(rig.advance(&[], 9).claimed.len(), 5);
    let counts = rig.counts();
    assert_eq!((counts.rate, counts.concurrency), (None, None));
}

fn a_repeated_call_does_not_count_again(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(2, SECOND)));
    rig.enqueue_some(0..3);
    rig.call += 1;
    let first = rig.advance_as(rig.call, &[], 1, false);
    let again = rig.advance_as(rig.call, &[], 1, false);
    assert!(again.repeated);
    assert_eq!(first.claimed, again.claimed);
    assert_eq!(rig.counts().started, 1);
    assert_eq!(rig.advance(&[], 5).claimed.len(), 1);
}

fn a_new_job_wakes_a_worker_when_it_may_start_and_once(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(1, SECOND)));
    rig.enqueue_some(0..1);
    let first = rig.advance(&[], 1);
    assert_eq!(
        (first.claimed.len(), first.next_at_ms),
        (1, None),
        "nothing waits"
    );
    let opens_ms = rig.now_ms() + WINDOW_MS;
    rig.pop_token();
    rig.enqueue_some(1..2);
    assert_eq!(rig.pop_token(), Some(opens_ms));
    rig.enqueue_some(2..3);
    assert_eq!(rig.pop_token(), None, "a worker knows already");
    // A worker that was woken for another reason takes the timer over.
    assert_eq!(rig.other(1, true).next_at_ms, Some(opens_ms));
    rig.wait_ms(WINDOW_MS);
    rig.enqueue_some(3..4);
    assert_eq!(rig.pop_token(), Some(0));
}

fn a_worker_without_a_free_slot_or_that_stops_leaves_the_timer_to_others(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(2, SECOND)));
    rig.enqueue_some(0..5);
    rig.pop_token();
    let opens_ms = rig.now_ms() + WINDOW_MS;
    let busy = rig.advance(&[], 2);
    assert_eq!((busy.claimed.len(), busy.next_at_ms), (2, None));
    assert_eq!(rig.pop_token(), Some(opens_ms));
    let stops = rig.other(0, false);
    assert_eq!(stops.next_at_ms, None);
    assert_eq!(rig.pop_token(), Some(opens_ms));
}

fn what_becomes_due_is_looked_for_when_it_may_start(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(1, SECOND)));
    rig.enqueue_some(0..1);
    let mut soon = job("soon");
    soon.due = Due::After { ms: 10 };
    rig.enqueue(&[soon]);
    let opens_ms = rig.now_ms() + WINDOW_MS;
    let first = rig.advance(&[], 5);
    assert_eq!(ids(&first), ["job-00"]);
    assert_eq!(first.next_at_ms, Some(opens_ms));
}

fn a_heavy_job_waits_for_its_units_and_holds_its_place(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(5, SECOND)));
    let weighs = |id: &str, weight: &str| {
        let mut heavy = job(id);
        let field = format!("weight={weight} ").into_bytes();
        heavy.record.record.splice(0..0, field);
        heavy
    };
    let opens_ms = rig.now_ms() + WINDOW_MS;
    rig.enqueue(&[
        weighs("a", "3"),
        weighs("b", "3"),
        job("c"),
        weighs("d", "99"),
        job("e"),
    ]);
    let first = rig.advance(&[], 9);
    assert_eq!((ids(&first), first.held), (vec!["a"], true));
    assert_eq!(first.next_at_ms, Some(opens_ms));
    assert_eq!(rig.counts().started, 3);
    rig.wait_ms(WINDOW_MS);
    assert_eq!(ids(&rig.advance(&[], 9)), ["b", "c"]);
    // One beyond the limit starts when nothing else has started for a period, and alone.
    rig.wait_ms(WINDOW_MS);
    assert_eq!(ids(&rig.advance(&[], 9)), ["d"]);
    rig.wait_ms(WINDOW_MS);
    assert_eq!(ids(&rig.advance(&[], 9)), ["e"]);
    // What is no number, or none of ours, counts as one.
    for (n, weight) in ["0", "-5", "nan", "1e3", "0x10", ""].iter().enumerate() {
        rig.wait_ms(WINDOW_MS);
        rig.enqueue(&[weighs(&format!("odd-{n}"), weight)]);
        assert_eq!(rig.advance(&[], 9).claimed.len(), 1);
        assert_eq!(rig.counts().started, 1, "{weight}");
    }
}

/// What lies ahead counts as of the first look, not as of every look.
fn after_a_step_of_the_clock_backwards_a_rate_opens_within_a_period(mut rig: Rig) {
    for (rate, jobs) in [
        (Rate::burst(2, SECOND), 0..9),
        (Rate::smooth(2, SECOND), 9..18),
    ] {
        rig.limit(unlimited());
        rig.limit(QueueSettings::new().rate(rate));
        rig.enqueue_some(jobs);
        while !rig.advance(&[], 2).claimed.is_empty() {}
        rig.set_clock_back(SECOND * 3_600);
        let first = rig.advance(&[], 2);
        assert_eq!((first.claimed.len(), first.held), (0, true));
        let opens_ms = first.next_at_ms.unwrap();
        assert!(opens_ms <= rig.now_ms() + WINDOW_MS + 21);
        let stored = rig.subject.dump().get("meta", "started").cloned();
        for _ in 0..2 {
            rig.wait_ms(300);
            let next = rig.advance(&[], 2);
            assert_eq!((next.claimed.len(), next.next_at_ms), (0, Some(opens_ms)));
        }
        let again = rig.subject.dump().get("meta", "started").cloned();
        assert_eq!(stored, again, "written once");
        rig.wait_ms(opens_ms - rig.now_ms());
        let open = rig.advance(&[], 2);
        assert!(!open.claimed.is_empty(), "{rate}");
        rig.wait(SECOND * 7_200);
        while rig.claim_one().is_some() {
            rig.wait(SECOND);
        }
    }
}

/// Nobody knows how much of it is left.
fn after_a_step_of_the_clock_backwards_a_hold_is_over(mut rig: Rig) {
    rig.enqueue_some(0..3);
    let first = rig.claim_one().unwrap();
    assert!(rig.settle(&first.id, &first.receipt, rate_limited(SECOND)));
    assert!(rig.counts().held_until.is_some());
    rig.set_clock_back(SECOND * 3_600);
    let counts = rig.counts();
    assert_eq!((counts.held_until, counts.paused), (None, false));
    assert!(rig.claim_one().is_some());
    assert!(rig.subject.dump().get("meta", "paused").is_none());
}

/// A worker that has handlers for unhandled jobs was held back, and sleeps. Another worker comes when the limits open.
fn when_limits_open_the_worker_with_the_handler_hears_of_unhandled_jobs(mut rig: Rig) {
    let limits = [
        QueueSettings::new().concurrency(1),
        QueueSettings::new()
            .rate(Rate::burst(2, SECOND))
            .concurrency(None),
    ];
    for (limits, [theirs, mine]) in limits.into_iter().zip([["a1", "x1"], ["a2", "x2"]]) {
        rig.limit(limits);
        rig.enqueue(&[job(theirs)]);
        let told = rig.hand_all_back().unhandled;
        rig.enqueue(&[job(mine)]);
        let running = rig.advance(&[], 1);
        assert_eq!(ids(&running), [mine]);
        rig.pop_token();
        // Nobody who was held back has a handler.
        let other = rig.ask(1, &["c"], told);
        assert_eq!((other.held, other.unhandled), (true, told));
        assert!(rig.subject.dump().get("meta", "offers_held").is_none());
        let held = rig.ask(1, &["a"], told);
        assert_eq!((held.claimed.len(), held.held, held.more), (0, true, false));
        assert_eq!((held.unhandled, rig.pop_token()), (told, None));

        rig.wait_ms(WINDOW_MS);
        let done = completed_all(&running);
        let open = rig.ask_with(&done, 1, BATCH_BYTES, &["x"], told);
        assert_eq!((open.claimed.len(), open.held), (0, false));
        assert!(open.unhandled > told);
        // It passes from worker to worker, and each of them passes it on once.
        assert_eq!(rig.pop_token(), Some(0));
        assert_eq!(rig.ask(1, &["x"], open.unhandled).unhandled, open.unhandled);
        assert_eq!(rig.pop_token(), None);
        assert_eq!(rig.ask(1, &["c"], told).unhandled, open.unhandled);
        assert_eq!(rig.pop_token(), Some(0));
        let found = rig.ask(1, &["a"], told);
        assert_eq!((ids(&found), rig.pop_token()), (vec![theirs], None));
        let ended = rig.ask_with(&completed_all(&found), 1, BATCH_BYTES, &["a"], 0);
        assert_eq!((ended.unhandled, rig.pop_token()), (0, None));
        assert!(rig.subject.dump().get("meta", "offers_held").is_none());
        rig.wait_ms(WINDOW_MS);
    }
}

fn one_worker_comes_back_for_what_expires_while_too_many_jobs_run(mut rig: Rig) {
    rig.limit(QueueSettings::new().concurrency(1));
    rig.enqueue_some(0..1);
    assert_eq!(rig.advance(&[], 2).claimed.len(), 1);
    rig.enqueue(&[expiry::expiring("a")]);
    let at_ms = rig.now_ms() + 60_000;
    assert_eq!(rig.advance(&[], 2).next_at_ms, Some(at_ms));
    assert_eq!(rig.other(2, true).next_at_ms, None);
    rig.wait_ms(60_000);
    let plain = rig.advance(&[], 2);
    assert_eq!((plain.held, plain.traits), (true, true), "it calls again");
    assert_eq!(plain.next_at_ms, None);
    rig.traits = true;
    assert_eq!(rig.advance(&[], 2).next_at_ms, None);
    assert_eq!(rig.counts().totals.cancelled, 1);
}

fn rate_limited(wait: Duration) -> Outcome {
    Outcome::RateLimited { after: wait }
}

fn a_job_that_was_told_to_wait_goes_back_and_the_whole_queue_waits(mut rig: Rig) {
    rig.enqueue_some(0..3);
    let first = rig.claim_one().unwrap();
    let until_ms = rig.now_ms() + 5_000;
    let told = settlement(&first.id, &first.receipt, rate_limited(SECOND * 5));
    let held = rig.advance(&[told], 3);
    assert!(held.refused.is_empty());
    assert_eq!((held.claimed.len(), held.more), (0, false));
    assert_eq!(held.next_at_ms, Some(until_ms), "one worker comes back");
    let other = rig.other(3, true);
    assert_eq!((other.claimed.len(), other.next_at_ms), (0, None));
    let counts = rig.counts();
    let shown = counts.held_until.map(|until| until.as_millis());
    assert_eq!((shown, counts.paused), (Some(until_ms), false));
    rig.pop_token();
    rig.enqueue_some(3..4);
    assert_eq!(rig.pop_token(), None);

    rig.wait_ms(4_999);
    assert!(rig.claim_one().is_none());
    rig.wait_ms(1);
    assert_eq!(rig.counts().held_until, None);
    // Its exact place, and no attempt was burnt.
    let again = rig.claim_one().unwrap();
    assert_eq!((again.id, again.counters), (first.id, None));
    assert!(rig.subject.dump().get("meta", "paused").is_none());
}

fn a_hold_is_only_made_longer_and_an_operator_goes_before_it(mut rig: Rig) {
    rig.enqueue_some(0..9);
    let claimed = rig.advance(&[], 4).claimed;
    let mut tell = claimed.iter();
    let mut told = |rig: &mut Rig, wait| {
        let next = tell.next().unwrap();
        assert!(rig.settle(&next.id, &next.receipt, rate_limited(wait)));
        rig.counts().held_until.map(|until| until.as_millis())
    };
    let until_ms = rig.now_ms() + 10_000;
    assert_eq!(told(&mut rig, SECOND * 10), Some(until_ms));
    assert_eq!(told(&mut rig, SECOND * 5), Some(until_ms));
    assert_eq!(told(&mut rig, SECOND * 20), Some(until_ms + 10_000));
    // An operator ends it, or pauses the queue whatever it says.
    assert!(rig.call(&Pause));
    assert!(rig.counts().paused);
    assert_eq!(told(&mut rig, SECOND * 60), None, "paused, and not held");
    assert!(!rig.call(&Pause));
    rig.wait(SECOND * 100);
    assert!(rig.claim_one().is_none());
    assert!(rig.call(&Resume));
    let next = rig.claim_one().unwrap();
    assert!(rig.settle(&next.id, &next.receipt, rate_limited(SECOND)));
    assert!(rig.call(&Resume), "before it is over");
    assert!(!rig.call(&Resume));
    assert!(rig.claim_one().is_some());
}

fn what_an_attempt_says_that_has_lost_its_job_holds_nothing(mut rig: Rig) {
    rig.enqueue_some(0..1);
    let claimed = rig.claim_one().unwrap();
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert!(!rig.settle(&claimed.id, &claimed.receipt, rate_limited(SECOND)));
    assert_eq!(rig.counts().held_until, None);
}

fn g8_nothing_is_left_of_a_queue_that_starts_nothing(mut rig: Rig) {
    rig.keep_nothing();
    rig.limit(QueueSettings::new().rate(Rate::burst(1, SECOND)));
    rig.enqueue_some(0..1);
    let claimed = rig.advance(&[], 1);
    rig.advance(&completed_all(&claimed), 0);
    assert!(rig.subject.dump().get("meta", "started").is_some());
    rig.wait(SECOND * 61);
    rig.call(&Trim {
        limit: 100,
        lane_ttl_ms: 60_000,
        lanes_cursor: "0",
    });
    assert!(rig.subject.dump().get("meta", "started").is_none());
}

on_both!(
    a_burst_starts_at_once_and_then_one_worker_comes_back_when_it_has_left_the_window,
    a_smooth_rate_starts_one_after_the_other,
    a_concurrency_is_kept_over_all_workers_and_the_end_of_a_job_starts_the_next,
    a_change_holds_from_the_next_call_on_and_none_takes_limits_away,
    a_repeated_call_does_not_count_again,
    a_new_job_wakes_a_worker_when_it_may_start_and_once,
    a_worker_without_a_free_slot_or_that_stops_leaves_the_timer_to_others,
    what_becomes_due_is_looked_for_when_it_may_start,
    a_heavy_job_waits_for_its_units_and_holds_its_place,
    a_job_that_was_told_to_wait_goes_back_and_the_whole_queue_waits,
    a_hold_is_only_made_longer_and_an_operator_goes_before_it,
    what_an_attempt_says_that_has_lost_its_job_holds_nothing,
    g8_nothing_is_left_of_a_queue_that_starts_nothing,
    after_a_step_of_the_clock_backwards_a_rate_opens_within_a_period,
    after_a_step_of_the_clock_backwards_a_hold_is_over,
    when_limits_open_the_worker_with_the_handler_hears_of_unhandled_jobs,
    one_worker_comes_back_for_what_expires_while_too_many_jobs_run,
);
