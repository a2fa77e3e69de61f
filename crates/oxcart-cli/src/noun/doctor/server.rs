//! What can be wrong with the server.

use std::time::Duration;

use indicatif::HumanBytes;
use oxcart::{Persistence, ServerInfo, Timestamp};

use super::report::{Finding, Level, Report};
use crate::session::Session;
use crate::text::quoted::quoted;
use crate::text::when::{exact, now, rough};

/// Parts of its memory, in percent, from which on a server is nearly full.
const MEMORY_HIGH: u128 = 75;
const MEMORY_FULL: u128 = 90;
/// Between the clock of the server and the one of this computer.
const CLOCK_DIFFERS: Duration = Duration::from_secs(2);
/// Each call of a producer waits for one round trip, and each of a worker.
const FAR_AWAY: Duration = Duration::from_millis(100);

pub(super) fn check(server: &ServerInfo, session: &Session, report: &mut Report) {
    let mut add = |level, check, what: String, advice: &str, command: &str| {
        let finding = Finding::new(level, check, None, what).advice(advice);
        report.add(match command {
            "" => finding,
            command => finding.command(format!("{} {command}", session.redis_cli)),
        });
    };
    // Policies with `volatile-` evict what expires by itself, which no job does.
    if let Some(policy) = server
        .eviction
        .as_deref()
        .filter(|it| it.starts_with("allkeys-"))
    {
        add(
            Level::Problem,
            "eviction",
            format!(
                "when its memory is full, Redis evicts keys of queues, and jobs with them: {policy}"
            ),
            "set it, and write it into redis.conf as well (CONFIG REWRITE)",
            "CONFIG SET maxmemory-policy noeviction",
        );
    }
    if server.persistence == Some(Persistence::Nothing) {
        add(
            Level::Problem,
            "persistence",
            "Redis keeps nothing on disk: a restart loses every job".to_owned(),
            "set it, and write it into redis.conf as well (CONFIG REWRITE)",
            "CONFIG SET appendonly yes",
        );
    }
    if server.save_failed == Some(true) {
        add(
            Level::Problem,
            "disk",
            "Redis could not write its data to disk: a crash loses what was not written".to_owned(),
            "look into its log, for a full disk or missing rights",
            "INFO persistence",
        );
    }
    if let (Some(used), Some(max)) = (
        server.memory,
        server.memory_max.filter(|max| *max < u64::MAX),
    ) {
        let percent = u128::from(used) * 100 / u128::from(max.max(1));
        let level = match percent {
            MEMORY_FULL.. => Level::Problem,
            _ => Level::Warning,
        };
        if percent >= MEMORY_HIGH {
            add(
                level,
                "memory",
                format!(
                    "Redis uses {} of {}, {percent} %; when it is full, nothing can be enqueued",
                    HumanBytes(used),
                    HumanBytes(max)
                ),
                "a higher maxmemory, a shorter keep_completed, fewer dead letters, or workers that keep up",
                "INFO memory",
            );
        }
    }
    let difference = Clock::of(server).difference();
    if difference > CLOCK_DIFFERS {
        let (slow, fast) = match server.time > Some(server.asked_at) {
            true => ("this computer", "Redis"),
            false => ("Redis", "this computer"),
        };
        add(
            Level::Warning,
            "clock",
            format!(
                "the clock of {fast} is {} ahead of the clock of {slow}",
                rough(difference)
            ),
            "jobs go by the clock of Redis: times that programs compute, and ages on this screen, are wrong by as much; \
             synchronize both with a time server",
            "TIME",
        );
    }
    if server.round_trip > FAR_AWAY {
        add(
            Level::Warning,
            "round-trip",
            format!(
                "the smallest command takes {} from here",
                exact(server.round_trip)
            ),
            "each call of a producer or worker takes as long: run them near Redis; or Redis is busy with something slow",
            "SLOWLOG GET",
        );
    }
    if let Some(denied) = server.denied.as_ref().filter(|denied| !denied.is_empty()) {
        let allowed: Vec<_> = denied
            .iter()
            .map(|it| format!("+{}", it.replace(' ', "|")))
            .collect();
        let keys = quoted(&format!("~{}:*", session.namespace));
        add(
            Level::Problem,
            "denied-command",
            format!(
                "this user may not use what workers and producers need: {}",
                denied.join(", ")
            ),
            "for the user NAME; docs/security.md lists all that a user needs",
            &format!("ACL SETUSER NAME {keys} {}", allowed.join(" ")),
        );
    }
    if server.eviction.is_none() {
        add(
            Level::Note,
            "not-told",
            "Redis does not tell this user how it is set up: eviction, persistence and memory were not checked".to_owned(),
            "for the user NAME",
            "ACL SETUSER NAME +info",
        );
    }
}

/// The server's clock, as far as it is known here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    server: Timestamp,
    here: Timestamp,
}

impl Clock {
    pub(super) fn of(server: &ServerInfo) -> Self {
        Self {
            server: server.time.unwrap_or(server.asked_at),
            here: server.asked_at,
        }
    }

    fn difference(self) -> Duration {
        let ahead = self.server.duration_since(self.here);
        ahead.max(self.here.duration_since(self.server))
    }

    pub(super) fn now(self) -> Timestamp {
        let since = now().duration_since(self.here).as_millis();
        Timestamp::from_millis(self.server.as_millis() + since as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_clock_goes_on_from_what_it_showed() {
        let here = now();
        let hour = 3_600_000;
        let server = Timestamp::from_millis(here.as_millis() - hour);
        let clock = Clock { server, here };
        assert_eq!(clock.difference(), Duration::from_millis(hour));
        let gone = clock.now().duration_since(server);
        assert!(gone < Duration::from_secs(60), "{gone:?}");
    }
}
