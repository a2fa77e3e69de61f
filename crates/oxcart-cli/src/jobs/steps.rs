//! Changes many jobs in bounded steps: with progress, and with an end between two steps.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use oxcart::{Changed, Error, JobId, Sweep, Swept};
use serde::Serialize;

use super::json_file::{Output, Taken};
use crate::session::Session;
use crate::term::interrupt::Interrupt;
use crate::term::look::jobs;
use crate::term::progress::Progress;
use crate::trouble::{Exit, Trouble};

/// Jobs in one step.
const STEP: usize = 256;
/// Calls under way at a time.
const AT_A_TIME: usize = 32;

/// What became of many jobs.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) queue: String,
    /// Where jobs are moved to.
    #[serde(skip)]
    to: Option<String>,
    /// What was asked for: `replay`, `remove`, `cancel`, `promote`, `move`.
    pub(crate) action: &'static str,
    /// How many jobs it was asked for.
    pub(crate) asked: u64,
    pub(crate) done: u64,
    /// Jobs that run, and were asked to end.
    pub(crate) requested: u64,
    /// Jobs in another state, or of an import those that were there already, which were left alone.
    pub(crate) in_other_state: u64,
    /// Dead jobs that were left alone, because another job has their unique key.
    pub(crate) duplicates: u64,
    pub(crate) not_found: u64,
    /// Nothing was changed: it was only looked what would be.
    pub(crate) dry_run: bool,
    /// Replayed jobs that were looked at again.
    pub(crate) looked_at: u64,
    /// How many of these have failed again.
    pub(crate) failed_again: u64,
    /// Why it ended early.
    pub(crate) stopped: Option<&'static str>,
}

impl Tally {
    pub(crate) fn new(queue: &str, action: &'static str, asked: u64) -> Self {
        Self {
            queue: queue.to_owned(),
            action,
            asked,
            ..Self::default()
        }
    }

    pub(crate) fn imported(queue: &str, taken: Taken) -> Self {
        Self {
            done: taken.new,
            in_other_state: taken.there,
            ..Self::new(queue, "import", taken.all())
        }
    }

    pub(crate) fn to(mut self, queue: &str) -> Self {
        self.to = Some(queue.to_owned());
        self
    }

    fn count(&mut self, changed: Changed) {
        match changed {
            Changed::Done => self.done += 1,
            Changed::Requested => self.requested += 1,
            Changed::NotFound => self.not_found += 1,
            Changed::Duplicate => self.duplicates += 1,
            _ => self.in_other_state += 1,
        }
    }

    /// How far it came, for a person whose command has ended early.
    pub(crate) fn so_far(&self) -> String {
        let (done, asked) = (self.done + self.requested, jobs(self.asked));
        let (past, left) = (past(self.action), self.asked.saturating_sub(self.seen()));
        format!("{done} of {asked} {past}, {left} left; the same command goes on with them")
    }

    /// What a step of a sweep has changed.
    fn add(&mut self, before: &Swept, after: &Swept) {
        self.done += after.done - before.done;
        self.requested += after.requested - before.requested;
        self.in_other_state += after.left_alone - before.left_alone;
    }

    fn seen(&self) -> u64 {
        self.done + self.requested + self.in_other_state + self.duplicates + self.not_found
    }
}

/// The past of an action, for people.
pub(crate) fn past(action: &str) -> String {
    match action {
        "cancel" => "cancelled".to_owned(),
        action => format!("{}ed", action.trim_end_matches('e')),
    }
}

/// Does it to all of these jobs, step by step in their order, and tells what became of them. `rate`: so many in a second at most.
/// `change` answers what became of each job of a step.
pub(crate) async fn change(
    session: &mut Session,
    mut tally: Tally,
    ids: &[JobId],
    rate: Option<u32>,
    change: impl AsyncFn(&[JobId]) -> Result<Vec<Changed>, Error>,
) -> Result<Tally, Trouble> {
    let interrupt = Interrupt::listen();
    let mut progress = Progress::new(tally.action, ids.len() as u64);
    let started = Instant::now();
    let step = rate.map_or(STEP, |rate| (rate as usize / 4).clamp(1, STEP));
    let past = past(tally.action);
    for ids in ids.chunks(step) {
        match change(ids).await {
            Ok(changed) => changed.into_iter().for_each(|changed| tally.count(changed)),
            Err(error) => {
                drop(progress);
                let trouble = Trouble::from(error);
                return Err(match trouble.exit {
                    // The same command would fail again.
                    Exit::Usage => trouble,
                    _ => trouble.hint(tally.so_far()),
                });
            }
        }
        progress.advance(ids.len() as u64);
        if tally.seen() == tally.asked {
            break;
        }
        if !pause_for(rate, &tally, started, &interrupt).await {
            drop(progress);
            let message = format!("interrupted: {}", tally.so_far());
            return Err(Trouble::new(Exit::Interrupted, message));
        }
    }
    drop(progress);
    tell(session, &tally, &past)?;
    Ok(tally)
}

