//! Who is woken when a limit or a hold opens, and what may start then.

use super::*;

/// A job that counts as so many starts.
fn heavy(id: &str, weight: u32) -> NewJob {
    with(id, &JobOptions::new().weight(weight))
}

/// The token was popped by a worker whose slots have filled meanwhile: it cannot keep the timer, and no other worker does.
fn a_token_that_a_worker_without_a_free_slot_has_popped_is_armed_again(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(1, SECOND)));
    rig.enqueue_some(0..3);
    rig.pop_token();
    let opens_ms = rig.now_ms() + WINDOW_MS;
    rig.advance(&[], 1);
    assert_eq!(rig.pop_token(), Some(opens_ms));
    for _ in 0..2 {
        let full = rig.other(0, true);
        assert_eq!((full.held, full.next_at_ms), (true, None));
        assert_eq!(rig.pop_token(), Some(opens_ms));
    }
    // A producer has popped none.
    rig.enqueue_some(3..4);
    assert_eq!(rig.pop_token(), None);
    // As soon as a worker keeps the timer, no other is woken for it.
    assert_eq!(rig.advance(&[], 1).next_at_ms, Some(opens_ms));
    assert_eq!(rig.other(0, true).next_at_ms, None);
    assert_eq!(rig.pop_token(), None);
    // That worker leaves it when its slots fill.
    assert_eq!(rig.advance(&[], 0).next_at_ms, None);
    assert_eq!(rig.pop_token(), Some(opens_ms));
}

fn a_token_popped_during_a_hold_is_armed_again(mut rig: Rig) {
    rig.enqueue_some(0..2);
    let first = rig.claim_one().unwrap();
    let until_ms = rig.now_ms() + 1_000;
    assert!(rig.settle(&first.id, &first.receipt, rate_limited(SECOND)));
    for _ in 0..2 {
        assert!(rig.pop_token().is_some());
        assert_eq!(rig.other(0, true).next_at_ms, None);
    }
    assert_eq!(rig.pop_token(), Some(until_ms));
    assert_eq!(rig.other(1, true).next_at_ms, Some(until_ms));
}

/// A suspect comes before the jobs in line, so those must not use up the rate before it may start.
fn a_heavy_suspect_is_not_overtaken_by_light_jobs(mut rig: Rig) {
    rig.traits = true;
    rig.lease_ms = 1_000;
    rig.set(QueueSettings::new().max_stalls(9));
    rig.limit(QueueSettings::new().rate(Rate::burst(5, SECOND)));
    rig.enqueue(&[heavy("a", 5)]);
    assert_eq!(ids(&rig.advance(&[], 9)), ["a"]);
    rig.lose_workers();
    rig.lease_ms = 60_000;
    rig.enqueue_some(0..1);
    let light = rig.advance_without_suspects(&[], 9);
    assert_eq!(ids(&light), ["job-00"], "this worker runs no suspects");
    let opens_ms = rig.now_ms() + WINDOW_MS;
    rig.enqueue_some(1..3);
    let held = rig.advance(&[], 9);
    assert_eq!((ids(&held), held.held), (Vec::new(), true));
    assert_eq!(held.next_at_ms, Some(opens_ms), "all five are free then");
    rig.wait_ms(WINDOW_MS);
    assert_eq!(ids(&rig.advance(&[], 9)), ["a"]);
    rig.wait_ms(WINDOW_MS);
    assert_eq!(ids(&rig.advance(&[], 9)), ["job-01", "job-02"]);
}

impl Rig {
    /// The worker runs a suspect that must be alone, or as many as it may: it takes no further one.
    fn advance_without_suspects(&mut self, settle: &[Settlement], claim: usize) -> Advanced {
        self.call += 1;
        self.advance_as(self.call, settle, claim, false)
    }
}

