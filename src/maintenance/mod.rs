//! Duties that any worker may do for the queue: bounded, repeated, harmless when done twice.
//! There is no leader; jitter keeps the workers apart.

mod promotion;
mod recovery;
mod trimming;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::redis::connection::RESPONSE_TIMEOUT;
use crate::redis::trouble::Trouble;
use crate::store::backend::Line;
use crate::worker::pump::Pump;

/// A round of a duty goes on over at most this many calls before others get their turn.
const CALLS_PER_ROUND: usize = 64;

/// What a call of a duty leaves to be done.
#[derive(PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing, until its next round.
    Nothing,
    /// Another call would find more.
    More,
}

/// Something to be done again and again, in bounded calls.
pub(crate) trait Duty: Send {
    /// The time between two rounds, give or take a tenth.
    fn period(pump: &Pump) -> Duration;

    /// One call.
    async fn call(&mut self, pump: &Pump, line: &mut Line) -> Result<Left, Trouble>;
}

/// Does all duties, one after the other, on one connection.
pub(crate) async fn run(pump: &Pump) {
    let mut line = pump.store().line(RESPONSE_TIMEOUT);
    let mut recovery = Scheduled::new(recovery::Recovery, pump);
    let mut promotion = Scheduled::new(promotion::Promotion, pump);
    let mut trimming = Scheduled::new(trimming::Trimming::new(), pump);
    loop {
        let next = recovery.at.min(promotion.at).min(trimming.at);
        sleep_until(next).await;
        recovery.run_if_due(pump, &mut line).await;
        promotion.run_if_due(pump, &mut line).await;
        trimming.run_if_due(pump, &mut line).await;
    }
}

struct Scheduled<D> {
    duty: D,
    at: Instant,
}

impl<D: Duty> Scheduled<D> {
    fn new(duty: D, pump: &Pump) -> Self {
        let at = Instant::now() + D::period(pump).mul_f64(fastrand::f64());
        Self { duty, at }
    }

    async fn run_if_due(&mut self, pump: &Pump, line: &mut Line) {
        if Instant::now() < self.at {
            return;
        }
        let wait = match self.round(pump, line).await {
            Ok(Left::More) => Duration::ZERO,
            Ok(Left::Nothing) => D::period(pump),
            Err(trouble) => {
                pump.trouble.note(&trouble, &pump.hooks);
                D::period(pump)
            }
        };
        self.at = Instant::now() + wait.mul_f64(0.9 + 0.2 * fastrand::f64());
    }

    async fn round(&mut self, pump: &Pump, line: &mut Line) -> Result<Left, Trouble> {
        for _ in 0..CALLS_PER_ROUND {
            if self.duty.call(pump, line).await? == Left::Nothing {
                return Ok(Left::Nothing);
            }
        }
        Ok(Left::More)
    }
}
