//! Settings of a worker, checked before it runs.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::job::{self, Job};
use crate::maintenance::declared_settings::DeclaredSettings;
use crate::name;
use crate::policy::settings::QueueSettings;
use crate::propagation::Relation;
use crate::queue::Queue;
use crate::schedule::builder::{DeclaredSchedule, Schedule};
use crate::service::hooks::{Hooks, WorkerEvent};
use crate::service::{Config, WorkerShared};
use crate::time::{check_wait, millis};
use crate::worker::Worker;
use crate::worker::any_handler::{AnyHandler, Handlers, typed};
use crate::worker::decide::{Rules, Strategy};
use crate::worker::extract::States;
use crate::worker::handler::Handler;
use crate::worker::inner::WorkerInner;
use crate::worker::middleware::{AnyMiddleware, Middleware};

const CONCURRENCY_DEFAULT: usize = 10;
const CONCURRENCY_MAX: usize = 65_536;
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings of a [`Worker`]; [`build`](Self::build) checks them.
///
/// | setting | default |
/// |---|---|
/// | concurrency | 10 |
/// | lease | 30 s |
/// | grace | 30 s |
/// | bounce_for | one day |
/// | snooze_for | 7 days |
/// | warn_of_dead | 1,000 |
///
/// How long completed jobs are kept, and how often a job may stall, are settings of the queue and the same for all
/// of its workers: [`queue_settings`](Self::queue_settings).
#[must_use = "a worker does nothing until it is built and run"]
pub struct WorkerBuilder {
    queue: Queue,
    concurrency: usize,
    pub(crate) config: Config,
    /// Of the queue, as far as the code declares any.
    queue_settings: Option<QueueSettings>,
    bounce_for: Duration,
    snooze_for: Duration,
    handlers: Vec<(&'static str, Box<dyn AnyHandler>)>,
    states: States,
    strategies: HashMap<String, Strategy>,
    middleware: Vec<Box<dyn AnyMiddleware>>,
    hooks: Hooks,
    schedules: Vec<Schedule>,
    /// The error of the first handler whose jobs are for another queue. It is ignored with `any_queue`.
    elsewhere: Option<Error>,
    any_queue: bool,
    /// The first error.
    wrong: Option<Error>,
}

impl WorkerBuilder {
    pub(crate) fn new(queue: Queue) -> Self {
        let hooks = Hooks::new(queue.inner.name.clone());
        Self {
            queue,
            concurrency: CONCURRENCY_DEFAULT,
            config: Config {
                lease: LEASE_DEFAULT,
                grace: Duration::from_secs(30),
                dead_warning: 1_000,
                trace_relation: Relation::DEFAULT,
            },
            queue_settings: None,
            bounce_for: DAY,
            snooze_for: 7 * DAY,
            handlers: Vec::new(),
            states: States::default(),
            strategies: HashMap::new(),
            middleware: Vec::new(),
            hooks,
            schedules: Vec::new(),
            elsewhere: None,
            any_queue: false,
            wrong: None,
        }
    }

    /// Runs jobs of this type with this async function; see [`Handler`]. A worker may have
    /// handlers for several types. One that takes several jobs at once: [`handle_batch`](Self::handle_batch).
    pub fn handle<J: Job, Args: 'static>(self, handler: impl Handler<J, Args>) -> Self {
        self.handler::<J>(typed(handler))
    }

    pub(crate) fn handler<J: Job>(mut self, handler: Box<dyn AnyHandler>) -> Self {
        if self.elsewhere.is_none() {
            let if_meant = "`Worker::builder(&queue).any_queue()`";
            self.elsewhere = job::check_queue::<J>(self.queue.name(), if_meant).err();
        }
        self.handlers.push((J::NAME, handler));
        self
    }

    /// It may have handlers for jobs whose type names another queue ([`Job::QUEUE`]): while they move from this
    /// queue to that one, for instance.
    pub fn any_queue(mut self) -> Self {
        self.any_queue = true;
        self
    }

