//! The two worker processes as the demo sees them: started, watched, and one of them killed.

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oxcart::{JobId, JobState, Queue, Timestamp};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// How long it takes, at most, until Redis has what a process sent before it was frozen.
const IN_FLIGHT: Duration = Duration::from_millis(20);
const STOP_LIMIT: Duration = Duration::from_secs(40);

pub(crate) struct Crew {
    workers: Vec<WorkerProcess>,
}

/// What the killed worker left behind.
pub(crate) struct Killed {
    pub(crate) name: String,
    pub(crate) at: Timestamp,
    /// The jobs it was working on.
    pub(crate) held: Vec<JobId>,
}

impl Crew {
    pub(crate) fn start(size: usize, url: &str) -> Result<Self> {
        let start = |number| WorkerProcess::start(format!("worker-{number}"), url);
        Ok(Self {
            workers: (1..=size).map(start).collect::<Result<_>>()?,
        })
    }

    /// Kills the first worker that is found with jobs in its hands.
    ///
    /// It is frozen before it is looked at: what it holds then, it still holds when it dies.
    pub(crate) async fn kill_one_while_busy(&mut self, queue: &Queue) -> Result<Killed> {
        loop {
            for position in 0..self.workers.len() {
                let worker = &mut self.workers[position];
                worker.signal(Signal::SIGSTOP)?;
                sleep(IN_FLIGHT).await;
                let held = worker.held(queue).await?;
                if held.is_empty() {
                    worker.signal(Signal::SIGCONT)?;
                    continue;
                }
                worker.process.kill().await?;
                return Ok(Killed {
                    name: self.workers.remove(position).name,
                    at: Timestamp::from(SystemTime::now()),
                    held,
                });
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks all that are left to stop, as a deployment does, and waits until they have.
    pub(crate) async fn stop(mut self) -> Result<()> {
        for worker in &mut self.workers {
            worker.signal(Signal::SIGTERM)?;
        }
        for worker in &mut self.workers {
            let name = &worker.name;
            let status = timeout(STOP_LIMIT, worker.process.wait())
                .await
                .with_context(|| format!("{name} does not stop"))??;
            if !status.success() {
                bail!("{name} ended with {status}");
            }
        }
        Ok(())
    }
}

/// One process. It is killed when this value is dropped.
struct WorkerProcess {
    name: String,
    process: Child,
    running: Running,
    /// The worker takes it for the demo's death when this closes.
    _lifeline: Option<ChildStdin>,
}

/// The jobs whose attempts have begun and not ended, by what the process says.
type Running = Arc<Mutex<HashSet<JobId>>>;

impl WorkerProcess {
    /// Starts this very program again, as a worker.
    fn start(name: String, url: &str) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["worker", &name, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let running = Running::default();
        if let Some(output) = process.stdout.take() {
            tokio::spawn(listen(output, Arc::clone(&running)));
        }
        Ok(Self {
            name,
            _lifeline: process.stdin.take(),
            process,
            running,
        })
    }

    /// The jobs that are leased to this process, and not only by its own account.
    async fn held(&self, queue: &Queue) -> Result<Vec<JobId>> {
        let running: Vec<JobId> = {
            let running = self.running.lock();
            let running = running.unwrap_or_else(PoisonError::into_inner);
            running.iter().cloned().collect()
        };
        let mut held = Vec::new();
        for id in running {
            let info = queue.job(&id).await?;
            if info.is_some_and(|info| info.state == JobState::Active) {
                held.push(id);
            }
        }
        Ok(held)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.process.id() else {
            bail!("{} has ended before it was told to", self.name);
        };
        kill(Pid::from_raw(i32::try_from(pid)?), signal)
            .with_context(|| format!("{signal} cannot be sent to {}", self.name))
    }
}

/// Reads what `worker::tell_parent` writes.
async fn listen(output: ChildStdout, running: Running) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some((sign, Ok(id))) = line.split_at_checked(1).map(|(s, id)| (s, id.parse())) else {
            continue;
        };
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        match sign {
            "+" => running.insert(id),
            _ => running.remove(&id),
        };
    }
}
