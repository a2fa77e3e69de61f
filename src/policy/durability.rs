//! How safe a job is before its caller is told that Redis has it.

use crate::error::Error;

/// What Redis has done with a job before the caller that enqueues it is told that it is there.
///
/// Set it for a request ([`Enqueue::durability`](crate::Enqueue::durability)), for a type of job
/// ([`JobOptions::durability`](crate::JobOptions::durability)), or for all that one handle of a queue enqueues
/// ([`Queue::with_durability`](crate::Queue::with_durability)). What is said more closely counts: the request before the type, the
/// type before the handle.
///
/// | level | what may die and no job is lost | what it costs |
/// |---|---|---|
/// | `Memory` | the processes of the application | nothing |
/// | `Fsync` | these, and Redis, and its machine | the time until Redis has written to disk: about 1 s with `appendfsync everysec`, one write with `always` |
/// | `Replicated(n)` | these, and the primary, if a replica that has the job takes its place | a round trip from the primary to its replicas |
///
/// Callers that enqueue at the same time share one `WAITAOF` or `WAIT`. Jobs start as soon as Redis has them, whether or not they are
/// confirmed. If the level is not reached within the call timeout, the error is
/// [`ErrorKind::NotDurable`](crate::ErrorKind::NotDurable): the job is there, and may be lost with the server. What scripts add (ticks of
/// schedules, callbacks, children that a job adds, messages of the outbox) has level `Memory`.
///
/// `Replicated` is as good as Redis' own failover: Sentinel and Cluster promote the replica that has seen most, which is no promise
/// that it has seen all ([`WAIT`](https://redis.io/docs/latest/commands/wait/)).
///
/// ```no_run
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Charge { order: u64 }
/// # impl Job for Charge { const NAME: &'static str = "charge"; type Output = (); }
/// # async fn example(queue: Queue) -> Result<(), Error> {
/// queue.enqueue(Charge { order: 42 }).durability(Durability::Fsync).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Redis has it in memory; `appendonly` and `save` say when it is on disk. The default.
    #[default]
    Memory,
    /// The append-only file with the job has been written to disk (`fsync`). Redis 7.2 or Valkey 7.2 or newer, with `appendonly yes`.
    Fsync,
    /// So many replicas have it, 1 or more.
    Replicated(u8),
}

impl Durability {
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::Replicated(0) => Err(Error::invalid(
                "the durability is `Replicated(0)`; 1 replica or more is allowed, and `Durability::Memory` needs none",
            )),
            _ => Ok(()),
        }
    }
}

/// What several jobs that are sent together ask for, all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Level {
    pub(crate) fsync: bool,
    pub(crate) replicas: u8,
}

impl Level {
    pub(crate) const MEMORY: Self = Self {
        fsync: false,
        replicas: 0,
    };

    /// What satisfies both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            fsync: self.fsync || other.fsync,
            replicas: self.replicas.max(other.replicas),
        }
    }
}

impl From<Durability> for Level {
    fn from(durability: Durability) -> Self {
        let (fsync, replicas) = match durability {
            Durability::Memory => (false, 0),
            Durability::Fsync => (true, 0),
            Durability::Replicated(replicas) => (false, replicas),
        };
        Self { fsync, replicas }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_levels_are_satisfied_by_one() {
        let all = [
            Durability::Replicated(1),
            Durability::Memory,
            Durability::Fsync,
            Durability::Replicated(3),
        ];
        let level = all
            .map(Level::from)
            .into_iter()
            .fold(Level::MEMORY, Level::and);
        assert_eq!(
            level,
            Level {
                fsync: true,
                replicas: 3
            }
        );
    }

    #[test]
    fn no_replica_is_no_level() {
        assert!(Durability::Replicated(0).check().unwrap_err().is_invalid());
        assert!(Durability::Replicated(1).check().is_ok());
    }
}