/// For changes of which a call makes one; they reach Redis in any order.
pub(crate) async fn each<F: Future<Output = Result<Changed, Error>>>(
    ids: &[JobId],
    change: impl Fn(JobId) -> F,
) -> Result<Vec<Changed>, Error> {
    let calls: Vec<_> = ids.iter().cloned().map(change).collect();
    stream::iter(calls).buffered(AT_A_TIME).try_collect().await
}

/// Does all of these sweeps, one after the other, and tells what became of the jobs.
pub(crate) async fn sweep(
    session: &mut Session,
    mut tally: Tally,
    sweeps: impl IntoIterator<Item = Sweep>,
) -> Result<(), Trouble> {
    let interrupt = Interrupt::listen();
    let mut progress = Progress::new(tally.action, tally.asked);
    let past = past(tally.action);
    let so_far = |tally: &Tally| {
        let done = jobs(tally.done);
        format!("{done} {past}; the same command goes on with the others")
    };
    for mut sweep in sweeps {
        loop {
            let before = sweep.so_far().clone();
            let after = match sweep.step().await {
                Ok(None) => break,
                Ok(Some(after)) => after,
                Err(error) => {
                    drop(progress);
                    let trouble = Trouble::from(error);
                    return Err(match trouble.exit {
                        Exit::Usage => trouble,
                        _ => trouble.hint(so_far(&tally)),
                    });
                }
            };
            tally.add(&before, after);
            progress.advance(after.seen() - before.seen());
            if !sweep.is_over() && interrupt.is_pressed() {
                drop(progress);
                let message = format!("interrupted: {}", so_far(&tally));
                return Err(Trouble::new(Exit::Interrupted, message));
            }
        }
    }
    drop(progress);
    tally.asked = tally.seen();
    tell(session, &tally, &past)
}

/// Waits until the next step may begin; `false` if Ctrl-C was pressed.
async fn pause_for(
    rate: Option<u32>,
    tally: &Tally,
    started: Instant,
    interrupt: &Interrupt,
) -> bool {
    if let Some(rate) = rate {
        let due = Duration::from_secs_f64(tally.seen() as f64 / f64::from(rate.max(1)));
        while started.elapsed() < due && !interrupt.is_pressed() {
            let wait = due.saturating_sub(started.elapsed());
            tokio::time::sleep(wait.min(Duration::from_millis(100))).await;
        }
    }
    !interrupt.is_pressed()
}

/// After an export, of which some were left out.
pub(crate) fn tell_exported(
    session: &mut Session,
    output: Output,
    queue: &str,
    (done, left_out): (u64, u64),
) -> Result<(), Trouble> {
    if !output.finish(session)? {
        session.out.note(format_args!("{} exported", jobs(done)));
        return Ok(());
    }
    let mut tally = Tally::new(queue, "export", done + left_out);
    tally.done = done;
    tell(session, &tally, "exported")
}

pub(crate) fn tell(session: &mut Session, tally: &Tally, past: &str) -> Result<(), Trouble> {
    let place = match &tally.to {
        Some(to) => format!("from `{}` to `{to}`", tally.queue),
        None => format!("in `{}`", tally.queue),
    };
    let left_alone = match tally.action {
        "import" => "there already, and left alone",
        _ => "in another state, and left alone",
    };
    let mut text = format!("{} {past} {place}", jobs(tally.done));
    for (number, what) in [
        (tally.requested, "running, and asked to end"),
        (tally.in_other_state, left_alone),
        (
            tally.duplicates,
            "left alone: another job has the unique key",
        ),
        (tally.not_found, "not there"),
    ] {
        if number > 0 {
            text += &format!("; {} {what}", jobs(number));
        }
    }
    match tally.done + tally.requested {
        0 => session.out.nothing(tally, text),
        _ => session.out.done(tally, text),
    }
}
