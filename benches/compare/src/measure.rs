//! One run of one experiment with one peer. Times and CPU are read by the parent, on both sides of
//! the part that counts; what comes before is the warm-up.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::child::PICKUP_CONCURRENCY;
use crate::contenders::{Contender, Left};
use crate::experiments::Kind;
use crate::probe::Probe;
use crate::session::Session;

/// How long Redis may show no progress before a peer is taken to hang.
const STUCK: Duration = Duration::from_secs(10);
/// How long a run may take, all in all.
const RUN: Duration = Duration::from_secs(60);
/// How long jobs that were due at one moment are watched.
const DRAIN: Duration = Duration::from_secs(20);
/// How long it may take to fill a queue: a million jobs, in the largest case.
const FILL: Duration = Duration::from_secs(150);
/// How often Redis is asked what is left: often enough for three digits, too seldom to be felt.
const LOOK: Duration = Duration::from_millis(4);
/// How many jobs a run has that tells how many the next should have.
const FIRST: u64 = 6_000;
/// Jobs whose memory is measured.
const WAITING: u64 = 50_000;
/// Jobs in a window of an experiment with a backlog.
const WINDOW: u64 = 5_000;
/// Windows of the one run with a large backlog.
pub(crate) const WINDOWS: usize = 5;
/// Pick-ups of a run, and how long they may take.
const PICKUPS: (usize, u64) = (1_000, 12_000);
/// Calls faster than this are not looked at when the slowest is sought.
const SLOW_US: u64 = 1_000;

/// What a run showed: for each row that comes out of it, in their order, one figure or several.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) rows: Vec<Vec<f64>>,
    /// µs a job, where the figure is a rate.
    pub(crate) redis_cpu: Option<f64>,
    pub(crate) client_cpu: Option<f64>,
    /// Jobs a second, to choose the size of the next run by.
    pub(crate) pace: Option<f64>,
}

/// One run, and what it is run on.
pub(crate) struct Run<'a> {
    pub(crate) probe: &'a mut Probe,
    pub(crate) peer: &'a Contender,
    /// How long the part that counts should take, about.
    pub(crate) window: Duration,
    /// Jobs a second in the run before.
    pub(crate) pace: Option<f64>,
    /// Jobs in the queue when its worker began.
    pub(crate) added: u64,
}

/// What has been used up to a moment.
struct Mark {
    at: Instant,
    left: u64,
    redis_cpu: f64,
    client_cpu: f64,
}

