//! What the parent asks Redis, over a connection of its own that it keeps.

use anyhow::{Context, Result};
use redis::{Connection, Pipeline, Value};

use crate::private::Server;

/// A private server, the same for all peers, and the parent's connection to it.
pub(crate) struct Probe {
    server: Server,
    connection: Connection,
}

impl Probe {
    pub(crate) fn start() -> Result<Self> {
        let server = Server::start();
        let connection = redis::Client::open(server.socket_url())?.get_connection()?;
        Ok(Self { server, connection })
    }

    /// Where the peers connect to: all of them by TCP.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Leaves nothing of the run before; scripts stay loaded, as they do in a server that is used.
    pub(crate) fn empty(&mut self) -> Result<()> {
        self.ask::<()>(&["FLUSHALL", "SYNC"])
    }

    /// One field of INFO.
    pub(crate) fn info(&mut self, section: &str, field: &str) -> Result<String> {
        let all: String = self.ask(&["INFO", section])?;
        all.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(str::to_owned)
            .with_context(|| format!("INFO {section} has no {field}"))
    }

    /// Seconds of CPU that the server's main thread has used; of the whole process, on a system
    /// that does not tell threads apart.
    pub(crate) fn cpu(&mut self) -> Result<f64> {
        let all: String = self.ask(&["INFO", "cpu"])?;
        let sum = |names: [&str; 2]| -> Option<f64> {
            names.into_iter().try_fold(0.0, |sum, name| {
                let value = all
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                Some(sum + value.parse::<f64>().ok()?)
            })
        };
        sum(["used_cpu_sys_main_thread", "used_cpu_user_main_thread"])
            .or_else(|| sum(["used_cpu_sys", "used_cpu_user"]))
            .context("INFO cpu tells nothing")
    }

    /// Bytes that Redis has allocated.
    pub(crate) fn memory(&mut self) -> Result<f64> {
        Ok(self.info("memory", "used_memory")?.parse()?)
    }

    /// The sum of what these commands answer, asked in one transaction: a job that moves between
    /// two keys is counted once.
    pub(crate) fn sum(&mut self, commands: &[&[&str]]) -> Result<u64> {
        let mut pipe = Pipeline::new();
        pipe.atomic();
        for command in commands {
            pipe.add_command(cmd(command));
        }
        let answers: Vec<u64> = pipe.query(&mut self.connection)?;
        Ok(answers.iter().sum())
    }

    /// Forgets the slow calls so far, and notes those that take longer than this.
    pub(crate) fn watch_slow_calls(&mut self, over_us: u64) -> Result<()> {
        let limit = over_us.to_string();
        self.ask::<()>(&["CONFIG", "SET", "slowlog-log-slower-than", &limit])?;
        self.ask::<()>(&["CONFIG", "SET", "slowlog-max-len", "10000"])?;
        self.ask::<()>(&["SLOWLOG", "RESET"])
    }

    /// The longest script call since [`Self::watch_slow_calls`], in µs.
    pub(crate) fn slowest_script(&mut self) -> Result<Option<u64>> {
        let entries: Vec<Vec<Value>> = self.ask(&["SLOWLOG", "GET", "-1"])?;
        let script = |entry: &Vec<Value>| -> Option<u64> {
            let command: Vec<Vec<u8>> = redis::from_redis_value(entry.get(3)?.clone()).ok()?;
            let name = command.first()?.to_ascii_lowercase();
            let time = redis::from_redis_value(entry.get(2)?.clone()).ok()?;
            (name.starts_with(b"eval") || name.starts_with(b"fcall")).then_some(time)
        };
        Ok(entries.iter().filter_map(script).max())
    }

    fn ask<T: redis::FromRedisValue>(&mut self, command: &[&str]) -> Result<T> {
        cmd(command)
            .query(&mut self.connection)
            .with_context(|| format!("Redis does not answer {}", command.join(" ")))
    }
}

fn cmd(words: &[&str]) -> redis::Cmd {
    let mut cmd = redis::Cmd::new();
    for word in words {
        cmd.arg(word);
    }
    cmd
}
