//! How the operations of a random sequence are chosen: what there is to choose from, and how often
//! each is.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;

use super::op::{
    Ask, Change, End, Gated, How, IDS, NAMES, New, Op, PRODUCERS, SCHEDULES, Ticks, Turn, WORKERS,
};
use super::profile::Profile;
use super::unlike;
use crate::job::state::State;
use crate::policy::limits::Rate;
use crate::policy::order::OnFailure;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::redis::keys::PLACES;
use crate::store::advance::Suspects;
use crate::store::configure::By;
use crate::store::orphans::How as Restore;
use crate::store::recover::Doubt;
use crate::store::tests::limits::operations as limits;
use crate::store::tests::pages::operations as pages;
use crate::store::tests::pause_name::operations as pause_name;
use crate::store::tests::steps::operations as steps;
use crate::store::tests::topic::operations as topic;
use crate::store::tests::{
    adopt, alerts, audit, breaker, cancel, edit, expiry, feed, flows, gates, import, log, oldest,
    outbox, owner, remove_dead, replies, report, saga, snooze, spawn, successors, turns, unique,
};

const WAITS: [u64; 6] = [0, 1, 50, 1_000, 30_000, 600_000];
const KEEPS: [u64; 5] = [0, 500, 60_000, 60_001, 86_400_000];
const LEASES: [u64; 3] = [1_000, 30_000, 600_000];
const PRIORITIES: [u16; 5] = [0, 7, 499, 500, 1_023];

/// One line for each kind of operation: how often it is chosen in the full mix, its name for
/// profiles, and what there is to choose from.
macro_rules! operations {
    ($($weight:literal $kind:ident: $choice:expr;)*) => {
        /// The kinds of operations there are, for profiles to name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $($kind),* }

        /// Every kind there is, as the ordinary random sequences have them.
        pub(crate) const FULL_MIX: Profile = Profile(&[$(($weight, Kind::$kind)),*]);

        fn choice(kind: Kind) -> BoxedStrategy<Op> {
            match kind { $(Kind::$kind => $choice.boxed()),* }
        }
    };
}

