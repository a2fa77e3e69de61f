//! Groups and orders: which jobs their gates hold back, and that no job is held back for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{Op, Operation};
use super::random::world::{World, Wrong, same};
use super::{Rig, completed, job, on_both, settlement, with};
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::state::State;
use crate::job::traits::EndTraits;
use crate::policy::order::{OnFailure, Order};
use crate::policy::settings::QueueSettings;
use crate::store::Verb;
use crate::store::advance::Claimed;
use crate::store::cancel::Cancel;
use crate::store::enqueue::{Due, NewJob};
use crate::store::group::{self, Group};
use crate::store::promote::Promote;
use crate::store::remove::Remove;
use crate::store::replay::Replay;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn of_group(id: &str) -> NewJob {
    let group = id.split('-').next().unwrap_or_default();
    with(id, &JobOptions::new().group(group))
}

pub(super) fn ordered(id: &str) -> NewJob {
    ordered_with(id, OnFailure::UntilDead)
}

fn ordered_with(id: &str, on_failure: OnFailure) -> NewJob {
    let key = id.split('-').next().unwrap_or_default();
    with(
        id,
        &JobOptions::new().ordered_by(Order::by(key).on_failure(on_failure)),
    )
}

pub(super) fn after(new: NewJob, delay: Duration) -> NewJob {
    let ms = delay.as_millis() as u64;
    let due = Due::After { ms };
    NewJob { due, ..new }
}

pub(super) fn failed() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

pub(super) fn retry(after: Duration) -> Outcome {
    let entry = failed();
    Outcome::Retry { after, entry }
}

fn dead() -> Outcome {
    let (reason, entry) = (DeadReason::Declared, failed());
    Outcome::Dead { reason, entry }
}

impl Rig {
    pub(super) fn claim_ids(&mut self, limit: usize) -> Vec<String> {
        self.claim_some(limit)
            .iter()
            .map(|job| job.id.to_string())
            .collect()
    }

    pub(super) fn claim_some(&mut self, limit: usize) -> Vec<Claimed> {
        self.traits = true;
        self.advance(&[], limit).claimed
    }

    /// Ends an attempt and claims up to `limit`.
    pub(super) fn end(&mut self, job: &Claimed, outcome: Outcome, limit: usize) -> Vec<Claimed> {
        self.traits = true;
        let mut ended = settlement(&job.id, &job.receipt, outcome);
        ended.traits = EndTraits::of(&job.record);
        let advanced = self.advance(&[ended], limit);
        assert!(advanced.refused.is_empty(), "{} was held", job.id);
        advanced.claimed
    }

    pub(super) fn job_state(&mut self, id: &str) -> Option<State> {
        self.state(&JobId::stored(id))
    }

    fn remove_one(&mut self, id: &str) {
        let ids = &[JobId::stored(id)];
        assert_eq!(self.call(&Remove::of(ids)).removed, [id]);
    }

    fn cancel_one(&mut self, id: &str) {
        let (ids, reason) = (&[JobId::stored(id)], "moot");
        assert_eq!(self.call(&Cancel { ids, reason }).cancelled, [id]);
    }

    /// Nothing is left of any gate.
    pub(super) fn assert_no_gates(&mut self) {
        let sizes = ["blocked", "blocked_by", "gates", "running"].map(|part| self.size(part));
        assert_eq!(sizes, [0; 4], "blocked, blocked_by, gates, running");
    }
}

fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|job| job.id.as_str()).collect()
}

fn groups_take_turns_however_many_jobs_each_has(mut rig: Rig) {
    let many: Vec<NewJob> = (0..5).map(|n| of_group(&format!("a-{n}"))).collect();
    rig.enqueue(&many);
    rig.enqueue(&[of_group("b-0"), of_group("c-0"), job("plain")]);
    rig.enqueue(&[of_group("b-1")]);
    let mut order = Vec::new();
    for _ in 0..9 {
        order.extend(rig.claim_ids(1));
    }
    assert_eq!(
        order,
        [
            "a-0", "b-0", "c-0", "plain", "a-1", "b-1", "a-2", "a-3", "a-4"
        ]
    );
}

