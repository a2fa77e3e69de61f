//! Long random sequences of all verbs, in Redis and in memory, compared after each step.
//!
//! To add a verb: its operation ([`op::Operation`]) beside its tests, and a line in `choice.rs` that says how often the
//! ordinary sequences have it. (`op.rs` and `world.rs` hold the operations that several verbs share.)
//!
//! `OXCART_SEED=17` runs the one sequence of that seed; `OXCART_SEQUENCES=20000` runs as many
//! (2,000 unless set); `make fuzz` runs until it is stopped or finds something.

mod choice;
mod ends;
mod flows;
mod gates;
mod invariants;
mod jobs;
mod names;
pub(super) mod op;
mod order;
pub(super) mod profile;
mod profile_alerts;
mod profile_dead;
mod profile_outbox;
mod profile_replies;
mod profile_sagas;
mod profile_steps;
mod profile_waiting;
pub(super) mod reads;
mod removal;
mod schedules;
mod shrink;
mod unique;
mod unlike;
pub(super) mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::register::not_called;
use super::subject::{InRedis, Patch};
use choice::FULL_MIX;
use op::Op;
pub(super) use profile::Profile;
use shrink::{Tree, shrunk};
use world::World;

const SEQUENCES: u64 = 2_000;
const THREADS: u64 = 2;
/// How many operations a sequence has.
const STEPS: std::ops::Range<usize> = 10..40;
/// For how long a failing sequence is made shorter, to explain the failure.
const SHRINK_FOR: Duration = Duration::from_secs(60);

/// Runs sequences of one profile in one Redis.
pub(super) struct Player {
    redis: InRedis,
    operations: BoxedStrategy<Op>,
}

impl Player {
    pub(super) fn new(patch: Option<Patch>, profile: Profile) -> Self {
        Self {
            redis: InRedis::start(patch),
            operations: profile.operations().boxed(),
        }
    }

    /// The sequence of one seed; what went wrong.
    pub(super) fn play(&mut self, seed: u64) -> Result<(), String> {
        let sequence = self.sequence(seed);
        run(&mut self.redis, &current(&sequence))
    }

    /// From now on the scripts are as they should be.
    pub(super) fn mend(&mut self) {
        self.redis.mend();
    }

    /// Plays a sequence; what went wrong, and the shortest sequence in which anything does.
    pub(super) fn play_and_explain(&mut self, seed: u64) -> Result<(), String> {
        let Err(why) = self.play(seed) else {
            return Ok(());
        };
        let ops = self.shortest(seed);
        let why = run(&mut self.redis, &ops).err().unwrap_or(why);
        let steps: String = ops.iter().map(|op| format!("  {op:?}\n")).collect();
        Err(format!("{why}\nafter\n{steps}which seed {seed} leads to"))
    }

    /// What is left of a failing sequence when no operation of it can be left out.
    fn shortest(&mut self, seed: u64) -> Vec<Op> {
        let until = Instant::now() + SHRINK_FOR;
        let sequence = self.sequence(seed);
        shrunk(sequence, until, |ops| run(&mut self.redis, ops).is_err())
    }

    fn sequence(&self, seed: u64) -> Vec<Tree<Op>> {
        // Neighbours must have little in common, and a seed of nothing but zeros is not allowed.
        let mut mixed = [seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), !seed];
        mixed[1] ^= mixed[0] >> 29;
        let bytes = mixed.map(u64::to_le_bytes).concat();
        let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let steps = STEPS.new_tree(&mut runner).expect("a number").current();
        let mut operation = |_| self.operations.new_tree(&mut runner).expect("an operation");
        (0..steps).map(&mut operation).collect()
    }
}

fn current(sequence: &[Tree<Op>]) -> Vec<Op> {
    sequence.iter().map(|tree| tree.current()).collect()
}

/// Runs a sequence from an empty queue on. Code that panics went wrong like code that answers wrongly.
fn run(redis: &mut InRedis, ops: &[Op]) -> Result<(), String> {
    let all = || {
        let mut world = World::new(redis);
        for (number, op) in ops.iter().enumerate() {
            world
                .step(op)
                .map_err(|why| format!("step {number}: {why}"))?;
        }
        Ok(())
    };
    catch_unwind(AssertUnwindSafe(all)).unwrap_or_else(|panic| Err(said(&*panic)))
}

/// What a panic has said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("and said nothing"))
}

pub(super) fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

#[test]
fn g1_to_g8_redis_and_memory_agree_on_random_sequences() {
    if let Some(seed) = setting("OXCART_SEED") {
        let played = Player::new(None, FULL_MIX).play_and_explain(seed);
        return played.unwrap_or_else(|why| panic!("{why}"));
    }
    let sequences = setting("OXCART_SEQUENCES").unwrap_or(SEQUENCES);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = u64::try_from(now.as_millis()).unwrap() * 1_000;
    println!("{sequences} sequences from OXCART_SEED={first} on");
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut player = Player::new(None, FULL_MIX);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sequences {
                        let missing = not_called(player.redis.called());
                        assert!(
                            missing.is_empty() || sequences < SEQUENCES,
                            "no sequence calls {missing:?}: random/choice.rs"
                        );
                        return;
                    }
                    if let Err(why) = player.play_and_explain(first + number) {
                        // The others need not go on.
                        next.store(sequences, Ordering::Relaxed);
                        panic!("{why}\nOXCART_SEED={} repeats it", first + number);
                    }
                }
            });
        }
    });
}

#[test]
fn a_failing_sequence_shrinks_until_no_operation_can_be_left_out() {
    // A worker claims what others hold only if its call is repeated after they have claimed.
    let patch = Patch {
        needle: "if claims[i] == receipt and records[i] then",
        instead: "if claims[i] and records[i] then",
    };
    let mut player = Player::new(Some(patch), profile::REPEATS);
    let seed = (0..1_000).find(|seed| player.play(*seed).is_err());
    let seed = seed.expect("some sequence notices it");
    let before = player.sequence(seed).len();
    let ops = player.shortest(seed);
    assert!(ops.len() < before.min(STEPS.start), "{ops:?}");
    run(&mut player.redis, &ops).expect_err("what is left fails");
    for left_out in 0..ops.len() {
        let mut rest = ops.clone();
        rest.remove(left_out);
        let played = run(&mut player.redis, &rest);
        assert_eq!(played, Ok(()), "without step {left_out} of {ops:#?}");
    }
}
