//! Who is woken when a limit or a hold opens, and what may start then.

use super::*;

/// A job that counts as so many starts.
fn heavy(id: &str, weight: u32) -> NewJob {
    with(id, &JobOptions::new().weight(weight))
}

/// The token was popped by a worker whose slots have filled meanwhile: it cannot keep the timer, and no other worker does.
fn a_token_that_a_worker_without_a_free_slot_has_popped_is_armed_again(mut rig: Rig) {
    rig.limit(Limits::new().rate(Rate::burst(1, SECOND)));
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
    rig.limit(Limits::new().rate(Rate::burst(5, SECOND)));
    rig.enqueue(&[heavy("a", 5)]);
    assert_eq!(ids(&rig.advance(&[], 9)), ["a"]);
    rig.lose_workers();
    rig.lease_ms = 60_000;
    rig.enqueue_some(0..1);
    rig.call += 1;
    let light = rig.advance_as(rig.call, &[], 9, false);
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

on_both!(
    a_token_that_a_worker_without_a_free_slot_has_popped_is_armed_again,
    a_token_popped_during_a_hold_is_armed_again,
    a_heavy_suspect_is_not_overtaken_by_light_jobs,
);