fn a_group_that_is_alone_gets_what_a_claim_takes(mut rig: Rig) {
    let many: Vec<NewJob> = (0..6).map(|n| of_group(&format!("a-{n}"))).collect();
    rig.enqueue(&many);
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (1, 5));
    assert_eq!(rig.claim_ids(4), ["a-0", "a-1", "a-2", "a-3"]);
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (1, 1));
    assert_eq!(rig.claim_ids(4), ["a-4", "a-5"]);
    let claimed = rig.claim_ids(1);
    assert!(claimed.is_empty());
}

fn what_is_free_is_shared_by_the_groups_of_which_a_job_starts(mut rig: Rig) {
    for group in ["a", "b"] {
        let many: Vec<NewJob> = (0..9).map(|n| of_group(&format!("{group}-{n}"))).collect();
        rig.enqueue(&many);
    }
    let claimed = rig.claim_ids(8);
    let of = |group: &str| claimed.iter().filter(|id| id.starts_with(group)).count();
    assert_eq!((of("a"), of("b")), (4, 4), "{claimed:?}");
}

/// However an attempt ends, its slot is free again.
fn a_slot_of_a_group_is_never_lost(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(2).max_stalls(9));
    let ends: [fn() -> Outcome; 7] = [
        completed,
        || Outcome::Cancelled("moot".into()),
        || retry(MINUTE),
        || retry(Duration::ZERO),
        dead,
        || Outcome::Released,
        || Outcome::Bounced {
            after: MINUTE,
            entry: failed(),
            name: None,
        },
    ];
    for (n, end) in ends.iter().enumerate() {
        let many: Vec<NewJob> = (0..4)
            .map(|job| of_group(&format!("g-{n}-{job}")))
            .collect();
        rig.enqueue(&many);
        let two = rig.claim_some(4);
        assert_eq!(two.len(), 2, "end {n}");
        assert!(rig.claim_some(4).is_empty(), "end {n}: never a third");
        rig.end(&two[0], end(), 0);
        let one = rig.claim_some(4);
        assert_eq!(one.len(), 1, "end {n}: the slot is free again");
        rig.clear();
        rig.set(QueueSettings::new().group_concurrency(2).max_stalls(9));
    }
}

fn the_slot_of_a_job_whose_worker_died_is_free_again(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    rig.lease_ms = 2;
    rig.enqueue(&[of_group("g-0"), of_group("g-1")]);
    assert_eq!(rig.claim_ids(2), ["g-0"]);
    rig.wait(Duration::from_millis(10));
    assert_eq!(rig.take_back(3).0, ["g-0"]);
    rig.lease_ms = 60_000;
    let first = rig.claim_some(2);
    assert_eq!(first.len(), 1, "one at a time, as before");
    let second = rig.end(&first[0], completed(), 2);
    assert_eq!(second.len(), 1);
    rig.end(&second[0], completed(), 0);
    rig.assert_no_gates();
}

fn a_more_urgent_job_does_not_wait_for_the_turn_of_a_less_urgent_one(mut rig: Rig) {
    let urgent = |id: &str| with(id, &JobOptions::new().group("g").priority(1));
    rig.enqueue(&[
        of_group("g-0"),
        job("plain"),
        of_group("g-1"),
        urgent("u-0"),
        urgent("u-1"),
    ]);
    let mut order = Vec::new();
    for _ in 0..5 {
        order.extend(rig.claim_ids(1));
    }
    assert_eq!(order, ["u-0", "u-1", "g-0", "plain", "g-1"]);
}