fn ended_all(advanced: &Advanced, outcome: &Outcome) -> Vec<Settlement> {
    let claimed = advanced.claimed.iter();
    claimed
        .map(|claimed| settlement(&claimed.id, &claimed.receipt, outcome.clone()))
        .collect()
}

/// A job whose worker died waits alone.
fn lose_one(rig: &mut Rig, id: &str) {
    rig.lease_ms = 1_000;
    rig.enqueue(&[job(id)]);
    assert_eq!(ids(&rig.advance(&[], 1)), [id]);
    rig.lose_workers();
    rig.lease_ms = 60_000;
}

fn a_suspect_that_a_limit_lets_go_on_is_offered_to_another_worker(mut rig: Rig) {
    rig.limit(QueueSettings::new().concurrency(1));
    lose_one(&mut rig, "suspect");
    rig.enqueue(&[job("x")]);
    let running = rig.advance_without_suspects(&[], 1);
    rig.pop_token();
    let held = rig.other(1, true);
    assert_eq!((held.held, held.suspects, rig.pop_token()), (true, 1, None));
    let open = rig.advance_without_suspects(&completed_all(&running), 1);
    assert_eq!((open.claimed.len(), open.suspects), (0, 1));
    assert_eq!(rig.pop_token(), Some(0));
    // A worker that cannot take it either wakes no further one.
    assert_eq!(rig.advance_without_suspects(&[], 1).suspects, 1);
    assert_eq!(rig.pop_token(), None);
    assert_eq!(ids(&rig.advance(&[], 1)), ["suspect"]);
}

fn a_suspect_that_a_rate_or_a_hold_lets_go_on_is_offered_once(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(1, SECOND)));
    for has_holder in [true, false] {
        lose_one(&mut rig, "suspect");
        rig.enqueue(&[job("x")]);
        let opens_ms = rig.now_ms() + WINDOW_MS;
        let running = rig.advance_without_suspects(&[], 1);
        assert_eq!(rig.pop_token(), Some(0), "of the recovery");
        if has_holder {
            assert_eq!(rig.other(1, true).next_at_ms, Some(opens_ms));
        } else {
            // Its token is popped, and its worker comes back.
            assert_eq!(rig.other(0, true).next_at_ms, None);
        }
        rig.pop_token();
        rig.wait_ms(WINDOW_MS);
        for token in [Some(0), None] {
            let open = rig.other(1, true);
            assert_eq!((open.held, open.suspects), (false, 1));
            assert_eq!(rig.pop_token(), token);
        }
        let suspect = rig.advance(&completed_all(&running), 1);
        assert_eq!(ids(&suspect), ["suspect"]);
        rig.advance(&completed_all(&suspect), 0);
        rig.pop_token();
        rig.wait_ms(WINDOW_MS);
        rig.subject.clear();
        rig.subject.set_clock(rig.now_us);
        rig.limit(QueueSettings::new().rate(Rate::burst(1, SECOND)));
    }
    rig.limit(QueueSettings::new().rate(None).concurrency(None));
    lose_one(&mut rig, "suspect");
    rig.enqueue(&[job("x")]);
    let running = rig.advance_without_suspects(&[], 1);
    let waits = ended_all(&running, &rate_limited(SECOND));
    assert_eq!(rig.pop_token(), Some(0));
    let until_ms = rig.now_ms() + 1_000;
    let held = rig.advance_without_suspects(&waits, 1);
    assert_eq!((held.next_at_ms, rig.pop_token()), (Some(until_ms), None));
    rig.wait_ms(1_000);
    let x = rig.advance_without_suspects(&[], 2);
    assert_eq!((ids(&x), rig.pop_token()), (vec!["x"], Some(0)));
}