operations! {
    10 Enqueue: (0..PRODUCERS, vec(new(), 1..5)).prop_map(|(lane, jobs)| Op::Enqueue { lane, jobs });
    6 EnqueueUnique: unique::operation(new());
    3 EnqueueExpiring: expiry::operation(new());
    4 EnqueueNamed: pause_name::enqueue(new());
    3 ChangeName: pause_name::operation();
    1 LoseWorker: pause_name::lose_worker();
    1 Flood: (0..PRODUCERS, 60..120u8, option::weighted(0.7, wait()), option::of(select(&PRIORITIES[..])), gate())
        .prop_map(|(lane, jobs, delay_ms, priority, gate)| Op::Flood { lane, jobs, delay_ms, priority, gate });
    22 Advance: turn().prop_map(Op::Advance);
    4 HandAllBack: (0..WORKERS, select(&NAMES[..]), wait())
        .prop_map(|(worker, name, after_ms)| Op::HandAllBack { worker, name, after_ms });
    3 Busy: (0..WORKERS, select(&NAMES[..]), select(&[40, 990, 29_000][..]))
        .prop_map(|(worker, name, ms)| Op::Busy { worker, name, ms });
    1 LoseNews: unlike::lose_news();
    4 Repeat: lane().prop_map(|lane| Op::Repeat { lane });
    2 Question: (lane(), any::<bool>()).prop_map(|(lane, lost)| Op::Question { lane, lost });
    1 Late: lane().prop_map(|lane| Op::Late { lane });
    3 Extend: (vec(any::<u8>(), 1..4), rarely(), select(&LEASES[..]))
        .prop_map(|(claims, stale, lease_ms)| Op::Extend { claims, stale, lease_ms });
    2 Progress: (any::<u8>(), rarely(), select(&[1, 256, 257][..]))
        .prop_map(|(claim, stale, bytes)| Op::Progress { claim, stale, bytes });
    2 Log: log::operation();
    1 ReadLog: log::read();
    3 Reply: replies::operation();
    2 ReadReplies: replies::read();
    3 Saga: saga::operation();
    4 Step: steps::store();
    4 Suspend: steps::suspend();
    3 Signal: steps::signal();
    6 Recover: recover();
    2 Judge: judge();
    2 Promote: (1..5usize, 0..WORKERS, any::<bool>())
        .prop_map(|(limit, worker, hold)| Op::Promote { limit, worker, hold });
    5 Schedule: change().prop_map(Op::Schedule);
    1 Unschedule: (0..SCHEDULES).prop_map(|name| Op::Unschedule { name });
    12 Fire: (0..WORKERS, prop::bool::weighted(0.8), ticks(), rarely())
        .prop_map(|(worker, hold, entries, pass)| Op::Fire { worker, hold, entries, pass });
    1 Schedules: ask().prop_map(|ask| Op::Schedules { ask });
    1 Lose: (option::weighted(0.6, 0..SCHEDULES), any::<bool>())
        .prop_map(|(name, other)| Op::Lose { name, other });
    2 Tend: (0..WORKERS, prop::bool::weighted(0.8), 0..SCHEDULES)
        .prop_map(|(worker, hold, name)| Op::Tend { worker, hold, name });
    4 Trim: (1..6usize, select(&[1_000, 3_600_000][..]))
        .prop_map(|(limit, lane_ttl_ms)| Op::Trim { limit, lane_ttl_ms });
    3 Replay: ids().prop_map(|ids| Op::Replay { ids });
    2 Remove: (ids(), option::weighted(0.3, select(State::ALL)))
        .prop_map(|(ids, only_in)| Op::Remove { ids, only_in });
    2 RemoveDead: remove_dead::operation();
    2 Import: import::operation();
    2 Adopt: adopt::operation();
    2 Alert: alerts::operation();
    1 Audit: audit::operation();
    2 Cancel: cancel::operation();
    2 ChangeGroup: gates::operation();
    1 Squeeze: turns::operation();
    2 Edit: edit::operation();
    2 Snooze: snooze::operation();
    2 Report: report::operation();
    1 Delete: any::<bool>().prop_map(|all| Op::Delete { all });
    2 LoseList: (0..PLACES.len(), any::<bool>()).prop_map(|(place, back)| {
        let how = if back { Restore::PutBack } else { Restore::Remove };
        Op::LoseList { place, how }
    });
    1 Outlive: (0..2u32).prop_map(|max_stalls| Op::Outlive { max_stalls });
    3 Watch: (0..IDS, select(&[500, 60_000][..])).prop_map(|(id, await_ms)| Op::Watch { id, await_ms });
    2 Get: (0..IDS).prop_map(|id| Op::Get { id });
    2 List: pages::operation();
    2 ListWanted: pages::wanted();
    1 Counts: Just(Op::Counts);
    1 Oldest: oldest::operation();
    5 Configure: configure();
    1 Settings: Just(Op::Settings);
    2 Limit: limits::limit();
    2 Wait: limits::wait();
    2 Weigh: limits::weigh();
    1 Once: limits::once();
    1 Full: limits::full();
    1 LoseHeavy: limits::lose_heavy();
    1 Open: limits::open();
    1 Pause: Just(Op::Pause);
    2 Resume: Just(Op::Resume);
    3 Pop: Just(Op::Pop);
    12 Pass: select(&[1, 50, 900, 1_000, 29_000, 61_000, 600_000, 3_700_000, 90_000_000][..])
        .prop_map(|ms| Op::Pass { ms });
    1 PassDay: Just(Op::Pass { ms: 86_400_000 });
    3 Back: select(&[1, 5_000, 700_000][..]).prop_map(|ms| Op::Back { ms });
    5 EnqueueLatest: successors::operation(new());
    1 AskForKey: owner::operation();
    5 Outbox: outbox::operations::operation();
    6 Carry: outbox::operations::carry();
    2 Feed: feed::operation();
    6 Topic: topic::operation();
    3 Breaker: breaker::operations::operation();
    5 EnqueueFlow: flows::operations::operation(new());
    1 ReadChildren: flows::operations::read_operation();
    4 FarFlow: flows::far_operations::operation();
    2 EnqueueBatch: flows::operations::batch(new());
    2 EndChild: spawn::operations::end_child();
    4 SpawnChildren: spawn::operations::operation(new());
}

impl Profile {
    /// The operations of this profile, each as often as its weight says.
    pub(crate) fn operations(&self) -> impl Strategy<Value = Op> + use<> {
        let weighed = self.0.iter().map(|&(weight, kind)| (weight, choice(kind)));
        Union::new_weighted(weighed.collect())
    }
}

