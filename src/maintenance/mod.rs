//! Duties that any worker may do for the queue: bounded, repeated, harmless when done twice.
//! There is no leader; jitter keeps the workers apart.

pub(crate) mod declared_settings;
pub(crate) mod feeding;
pub(crate) mod payloads;
mod promotion;
mod recovery;
pub(crate) mod relaying;
pub(crate) mod reporting;
mod schedule_upkeep;
mod trimming;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::maintenance::declared_settings::{DeclaredSettings, SettingsUpkeep};
use crate::maintenance::promotion::Promotion;
use crate::maintenance::recovery::Recovery;
use crate::maintenance::reporting::Reporting;
use crate::maintenance::schedule_upkeep::ScheduleUpkeep;
use crate::maintenance::trimming::Trimming;
use crate::schedule::builder::DeclaredSchedule;
use crate::service::WorkerShared;
use crate::service::trouble::CallKind;
use crate::store::backend::{Connection, Trouble};

/// A round of a duty has at most this many calls; then the other duties get their turn.
const CALLS_PER_ROUND: usize = 64;

/// What a call of a duty leaves to be done.
#[derive(PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing, until its next round.
    Nothing,
    /// Another call would find more.
    More,
    /// Nothing, and there was no reason to ask Redis.
    NoCall,
}

/// Something to be done again and again, in bounded calls.
pub(crate) trait Duty: Send + 'static {
    /// The kind of call as which its trouble is reported.
    const KIND: CallKind;

    /// The time between two rounds, give or take a tenth.
    fn period(&self, shared: &WorkerShared) -> Duration;

    /// The longest time before the first one.
    fn first(&self, shared: &WorkerShared) -> Duration {
        self.period(shared)
    }

    /// One call.
    fn call(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> impl Future<Output = Result<Left, Trouble>> + Send;
}

/// Does all duties, one after the other, on the connection that the process shares. It goes on until it is
/// dropped.
pub(crate) async fn run(
    shared: Arc<WorkerShared>,
    settings: Arc<DeclaredSettings>,
    schedules: Arc<[DeclaredSchedule]>,
    reporting: Reporting,
) {
    let shared = &*shared;
    let mut connection = shared.store().shared_connection();
    let has_schedules = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&has_schedules);
    let mut duties: Vec<Box<dyn AnyDuty>> = vec![
        Recurring::boxed(Recovery::default(), shared),
        Recurring::boxed(Promotion::new(has_schedules), shared),
        Recurring::boxed(Trimming::new(), shared),
        Recurring::boxed(ScheduleUpkeep::new(schedules, known), shared),
        Recurring::boxed(SettingsUpkeep::new(settings), shared),
        Recurring::boxed(reporting, shared),
    ];
    loop {
        if let Some(next) = duties.iter().map(|duty| duty.at()).min() {
            sleep_until(next).await;
        }
        for duty in &mut duties {
            duty.run_if_due(shared, &mut connection).await;
        }
    }
}

/// A duty of any kind that has its turn now and then.
trait AnyDuty: Send {
    fn at(&self) -> Instant;

    fn run_if_due<'a>(
        &'a mut self,
        shared: &'a WorkerShared,
        connection: &'a mut Connection,
    ) -> BoxFuture<'a, ()>;
}

struct Recurring<D> {
    duty: D,
    at: Instant,
}

impl<D: Duty> Recurring<D> {
    fn new(duty: D, shared: &WorkerShared) -> Self {
        let at = Instant::now() + duty.first(shared).mul_f64(fastrand::f64());
        Self { duty, at }
    }

    fn boxed(duty: D, shared: &WorkerShared) -> Box<dyn AnyDuty> {
        Box::new(Self::new(duty, shared))
    }

    /// One round, and when the next one is.
    async fn take_turn(&mut self, shared: &WorkerShared, connection: &mut Connection) {
        let wait = match self.round(shared, connection).await {
            Ok(Left::More) => Duration::ZERO,
            Ok(Left::Nothing | Left::NoCall) => self.duty.period(shared),
            Err(trouble) => {
                shared.trouble.note(D::KIND, &trouble, &shared.hooks);
                self.duty.period(shared)
            }
        };
        self.at = Instant::now() + wait.mul_f64(0.9 + 0.2 * fastrand::f64());
    }

    async fn round(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        for _ in 0..CALLS_PER_ROUND {
            let left = self.duty.call(shared, connection).await?;
            match left {
                Left::NoCall => shared.trouble.needs_no_call(D::KIND, &shared.hooks),
                Left::Nothing | Left::More => shared.trouble.clear(D::KIND, &shared.hooks),
            }
            if left != Left::More {
                return Ok(left);
            }
        }
        Ok(Left::More)
    }
}

impl<D: Duty> AnyDuty for Recurring<D> {
    fn at(&self) -> Instant {
        self.at
    }

    fn run_if_due<'a>(
        &'a mut self,
        shared: &'a WorkerShared,
        connection: &'a mut Connection,
    ) -> BoxFuture<'a, ()> {
        let is_due = Instant::now() >= self.at;
        async move {
            if is_due {
                self.take_turn(shared, connection).await;
            }
        }
        .boxed()
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
        const KIND: CallKind = CallKind::Trimming;

        fn period(&self, _: &WorkerShared) -> Duration {
            PERIOD
        }

        async fn call(&mut self, _: &WorkerShared, _: &mut Connection) -> Result<Left, Trouble> {
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
        let worker = builder.build().unwrap().inner;
        let shared = &worker.shared;
        let mut connection = shared.store().shared_connection();
        let duty = Told {
            left: left.into_iter().collect(),
            calls: 0,
        };
        let mut duty = Recurring::new(duty, shared);
        let mut rounds = [(0, 0); N];
        for round in &mut rounds {
            let (began, before) = (Instant::now(), duty.duty.calls);
            duty.at = began;
            duty.run_if_due(shared, &mut connection).await;
            *round = (duty.duty.calls - before, (duty.at - began).as_secs());
        }
        // Before its time nothing is called.
        let calls = duty.duty.calls;
        duty.at = Instant::now() + PERIOD;
        duty.run_if_due(shared, &mut connection).await;
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
