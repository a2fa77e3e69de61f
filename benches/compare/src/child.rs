//! The process in which one peer works: it obeys one command a line, and measures nothing itself
//! but what only it can see. `bullmq.cjs` speaks the same protocol.
//!
//! | command | answer |
//! |---|---|
//! | `add seq\|callers\|bulk ms\|jobs <n>` | how many jobs Redis has acknowledged |
//! | `due <jobs> <unix ms>` | the same |
//! | `work <concurrency> keep\|remove <wait ms>` | `null`, once the worker has been started |
//! | `pickup <samples> <limit ms>` | µs from the call of enqueue to the begin of the handler, one each |
//! | `done` | how many handlers have returned |
//! | `cpu` | seconds of CPU this process has used |

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;

use crate::peers::{Body, Peer, Work};

/// How many callers are in flight where many are.
const CALLERS: usize = 100;
/// How many jobs one bulk call adds.
const BULK: usize = 1_000;
/// No pick-up takes longer than this in a queue that works.
const PICKUP_LIMIT: Duration = Duration::from_secs(15);

/// Obeys until stdin ends.
pub(crate) async fn serve<P: Peer>(url: &str) -> Result<()> {
    let peer = match P::connect(url).await {
        Ok(peer) => peer,
        Err(error) => {
            answer(Err(error));
            return Ok(());
        }
    };
    answer(Ok(Value::Null));
    let mut commands = commands();
    let mut child = Child {
        peer,
        body: None,
        begun: None,
    };
    while let Some(command) = commands.recv().await {
        answer(child.obey(&command).await);
    }
    Ok(())
}

/// Lines of stdin, read on a thread of their own: tokio's stdin cannot be cancelled either.
fn commands() -> UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        // Whatever the peer still does, nobody wants it.
        std::process::exit(0);
    });
    receiver
}

fn answer(answer: Result<Value>) {
    let line = match answer {
        Ok(value) => format!("ok {value}"),
        Err(error) => format!("err {}", format!("{error:#}").replace('\n', " ")),
    };
    let mut out = std::io::stdout().lock();
    // If the parent is gone there is nobody left to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

struct Child<P> {
    peer: P,
    body: Option<Arc<Body>>,
    begun: Option<UnboundedReceiver<Instant>>,
}

impl<P: Peer> Child<P> {
    async fn obey(&mut self, command: &str) -> Result<Value> {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["add", how, unit, n] => self.add(how, until(unit, n.parse()?)?).await,
            ["due", jobs, at] => self.due(jobs.parse()?, at.parse()?).await,
            ["work", concurrency, keep, wait] => {
                self.work(concurrency.parse()?, keep == "keep", wait.parse()?)
                    .await
            }
            ["pickup", samples, limit] => self.pickup(samples.parse()?, limit.parse()?).await,
            ["done"] => Ok(json!(self.done())),
            ["cpu"] => cpu(),
            _ => bail!("unknown command: {command}"),
        }
    }

    async fn add(&self, how: &str, until: Until) -> Result<Value> {
        let added = match how {
            "seq" => one_after_the_other(&self.peer, until).await?,
            "callers" => callers(&self.peer, until).await?,
            "bulk" => bulk(&self.peer, until).await?,
            _ => bail!("cannot add in the way of `{how}`"),
        };
        Ok(json!(added))
    }

    async fn due(&self, jobs: usize, at_ms: u64) -> Result<Value> {
        let due = UNIX_EPOCH + Duration::from_millis(at_ms);
        let mut added = 0;
        while added < jobs {
            let some = BULK.min(jobs - added);
            self.peer.add_due(some, due).await?;
            added += some;
        }
        Ok(json!(added))
    }

    async fn work(&mut self, concurrency: usize, keep: bool, wait_ms: u64) -> Result<Value> {
        let (begun, receiver) = mpsc::unbounded_channel();
        let body = Arc::new(Body {
            wait: Duration::from_millis(wait_ms),
            done: AtomicU64::new(0),
            // Told only where one job runs at a time, so that it costs the others nothing.
            begun: (concurrency == PICKUP_CONCURRENCY).then_some(begun),
        });
        self.body = Some(Arc::clone(&body));
        self.begun = Some(receiver);
        let work = Work {
            concurrency,
            keep,
            body,
        };
        self.peer.work(work).await?;
        Ok(Value::Null)
    }

    /// One job at a time, with a pause before each that is long enough for the worker to fall
    /// idle, and not of one length, so that no timer keeps step with it.
    async fn pickup(&mut self, samples: u64, limit_ms: u64) -> Result<Value> {
        let begun = self.begun.as_mut().context("no worker runs")?;
        let end = Instant::now() + Duration::from_millis(limit_ms);
        let mut latencies = Vec::new();
        for sample in 0..samples {
            tokio::time::sleep(Duration::from_millis(3 + sample * 5 % 7)).await;
            let sent = Instant::now();
            self.peer.add().await?;
            let begun = tokio::time::timeout(PICKUP_LIMIT, begun.recv())
                .await
                .context("a job was not picked up within 15 s")?
                .context("the worker is gone")?;
            latencies.push(begun.saturating_duration_since(sent).as_micros());
            if Instant::now() > end {
                break;
            }
        }
        Ok(json!(latencies))
    }

    fn done(&self) -> u64 {
        self.body
            .as_ref()
            .map_or(0, |body| body.done.load(Ordering::Relaxed))
    }
}

/// Pick-up is measured with this concurrency, which no other row has.
pub(crate) const PICKUP_CONCURRENCY: usize = 4;

/// User and system time of this process, in seconds.
fn cpu() -> Result<Value> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(json!(micros as f64 / 1e6))
}

/// How long to add jobs: for a time, or up to a number.
#[derive(Clone, Copy)]
enum Until {
    Time(Instant),
    Jobs(usize),
}

fn until(unit: &str, n: u64) -> Result<Until> {
    match unit {
        "ms" => Ok(Until::Time(Instant::now() + Duration::from_millis(n))),
        "jobs" => Ok(Until::Jobs(usize::try_from(n)?)),
        _ => bail!("cannot count in `{unit}`"),
    }
}

impl Until {
    /// How many of the next `most` jobs are wanted, after so many.
    fn wanted(self, added: usize, most: usize) -> usize {
        match self {
            Self::Time(end) if Instant::now() < end => most,
            Self::Time(_) => 0,
            Self::Jobs(jobs) => most.min(jobs - added),
        }
    }
}

async fn one_after_the_other<P: Peer>(peer: &P, until: Until) -> Result<usize> {
    let mut added = 0;
    while until.wanted(added, 1) > 0 {
        peer.add().await?;
        added += 1;
    }
    Ok(added)
}

/// Each caller waits for its own job before it sends the next.
async fn callers<P: Peer>(peer: &P, until: Until) -> Result<usize> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let peer = peer.clone();
        let share = match until {
            Until::Jobs(jobs) => Until::Jobs((jobs + caller) / CALLERS),
            time => time,
        };
        callers.spawn(async move { one_after_the_other(&peer, share).await });
    }
    let mut added = 0;
    while let Some(caller) = callers.join_next().await {
        added += caller??;
    }
    Ok(added)
}

async fn bulk<P: Peer>(peer: &P, until: Until) -> Result<usize> {
    let mut added = 0;
    loop {
        let wanted = until.wanted(added, BULK);
        if wanted == 0 {
            return Ok(added);
        }
        peer.add_bulk(wanted).await?;
        added += wanted;
    }
}
