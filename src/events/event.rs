//! One lifecycle event, and how it is read from a stream entry.

use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::Error;
use crate::events::stream::EventCursor;
use crate::id::JobId;
use crate::job::outcome::DeadReason;
use crate::policy::breaker::BreakerState;
use crate::policy::key::decode_key;
use crate::time::Timestamp;

/// Something that happened in a queue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Where to go on after this event.
    pub cursor: EventCursor,
}

/// What happened, to which job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A job was enqueued. It is in line, unless `Delayed` or `Blocked` follows.
    Added(JobId),
    /// A job is held back: by jobs of its group, by the jobs before it with the same order key, or by the job that has its unique
    /// key. `Waiting` or `Delayed` follows.
    Blocked(JobId),
    /// A job with an order is dead and holds back all jobs of the same key, until it is replayed or removed
    /// ([`OnFailure::Halt`](crate::OnFailure::Halt)).
    Halted(JobId),
    /// A job came back in line: it became due, its worker handed it back, or its group or order let it go on.
    Waiting(JobId),
    /// A worker took a job.
    Active(JobId),
    /// A handler said how far it is. A value of more than 256 bytes is not in the event; ask the
    /// job for it ([`Queue::job`](crate::Queue::job)).
    Progress(JobId, Option<ProgressValue>),
    /// A job ended well.
    Completed(JobId),
    /// An attempt failed; the next is due then.
    Retrying(JobId, Timestamp),
    /// A handler put a job off ([`Failure::snooze`](crate::Failure::snooze)).
    #[non_exhaustive]
    Snoozed {
        /// The job.
        id: JobId,
        /// When it is due again.
        until: Timestamp,
        /// How often this job was put off by now.
        times: u32,
    },
    /// A handler waits for a moment or for a signal ([`Context::wait_for`](crate::Context::wait_for)): the job is put aside until
    /// then, or, without a moment, until the signal comes.
    #[non_exhaustive]
    Suspended {
        /// The job.
        id: JobId,
        /// Until when, if not until it is told.
        until: Option<Timestamp>,
    },
    /// A job is not due before then: it was enqueued like that, or no handler could read it.
    Delayed(JobId, Timestamp),
    /// No handler of the worker that took a job could run it, and why. If the worker has no handler of
    /// the job's name, the job keeps its place in line, for a worker that has one. If the handler cannot
    /// read the payload, or the job cannot be kept by its name (a worker died on it, or the name is too
    /// long), `Delayed` follows.
    Bounced(JobId, String),
    /// A worker died, or was not heard any more, while it ran the job.
    Stalled(JobId),
    /// A job is on the dead-letter list.
    Dead(JobId, DeadReason),
    /// A job was cancelled: it was no longer wanted, or expired before it started.
    Cancelled(JobId),
    /// A [saga](crate::Saga) has ended without success: all of its steps were undone.
    Compensated(JobId),
    /// A dead job was put back in line.
    Replayed(JobId),
    /// A job was changed before it ran ([`Queue::edit`](crate::Queue::edit)). `Waiting`, `Delayed` or `Blocked` follows if it has moved:
    /// it is due at another moment, or has another priority.
    Edited(JobId),
    /// A job that waits got the payload and the options of another one with the same unique key
    /// ([`OnDuplicate`](crate::OnDuplicate)).
    Replaced(JobId),
    /// A job was removed, with all that was known of it ([`Queue::remove`](crate::Queue::remove)). Jobs
    /// that were kept long enough go without an event.
    Removed(JobId),
    /// The last job has ended or was removed: none waits, none is blocked, none is delayed, none is active.
    Drained,
    /// The queue was paused: nothing is claimed.
    Paused,
    /// A pause is over, or a hold was ended before its time.
    Resumed,
    /// The jobs of this name were paused ([`JobsNamed::pause`](crate::JobsNamed::pause)): none of them is claimed.
    NamePaused(String),
    /// The pause of the jobs of this name is over.
    NameResumed(String),
    /// A breaker has this state now ([`Breaker::events`](crate::Breaker::events)). No queue tells this.
    Breaker(BreakerState),
    /// Nothing is claimed before that moment: a handler was told to wait
    /// ([`Failure::rate_limited`](crate::Failure::rate_limited)). There is no event at that moment.
    Held(Timestamp),
    /// Some events were dropped before this reader read them: they lay between the event before this
    /// one and the next.
    Missed,
    /// The events cannot be read at the moment: Redis is away, refuses, or holds something else under
    /// their key. Told once, when reading has failed twice in a row. The stream goes on as soon as it can;
    /// if anything was dropped meanwhile, `Missed` follows. It has the time of the event before it.
    Interrupted {
        /// What is wrong.
        error: String,
    },
}