impl Run<'_> {
    pub(crate) fn measure(&mut self, kind: Kind) -> Result<Figures> {
        self.probe.empty()?;
        match kind {
            Kind::Add(how) => self.add(how),
            Kind::Process {
                concurrency,
                keep,
                wait_ms,
            } => self.process(concurrency, keep, wait_ms),
            Kind::Pickup => self.pickup(),
            Kind::Memory => self.memory(),
            Kind::Cost => self.cost(),
            Kind::Backlog(jobs) => self.backlog(jobs),
            Kind::Due(jobs) => self.due(jobs),
        }
    }

    fn start(&self) -> Result<Session> {
        Session::start(self.peer, &self.probe.url())
    }

    /// As many jobs as take this peer about a window.
    fn jobs(&self) -> u64 {
        let jobs = |pace| (pace * self.window.as_secs_f64()) as u64;
        self.pace
            .map_or(FIRST, |pace| jobs(pace).clamp(1_000, 400_000))
    }

    fn add(&mut self, how: &str) -> Result<Figures> {
        if how == "bulk" && !self.peer.bulk {
            bail!("has no bulk call");
        }
        let mut session = self.start()?;
        session.ask(&format!("add {how} ms 100"), RUN)?;
        let before = self.mark(&mut session)?;
        let command = format!("add {how} ms {}", self.window.as_millis());
        let added = session.number(&command, RUN)?;
        let after = self.mark(&mut session)?;
        Ok(before.rate_until(&after, added))
    }

    fn fill(&mut self, session: &mut Session, jobs: u64) -> Result<()> {
        let how = if self.peer.bulk { "bulk" } else { "callers" };
        session.ask(&format!("add {how} jobs {jobs}"), FILL)?;
        self.added = jobs;
        let left = self.left(session)?;
        if left != jobs {
            bail!("{jobs} jobs were added, and Redis holds {left}");
        }
        Ok(())
    }

    fn process(&mut self, concurrency: usize, keep: bool, wait_ms: u64) -> Result<Figures> {
        if keep && !self.peer.keeps {
            bail!("cannot keep the last so many completed jobs");
        }
        let jobs = self.jobs();
        let mut session = self.start()?;
        self.fill(&mut session, jobs)?;
        work(&mut session, concurrency, keep, wait_ms)?;
        let before = self.mark_at(&mut session, jobs - jobs / 10)?;
        let after = self.mark_at(&mut session, 0)?;
        Ok(before.rate_until(&after, (before.left - after.left) as f64))
    }

    fn pickup(&mut self) -> Result<Figures> {
        let mut session = self.start()?;
        work(&mut session, PICKUP_CONCURRENCY, false, 0)?;
        session.ask("pickup 20 5000", RUN)?;
        let answer = session.ask(&format!("pickup {} {}", PICKUPS.0, PICKUPS.1), RUN)?;
        let mut latencies: Vec<f64> = serde_json::from_value(answer)?;
        latencies.sort_by(f64::total_cmp);
        // Beyond that the samples do not reach: one of 200 is no 99.9th percentile.
        let at = |share: f64| {
            let enough = latencies.len() as f64 * (1.0 - share) >= 0.9;
            let rank = ((latencies.len() as f64 * share) as usize).min(latencies.len() - 1);
            enough.then(|| latencies[rank] / 1_000.0)
        };
        Ok(Figures {
            rows: [0.5, 0.99, 0.999]
                .map(|share| at(share).into_iter().collect())
                .into(),
            ..Figures::default()
        })
    }

    /// Without a client connected, before and after: their buffers are no job's.
    fn memory(&mut self) -> Result<Figures> {
        self.await_alone()?;
        let before = self.probe.memory()?;
        let mut session = self.start()?;
        self.fill(&mut session, WAITING)?;
        drop(session);
        self.await_alone()?;
        let after = self.probe.memory()?;
        Ok(Figures {
            rows: vec![vec![(after - before) / WAITING as f64]],
            ..Figures::default()
        })
    }

    fn await_alone(&mut self) -> Result<()> {
        let started = Instant::now();
        while self.probe.info("clients", "connected_clients")? != "1" {
            if started.elapsed() > STUCK {
                bail!("connections stay open after the process has ended");
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn cost(&mut self) -> Result<Figures> {
        let jobs = self.jobs();
        let mut session = self.start()?;
        let started = Instant::now();
        let before = self.mark(&mut session)?;
        self.fill(&mut session, jobs)?;
        work(&mut session, 100, false, 0)?;
        let after = self.mark_at(&mut session, 0)?;
        let micros = 1e6 / jobs as f64;
        Ok(Figures {
            rows: vec![
                vec![(after.redis_cpu - before.redis_cpu) * micros],
                vec![(after.client_cpu - before.client_cpu) * micros],
            ],
            pace: Some(jobs as f64 / started.elapsed().as_secs_f64()),
            ..Figures::default()
        })
    }

    /// A small backlog is filled for each run; a large one once, for several windows.
    fn backlog(&mut self, jobs: u64) -> Result<Figures> {
        let windows = if jobs > 100_000 { WINDOWS as u64 } else { 1 };
        let mut session = self.start()?;
        self.fill(&mut session, jobs + windows * WINDOW)?;
        work(&mut session, 100, false, 0)?;
        let mut costs = Vec::new();
        let mut before = self.mark_at(&mut session, jobs + windows * WINDOW - WINDOW / 2)?;
        for window in 1..=windows {
            let end = jobs + (windows - window) * WINDOW - WINDOW / 2;
            let after = self.mark_at(&mut session, end)?;
            let jobs = (before.left - after.left).max(1) as f64;
            costs.push((after.redis_cpu - before.redis_cpu) * 1e6 / jobs);
            before = after;
        }
        Ok(Figures {
            rows: vec![costs],
            ..Figures::default()
        })
    }

    fn due(&mut self, jobs: u64) -> Result<Figures> {
        let mut session = self.start()?;
        // How long it takes to add them tells when they must be due.
        let (some, started) = (jobs / 50, Instant::now());
        add_due(
            &mut session,
            some,
            SystemTime::now() + Duration::from_secs(3_600),
        )?;
        let fill = started.elapsed().mul_f64(50.0 * 1.6) + Duration::from_secs(3);
        if fill > FILL {
            bail!("adding them takes longer than {} s", FILL.as_secs());
        }
        self.probe.empty()?;
        let due = SystemTime::now() + fill;
        add_due(&mut session, jobs, due)?;
        self.added = jobs;
        work(&mut session, 100, false, 0)?;
        self.probe.watch_slow_calls(SLOW_US)?;
        let Ok(until) = due.duration_since(SystemTime::now()) else {
            bail!("adding them took longer than was foreseen");
        };
        std::thread::sleep(until);
        let started = Instant::now();
        let left = self.drain(&mut session, started)?;
        let rate = (jobs - left) as f64 / started.elapsed().as_secs_f64();
        let slowest = self.probe.slowest_script()?.unwrap_or(SLOW_US);
        Ok(Figures {
            rows: vec![vec![rate], vec![slowest as f64 / 1_000.0]],
            ..Figures::default()
        })
    }

    /// Until nothing is left, or the time is over: what is left then.
    fn drain(&mut self, session: &mut Session, started: Instant) -> Result<u64> {
        loop {
            let left = self.left(session)?;
            if left == 0 || started.elapsed() > DRAIN {
                return Ok(left);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn mark(&mut self, session: &mut Session) -> Result<Mark> {
        self.mark_at(session, u64::MAX)
    }

    /// Waits until no more than so many jobs are left.
    fn mark_at(&mut self, session: &mut Session, most: u64) -> Result<Mark> {
        let started = Instant::now();
        let (mut least, mut progress) = (u64::MAX, started);
        loop {
            let left = self.left(session)?;
            if left <= most {
                return Ok(Mark {
                    redis_cpu: self.probe.cpu()?,
                    at: Instant::now(),
                    left,
                    client_cpu: session.cpu()?,
                });
            }
            if left < least {
                (least, progress) = (left, Instant::now());
            }
            if progress.elapsed() > STUCK {
                bail!("no progress for {} s, {left} jobs left", STUCK.as_secs());
            }
            if started.elapsed() > RUN {
                bail!("not done within {} s, {left} jobs left", RUN.as_secs());
            }
            std::thread::sleep(LOOK);
        }
    }

    fn left(&mut self, session: &mut Session) -> Result<u64> {
        match &self.peer.left {
            Left::Redis(commands) => self.probe.sum(commands),
            Left::Handlers => {
                let done = session.number("done", STUCK)?;
                Ok(self.added.saturating_sub(done as u64))
            }
        }
    }
}

fn work(session: &mut Session, concurrency: usize, keep: bool, wait_ms: u64) -> Result<()> {
    let keep = if keep { "keep" } else { "remove" };
    session.ask(&format!("work {concurrency} {keep} {wait_ms}"), RUN)?;
    Ok(())
}

fn add_due(session: &mut Session, jobs: u64, due: SystemTime) -> Result<()> {
    let at = due.duration_since(UNIX_EPOCH)?.as_millis();
    session.ask(&format!("due {jobs} {at}"), FILL)?;
    Ok(())
}

impl Mark {
    fn rate_until(&self, after: &Mark, jobs: f64) -> Figures {
        let pace = jobs / (after.at - self.at).as_secs_f64();
        Figures {
            rows: vec![vec![pace]],
            redis_cpu: Some((after.redis_cpu - self.redis_cpu) * 1e6 / jobs),
            client_cpu: Some((after.client_cpu - self.client_cpu) * 1e6 / jobs),
            pace: Some(pace),
        }
    }
}
