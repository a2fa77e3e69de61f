//! No lost wake-up: if a job may start and a worker with a free slot waits, that worker finds it within 100 ms.
//!
//! Simulated workers, whose slots, scripts and rules are the real ones, run against a queue whose clock the test turns. Again and
//! again every worker with a free slot asks for all that it may take: there must be nothing. Nothing but the timeout of
//! 5 s would have brought it the job.
//!
//! `OXCART_SEED=17` plays one sequence and says what happened in it; `OXCART_SEQUENCES=20000` plays as many.

mod scene;
mod worker;

use std::time::Duration;

use super::random::setting;
use super::subject::{InMemory, InRedis, Patch, Subject};
use scene::Scene;

const DAY: Duration = Duration::from_secs(86_400);
const LEASE_MS: u64 = 1_000;
/// Of jobs.
const NAMES: [&str; 3] = ["a", "b", "c"];
const IN_MEMORY: u64 = 500;
const IN_REDIS: u64 = 50;
/// Within so many it has to be noticed that a script is broken.
const TO_NOTICE: u64 = 300;
const STEPS: u64 = 400;

/// What a sequence has beside workers and jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feature {
    Limits,
    Weights,
    Holds,
    Groups,
    Delays,
    Pauses,
    PausedNames,
    /// Each worker has a handler for one name.
    Unlike,
    /// Jobs are taken back although their workers live, and run again as suspects.
    Leases,
    /// The same because their workers die.
    Deaths,
    Stops,
}

impl Feature {
    const ALL: [Self; 11] = [
        Self::Limits,
        Self::Weights,
        Self::Holds,
        Self::Groups,
        Self::Delays,
        Self::Pauses,
        Self::PausedNames,
        Self::Unlike,
        Self::Leases,
        Self::Deaths,
        Self::Stops,
    ];
}

/// The sequence of one seed; what went wrong. It has these features, or any.
fn play(
    subject: &mut Subject,
    seed: u64,
    steps: u64,
    features: Option<&[Feature]>,
) -> Result<(), String> {
    let mut scene = Scene::new(subject, seed, features);
    let played = scene.play(steps as usize);
    played.map_err(|why| format!("{}{why}", scene.log))
}

/// How long the sequence of a seed is.
fn steps(seed: u64) -> u64 {
    10 + seed * 37 % STEPS
}

/// Plays sequences; the first that fails is made as short as it still fails.
fn play_all(subject: &mut Subject, seeds: impl Iterator<Item = u64>) -> Result<(), String> {
    for seed in seeds {
        if play(subject, seed, steps(seed), None).is_err() {
            let shortest = (1..=steps(seed)).find_map(|n| play(subject, seed, n, None).err());
            let why = shortest.unwrap_or_default();
            return Err(format!("{why}\nOXCART_SEED={seed} repeats it"));
        }
    }
    Ok(())
}

fn hold(subject: &mut Subject, sequences: u64) {
    let sequences = setting("OXCART_SEQUENCES").unwrap_or(sequences);
    let played = match setting("OXCART_SEED") {
        Some(seed) => play_all(subject, seed..=seed),
        None => play_all(subject, 0..sequences),
    };
    played.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn g5_no_wake_up_is_lost_in_memory() {
    hold(&mut Subject::Memory(InMemory::new()), IN_MEMORY);
}

#[test]
fn g5_no_wake_up_is_lost_in_redis() {
    hold(
        &mut Subject::Redis(Box::new(InRedis::start(None))),
        IN_REDIS,
    );
}

/// One test each: what is broken on purpose in a script, what the sequences have that show it, the lines, and the lines in their place.
macro_rules! mutants {
    ($($name:ident with $features:expr => $needle:literal => $instead:literal;)*) => {$(
        #[test]
        fn $name() {
            is_noticed(&$features, $needle, $instead);
        }
    )*};
}

mutants! {
    g5_what_is_left_wakes_nobody with [] =>
        "if more or (suspects > 0" => "if (suspects > 0";
    g5_news_of_jobs_handed_back_wake_nobody with [Feature::Unlike] =>
        "or (news > 0 and args.heard ~= news) then" => "then";
    g5_a_worker_that_stops_takes_the_timer_with_it with [Feature::Delays, Feature::Stops] =>
        "if not args.hold and meta.timer then" => "if false then";
    limits_what_becomes_due_waits_for_a_heavy_job with [Feature::Limits, Feature::Weights, Feature::Delays] =>
        "if waits and due_ms and due_ms > now_ms then" => "if false then";
    limits_nobody_comes_back_for_the_opening with [Feature::Limits] =>
        "return queue.hold_timer(at_ms)\nend" => "return nil\nend";
    g6_a_suspect_waits_because_a_busy_worker_was_woken with [Feature::Leases, Feature::Holds] =>
        "return args.claim == 0 or meta.limited and args.settle > 0" => "return meta.limited and args.settle > 0";
}

fn is_noticed(features: &[Feature], needle: &'static str, instead: &'static str) {
    let patch = Patch { needle, instead };
    let mut subject = Subject::Redis(Box::new(InRedis::start(Some(patch))));
    let fails = |seed: &u64| play(&mut subject, *seed, steps(*seed), Some(features)).is_err();
    let noticed = (0..TO_NOTICE).find(fails);
    println!("noticed by seed {noticed:?}");
    assert!(noticed.is_some(), "{TO_NOTICE} sequences did not notice it");
}