impl EventKind {
    /// The names of all kinds ([`name`](Self::name)), for what a person types.
    pub const NAMES: [&'static str; 27] = [
        "added",
        "blocked",
        "halted",
        "waiting",
        "active",
        "progress",
        "completed",
        "retrying",
        "snoozed",
        "suspended",
        "delayed",
        "bounced",
        "stalled",
        "dead",
        "cancelled",
        "compensated",
        "replayed",
        "edited",
        "replaced",
        "removed",
        "drained",
        "paused",
        "resumed",
        "held",
        "breaker",
        "missed",
        "interrupted",
    ];

    /// The job it happened to, if it is about one.
    #[must_use]
    pub fn job_id(&self) -> Option<&JobId> {
        match self {
            Self::Added(id)
            | Self::Blocked(id)
            | Self::Halted(id)
            | Self::Waiting(id)
            | Self::Active(id)
            | Self::Progress(id, _)
            | Self::Completed(id)
            | Self::Retrying(id, _)
            | Self::Snoozed { id, .. }
            | Self::Suspended { id, .. }
            | Self::Delayed(id, _)
            | Self::Bounced(id, _)
            | Self::Stalled(id)
            | Self::Dead(id, _)
            | Self::Cancelled(id)
            | Self::Compensated(id)
            | Self::Replayed(id)
            | Self::Edited(id)
            | Self::Replaced(id)
            | Self::Removed(id) => Some(id),
            Self::Drained
            | Self::Paused
            | Self::Resumed
            | Self::NamePaused(_)
            | Self::NameResumed(_)
            | Self::Held(_)
            | Self::Breaker(_)
            | Self::Missed
            | Self::Interrupted { .. } => None,
        }
    }

    /// The name of the kind, as it is on the wire; `missed` and `interrupted` are made by the reader.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Blocked(_) => "blocked",
            Self::Halted(_) => "halted",
            Self::Waiting(_) => "waiting",
            Self::Active(_) => "active",
            Self::Progress(..) => "progress",
            Self::Completed(_) => "completed",
            Self::Retrying(..) => "retrying",
            Self::Snoozed { .. } => "snoozed",
            Self::Suspended { .. } => "suspended",
            Self::Delayed(..) => "delayed",
            Self::Bounced(..) => "bounced",
            Self::Stalled(_) => "stalled",
            Self::Dead(..) => "dead",
            Self::Cancelled(_) => "cancelled",
            Self::Compensated(_) => "compensated",
            Self::Replayed(_) => "replayed",
            Self::Edited(_) => "edited",
            Self::Replaced(_) => "replaced",
            Self::Removed(_) => "removed",
            Self::Drained => "drained",
            Self::Paused | Self::NamePaused(_) => "paused",
            Self::Resumed | Self::NameResumed(_) => "resumed",
            Self::Held(_) => "held",
            Self::Breaker(_) => "breaker",
            Self::Missed => "missed",
            Self::Interrupted { .. } => "interrupted",
        }
    }
}

/// What a handler said about its progress.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressValue(Vec<u8>);

impl ProgressValue {
    /// The value, as the type the handler gave.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if it cannot be read as a `T`.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, Error> {
        codec::decode_either("a job's progress", &self.0)
    }
}

/// What the fields of an entry say, as `lib/emit.lua` writes it: a kind, and ids joined by
/// spaces, each with a detail behind a colon where the kind has one. What is not understood,
/// because a newer version wrote it, is left out.
pub(crate) fn parse_fields(fields: &[(String, Vec<u8>)]) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    for (position, (name, value)) in fields.iter().enumerate() {
        match name.as_str() {
            "drained" => kinds.push(EventKind::Drained),
            // With a name, of the jobs of that name; else of the queue.
            "paused" if value.is_empty() => kinds.push(EventKind::Paused),
            "resumed" if value.is_empty() => kinds.push(EventKind::Resumed),
            "paused" => kinds.push(EventKind::NamePaused(job_name(value))),
            "resumed" => kinds.push(EventKind::NameResumed(job_name(value))),
            "held" => {
                let until = std::str::from_utf8(value)
                    .ok()
                    .and_then(|ms| ms.parse().ok());
                kinds.extend(until.map(|ms| EventKind::Held(Timestamp::from_millis(ms))));
            }
            "breaker" => {
                let state = BreakerState::parse(&String::from_utf8_lossy(value));
                kinds.extend(state.map(EventKind::Breaker));
            }
            // Belongs to the field before it.
            "value" | "why" => {}
            "bounced" => {
                let next = fields.get(position + 1).filter(|(name, _)| name == "why");
                let why = next.map(|(_, why)| String::from_utf8_lossy(why));
                let why = why.unwrap_or_default();
                let ids = String::from_utf8_lossy(value);
                let bounced = |id| EventKind::Bounced(JobId::stored(id), why.to_string());
                kinds.extend(ids.split(' ').map(bounced));
            }
            "progress" => {
                let next = fields.get(position + 1).filter(|(name, _)| name == "value");
                if let Ok(id) = std::str::from_utf8(value) {
                    let value = next.map(|(_, value)| ProgressValue(value.clone()));
                    kinds.push(EventKind::Progress(JobId::stored(id), value));
                }
            }
            _ => {
                let tokens = String::from_utf8_lossy(value);
                kinds.extend(
                    tokens
                        .split(' ')
                        .filter_map(|token| parse_token(name, token)),
                );
            }
        }
    }
    kinds
}

