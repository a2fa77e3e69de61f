//! Background jobs on Redis: typed, fast, and safe when things break.
//!
//! ```no_run
//! use oxcart::{Context, Failure, Job, Oxcart, State, Worker};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Serialize, Deserialize)]
//! struct SendWelcome { user: u64 }
//!
//! impl Job for SendWelcome {
//!     const NAME: &'static str = "send-welcome";
//!     type Output = String;
//! }
//! # struct Smtp;
//! # impl Smtp { async fn welcome(&self, _: u64) -> Result<String, std::io::Error> { Ok(String::new()) } }
//! # async fn producer() -> Result<(), oxcart::Error> {
//!
//! // The application enqueues.
//! let oxcart = Oxcart::connect("redis://127.0.0.1/").await?;
//! let mail = oxcart.queue("mail")?;
//! let sent = mail.enqueue(SendWelcome { user: 7 }).attempts(5).delay(Duration::from_secs(5)).await?;
//! let receipt = sent.result().await?;            // from any process, typed
//! # Ok(()) }
//!
//! // A worker binary works.
//! async fn send_welcome(job: SendWelcome, smtp: State<Smtp>, ctx: Context) -> Result<String, Failure> {
//!     ctx.progress(&10).await?;
//!     Ok(smtp.welcome(job.user).await?)          // any error: retried with backoff
//! }
//! # async fn worker(mail: oxcart::Queue, smtp: Smtp) -> Result<(), oxcart::Error> {
//!
//! Worker::builder(&mail).concurrency(50).state(smtp).handle(send_welcome).build()?
//!     .run_until(oxcart::shutdown_signal()).await?;
//! # Ok(()) }
//! ```
//!
//! A type whose jobs are always in the same queue names it ([`Job::QUEUE`]). Then [`Oxcart::enqueue`] puts them there, and
//! any other queue refuses them.
//!
//! Without a Redis, jobs are tested with the feature `memory`: `Oxcart::in_memory()` gives queues with a clock that the
//! test turns, and `Worker::drain` runs what is due. See `docs/testing.md`.
//!
//! # What you can rely on
//!
//! | | promise |
//! |---|---|
//! | G1 | A job whose enqueue was acknowledged ends completed, cancelled, dead or removed, whatever crashes, as long as Redis keeps its data. |
//! | G2 | Every claim carries a fence that only grows; a worker that has lost a job never overwrites its outcome. |
//! | G3 | Enqueueing can be repeated: the job is there once, even if the answer was lost. |
//! | G4 | First in, first out within a priority; lower numbers first, strictly. |
//! | G5 | Nothing starts early, by the server's clock; a due job starts within milliseconds, or within 5 s if the process that was to wake up died. |
//! | G6 | A job that kills its workers ends on the dead-letter list; jobs that ran beside it do not. |
//! | G7 | No script call handles more than 256 jobs of a kind, nor carries more than 1 MiB but for a single larger job. |
//! | G8 | Finished jobs and events are bounded by default; nothing is left of a job that is gone. |
//! | G9 | Workers survive Redis trouble without restart; producers get a typed error in bounded time. |
//! | S1 | Each tick of a schedule makes one job, whichever worker drives it or dies, as long as Redis keeps its data. S2 to S6 are in `docs/schedules.md`. |
//!
//! What a job does happens *at least once*: a worker can die after the work and before the
//! outcome is stored. Make handlers idempotent, or hand their [`Fence`] to what they write to.
//!
//! # What a job or a queue can ask for
//!
//! | to .. | use |
//! |---|---|
//! | start at most so many jobs in a period, or run so many at a time | [`QueueSettings::rate`], [`QueueSettings::concurrency`] |
//! | wait as long as the other side asks (`429`) | [`Failure::rate_limited`] |
//! | spare something that is down, in all processes at once | [`Breaker`] |
//! | have one job per key, throttle, debounce, honour an idempotency key | [`Enqueue::unique`] |
//! | start no job after a moment | [`Enqueue::expires_in`] |
//! | let tenants take turns | [`Enqueue::group`] |
//! | run jobs of one key one after the other | [`Enqueue::ordered_by`] |
//! | take many jobs in one call of a handler | [`WorkerBuilder::handle_batch`] |
//! | end a job that is no longer wanted, also one that runs | [`Queue::cancel`] |
//! | run a job later, because it is too early | [`Failure::snooze`] |
//! | run a job when others have ended, and give it their outputs | [`Flow`], [`Chain`] |
//! | do parts of a job once, sleep or wait for a signal without a slot | [`Context::step`], [`Context::sleep`], [`Context::wait_for`] |
//! | undo what was done if a job cannot be finished | [`Saga`] |
//! | tell several services of a fact, each in a queue of its own | [`Topic`] |
//! | read payloads that an older version wrote | [`Job::VERSION`], [`Upcasters`] |
//! | know what a job came of | [`Context::correlation_id`], [`Context::causation_id`] |
//! | hand jobs and events to other systems, and take theirs | [`CloudEvent`] |
//!
//! # Schedules (cron)
//!
//! [`Queue::schedule`] makes jobs by a cron expression in a time zone, or by an interval. Workers drive
//! them, any of a queue, and each tick makes one job:
//!
//! ```no_run
//! # use oxcart::*;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)] struct Report {}
//! # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
//! # async fn example(queue: Queue) -> Result<(), Error> {
//! queue.schedule("nightly").cron("0 3 * * *").timezone("Europe/Berlin").missed(Missed::FireOnce)
//!     .job(Report {}).await?;
//! # Ok(()) }
//! ```
//!
//! [`ScheduleBuilder`] has all settings; [`WorkerBuilder::schedules`] is for schedules that
//! belong to the code of a worker.
//!
//! # Looking after a queue
//!
//! ```no_run
//! # use oxcart::*;
//! # async fn example(mail: Queue) -> Result<(), Error> {
//! println!("{} jobs are left", mail.counts().await?.left());
//! for group in mail.dead_letters().groups().await?.groups {     // what jobs died of
//!     println!("{} {}: {}", group.count, group.name, group.sample);
//! }
//! mail.dead_letters().named("send-welcome").replay().await?;    // or `remove`
//! # Ok(()) }
//! ```
//!
//! [`Alerts`] tell people by themselves: rules about queues, judged by one process at a time (`docs/alerts.md`).
//!
//! # Seeing what happens
//!
//! The library logs through [`tracing`](https://docs.rs/tracing): a job that failed at `INFO`, a
//! dead or bounced one and trouble with Redis at `WARN`. Install a subscriber to see it. Handlers run in the
//! span `job` (`INFO`: `queue`, `name`, `id`, `attempt`, `fence`). For metrics there is
//! the feature `metrics`; for more, [`WorkerBuilder::on_event`] in the worker's process and [`Queue::events`] from any process; and
//! [`WorkerBuilder::wrap`] wraps every handler of a worker.
//!
//! # Features
//!
//! `cron` is on by default.
//!
//! | feature | gives |
//! |---|---|
//! | `cron` | schedules by cron expressions, in any time zone; without it there are schedules by intervals only, and no calendar is built |
//! | `memory` | queues in memory, to test an application's jobs without Redis |
//! | `metrics` | counters, gauges and histograms for the recorder of the [metrics](https://docs.rs/metrics) facade (`oxcart::metrics`) |
//! | `opentelemetry` | traces of OpenTelemetry go on from where a job is enqueued into its handler (`TraceRelation`) |
//! | `tls-rustls` | `rediss://`, by rustls |
//! | `tls-native` | `rediss://`, by the system's library |
//! | `tower` | `WorkerBuilder::layer`: layers of [tower](https://docs.rs/tower) wrap every handler |
//!
//! # What it does not do
//!
//! It needs no module and nothing newer than Redis 7.0. It installs no signal handler, never
//! exits the process, starts no task before it is asked to, and reports no job as enqueued that
//! Redis has not acknowledged.