fn delayed_jobs_of_a_group_do_not_fill_the_line_when_they_are_due(mut rig: Rig) {
    let many: Vec<NewJob> = (0..5)
        .map(|n| after(of_group(&format!("a-{n}")), MINUTE))
        .collect();
    rig.enqueue(&many);
    rig.wait(2 * MINUTE);
    rig.enqueue(&[job("plain")]);
    // A call that does not ask for jobs with traits claims nothing before they are promoted.
    let plain = rig.advance(&[], 1);
    assert!(plain.claimed.is_empty() && plain.traits && plain.more);
    let promote = Promote {
        limit: 10,
        worker: "worker",
        hold: true,
    };
    rig.call(&promote);
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (2, 4));
    assert_eq!(rig.claim_ids(1), ["a-0"]);
    assert_eq!(rig.claim_ids(1), ["plain"]);
    assert_eq!(rig.claim_ids(1), ["a-1"]);
}

fn a_plain_call_stops_in_front_of_a_job_with_traits_and_says_so(mut rig: Rig) {
    rig.enqueue(&[job("plain"), of_group("g-0"), job("behind")]);
    let advanced = rig.advance(&[], 3);
    assert_eq!(ids(&advanced.claimed), ["plain"]);
    assert!(advanced.traits && advanced.more);
    assert_eq!(rig.claim_ids(3), ["g-0", "behind"]);
}

fn g7_jobs_of_one_order_run_one_at_a_time_in_the_order_in_which_they_were_enqueued(mut rig: Rig) {
    let urgent = |id: &str| with(id, &JobOptions::new().ordered_by("k").priority(0));
    rig.enqueue(&[
        ordered("k-0"),
        ordered("k-1"),
        urgent("k-2"),
        ordered("l-0"),
    ]);
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["k-0", "l-0"]);
    let claimed = rig.end(&claimed[0], completed(), 9);
    assert_eq!(ids(&claimed), ["k-1"]);
    let claimed = rig.end(&claimed[0], completed(), 9);
    assert_eq!(ids(&claimed), ["k-2"], "whatever its priority");
}

fn nothing_passes_a_job_that_waits_for_its_retry(mut rig: Rig) {
    rig.enqueue(&[ordered("k-0"), ordered("k-1")]);
    for outcome in [retry(MINUTE), retry(Duration::ZERO), Outcome::Released] {
        let claimed = rig.claim_some(9);
        assert_eq!(ids(&claimed), ["k-0"]);
        rig.end(&claimed[0], outcome, 0);
        assert_eq!(rig.job_state("k-1"), Some(State::Blocked));
        rig.wait(2 * MINUTE);
    }
    rig.lease_ms = 2;
    assert_eq!(rig.claim_ids(9), ["k-0"]);
    rig.wait(Duration::from_millis(10));
    assert_eq!(rig.take_back(3).0, ["k-0"]);
    rig.lease_ms = 60_000;
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["k-0"], "also after its worker died");
    let claimed = rig.end(&claimed[0], dead(), 9);
    assert_eq!(ids(&claimed), ["k-1"], "a dead job holds nothing back");
    rig.end(&claimed[0], completed(), 0);
    rig.assert_no_gates();
}

fn a_dead_job_halts_its_order_until_it_is_replayed_or_removed(mut rig: Rig) {
    let halting = |id: &str| ordered_with(id, OnFailure::Halt);
    rig.enqueue(&[halting("k-0"), halting("k-1"), halting("k-2")]);
    let claimed = rig.claim_some(9);
    assert!(
        rig.end(&claimed[0], dead(), 9).is_empty(),
        "it halts the others"
    );
    let ids_of = |id: &str| [JobId::stored(id)];
    assert_eq!(
        rig.call(&Replay {
            ids: &ids_of("k-0")
        })
        .replayed,
        ["k-0"]
    );
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["k-0"]);
    let claimed = rig.end(&claimed[0], completed(), 9);
    assert_eq!(ids(&claimed), ["k-1"]);
    assert!(rig.end(&claimed[0], dead(), 9).is_empty());
    rig.remove_one("k-1");
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["k-2"]);
    rig.end(&claimed[0], completed(), 0);
    rig.assert_no_gates();
}