/// The name of jobs, from what is stored.
fn job_name(value: &[u8]) -> String {
    decode_key(&String::from_utf8_lossy(value)).into_owned()
}

fn parse_token(name: &str, token: &str) -> Option<EventKind> {
    let (id, detail) = token.split_once(':').unwrap_or((token, ""));
    let id = JobId::stored(id);
    let time = || detail.parse().ok().map(Timestamp::from_millis);
    Some(match name {
        "added" => EventKind::Added(id),
        "blocked" => EventKind::Blocked(id),
        "halted" => EventKind::Halted(id),
        "waiting" => EventKind::Waiting(id),
        "active" => EventKind::Active(id),
        "completed" => EventKind::Completed(id),
        "retrying" => EventKind::Retrying(id, time()?),
        "snoozed" => {
            let (until, times) = detail.split_once(':')?;
            let until = Timestamp::from_millis(until.parse().ok()?);
            let times = times.parse().ok()?;
            EventKind::Snoozed { id, until, times }
        }
        "suspended" => {
            let until_ms: u64 = detail.parse().ok()?;
            let until = (until_ms > 0).then(|| Timestamp::from_millis(until_ms));
            EventKind::Suspended { id, until }
        }
        "delayed" => EventKind::Delayed(id, time()?),
        "stalled" => EventKind::Stalled(id),
        "dead" => EventKind::Dead(id, DeadReason::parse(detail)),
        "cancelled" => EventKind::Cancelled(id),
        "compensated" => EventKind::Compensated(id),
        "replayed" => EventKind::Replayed(id),
        "edited" => EventKind::Edited(id),
        "replaced" => EventKind::Replaced(id),
        "removed" => EventKind::Removed(id),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_fields_of_an_entry() {
        let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let kinds = parse_fields(&[
            field("completed", b"a b"),
            field("retrying", b"c:1700000000123"),
            field("snoozed", b"j:1700000000123:4 k:1"),
            field("suspended", b"l:1700000000123 m:0 n"),
            field("dead", b"d:poisoned"),
            field("bounced", b"g h"),
            field("why", b"missing field `user_id`"),
            field("progress", b"e"),
            field("value", b"\x2a"),
            field("removed", b"i"),
            field("held", b"1700000000456"),
            field("held", b"then"),
            field("breaker", b"half-open"),
            field("breaker", b"ajar"),
            field("drained", b""),
            field("paused", b""),
            field("paused", b"mail%20bulk"),
            field("resumed", b"mail"),
            field("from-the-future", b"f"),
        ]);
        let id = JobId::stored;
        assert_eq!(
            kinds,
            [
                EventKind::Completed(id("a")),
                EventKind::Completed(id("b")),
                EventKind::Retrying(id("c"), Timestamp::from_millis(1_700_000_000_123)),
                EventKind::Snoozed {
                    id: id("j"),
                    until: Timestamp::from_millis(1_700_000_000_123),
                    times: 4,
                },
                EventKind::Suspended {
                    id: id("l"),
                    until: Some(Timestamp::from_millis(1_700_000_000_123)),
                },
                EventKind::Suspended {
                    id: id("m"),
                    until: None,
                },
                EventKind::Dead(id("d"), DeadReason::Poisoned),
                EventKind::Bounced(id("g"), "missing field `user_id`".to_owned()),
                EventKind::Bounced(id("h"), "missing field `user_id`".to_owned()),
                EventKind::Progress(id("e"), Some(ProgressValue(vec![0x2a]))),
                EventKind::Removed(id("i")),
                EventKind::Held(Timestamp::from_millis(1_700_000_000_456)),
                EventKind::Breaker(BreakerState::HalfOpen),
                EventKind::Drained,
                EventKind::Paused,
                EventKind::NamePaused("mail bulk".to_owned()),
                EventKind::NameResumed("mail".to_owned()),
            ]
        );
    }
}
