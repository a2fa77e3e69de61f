//! Runs an experiment with all peers in turn, as often as it takes.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;

use crate::contenders::{self, Contender};
use crate::experiments::{Experiment, Kind, Row};
use crate::measure::{Figures, Run, WINDOWS};
use crate::probe::Probe;
use crate::results::{Entry, median};
use crate::table::OURS;

pub(crate) struct Runner {
    probe: Probe,
    peers: Vec<&'static Contender>,
    /// Why a peer cannot take part at all.
    absent: BTreeMap<&'static str, String>,
    runs: usize,
    window: Duration,
}

/// What the runs of one peer have shown.
#[derive(Default)]
struct Tally {
    rows: Vec<Vec<f64>>,
    redis_cpu: Vec<f64>,
    client_cpu: Vec<f64>,
    pace: Option<f64>,
    failed: Option<String>,
}

impl Runner {
    pub(crate) fn new(quick: bool) -> Result<Self> {
        let peers = contenders::chosen()?;
        let absent = peers
            .iter()
            .filter_map(|peer| Some((peer.name, format!("{:#}", peer.prepare().err()?))))
            .collect();
        let runs = match crate::setting("RUNS") {
            Some(runs) => runs.parse()?,
            None if quick => 3,
            None => 5,
        };
        Ok(Self {
            probe: Probe::start()?,
            peers,
            absent,
            runs,
            window: Duration::from_millis(if quick { 600 } else { 1_000 }),
        })
    }

    pub(crate) fn redis_version(&mut self) -> Result<String> {
        self.probe.info("server", "redis_version")
    }

    /// A first run that is not counted, then the others; the peers take turns.
    pub(crate) fn run(&mut self, experiment: &Experiment) -> Result<Vec<Entry>> {
        let mut tallies: Vec<Tally> = self.peers.iter().map(|peer| self.tally(peer)).collect();
        // One run with a large backlog shows several figures, and is no better for being repeated.
        let (rehearsal, runs) = match experiment.kind {
            Kind::Backlog(jobs) if jobs > 100_000 => (false, self.runs.div_ceil(WINDOWS)),
            Kind::Due(_) | Kind::Add(_) | Kind::Pickup => (false, self.runs),
            _ => (true, self.runs),
        };
        for round in 0..runs + usize::from(rehearsal) {
            let counts = !rehearsal || round > 0;
            for (peer, tally) in self.peers.iter().zip(&mut tallies) {
                // A peer's run with a million due jobs takes minutes: one must do.
                let done =
                    matches!(experiment.kind, Kind::Due(_)) && round > 0 && peer.name != OURS;
                if done || tally.failed.is_some() {
                    continue;
                }
                progress(experiment, peer, round, runs);
                let mut run = Run {
                    probe: &mut self.probe,
                    peer,
                    window: self.window,
                    pace: tally.pace,
                    added: 0,
                };
                match run.measure(experiment.kind) {
                    Ok(figures) => tally.take(figures, counts),
                    Err(error) => tally.failed = Some(format!("{error:#}")),
                }
            }
        }
        clear();
        Ok(self.entries(experiment, &tallies))
    }

    fn tally(&self, peer: &Contender) -> Tally {
        Tally {
            failed: self.absent.get(peer.name).cloned(),
            ..Tally::default()
        }
    }

    fn entries(&self, experiment: &Experiment, tallies: &[Tally]) -> Vec<Entry> {
        let peers = || self.peers.iter().zip(tallies);
        let rows = experiment.rows.iter().enumerate();
        rows.flat_map(|(at, row)| peers().map(move |(peer, tally)| tally.entry(at, row, peer)))
            .collect()
    }
}

impl Tally {
    fn take(&mut self, figures: Figures, counts: bool) {
        self.pace = figures.pace.or(self.pace);
        if !counts {
            return;
        }
        self.rows.resize(figures.rows.len(), Vec::new());
        for (all, new) in self.rows.iter_mut().zip(figures.rows) {
            all.extend(new);
        }
        self.redis_cpu.extend(figures.redis_cpu);
        self.client_cpu.extend(figures.client_cpu);
    }

    fn entry(&self, at: usize, row: &Row, peer: &Contender) -> Entry {
        // A peer that failed once cannot do it: what it did before would be a figure of luck.
        let values = match self.failed {
            None => self.rows.get(at).cloned().unwrap_or_default(),
            Some(_) => Vec::new(),
        };
        let note = values.is_empty().then(|| {
            let reason = self.failed.clone();
            reason.unwrap_or_else(|| "too few samples".to_owned())
        });
        Entry {
            row: row.name.to_owned(),
            peer: peer.name.to_owned(),
            version: peer.version(),
            unit: row.unit.to_owned(),
            median: median(&values),
            min: values.iter().copied().min_by(f64::total_cmp),
            max: values.iter().copied().max_by(f64::total_cmp),
            runs: values.len(),
            redis_cpu_us_per_job: median(&self.redis_cpu),
            client_cpu_us_per_job: median(&self.client_cpu),
            values,
            note,
        }
    }
}

/// One line that is written over, or a line for each experiment where that cannot be.
fn progress(experiment: &Experiment, peer: &Contender, round: usize, runs: usize) {
    let row = experiment.rows[0].name;
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K  {row}: {} ({round} of {runs})", peer.name);
    } else if round == 0 && peer.name == OURS {
        eprintln!("  {row} ...");
    }
}

fn clear() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}