fn others_pass_a_job_that_waits_for_its_retry_if_it_says_so(mut rig: Rig) {
    let passing = |id: &str| ordered_with(id, OnFailure::Pass);
    rig.enqueue(&[passing("k-0"), passing("k-1"), passing("k-2")]);
    let claimed = rig.claim_some(9);
    let claimed = rig.end(&claimed[0], retry(MINUTE), 9);
    assert_eq!(ids(&claimed), ["k-1"]);
    rig.wait(2 * MINUTE);
    assert!(rig.claim_ids(9).is_empty(), "one at a time");
    assert_eq!(rig.job_state("k-0"), Some(State::Blocked));
    let claimed = rig.end(&claimed[0], completed(), 9);
    assert_eq!(
        ids(&claimed),
        ["k-0"],
        "before those that were enqueued after it"
    );
    let claimed = rig.end(&claimed[0], completed(), 9);
    assert_eq!(ids(&claimed), ["k-2"]);
}

fn a_delayed_job_has_its_place_in_the_order_from_the_beginning(mut rig: Rig) {
    rig.enqueue(&[
        ordered("k-0"),
        after(ordered("k-1"), MINUTE),
        ordered("k-2"),
    ]);
    let claimed = rig.claim_some(9);
    assert!(rig.end(&claimed[0], completed(), 9).is_empty());
    assert_eq!(rig.job_state("k-1"), Some(State::Delayed));
    assert_eq!(rig.job_state("k-2"), Some(State::Blocked));
    rig.wait(2 * MINUTE);
    let claimed = rig.claim_some(9);
    assert_eq!(ids(&claimed), ["k-1"]);
    assert_eq!(ids(&rig.end(&claimed[0], completed(), 9)), ["k-2"]);
}

/// Whatever becomes of the job that others wait for, or of one that waits.
fn a_job_that_is_cancelled_or_removed_holds_nothing_back(mut rig: Rig) {
    for end in [Rig::cancel_one, Rig::remove_one] {
        rig.enqueue(&[ordered("k-0"), ordered("k-1"), ordered("k-2")]);
        rig.enqueue(&[of_group("g-0"), of_group("g-1"), of_group("g-2")]);
        for id in ["k-0", "k-2", "g-0", "g-2"] {
            end(&mut rig, id);
            assert!(matches!(rig.job_state(id), None | Some(State::Cancelled)));
        }
        let claimed = rig.claim_some(9);
        assert_eq!(ids(&claimed), ["k-1", "g-1"]);
        for job in &claimed {
            rig.end(job, completed(), 0);
        }
        rig.assert_no_gates();
        rig.clear();
    }
}

fn what_does_not_fit_stays_where_it_is(mut rig: Rig) {
    let large = |id: &str| {
        let mut new = of_group(id);
        new.record.external_payload = Some(vec![7; 600_000]);
        new
    };
    rig.enqueue(&[large("a-0"), large("a-1"), large("a-2")]);
    assert_eq!(rig.claim_ids(3), ["a-0"], "1 MiB a call at most");
    assert_eq!(rig.claim_ids(3), ["a-1"]);
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (1, 0));
}

/// The receipt of another attempt changes nothing.
fn a_stale_end_frees_no_slot(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    rig.enqueue(&[of_group("g-0"), of_group("g-1")]);
    assert_eq!(rig.claim_ids(2), ["g-0"]);
    let stale = Receipt::new("1 2 other");
    let mut ended = settlement(&JobId::stored("g-0"), &stale, completed());
    ended.traits = EndTraits::Group("a".into());
    let advanced = rig.advance(&[ended], 2);
    assert_eq!((advanced.refused.len(), advanced.claimed.len()), (1, 0));
}

