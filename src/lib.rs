//! Background jobs on Redis: typed, fast, and safe when things break.

mod codec;
mod error;
mod events;
mod id;
mod job;
mod maintenance;
mod name;
mod oxcart;
mod policy;
mod queue;
mod redis;
mod store;
mod time;
mod worker;

pub use crate::error::{Error, ErrorKind};
pub use crate::events::event::{Event, EventKind, ProgressValue};
pub use crate::events::stream::{Cursor, EventStream};
pub use crate::id::{Fence, JobId};
pub use crate::job::Job;
pub use crate::job::failure::Failure;
pub use crate::job::history::{AttemptKind, FailedAttempt};
pub use crate::job::options::JobOptions;
pub use crate::job::outcome::DeadReason;
pub use crate::job::state::{Place, State as JobState, Step};
pub use crate::name::{Namespace, QueueName};
pub use crate::oxcart::{Oxcart, OxcartBuilder};
pub use crate::policy::backoff::Backoff;
pub use crate::policy::retention::Retention;
pub use crate::queue::Queue;
pub use crate::queue::enqueue::Enqueue;
pub use crate::queue::handle::{Enqueued, JobHandle, ResultWait};
pub use crate::queue::info::{Counts, Ended, JobInfo, Totals};
pub use crate::queue::many::{EnqueueMany, IntoEnqueue};
pub use crate::time::Timestamp;
pub use crate::worker::Worker;
pub use crate::worker::builder::WorkerBuilder;
pub use crate::worker::context::Context;
pub use crate::worker::control::WorkerControl;
pub use crate::worker::extract::{Extract, State, States};
pub use crate::worker::handler::Handler;
pub use crate::worker::hooks::WorkerEvent;
pub use crate::worker::shutdown::shutdown_signal;

pub use deadpool_redis::Pool;
