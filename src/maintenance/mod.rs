//! Duties that any worker may do for the queue: bounded, repeated, harmless when done twice.
//! There is no leader; jitter keeps the workers apart.

mod declaring;
mod promotion;
mod recovery;
mod trimming;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

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

    /// The longest time before the first one.
    fn first(pump: &Pump) -> Duration {
        Self::period(pump)
    }

    /// One call.
    async fn call(&mut self, pump: &Pump, line: &mut Line) -> Result<Left, Trouble>;
}

/// Does all duties, one after the other, on the connection that the process shares.
pub(crate) async fn run(pump: Arc<Pump>) {
    let pump = &*pump;
    let mut line = pump.store().shared_line();
    let mut recovery = Scheduled::new(recovery::Recovery::default(), pump);
    let has_schedules = Arc::new(AtomicBool::new(false));
    let promotion = promotion::Promotion::new(Arc::clone(&has_schedules));
    let mut promotion = Scheduled::new(promotion, pump);
    let mut trimming = Scheduled::new(trimming::Trimming::new(), pump);
    let mut upkeep = Scheduled::new(upkeep::Upkeep::new(has_schedules), pump);
    let mut declaring = Scheduled::new(declaring::Declaring, pump);
    loop {
        let next = recovery.at.min(promotion.at).min(trimming.at);
        let next = next.min(upkeep.at).min(declaring.at);
        sleep_until(next).await;
        recovery.run_if_due(pump, &mut line).await;
        promotion.run_if_due(pump, &mut line).await;
        trimming.run_if_due(pump, &mut line).await;
        upkeep.run_if_due(pump, &mut line).await;
        declaring.run_if_due(pump, &mut line).await;
    }
}

struct Scheduled<D> {
    duty: D,
    at: Instant,
}

impl<D: Duty> Scheduled<D> {
    fn new(duty: D, pump: &Pump) -> Self {
        let at = Instant::now() + D::first(pump).mul_f64(fastrand::f64());
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::job::Job;
    use crate::job::failure::Failure;
    use crate::memory::Server;
    use crate::oxcart::Oxcart;
    use crate::worker::Worker;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Nothing;

    impl Job for Nothing {
        const NAME: &'static str = "nothing";
        type Output = ();
    }

    /// Ends its calls as it was told to, then finds nothing.
    struct Told {
        left: VecDeque<Result<Left, Trouble>>,
        calls: usize,
    }

    const PERIOD: Duration = Duration::from_secs(100);

    impl Duty for Told {
        fn period(_: &Pump) -> Duration {
            PERIOD
        }

        async fn call(&mut self, _: &Pump, _: &mut Line) -> Result<Left, Trouble> {
            self.calls += 1;
            self.left.pop_front().unwrap_or(Ok(Left::Nothing))
        }
    }

    /// Of some rounds, each when its time has come: its calls, and the pause after it in seconds.
    async fn rounds<const N: usize>(
        left: impl IntoIterator<Item = Result<Left, Trouble>>,
    ) -> [(usize, u64); N] {
        let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
        let queue = oxcart.queue("work").unwrap();
        let builder = Worker::builder(&queue).handle(async |_: Nothing| Ok::<_, Failure>(()));
        let pump = builder.build().unwrap().pump;
        let mut line = pump.store().shared_line();
        let duty = Told {
            left: left.into_iter().collect(),
            calls: 0,
        };
        let mut duty = Scheduled::new(duty, &pump);
        let mut rounds = [(0, 0); N];
        for round in &mut rounds {
            let (began, before) = (Instant::now(), duty.duty.calls);
            duty.at = began;
            duty.run_if_due(&pump, &mut line).await;
            *round = (duty.duty.calls - before, (duty.at - began).as_secs());
        }
        // Before its time nothing is called.
        let calls = duty.duty.calls;
        duty.at = Instant::now() + PERIOD;
        duty.run_if_due(&pump, &mut line).await;
        assert_eq!(duty.duty.calls, calls);
        rounds
    }

    fn is_about_a_period(seconds: u64) -> bool {
        (90..=115).contains(&seconds)
    }

    #[tokio::test]
    async fn g9_a_duty_with_nothing_to_do_or_in_trouble_is_called_once_a_period() {
        let idle = rounds::<20>([]).await;
        let trouble = (0..100).map(|_| Err(Trouble::Garbled("no answer".to_owned())));
        let in_trouble = rounds::<20>(trouble).await;
        for (calls, pause) in idle.into_iter().chain(in_trouble) {
            assert_eq!(calls, 1);
            assert!(is_about_a_period(pause), "{pause} s");
        }
    }

    #[tokio::test]
    async fn g7_a_duty_goes_on_in_rounds_until_nothing_is_left_and_rests_then() {
        let more = (0..2 * CALLS_PER_ROUND + 5).map(|_| Ok(Left::More));
        let [first, second, last, idle] = rounds::<4>(more).await;
        // Between two rounds the other duties have their turn.
        assert_eq!([first.0, second.0], [CALLS_PER_ROUND; 2]);
        assert!(first.1 < 5 && second.1 < 5, "{first:?} {second:?}");
        assert_eq!((last.0, idle.0), (5 + 1, 1));
        assert!(is_about_a_period(last.1) && is_about_a_period(idle.1));
    }
}
