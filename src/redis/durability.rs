//! Waiting until what was written is on disk, or with replicas.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::policy::durability::Level;
use crate::redis::trouble::Trouble;

/// How far a level was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Reached,
    /// What is missing, for people.
    Short(String),
}

/// A part of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Replicas(u8),
    Fsync,
}

/// What is to be waited for, one after the other.
pub(crate) fn waits(level: Level) -> impl Iterator<Item = Wait> {
    let replicas = (level.replicas > 0).then_some(Wait::Replicas(level.replicas));
    let fsync = level.fsync.then_some(Wait::Fsync);
    replicas.into_iter().chain(fsync)
}

impl Wait {
    /// It waits for at most so long.
    pub(crate) fn command(self, within: Duration) -> Cmd {
        // With 0 Redis would wait for ever.
        let ms = within.as_millis().max(1) as u64;
        match self {
            Self::Replicas(replicas) => redis::cmd("WAIT").arg(replicas).arg(ms).take(),
            Self::Fsync => redis::cmd("WAITAOF").arg(1).arg(0).arg(ms).take(),
        }
    }
}

/// What an answer to a [`Wait`] says: `WAIT` how many replicas have it, `WAITAOF` whether this server has written it to disk, and
/// how many replicas have.
pub(crate) fn answered(level: Level, answer: &Value) -> Result<Confirmed, Trouble> {
    match answer {
        Value::Int(replicas) if *replicas >= i64::from(level.replicas) => Ok(Confirmed::Reached),
        Value::Int(replicas) => Ok(Confirmed::Short(format!(
            "{replicas} of {} replicas have it",
            level.replicas
        ))),
        Value::Array(parts) => match parts.first() {
            Some(Value::Int(1..)) => Ok(Confirmed::Reached),
            Some(Value::Int(_)) => Ok(Confirmed::Short(
                "Redis has not written it to disk".to_owned(),
            )),
            _ => Err(Trouble::Garbled(format!("`WAITAOF`: {answer:?}"))),
        },
        other => Err(Trouble::Garbled(format!("`WAIT`: {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Level = Level {
        fsync: true,
        replicas: 2,
    };

    #[test]
    fn each_part_of_a_level_has_a_command_and_no_time_is_without_end() {
        let both: Vec<String> = waits(BOTH)
            .map(|wait| wait.command(Duration::ZERO).get_packed_command())
            .map(|packed| String::from_utf8(packed).unwrap())
            .collect();
        assert!(
            both[0].contains("WAIT\r\n$1\r\n2\r\n$1\r\n1\r\n"),
            "{both:?}"
        );
        assert!(both[1].contains("WAITAOF") && both[1].ends_with("$1\r\n1\r\n"));
        assert_eq!(waits(Level::MEMORY).next(), None);
    }

    #[test]
    fn answers_say_whether_the_level_was_reached() {
        let reached = |answer| answered(BOTH, &answer).unwrap() == Confirmed::Reached;
        assert!(reached(Value::Int(2)) && reached(Value::Int(3)) && !reached(Value::Int(1)));
        let aof = |local| Value::Array(vec![Value::Int(local), Value::Int(0)]);
        assert!(reached(aof(1)) && !reached(aof(0)));
        assert!(answered(BOTH, &Value::Nil).is_err());
    }
}