// Only here: tests and examples may.
#![warn(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

mod alerts;
mod breaker;
mod codec;
// The calendar. Without the feature there is none, and no other file needs to know.
#[cfg(feature = "cron")]
#[path = "policy/cron/mod.rs"]
mod cron;
#[cfg(not(feature = "cron"))]
#[path = "policy/cron/absent.rs"]
mod cron;
mod error;
mod events;
#[cfg(feature = "metrics")]
#[path = "queue/gauges.rs"]
mod gauges;
mod id;
mod job;
// Layers of tower; no other file needs to know.
#[cfg(any(test, feature = "tower"))]
#[path = "worker/layer.rs"]
mod layer;
mod maintenance;
// The second implementation of the store. Without the feature its types have no values, and no
// other file needs to know.
#[cfg(any(test, feature = "memory"))]
#[path = "store/memory/mod.rs"]
mod memory;
#[cfg(not(any(test, feature = "memory")))]
#[path = "store/memory/absent.rs"]
mod memory;
// What the `metrics` facade is told. Without the feature nothing is, and no other file needs to know.
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "metrics/absent.rs"]
mod metrics;
mod name;
mod oxcart;
mod policy;
// Traces of OpenTelemetry. Without the feature they end at a queue, and no other file needs to know.
#[cfg(feature = "opentelemetry")]
mod propagation;
#[cfg(not(feature = "opentelemetry"))]
#[path = "propagation/absent.rs"]
mod propagation;
mod queue;
mod redis;
mod runtime;
mod schedule;
mod service;
mod store;
#[cfg(feature = "memory")]
mod testing;
mod time;
// `rediss://` by one of two libraries, or not at all; no other file needs to know.
#[cfg(any(feature = "tls-rustls", feature = "tls-native"))]
#[path = "redis/tls/advice.rs"]
mod tls_advice;
#[cfg(any(feature = "tls-rustls", feature = "tls-native"))]
#[path = "redis/tls/certified.rs"]
mod tls_certified;
#[cfg(feature = "tls-rustls")]
#[path = "redis/tls/rustls.rs"]
mod tls_library;
#[cfg(all(feature = "tls-native", not(feature = "tls-rustls")))]
#[path = "redis/tls/native.rs"]
mod tls_library;
#[cfg(not(any(feature = "tls-rustls", feature = "tls-native")))]
#[path = "redis/tls/absent.rs"]
mod tls_library;
mod topic;
#[cfg(feature = "opentelemetry")]
#[path = "worker/trace_relation.rs"]
mod trace_relation;
mod worker;