fn lane() -> impl Strategy<Value = u8> {
    0..PRODUCERS + WORKERS
}

fn ids() -> impl Strategy<Value = Vec<u8>> {
    vec(0..IDS, 1..4)
}

fn wait() -> impl Strategy<Value = u64> {
    select(&WAITS[..])
}

const NEVER: u64 = 10_000_000_000;

/// Looks for the jobs of dead workers, and may have a reason not to judge.
fn recover() -> impl Strategy<Value = Op> {
    let doubt = select(
        &[
            Doubt::None,
            Doubt::None,
            Doubt::None,
            Doubt::Away,
            Doubt::Jumped,
        ][..],
    );
    let off = select(&[0, 0, 0, 0, 0, 1_000, 1_001][..]);
    let gap = select(&[NEVER, NEVER, 60_000][..]);
    let quiet = select(&[0, 0, 50, 5_000][..]);
    recovery((off, gap, quiet, doubt))
}

/// The same without any such reason.
fn judge() -> impl Strategy<Value = Op> {
    recovery((Just(0), Just(NEVER), Just(0), Just(Doubt::None)))
}

fn recovery(when: impl Strategy<Value = (u64, u64, u64, Doubt)>) -> impl Strategy<Value = Op> {
    (1..6usize, select(&LEASES[..]), when).prop_map(
        |(limit, lease_ms, (off_ms, gap_ms, quiet_ms, doubt))| Op::Recover {
            limit,
            lease_ms,
            off_ms,
            gap_ms,
            quiet_ms,
            doubt,
        },
    )
}

fn configure() -> impl Strategy<Value = Op> {
    let by = select(&[By::Operator, By::Operator, By::Code, By::Code, By::Again][..]);
    let said = (
        option::of(select(&KEEPS[..]).prop_map(Retention::from_millis)),
        option::of(0..8u64),
        option::weighted(0.8, select(&[0, 0, 0, 1, 2, 3, 4, 5][..])),
        option::weighted(0.2, select(&[0, 1_000, 100_000][..])),
        option::weighted(0.3, 0..3u64),
        option::weighted(
            0.2,
            option::of(Just(Rate::burst(2, Duration::from_secs(1)))),
        ),
    );
    let dead = (
        option::weighted(
            0.15,
            option::of(select(&[0, 900, 60_000][..]).prop_map(Duration::from_millis)),
        ),
        option::weighted(0.15, select(&[0, 1, 3, u64::MAX][..])),
    );
    (by, said, dead).prop_map(|(by, said, dead)| {
        let mut settings = QueueSettings::new();
        (settings.keep_dead, settings.keep_dead_at_most) = dead;
        (
            settings.keep_completed,
            settings.keep_at_most,
            settings.max_stalls,
            settings.keep_events,
            settings.group_concurrency,
            settings.group_rate,
        ) = said;
        Op::Configure { by, said: settings }
    })
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}

fn new() -> impl Strategy<Value = New> {
    let delay = prop_oneof![2 => Just(None), 1 => select(&WAITS[..]).prop_map(Some)];
    let priority = prop_oneof![2 => Just(None), 1 => select(&PRIORITIES[..]).prop_map(Some)];
    let awaited = prop_oneof![3 => Just(None), 1 => select(&[500, 60_000][..]).prop_map(Some)];
    let bytes = prop_oneof![4 => Just(1), 1 => Just(3_000)];
    (
        0..IDS,
        delay,
        any::<bool>(),
        priority,
        rarely(),
        awaited,
        bytes,
        gate(),
    )
        .prop_map(
            |(id, delay_ms, at, priority, front, await_ms, bytes, gate)| New {
                id,
                delay_ms,
                at,
                priority,
                front,
                await_ms,
                bytes,
                gate,
            },
        )
}