    /// A value that handlers can ask for as [`State<T>`](crate::State); one per type.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        if self.states.insert(value) {
            self.wrong(Error::invalid(format!(
                "the state `{}` was given twice; wrap one of the values in a type of its own",
                std::any::type_name::<T>()
            )));
        }
        self
    }

    /// Wraps every handler of the worker, whatever its job: see [`Middleware`]. What is given first
    /// is the outermost. Without any, nothing is paid for it.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # fn example(builder: WorkerBuilder) -> WorkerBuilder {
    /// builder.wrap(async |context: Context, next: Next| {
    ///     let outcome = next.run(context).await;
    ///     println!("{outcome}");
    ///     outcome
    /// })
    /// # }
    /// ```
    pub fn wrap(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(Box::new(middleware));
        self
    }

    /// How many handlers may run at once: 1 to 65,536. Default 10. Each job of a [batch](crate::Batch) counts.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// How long a claim holds without being extended, which happens by itself: 1 s to 24 h.
    /// The jobs of a dead worker wait this long and up to 5 s more; and for this long Redis may be
    /// away before handlers are stopped. Default 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How long running jobs may go on when the worker is to stop. Default 30 s. The worker has stopped
    /// 10 s later in any case; see [`Worker::run_until`] for how long a system should wait before it kills the process.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// Settings of the queue that this code declares. They are stored with the queue when the worker
    /// starts, before it claims anything, and hold for all workers of the queue. Without this the worker changes
    /// nothing.
    ///
    /// A setting is stored if code declared another value of it the last time, or none. So a change that
    /// an operator made since ([`Queue::change_settings`]) stays until the code declares another value; and a setting
    /// that the code does not declare any more stays as it is. To have a default again, declare it. What changes
    /// is logged. If what was declared is lost (Redis was emptied), the running worker stores it again within
    /// half a minute or so.
    ///
    /// Declare each setting in one place: if two workers declare different values of it, each one stores its
    /// own whenever it starts.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # fn example(builder: WorkerBuilder) -> WorkerBuilder {
    /// builder.queue_settings(QueueSettings::new().keep_at_most(10_000).max_stalls(2))
    /// # }
    /// ```
    pub fn queue_settings(mut self, settings: QueueSettings) -> Self {
        self.queue_settings = Some(settings);
        self
    }

    /// For how long a job waits for a worker that can run it before it is dead: after it was handed
    /// back for want of a handler of its name, as long as no worker asks for that name; or after
    /// its payload could not be read. Default one day. It may be half a minute more.
    pub fn bounce_for(mut self, time: Duration) -> Self {
        self.bounce_for = time;
        self
    }

    /// For how long handlers may put a job off ([`Failure::snooze`](crate::Failure::snooze)), from the first time on. A job that is to
    /// be put off after that is dead, for [`DeadReason::SnoozedTooLong`](crate::DeadReason::SnoozedTooLong). Default 7 days.
    pub fn snooze_for(mut self, time: Duration) -> Self {
        self.snooze_for = time;
        self
    }

    /// Warn, through `tracing`, when the dead-letter list is this long. Default 1,000.
    pub fn warn_of_dead(mut self, letters: u64) -> Self {
        self.config.dead_warning = letters;
        self
    }

    /// The strategy that [`Backoff::named`](crate::Backoff::named) refers to: from the number
    /// of failures (from 1) and the last error to the wait.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn example(builder: oxcart::WorkerBuilder) -> oxcart::WorkerBuilder {
    /// builder.backoff("rate-limit-aware", |failures, error| match error {
    ///     error if error.contains("429") => Duration::from_secs(60),
    ///     _ => Duration::from_secs(10) * failures,
    /// })
    /// # }
    /// ```
    pub fn backoff(
        mut self,
        name: impl Into<String>,
        strategy: impl Fn(u32, &str) -> Duration + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        if let Err(error) = name::check("backoff name", &name) {
            self.wrong(error);
        }
        if self.strategies.contains_key(&name) {
            self.wrong(Error::invalid(format!("two backoffs are named `{name}`")));
        }
        self.strategies.insert(name, Box::new(strategy));
        self
    }

    /// A schedule that this code declares: it is stored when the worker starts, as if it were
    /// awaited. A schedule that a worker once declared and that this one does not is reported
    /// ([`WorkerEvent::ScheduleUndeclared`]) and goes on. Any worker of the queue drives all
    /// schedules, whether it declares some or not.
    ///
    /// Its job may be one that only another worker of the queue handles. If this worker does not handle it,
    /// [`build`](Self::build) warns of it, through `tracing`: a job that no worker handles waits
    /// for as long as [`bounce_for`](Self::bounce_for) says, and then is dead.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Report {}
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # fn example(queue: Queue, builder: WorkerBuilder) -> WorkerBuilder {
    /// let nightly = queue
    ///     .schedule("nightly")
    ///     .cron("0 3 * * *")
    ///     .timezone("Europe/Berlin")
    ///     .missed(Missed::FireOnce)
    ///     .job(Report {});
    /// builder.schedule(nightly)
    /// # }
    /// ```
    pub fn schedule(self, schedule: Schedule) -> Self {
        self.schedules([schedule])
    }

    /// Several at once, as [`schedule`](Self::schedule).
    pub fn schedules(mut self, schedules: impl IntoIterator<Item = Schedule>) -> Self {
        self.schedules.extend(schedules);
        self
    }

    /// Calls this for everything that happens in this worker, also on the library's own thread, on
    /// which all queues of the process talk to Redis: it must not block, or leases are lost. Send
    /// what takes long to a task of yours.
    ///
    /// ```no_run
    /// # fn example(builder: oxcart::WorkerBuilder) -> oxcart::WorkerBuilder {
    /// builder.on_event(|event| println!("{event:?}"))
    /// # }
    /// ```
    pub fn on_event(mut self, hook: impl Fn(&WorkerEvent) + Send + Sync + 'static) -> Self {
        self.hooks.add(Arc::new(hook));
        self
    }

    fn wrong(&mut self, error: Error) {
        self.wrong.get_or_insert(error);
    }

    /// Checks everything that can be wrong.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): no handler, two handlers for one
    /// name, a handler of jobs whose type names another queue ([`Job::QUEUE`]), a handler that asks
    /// for a state that is not there, a batch of more jobs than the worker has slots, two states of one type, a backoff that nobody registered, a
    /// schedule that cannot be, or a setting out of its range. It tells the first one that it finds.
    pub fn build(mut self) -> Result<Worker, Error> {
        if let Some(error) = self.wrong.take() {
            return Err(error);
        }
        check_concurrency(self.concurrency)?;
        self.check_times()?;
        let handlers = check_handlers(self.handlers, &self.states, self.concurrency)?;
        if let Some(error) = self.elsewhere.filter(|_| !self.any_queue) {
            return Err(error);
        }
        for (job, handler) in &handlers {
            let options = handler.options();
            options.check()?;
            let named = options.backoff.as_ref().and_then(|backoff| backoff.name());
            if let Some(name) = named
                && !self.strategies.contains_key(name)
            {
                return Err(Error::invalid(format!(
                    "jobs of type `{job}` use the backoff `{name}`, which the worker does not \
                     have; give it with `.backoff({name:?}, |failures, error| ..)`"
                )));
            }
        }
        let schedules = check_schedules(&self.queue, self.schedules)?;
        warn_of_unhandled(&self.queue, &schedules, &handlers);
        let rules = Rules {
            strategies: self.strategies,
            bounce_for: self.bounce_for,
            snooze_for: self.snooze_for,
        };
        Ok(Worker::new(WorkerInner::new(
            WorkerShared::new(self.queue, self.concurrency, self.config, self.hooks),
            handlers,
            self.middleware,
            self.states,
            rules,
            DeclaredSettings::new(self.queue_settings),
            schedules,
        )))
    }

    fn check_times(&self) -> Result<(), Error> {
        let lease = self.config.lease;
        if !(LEASE_MIN..=LEASE_MAX).contains(&lease) {
            return Err(Error::invalid(format!(
                "the lease is {lease:?}; {LEASE_MIN:?} to 24 h are allowed"
            )));
        }
        if let Some(settings) = self.queue_settings {
            settings.check()?;
        }
        check_wait("grace", millis(self.config.grace))?;
        check_wait("bounce_for", millis(self.bounce_for))?;
        check_wait("snooze_for", millis(self.snooze_for))
    }
}