pub use crate::alerts::Alerts;
pub use crate::alerts::info::{Acknowledge, AlertInfo};
pub use crate::alerts::notification::AlertNotification;
pub use crate::alerts::rule::AlertRule;
pub use crate::alerts::running::RunningAlerts;
pub use crate::breaker::Breaker;
pub use crate::breaker::error::{BreakerError, BreakerOpen};
pub use crate::breaker::info::BreakerInfo;
pub use crate::error::{Error, ErrorKind};
pub use crate::events::event::{Event, EventKind, ProgressValue};
pub use crate::events::stream::{EventCursor, EventStream};
pub use crate::id::{Fence, JobId};
pub use crate::job::Job;
pub use crate::job::attempt::Attempt;
pub use crate::job::cloud_event::CloudEvent;
pub use crate::job::failure::Failure;
pub use crate::job::history::{AttemptEntry, AttemptKind, FailedAttempt};
pub use crate::job::options::JobOptions;
pub use crate::job::outcome::{DeadReason, Outcome, Output};
pub use crate::job::replies::Replies;
pub use crate::job::state::State as JobState;
pub use crate::job::upcasters::Upcasters;
#[cfg(any(test, feature = "tower"))]
pub use crate::layer::JobService;
pub use crate::name::QueueName;
pub use crate::oxcart::{Oxcart, OxcartBuilder};
pub use crate::policy::alert::condition::{AlertUnit, Condition};
pub use crate::policy::alert::standing::{AlertEvent, AlertState};
pub use crate::policy::backoff::Backoff;
pub use crate::policy::breaker::{BreakerSettings, BreakerState};
pub use crate::policy::durability::Durability;
pub use crate::policy::event_filter::{EventFilter, EventOrder};
pub use crate::policy::flow::OnDeath;
pub use crate::policy::limits::{Rate, Spread};
pub use crate::policy::order::{OnFailure, Order};
pub use crate::policy::retention::Retention;
pub use crate::policy::schedule::{Missed, Overlap};
pub use crate::policy::settings::{QueueSettings, SettingsInForce};
pub use crate::policy::unique::{OnDuplicate, Unique};
#[cfg(feature = "opentelemetry")]
pub use crate::propagation::TraceRelation;
pub use crate::queue::Queue;
pub use crate::queue::admin::Changed;
pub use crate::queue::audit::{Audit, AuditEntry, AuditPhase};
pub use crate::queue::cancel::Cancel;
pub use crate::queue::cloud_event::Untyped;
pub use crate::queue::dead::DeadLetters;
pub use crate::queue::dead::archive::{DeadImported, DeadLetter, DeadStream, ImportDead};
pub use crate::queue::dead::change::{DeadTally, RemoveDead, ReplayDead, Stopped};
pub use crate::queue::dead::fingerprint::Fingerprint;
pub use crate::queue::dead::groups::{DeadGroup, DeadGroups, GroupDead};
pub use crate::queue::delete::{Delete, Deleted};
pub use crate::queue::edit::Edit;
pub use crate::queue::encoded::EncodedJob;
pub use crate::queue::enqueue::Enqueue;
pub use crate::queue::feed::{EnqueueFrom, Fed};
pub use crate::queue::flow::cancel::{CancelFlow, FlowCancelled};
pub use crate::queue::flow::chain::Chain;
pub use crate::queue::flow::children::{ChildInfo, Children};
pub use crate::queue::flow::tree::{FlowNode, FlowTree};
pub use crate::queue::flow::{Child, Flow};
pub use crate::queue::group::{Group, GroupInfo};
pub use crate::queue::handle::{Enqueued, JobHandle, ResultWait};
pub use crate::queue::history::{History, HistoryMinute, NameHistory, Quantiles};
pub use crate::queue::info::{Counts, Ended, JobInfo, Totals};
pub use crate::queue::job_log::{LogLine, Logs};
pub use crate::queue::jobs::{JobCursor, JobPage, JobStream, Jobs};
pub use crate::queue::jobs_named::JobsNamed;
pub use crate::queue::many::{EnqueueMany, IntoEnqueue};
pub use crate::queue::oldest::OldestWaiting;
pub use crate::queue::orphans::Orphans;
pub use crate::queue::outbox::Outgoing;
pub use crate::queue::replies::{OpenReplies, ReplyStream};
pub use crate::queue::saga::{SagaHandle, SagaInfo, SagaState};
pub use crate::queue::signal::Signalled;
pub use crate::queue::steps::{StepInfo, StepState, StepsHandle, StepsInfo};
pub use crate::queue::sweep::{Sweep, Swept};
pub use crate::queue::workers::{RunningJob, WorkerInfo};
pub use crate::redis::credentials::Credentials;
pub use crate::redis::place::{ClusterNodes, Sentinels};
pub use crate::redis::pool::Pool;
pub use crate::redis::server::{Persistence, Product, ServerInfo};
pub use crate::redis::tls::Tls;
pub use crate::schedule::ScheduleHandle;
pub use crate::schedule::builder::{Schedule, ScheduleBuilder, Scheduled};
pub use crate::schedule::info::{Rhythm, ScheduleInfo, TickOutcome};
pub use crate::service::hooks::WorkerEvent;
#[cfg(feature = "memory")]
pub use crate::testing::batched::BatchedOutcome;
#[cfg(feature = "memory")]
pub use crate::testing::context::ContextBuilder;
#[cfg(feature = "memory")]
pub use crate::testing::drain::Ran;
#[cfg(feature = "memory")]
pub use crate::testing::readable::{assert_readable, fixture_of};
pub use crate::time::Timestamp;
pub use crate::topic::Topic;
pub use crate::topic::info::{SubscriptionInfo, TopicInfo};
pub use crate::topic::publish::{Publish, PublishMany, Published};
pub use crate::topic::subscribe::{Start, Subscribe};
pub use crate::worker::Worker;
pub use crate::worker::batch::Batch;
pub use crate::worker::batch::batched::{Batched, Pending};
pub use crate::worker::batch::handler::BatchHandler;
pub use crate::worker::breaker::BreakerMiddleware;
pub use crate::worker::builder::WorkerBuilder;
pub use crate::worker::context::Context;
pub use crate::worker::control::WorkerControl;
pub use crate::worker::extract::{Extract, ExtractOnce, State, States};
pub use crate::worker::handler::Handler;
pub use crate::worker::middleware::{Middleware, Next};
pub use crate::worker::replies::ReplySender;
pub use crate::worker::saga::{Saga, SagaStep, Undo};
pub use crate::worker::shutdown::shutdown_signal;
pub use crate::worker::workers::Workers;

