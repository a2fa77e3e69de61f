//! Duties that any worker may do for the queue: bounded, repeated, harmless when done twice.
//! There is no leader; jitter keeps the workers apart.

mod promotion;
mod recovery;
mod trimming;

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::redis::connection::{Link, RESPONSE_TIMEOUT};
use crate::redis::trouble::Trouble;
use crate::worker::keeper::HEARTBEAT;
use crate::worker::pump::Pump;

/// A round of a duty goes on over at most this many calls before others get their turn.
pub(crate) const CALLS_PER_ROUND: usize = 64;

/// When a duty wants its next round.
pub(crate) enum Next {
    /// After its period.
    Later,
    /// There is more to do than fits into a round.
    AtOnce,
}

/// Something to be done again and again.
pub(crate) trait Duty: Send {
    /// The time between two rounds, give or take a tenth.
    fn period(&self) -> Duration;

    /// One round.
    async fn round(&mut self, pump: &Pump, link: &mut Link) -> Result<Next, Trouble>;
}

/// Does all duties, one after the other, on one connection.
pub(crate) async fn run(pump: &Pump) {
    let mut link = Link::new(pump.connector().clone(), RESPONSE_TIMEOUT);
    let mut recovery = Scheduled::new(recovery::Recovery::new());
    let mut promotion = Scheduled::new(promotion::Promotion);
    let mut trimming = Scheduled::new(trimming::Trimming::new());
    loop {
        let next = recovery.at.min(promotion.at).min(trimming.at);
        sleep_until(next).await;
        recovery.run_if_due(pump, &mut link).await;
        promotion.run_if_due(pump, &mut link).await;
        trimming.run_if_due(pump, &mut link).await;
    }
}

/// The application's runtime shows that it lives.
pub(crate) async fn heartbeat(pump: &Pump) {
    loop {
        pump.beat();
        sleep(HEARTBEAT).await;
    }
}

struct Scheduled<D> {
    duty: D,
    at: Instant,
}

impl<D: Duty> Scheduled<D> {
    fn new(duty: D) -> Self {
        let at = Instant::now() + duty.period().mul_f64(fastrand::f64());
        Self { duty, at }
    }

    async fn run_if_due(&mut self, pump: &Pump, link: &mut Link) {
        if Instant::now() < self.at {
            return;
        }
        let wait = match self.duty.round(pump, link).await {
            Ok(Next::AtOnce) => Duration::ZERO,
            Ok(Next::Later) => self.duty.period(),
            Err(trouble) => {
                pump.trouble.note(&trouble, &pump.hooks);
                self.duty.period()
            }
        };
        self.at = Instant::now() + wait.mul_f64(0.9 + 0.2 * fastrand::f64());
    }
}