fn a_suspect_that_is_given_back_is_offered_to_another_worker(mut rig: Rig) {
    lose_one(&mut rig, "suspect");
    let running = rig.advance(&[], 1);
    rig.pop_token();
    let stops = ended_all(&running, &Outcome::Released);
    assert_eq!(rig.advance_without_suspects(&stops, 0).suspects, 1);
    assert_eq!(rig.pop_token(), Some(0));
    // It popped the token itself, while it waited for the last answer.
    assert_eq!(rig.other(0, true).suspects, 1);
    assert_eq!(rig.pop_token(), Some(0));
    // While the queue is paused, nobody is woken.
    let again = rig.advance(&[], 1);
    rig.call(&Pause);
    rig.advance_without_suspects(&ended_all(&again, &Outcome::Released), 0);
    assert_eq!(rig.pop_token(), None);
}

fn a_worker_comes_back_for_a_light_job_that_becomes_due_while_a_heavy_one_waits(mut rig: Rig) {
    rig.limit(QueueSettings::new().rate(Rate::burst(3, SECOND)));
    let opens_ms = rig.now_ms() + WINDOW_MS;
    let due_ms = rig.now_ms() + 50;
    let urgent = |id: &str, ms: u64| NewJob {
        due: Due::After { ms },
        priority: Some(1),
        ..job(id)
    };
    rig.enqueue(&[job("a"), heavy("b", 3), urgent("c", 50)]);
    let first = rig.advance(&[], 5);
    assert_eq!((ids(&first), first.held), (vec!["a"], true));
    assert_eq!(first.next_at_ms, Some(due_ms));
    rig.wait_ms(50);
    let second = rig.advance(&[], 5);
    assert_eq!(
        (ids(&second), second.next_at_ms),
        (vec!["c"], Some(opens_ms + 50))
    );
    // The rate allows no light job before that, either.
    rig.enqueue(&[job("d"), urgent("e", 50)]);
    let third = rig.advance(&[], 5);
    assert_eq!(
        (third.claimed.len(), third.next_at_ms),
        (0, Some(due_ms + 50))
    );
    rig.wait_ms(50);
    assert_eq!(ids(&rig.advance(&[], 5)), ["e"]);
    rig.enqueue(&[urgent("f", 50)]);
    assert_eq!(rig.advance(&[], 5).next_at_ms, Some(opens_ms));
}

/// Its token may be popped for another reason, and then names no moment any more.
fn a_worker_that_stops_leaves_the_timer_to_the_next_caller(mut rig: Rig) {
    let due_ms = rig.now_ms() + 50;
    let mut soon = job("soon");
    soon.due = Due::After { ms: 50 };
    rig.enqueue(&[soon]);
    assert_eq!(rig.other(1, true).next_at_ms, Some(due_ms));
    assert_eq!(rig.advance(&[], 1).next_at_ms, None);
    rig.pop_token();
    rig.enqueue_some(0..1);
    let stops = rig.other(0, false);
    assert_eq!((stops.more, stops.next_at_ms), (true, None));
    assert_eq!(rig.pop_token(), Some(0));
    let next = rig.advance(&[], 2);
    assert_eq!(
        (ids(&next), next.next_at_ms),
        (vec!["job-00"], Some(due_ms))
    );
    // Another worker that stops leaves it where it is.
    rig.other(0, false);
    assert_eq!(rig.pop_token(), Some(due_ms));
    let timer = rig.subject.dump().get("meta", "timer").cloned();
    let kept = format!("{due_ms} worker").into_bytes();
    assert_eq!(timer, Some(kept));
}

on_both!(
    a_worker_comes_back_for_a_light_job_that_becomes_due_while_a_heavy_one_waits,
    a_worker_that_stops_leaves_the_timer_to_the_next_caller,
    a_suspect_that_a_limit_lets_go_on_is_offered_to_another_worker,
    a_suspect_that_a_rate_or_a_hold_lets_go_on_is_offered_once,
    a_suspect_that_is_given_back_is_offered_to_another_worker,
    a_token_that_a_worker_without_a_free_slot_has_popped_is_armed_again,
    a_token_popped_during_a_hold_is_armed_again,
    a_heavy_suspect_is_not_overtaken_by_light_jobs,
);
