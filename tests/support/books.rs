//! What the ledger says of the handlers: every run, in the order in which they began. Reads only
//! what is new, so that it can be asked again and again while hundreds of thousands of jobs run.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// One run of a handler, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: String,
    pub attempt: u32,
    pub fence: u64,
    pub pid: u32,
    pub began_ms: u64,
    pub ended_ms: Option<u64>,
    /// `ok`, `failed`, `cancelled` or `dropped`; empty if the run was never heard of again.
    pub how: String,
}

impl Run {
    pub fn is_ok(&self) -> bool {
        self.how == "ok"
    }
}

/// The ledger, read by somebody who keeps count.
pub struct Books {
    file: File,
    /// The beginning of a line that is still being written.
    rest: Vec<u8>,
    runs: Vec<Run>,
    by_fence: HashMap<u64, usize>,
    by_job: HashMap<String, Vec<usize>>,
    by_pid: HashMap<u32, usize>,
    notes: Vec<String>,
    done: usize,
    last_began_ms: u64,
}

impl Books {
    /// Nothing is read yet.
    pub fn open(ledger: &Path) -> Self {
        let file = File::open(ledger)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", ledger.display()));
        Self {
            file,
            rest: Vec::new(),
            runs: Vec::new(),
            by_fence: HashMap::new(),
            by_job: HashMap::new(),
            by_pid: HashMap::new(),
            notes: Vec::new(),
            done: 0,
            last_began_ms: 0,
        }
    }

    /// Reads what was recorded since.
    pub fn catch_up(&mut self) -> &mut Self {
        let mut bytes = std::mem::take(&mut self.rest);
        self.file
            .read_to_end(&mut bytes)
            .expect("the ledger can be read");
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in String::from_utf8_lossy(&bytes[..whole]).lines() {
            self.enter(line);
        }
        self.rest = bytes.split_off(whole);
        self
    }

    fn enter(&mut self, line: &str) {
        if let Some(note) = line.strip_prefix("note ") {
            return self.notes.push(note.to_owned());
        }
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["began", fence, id, attempt, pid, ms] => self.begin(Run {
                id: id.to_owned(),
                attempt: parsed(attempt),
                fence: parsed(fence),
                pid: parsed(pid),
                began_ms: parsed(ms),
                ended_ms: None,
                how: String::new(),
            }),
            ["ended", fence, how, ms] => {
                let run = &mut self.runs[self.by_fence[&parsed::<u64>(fence)]];
                run.ended_ms = Some(parsed(ms));
                how.clone_into(&mut run.how);
                self.done += usize::from(run.is_ok());
            }
            _ => {}
        }
    }

    fn begin(&mut self, run: Run) {
        let at = self.runs.len();
        let known = self.by_fence.insert(run.fence, at);
        assert!(known.is_none(), "two runs have the fence {}", run.fence);
        self.by_job.entry(run.id.clone()).or_default().push(at);
        *self.by_pid.entry(run.pid).or_default() += 1;
        self.last_began_ms = self.last_began_ms.max(run.began_ms);
        self.runs.push(run);
    }

    /// Every run so far, in the order in which they began.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs of each job, in the order in which they began.
    pub fn by_job(&self) -> impl Iterator<Item = (&str, Vec<&Run>)> {
        let runs = |at: &Vec<usize>| at.iter().map(|at| &self.runs[*at]).collect();
        self.by_job
            .iter()
            .map(move |(id, at)| (id.as_str(), runs(at)))
    }

    /// The runs of one job.
    pub fn of(&self, id: &str) -> Vec<&Run> {
        let at = self.by_job.get(id).map_or(&[][..], Vec::as_slice);
        at.iter().map(|at| &self.runs[*at]).collect()
    }

    /// How many runs a process has begun.
    pub fn begun_by(&self, pid: u32) -> usize {
        self.by_pid.get(&pid).copied().unwrap_or(0)
    }

    /// How many runs ended well.
    pub fn done(&self) -> usize {
        self.done
    }

    /// When the last run began.
    pub fn last_began_ms(&self) -> u64 {
        self.last_began_ms
    }

    /// The largest fence of all.
    pub fn last_fence(&self) -> u64 {
        self.by_fence.keys().copied().max().unwrap_or(0)
    }

    /// All remarks, in order.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("the ledger says {text:?} where a number belongs"))
}
