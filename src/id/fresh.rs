//! Numbers that no other call makes, in this process or in any other: UUIDv7.
//!
//! 48 bits are the time in ms and 12 more the part of the millisecond (RFC 9562, 6.2, method 3);
//! together they grow with each call in a process. 62 bits are random.
//!
//! `fork` copies everything that a process has drawn and counted, and copies locks as they are.
//! So random numbers are only used by the process that drew them from the operating system, and
//! nothing here waits for a lock. Random numbers are drawn in advance, because asking for the process
//! id costs a quarter of what drawing each number by itself would cost.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const VERSION: u128 = 7 << 76;
const VARIANT: u128 = 0b10 << 62;

/// Parts of a millisecond, in bits.
const PART_BITS: u32 = 12;

/// Random bytes that are drawn at a time: 32 numbers.
const DRAWN_BYTES: usize = 32 * size_of::<u64>();

pub(super) fn uuid() -> u128 {
    let tick = u128::from(next_tick(&LAST_TICK, now()));
    let (ms, part) = (tick >> PART_BITS, tick & ((1 << PART_BITS) - 1));
    ms << 80 | VERSION | part << 64 | VARIANT | u128::from(random() >> 2)
}

/// 48 random bits, and never 0: for what lives for minutes, and where a number has to be exact in Lua.
pub(super) fn number() -> u64 {
    (random() >> 16).max(1)
}

/// The tick of the last number that this process made.
static LAST_TICK: AtomicU64 = AtomicU64::new(0);

/// The present tick, or the last tick + 1 if that is later.
fn next_tick(last: &AtomicU64, now: u64) -> u64 {
    let next = |last: u64| now.max(last + 1);
    let before = last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(next(last))
    });
    next(before.unwrap_or_else(|unchanged| unchanged))
}

/// The time as milliseconds and their 4,096th parts.
fn now() -> u64 {
    const NANOS_A_MS: u32 = 1_000_000;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    let ms = since.as_secs() * 1_000 + u64::from(since.subsec_millis());
    let nanos = u64::from(since.subsec_nanos() % NANOS_A_MS);
    let part = (nanos << PART_BITS) / u64::from(NANOS_A_MS);
    ms << PART_BITS | part
}

/// What a thread has drawn from the operating system and not used yet.
#[derive(Clone)]
struct Stock {
    /// The process that drew it.
    process: u32,
    /// In bytes.
    left: usize,
    bytes: [u8; DRAWN_BYTES],
}

thread_local! {
    static STOCK: RefCell<Stock> = const {
        RefCell::new(Stock { process: 0, left: 0, bytes: [0; DRAWN_BYTES] })
    };
}

fn random() -> u64 {
    STOCK.with_borrow_mut(|stock| stock.next(std::process::id()))
}

impl Stock {
    fn next(&mut self, process: u32) -> u64 {
        if self.process != process || self.left == 0 {
            getrandom::fill(&mut self.bytes).expect("the operating system has random numbers");
            self.process = process;
            self.left = self.bytes.len();
        }
        let (rest, number) = self.bytes[..self.left]
            .split_last_chunk()
            .expect("whole numbers are left, and not none of them");
        self.left = rest.len();
        u64::from_ne_bytes(*number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_are_uuids_of_version_7_that_grow() {
        let mut last = 0;
        for _ in 0..10_000 {
            let made = uuid();
            assert!(made > last);
            assert_eq!((made >> 76 & 0xf, made >> 62 & 0b11), (7, 0b10));
            last = made;
        }
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let made_ms = (last >> 80) as u64;
        assert!(now_ms.as_millis().abs_diff(u128::from(made_ms)) < 60_000);
    }

    #[test]
    fn threads_share_no_number() {
        let make = || (0..20_000).map(|_| uuid()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let made = threads.into_iter().flat_map(|made| made.join().unwrap());
        let ticks: HashSet<u128> = made.map(|made| made >> 64).collect();
        assert_eq!(ticks.len(), 80_000, "not even the tick");
    }

    #[test]
    fn ticks_grow_when_the_clock_goes_back() {
        let last = AtomicU64::new(0);
        assert_eq!(next_tick(&last, 1_000), 1_000);
        assert_eq!(next_tick(&last, 1_000), 1_001);
        assert_eq!(next_tick(&last, 5), 1_002);
        assert_eq!(next_tick(&last, 2_000), 2_000);
    }

    #[test]
    fn a_process_uses_nothing_that_another_one_has_drawn() {
        let mut parent = Stock {
            process: 0,
            left: 0,
            bytes: [0; DRAWN_BYTES],
        };
        parent.next(1);
        let draw = |process| {
            let mut forked = parent.clone();
            (0..100).map(move |_| forked.next(process))
        };
        let drawn: Vec<u64> = draw(1).chain(draw(2)).chain(draw(3)).collect();
        let different: HashSet<u64> = drawn.iter().copied().collect();
        assert_eq!(different.len(), 300);
    }
}