fn a_group_is_paused_and_resumed_and_may_have_a_limit_of_its_own(mut rig: Rig) {
    rig.set(QueueSettings::new().group_concurrency(1));
    let change = |name, text: &str| Group {
        group: "g",
        change: BTreeMap::from([(name, text.to_owned())]),
        resume: false,
    };
    rig.enqueue(&[
        of_group("g-0"),
        of_group("g-1"),
        of_group("g-2"),
        of_group("h-0"),
    ]);
    let found = rig.call(&change(group::PAUSED, "1"));
    assert_eq!((found.active, found.in_line, found.blocked), (0, true, 2));
    assert_eq!(rig.claim_ids(9), ["h-0"]);
    assert_eq!((rig.size("waiting"), rig.size("blocked")), (0, 3));
    let found = rig.call(&change(group::CONCURRENCY, "2"));
    assert_eq!(found.set, "concurrency=2 paused=1");
    assert!(rig.claim_ids(9).is_empty());
    let found = rig.call(&change(group::PAUSED, ""));
    assert_eq!((found.in_line, found.blocked), (true, 2));
    let two = rig.claim_some(9);
    assert_eq!(ids(&two), ["g-0", "g-1"], "its own limit counts");
    let found = rig.call(&change(group::CONCURRENCY, ""));
    assert_eq!(
        (found.active, found.blocked, found.set.as_str()),
        (2, 1, "")
    );
    for job in &two {
        rig.end(job, completed(), 0);
    }
    let last = rig.claim_some(9);
    assert_eq!(ids(&last), ["g-2"]);
    rig.end(&last[0], completed(), 0);
    assert_eq!(rig.size("running"), 1, "of the other group");
}

on_both!(
    a_group_is_paused_and_resumed_and_may_have_a_limit_of_its_own,
    groups_take_turns_however_many_jobs_each_has,
    a_group_that_is_alone_gets_what_a_claim_takes,
    what_is_free_is_shared_by_the_groups_of_which_a_job_starts,
    a_slot_of_a_group_is_never_lost,
    the_slot_of_a_job_whose_worker_died_is_free_again,
    a_more_urgent_job_does_not_wait_for_the_turn_of_a_less_urgent_one,
    delayed_jobs_of_a_group_do_not_fill_the_line_when_they_are_due,
    a_plain_call_stops_in_front_of_a_job_with_traits_and_says_so,
    g7_jobs_of_one_order_run_one_at_a_time_in_the_order_in_which_they_were_enqueued,
    nothing_passes_a_job_that_waits_for_its_retry,
    a_dead_job_halts_its_order_until_it_is_replayed_or_removed,
    others_pass_a_job_that_waits_for_its_retry_if_it_says_so,
    a_delayed_job_has_its_place_in_the_order_from_the_beginning,
    a_job_that_is_cancelled_or_removed_holds_nothing_back,
    what_does_not_fit_stays_where_it_is,
    a_stale_end_frees_no_slot,
);

/// An operator pauses a group, lets it go on, or limits it.
#[derive(Debug)]
struct ChangeGroup {
    name: &'static str,
    text: &'static str,
    resume: bool,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let change = select(
        &[
            (group::PAUSED, "1", false),
            (group::PAUSED, "", true),
            (group::CONCURRENCY, "", false),
            (group::CONCURRENCY, "2", false),
            (group::RATE, "", false),
            (group::RATE, "2/1000/burst", false),
            (group::RATE, "3/1000/smooth", false),
        ][..],
    );
    change.prop_map(|(name, text, resume)| Op::Other(Arc::new(ChangeGroup { name, text, resume })))
}

impl Operation for ChangeGroup {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let verb = Group {
            group: "a",
            change: BTreeMap::from([(self.name, self.text.to_owned())]),
            resume: self.resume,
        };
        let found = world.redis.call(&verb)?;
        same(Group::script().name, &found, &world.memory.call(&verb))
    }
}