/// Half of the jobs have a gate.
fn gate() -> impl Strategy<Value = Option<Gated>> {
    let on_failure = select(&[OnFailure::UntilDead, OnFailure::Halt, OnFailure::Pass][..]);
    let order = (select(&["x", "y z"][..]), on_failure);
    prop_oneof![
        3 => Just(None),
        2 => select(&["a", "a b"][..]).prop_map(|key| Some(Gated::Group(key))),
        1 => order.prop_map(|(key, on_failure)| Some(Gated::Order(key, on_failure))),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let tick = select(&[-700_000, -1_000, -1_000, 0, 0, 50, 1_000][..]);
    let what = (
        0..SCHEDULES,
        rarely(),
        rarely(),
        option::weighted(0.9, tick),
    );
    let how = (
        rarely(),
        option::of(prop::bool::weighted(0.7)),
        any::<bool>(),
        select(&[1, 3_000][..]),
    );
    (what, how).prop_map(|(what, how)| {
        let (name, stale, paused, tick_ms) = what;
        let (keep_tick, compare, define, bytes) = how;
        Change {
            name,
            stale,
            paused,
            tick_ms,
            keep_tick,
            compare,
            define,
            bytes,
        }
    })
}

/// Those of some schedules, each named once.
fn ticks() -> impl Strategy<Value = Vec<Ticks>> {
    vec(ticks_of(), 0..4).prop_map(|mut entries| {
        entries.sort_by_key(|entry| entry.name);
        entries.dedup_by_key(|entry| entry.name);
        entries
    })
}

fn ticks_of() -> impl Strategy<Value = Ticks> {
    let what = (0..SCHEDULES, rarely(), rarely(), 0..4u64);
    let when = (
        select(&WAITS[..]),
        0..3u64,
        option::weighted(0.9, select(&[1, 400, 30_000][..])),
    );
    let priority = prop_oneof![2 => Just(None), 1 => select(&PRIORITIES[..]).prop_map(Some)];
    let how = (
        option::weighted(0.35, 1..4u64),
        any::<bool>(),
        priority,
        rarely(),
    );
    (what, when, how).prop_map(|(what, when, how)| {
        let (name, stale, other_tick, ticks) = what;
        let (delay_ms, missed, every_ms) = when;
        let (limit, no_overlap, priority, front) = how;
        Ticks {
            name,
            stale,
            other_tick,
            ticks,
            delay_ms,
            missed,
            every_ms,
            limit,
            no_overlap,
            priority,
            front,
        }
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        2 => (0..SCHEDULES).prop_map(|name| Ask::Named { name }),
        2 => (0..2usize, 1..4usize).prop_map(|(offset, limit)| Ask::Due { offset, limit }),
        1 => Just(Ask::All),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let bytes = prop_oneof![4 => Just(1 << 20), 1 => select(&[0, 100, 3_200][..])];
    let claim = prop_oneof![1 => Just(0usize), 6 => 1..5usize];
    (
        (0..WORKERS, vec(end(), 0..5), claim, bytes),
        (suspects(), select(&LEASES[..]), any::<bool>()),
        (
            option::of(subsequence(&NAMES[..], 1..=3)),
            any::<bool>(),
            rarely(),
            prop::bool::weighted(0.7),
        ),
    )
        .prop_map(|(work, rest, names)| {
            let (worker, settle, claim, claim_bytes) = work;
            let (suspects, lease_ms, hold) = rest;
            let (handlers, heard, again, traits) = names;
            Turn {
                worker,
                settle,
                claim,
                claim_bytes,
                suspects,
                lease_ms,
                hold,
                handlers,
                heard,
                again,
                traits,
                ask: false,
            }
        })
}

fn suspects() -> impl Strategy<Value = Suspects> {
    let at_most = select(&[0, 0, 1, 2, 3][..]);
    (at_most, any::<bool>()).prop_map(|(at_most, alone)| Suspects { at_most, alone })
}

fn end() -> impl Strategy<Value = End> {
    let after = || select(&WAITS[..]);
    let how = prop_oneof![
        4 => Just(How::Complete),
        1 => Just(How::Cancel),
        3 => after().prop_map(|after_ms| How::Retry { after_ms }),
        1 => after().prop_map(|after_ms| How::Snooze { after_ms }),
        1 => Just(How::Die),
        2 => Just(How::Release),
        1 => after().prop_map(|after_ms| How::Bounce { after_ms }),
        3 => (select(&NAMES[..]), after()).prop_map(|(name, after_ms)| How::HandBack { name, after_ms }),
    ];
    let keep = prop_oneof![3 => Just(None), 1 => select(&KEEPS[..]).prop_map(Some)];
    (any::<u8>(), rarely(), how, keep, rarely()).prop_map(
        |(claim, stale, how, keep_ms, is_requested)| End {
            claim,
            stale,
            how,
            keep_ms,
            is_requested,
        },
    )
}