/// The names of what it was given; states and handlers cannot be shown.
impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handlers = self.handlers.iter().map(|(job, _)| *job);
        let middleware = self.middleware.iter().map(|one| one.name());
        f.debug_struct("WorkerBuilder")
            .field("queue", &self.queue.name())
            .field("concurrency", &self.concurrency)
            .field("lease", &self.config.lease)
            .field("grace", &self.config.grace)
            .field("handlers", &handlers.collect::<Vec<_>>())
            .field("middleware", &middleware.collect::<Vec<_>>())
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

fn check_handlers(
    given: Vec<(&'static str, Box<dyn AnyHandler>)>,
    states: &States,
    concurrency: usize,
) -> Result<Handlers, Error> {
    if given.is_empty() {
        return Err(Error::invalid(
            "the worker has no handler; give it one with `.handle(my_async_fn)`",
        ));
    }
    let mut handlers = Handlers::new();
    for (job, handler) in given {
        name::check("job name", job)?;
        handler
            .check(states, concurrency)
            .map_err(|wrong| wrong.within(format_args!("the handler of `{job}`")))?;
        if handlers.insert(job, handler).is_some() {
            return Err(Error::invalid(format!(
                "two handlers are for jobs named `{job}`; job names are unique in a worker"
            )));
        }
    }
    Ok(handlers)
}

fn check_schedules(queue: &Queue, given: Vec<Schedule>) -> Result<Vec<DeclaredSchedule>, Error> {
    let mut names = HashSet::new();
    let mut schedules = Vec::with_capacity(given.len());
    for schedule in given {
        if schedule.queue.name() != queue.name() {
            return Err(Error::invalid(format!(
                "the schedule `{}` is one of the queue `{}`, the worker is one of `{}`",
                schedule.name,
                schedule.queue.name(),
                queue.name()
            )));
        }
        let declared = schedule.declared()?;
        if !names.insert(declared.name.clone()) {
            return Err(Error::invalid(format!(
                "two schedules are named `{}`; names are unique in a queue",
                declared.name
            )));
        }
        schedules.push(declared);
    }
    Ok(schedules)
}

/// No error: another worker of the queue may have the handler.
fn warn_of_unhandled(queue: &Queue, schedules: &[DeclaredSchedule], handlers: &Handlers) {
    for DeclaredSchedule { name, rule, .. } in schedules {
        if !handlers.contains_key(rule.job.as_str()) {
            tracing::warn!(
                queue = queue.name(),
                schedule = name,
                job = rule.job,
                "this worker declares a schedule whose jobs it has no handler for; unless another \
                 worker of the queue has one, they are offered again and again, and then dead"
            );
        }
    }
}

pub(crate) fn check_concurrency(concurrency: usize) -> Result<(), Error> {
    if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
        return Err(Error::invalid(format!(
            "the concurrency is {concurrency}; 1 to {CONCURRENCY_MAX} are allowed"
        )));
    }
    Ok(())
}
