//! A peer's process, as the parent sees it: one command a line, each with a time limit.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::contenders::Contender;

/// How long a peer may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// Killed when it is dropped, and ends by itself when the parent does.
pub(crate) struct Session {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Session {
    pub(crate) fn start(peer: &Contender, url: &str) -> Result<Self> {
        let mut command = match peer.node() {
            true => {
                let mut node = Command::new("node");
                node.arg(node_home().join("bullmq.cjs")).arg(url);
                node
            }
            false => {
                let mut own = Command::new(std::env::current_exe()?);
                own.args(["child", peer.name, url]);
                own
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let stdin = child
            .stdin
            .take()
            .context("a child has the stdin asked for")?;
        let stdout = child
            .stdout
            .take()
            .context("a child has the stdout asked for")?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut session = Self {
            child,
            stdin,
            answers,
        };
        session.answer(CONNECT).context("cannot connect")?;
        Ok(session)
    }

    /// One command, and its answer.
    pub(crate) fn ask(&mut self, command: &str, limit: Duration) -> Result<Value> {
        writeln!(self.stdin, "{command}").context("the peer's process has ended")?;
        self.answer(limit).with_context(|| format!("`{command}`"))
    }

    pub(crate) fn number(&mut self, command: &str, limit: Duration) -> Result<f64> {
        self.ask(command, limit)?
            .as_f64()
            .with_context(|| format!("`{command}` did not answer with a number"))
    }

    /// Seconds of CPU that the process has used.
    pub(crate) fn cpu(&mut self) -> Result<f64> {
        self.number("cpu", Duration::from_secs(20))
    }

    fn answer(&mut self, limit: Duration) -> Result<Value> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = match self.answers.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => bail!("no answer within {limit:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the process has ended"),
            };
            if let Some(error) = line.strip_prefix("err ") {
                bail!("{error}");
            }
            // What a peer prints beside that is none of ours.
            if let Some(value) = line.strip_prefix("ok ") {
                return Ok(serde_json::from_str(value)?);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where Node finds the script and its packages: outside of the source tree.
pub(crate) fn node_home() -> PathBuf {
    crate::target().join("bench-compare/node")
}