pub use tokio_util::sync::CancellationToken;

/// The examples of the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the page on schedules run as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/schedules.md")]
struct SchedulesPage;

/// And of the page on errors.
#[cfg(doctest)]
#[doc = include_str!("../docs/errors.md")]
struct ErrorsPage;

/// And of the page on settings.
#[cfg(doctest)]
#[doc = include_str!("../docs/settings.md")]
struct SettingsPage;

/// And of the page on limits.
#[cfg(doctest)]
#[doc = include_str!("../docs/limits.md")]
struct LimitsPage;

/// And of the page on pauses.
#[cfg(doctest)]
#[doc = include_str!("../docs/pause.md")]
struct PausePage;

/// And of the page on alerts.
#[cfg(doctest)]
#[doc = include_str!("../docs/alerts.md")]
struct AlertsPage;

/// And of the page on connecting.
#[cfg(doctest)]
#[doc = include_str!("../docs/connect.md")]
struct ConnectPage;

/// And of the page on TLS and access rules.
#[cfg(doctest)]
#[doc = include_str!("../docs/security.md")]
struct SecurityPage;

/// And of the page on batches.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../docs/batches.md")]
struct BatchesPage;

/// And of the page on what jobs and events carry.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../docs/envelope.md")]
struct EnvelopePage;

/// And of the page on breakers.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../docs/breakers.md")]
struct BreakersPage;

/// And of the page on tests.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../docs/testing.md")]
struct TestingPage;

/// And of the page on durable steps.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../docs/steps.md")]
struct StepsPage;

/// And of the page on requests and replies.
#[cfg(doctest)]
#[doc = include_str!("../docs/request-reply.md")]
struct RequestReplyPage;

/// And of the page on topics.
#[cfg(doctest)]
#[doc = include_str!("../docs/topics.md")]
struct TopicsPage;
