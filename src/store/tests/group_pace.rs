//! Rates of groups, and holds of groups: how many of their jobs start, when they go on, and that nothing is left.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gates::{of_group, ordered};
use super::{Rig, completed, job, on_both, with};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::state::State;
use crate::policy::limits::Rate;
use crate::policy::settings::QueueSettings;
use crate::store::group::{self, Found, Group};
use crate::store::trim::Trim;

const SECOND: Duration = Duration::from_secs(1);
/// A second and its margin.
const WINDOW_MS: u64 = 1_020;

fn wait(after: Duration) -> Outcome {
    Outcome::RateLimited { after }
}

impl Rig {
    fn look_at(&mut self, group: &str) -> Found {
        self.change_group(group, [], false)
    }

    fn rate(&mut self, group: &str, rate: &str) -> Found {
        self.change_group(group, [(group::RATE, rate.to_owned())], false)
    }

    fn resume_group(&mut self, group: &str) -> Found {
        self.change_group(group, [(group::PAUSED, String::new())], true)
    }

    fn change_group<const N: usize>(
        &mut self,
        group: &str,
        change: [(&'static str, String); N],
        resume: bool,
    ) -> Found {
        let change = BTreeMap::from(change);
        self.call(&Group {
            group,
            change,
            resume,
        })
    }

    fn trimmed(&mut self) -> bool {
        let trim = Trim {
            limit: 256,
            lane_ttl_ms: 60_000,
            lanes_cursor: "0",
        };
        self.call(&trim).more
    }

    fn next_at_ms(&mut self) -> Option<u64> {
        self.traits = true;
        self.advance(&[], 1).next_at_ms
    }
}

fn a_group_starts_no_more_than_its_rate_and_one_worker_comes_back(mut rig: Rig) {
    rig.rate("g", "3/1000/burst");
    rig.enqueue(&["g-0", "g-1", "g-2", "g-3", "g-4"].map(of_group));
    rig.enqueue(&[job("plain"), ordered("o-0")]);
    let now_ms = rig.now_ms();
    assert_eq!(rig.claim_ids(9), ["g-0", "plain", "o-0", "g-1", "g-2"]);
    assert_eq!(rig.job_state("g-3"), Some(State::Blocked));
    assert_eq!(rig.next_at_ms(), Some(now_ms + WINDOW_MS));
    rig.wait_ms(WINDOW_MS - 1);
    assert!(rig.claim_ids(9).is_empty());
    rig.wait_ms(1);
    assert_eq!(rig.claim_ids(9), ["g-3", "g-4"]);
}

fn the_rate_for_all_groups_holds_for_each_by_itself(mut rig: Rig) {
    rig.set(QueueSettings::new().group_rate(Rate::burst(1, SECOND)));
    rig.rate("h", "2/1000/burst");
    rig.enqueue(&["g-0", "g-1", "h-0", "h-1", "h-2", "i-0"].map(of_group));
    assert_eq!(rig.claim_ids(9), ["g-0", "h-0", "i-0", "h-1"]);
    rig.set(QueueSettings::new().group_rate(None));
    rig.wait_ms(WINDOW_MS);
    assert_eq!(rig.claim_ids(9), ["g-1", "h-2"]);
}

fn a_smooth_rate_of_a_group_starts_one_after_the_other(mut rig: Rig) {
    rig.rate("g", "10/1000/smooth");
    rig.enqueue(&["g-0", "g-1", "g-2"].map(of_group));
    assert_eq!(rig.claim_ids(9), ["g-0"]);
    let at_ms = rig.next_at_ms().unwrap();
    let gap_ms = at_ms - rig.now_ms();
    // What the first of all was late with is caught up, up to a 32nd of the period.
    assert!((70..=110).contains(&gap_ms), "{gap_ms}");
    rig.wait_ms(gap_ms - 1);
    assert!(rig.claim_ids(9).is_empty());
    rig.wait_ms(1);
    assert_eq!(rig.claim_ids(9), ["g-1"]);
}

fn each_start_counts_as_one_also_of_a_heavy_job_and_again_after_a_failure(mut rig: Rig) {
    rig.rate("g", "2/1000/burst");
    let heavy = JobOptions::new().group("g").weight(50);
    rig.enqueue(&[with("g-0", &heavy), of_group("g-1"), of_group("g-2")]);
    let first = rig.claim_some(1).pop().unwrap();
    let again = rig.end(&first, Outcome::Released, 1).pop().unwrap();
    assert_eq!(again.id.as_str(), "g-0");
    assert!(rig.claim_ids(9).is_empty(), "two have started");
}

fn a_job_that_was_told_to_wait_holds_its_group_and_no_other(mut rig: Rig) {
    rig.enqueue(&["g-0", "g-1", "h-0"].map(of_group));
    let first = rig.claim_some(1).pop().unwrap();
    let until_ms = rig.now_ms() + 5_000;
    let others = rig.end(&first, wait(5 * SECOND), 9);
    assert_eq!(others.len(), 1, "of the other group");
    let found = rig.look_at("g");
    assert_eq!((found.held_until_ms, found.active), (until_ms, 0));
    assert_eq!(rig.counts().held_until, None);
    rig.end(&others[0], completed(), 9);
    assert_eq!(rig.next_at_ms(), Some(until_ms), "one worker comes back");
    rig.wait_ms(4_999);
    assert!(rig.claim_ids(9).is_empty());
    rig.wait_ms(1);
    // Its exact place, and no attempt was burnt.
    let again = rig.claim_some(1).pop().unwrap();
    assert_eq!((again.id, again.counters), (first.id, None));
    assert_eq!(rig.look_at("g").held_until_ms, 0);
}

fn a_hold_of_a_group_is_only_made_longer_and_resume_ends_it(mut rig: Rig) {
    rig.enqueue(&["g-0", "g-1", "g-2"].map(of_group));
    let claimed = rig.claim_some(2);
    let until_ms = rig.now_ms() + 5_000;
    rig.end(&claimed[0], wait(5 * SECOND), 0);
    rig.end(&claimed[1], wait(SECOND), 9);
    assert_eq!(rig.look_at("g").held_until_ms, until_ms);
    assert!(rig.claim_ids(9).is_empty());
    assert_eq!(rig.resume_group("g").held_until_ms, 0);
    assert_eq!(rig.claim_ids(9), ["g-0", "g-1", "g-2"]);
}

fn a_hold_of_an_order_or_of_no_group_is_one_of_the_queue(mut rig: Rig) {
    rig.enqueue(&[ordered("o-0"), of_group("g-0")]);
    let first = rig.claim_some(1).pop().unwrap();
    assert!(rig.end(&first, wait(SECOND), 9).is_empty());
    assert!(rig.counts().held_until.is_some());
}

fn a_rate_that_is_raised_holds_at_once(mut rig: Rig) {
    rig.rate("g", "1/60000/burst");
    rig.enqueue(&["g-0", "g-1", "g-2"].map(of_group));
    assert_eq!(rig.claim_ids(9), ["g-0"]);
    rig.rate("g", "2/60000/burst");
    assert_eq!(rig.claim_ids(9), ["g-1"]);
    rig.rate("g", "");
    assert_eq!(rig.claim_ids(9), ["g-2"]);
}

fn g8_nothing_is_left_of_the_pace_of_a_group_without_jobs(mut rig: Rig) {
    rig.keep_nothing();
    rig.set(QueueSettings::new().group_rate(Rate::smooth(5, SECOND)));
    rig.enqueue(&["g-0", "h-0"].map(of_group));
    for job in rig.claim_some(9) {
        rig.end(&job, completed(), 0);
    }
    assert_eq!(rig.size("paced"), 2);
    rig.trimmed();
    assert_eq!(rig.size("paced"), 2, "it says something still");
    rig.wait_ms(WINDOW_MS + 21);
    rig.trimmed();
    assert_eq!(rig.size("paced"), 0);
    assert!(rig.subject.dump().get("meta", "paced").is_none());
    rig.assert_no_gates();
}

fn a_call_looks_at_a_limited_number_of_groups(mut rig: Rig) {
    const GROUPS: usize = 300;
    rig.set(QueueSettings::new().group_rate(Rate::burst(1, SECOND)));
    for half in 0..2 {
        let jobs = (0..GROUPS).map(|group| of_group(&format!("g{group:03}-{half}")));
        let jobs: Vec<_> = jobs.collect();
        for part in jobs.chunks(150) {
            rig.enqueue(part);
        }
    }
    let first = rig.claim_ids(256).len() + rig.claim_ids(256).len();
    assert_eq!(first, GROUPS);
    rig.wait_ms(WINDOW_MS);
    rig.traits = true;
    let advanced = rig.advance(&[], 0);
    assert!(advanced.more);
    assert_eq!(rig.size("waiting"), 256);
    rig.advance(&[], 0);
    assert_eq!(rig.size("waiting"), GROUPS);
}

fn after_a_step_of_the_clock_backwards_a_hold_of_a_group_is_over(mut rig: Rig) {
    rig.enqueue(&["g-0", "g-1"].map(of_group));
    let first = rig.claim_some(1).pop().unwrap();
    rig.end(&first, wait(SECOND), 0);
    rig.set_clock_back(SECOND * 2 * 24 * 3_600);
    assert_eq!(rig.look_at("g").held_until_ms, 0);
    // Workers look after groups that hold jobs back.
    rig.trimmed();
    assert_eq!(rig.claim_ids(9).len(), 2);
}

on_both!(
    a_group_starts_no_more_than_its_rate_and_one_worker_comes_back,
    the_rate_for_all_groups_holds_for_each_by_itself,
    a_smooth_rate_of_a_group_starts_one_after_the_other,
    each_start_counts_as_one_also_of_a_heavy_job_and_again_after_a_failure,
    a_job_that_was_told_to_wait_holds_its_group_and_no_other,
    a_hold_of_a_group_is_only_made_longer_and_resume_ends_it,
    a_hold_of_an_order_or_of_no_group_is_one_of_the_queue,
    a_rate_that_is_raised_holds_at_once,
    g8_nothing_is_left_of_the_pace_of_a_group_without_jobs,
    a_call_looks_at_a_limited_number_of_groups,
    after_a_step_of_the_clock_backwards_a_hold_of_a_group_is_over,
);
