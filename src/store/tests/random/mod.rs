//! Long random sequences of all verbs, in Redis and in memory, compared after each step.
//!
//! `OXCART_SEED=17` runs the one sequence of that seed; `OXCART_SEQUENCES=20000` runs as many
//! (2,000 unless set); `make fuzz` runs until it is stopped or finds something.

mod choice;
mod ends;
mod invariants;
mod jobs;
mod op;
mod order;
mod reads;
mod removal;
mod schedules;
mod unlike;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::subject::{InRedis, Patch};
use op::Op;
use world::World;

const SEQUENCES: u64 = 2_000;
const THREADS: u64 = 2;
/// How many shorter sequences are tried to explain a failure.
const SHRINKS: u32 = 4_000;

/// Runs sequences in one Redis.
pub(super) struct Player {
    redis: InRedis,
    shrinks: u32,
}

impl Player {
    pub(super) fn new(patch: Option<Patch>, shrinks: u32) -> Self {
        Self {
            redis: InRedis::start(patch),
            shrinks,
        }
    }

    /// The sequence of one seed; what went wrong, and the shortest sequence in which it does.
    pub(super) fn play(&mut self, seed: u64) -> Result<(), String> {
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: self.shrinks,
            ..Config::default()
        };
        // Neighbours must have little in common, and a seed of nothing but zeros is not allowed.
        let mut mixed = [seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), !seed];
        mixed[1] ^= mixed[0] >> 29;
        let bytes = mixed.map(u64::to_le_bytes).concat();
        let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let redis = std::cell::RefCell::new(&mut self.redis);
        let played = runner.run(&choice::sequences(), |ops| {
            let mut redis = redis.borrow_mut();
            run(&mut redis, &ops).map_err(TestCaseError::fail)
        });
        match played {
            Ok(()) => Ok(()),
            Err(TestError::Fail(why, ops)) => {
                let steps: String = ops.iter().map(|op| format!("  {op:?}\n")).collect();
                Err(format!(
                    "{why}\nafter\n{steps}OXCART_SEED={seed} repeats it"
                ))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

fn run(redis: &mut InRedis, ops: &[Op]) -> Result<(), String> {
    let mut world = World::new(redis);
    for (number, op) in ops.iter().enumerate() {
        world
            .step(op)
            .map_err(|why| format!("step {number}: {why}"))?;
    }
    Ok(())
}

fn setting(name: &str) -> Option<u64> {
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
        let played = Player::new(None, SHRINKS).play(seed);
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
                let mut player = Player::new(None, SHRINKS);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sequences {
                        return;
                    }
                    if let Err(why) = player.play(first + number) {
                        // The others need not go on.
                        next.store(sequences, Ordering::Relaxed);
                        panic!("{why}");
                    }
                }
            });
        }
    });
}
