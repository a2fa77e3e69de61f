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

/// The commands that wait for a level, each for at most so long.
pub(crate) fn commands(level: Level, within: Duration) -> Vec<Cmd> {
    // With 0 Redis would wait for ever.
    let ms = within.as_millis().max(1) as u64;
    let mut commands = Vec::new();
    if level.replicas > 0 {
        let mut wait = redis::cmd("WAIT");
        wait.arg(level.replicas).arg(ms);
        commands.push(wait);
    }
    if level.fsync {
        let mut wait = redis::cmd("WAITAOF");
        wait.arg(1).arg(0).arg(ms);
        commands.push(wait);
    }
    commands
}

/// What an answer to one of the [`commands`] says: `WAIT` how many replicas have it, `WAITAOF` whether this server has written it to disk, and
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
        let packed = |commands: Vec<Cmd>| -> Vec<String> {
            let text = |cmd: &Cmd| String::from_utf8(cmd.get_packed_command()).unwrap();
            commands.iter().map(text).collect()
        };
        let both = packed(commands(BOTH, Duration::ZERO));
        assert!(
            both[0].contains("WAIT\r\n$1\r\n2\r\n$1\r\n1\r\n"),
            "{both:?}"
        );
        assert!(both[1].contains("WAITAOF") && both[1].ends_with("$1\r\n1\r\n"));
        assert!(commands(Level::MEMORY, Duration::ZERO).is_empty());
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
