//! What a scenario found, and whether that is what was promised.

use std::time::Duration;

use oxcart::Totals;

use crate::support::books::{Books, Run};

/// No worker may be idle for longer while there is work.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(6);

/// The figures of one scenario. All that is not a figure but must hold is in `broken` if it did
/// not.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) load: String,
    pub(crate) faults: String,
    /// Acknowledged jobs that no handler brought to its end. Must be zero.
    pub(crate) lost: usize,
    /// Runs of a job that had run before.
    pub(crate) repeated: usize,
    /// How many of them are what was promised: their last run died with its process, or could
    /// not be told to Redis before another one was to take over.
    pub(crate) excused: usize,
    /// From the fault, or its end, until work goes on; and how long that may take.
    pub(crate) recovery: Option<(Duration, Duration)>,
    /// What else is worth knowing.
    pub(crate) notes: Vec<String>,
    pub(crate) broken: Vec<String>,
}

impl Findings {
    /// The scenario did not come to its end.
    pub(crate) fn failed(why: &str) -> Self {
        Self {
            broken: vec![why.to_owned()],
            ..Self::default()
        }
    }

    /// States what must hold.
    pub(crate) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Work went on after this time; the worst counts.
    pub(crate) fn recovered_after(&mut self, took: Duration, limit: Duration) {
        let worst = self.recovery.map_or(took, |(worst, _)| worst.max(took));
        self.recovery = Some((worst, limit));
    }

    /// No job of a living worker was taken for a job of a dead worker.
    pub(crate) fn none_disturbed(&mut self, totals: &Totals) {
        self.must((totals.stalled, totals.refused) == (0, 0), || {
            format!("{} stalled, {} refused", totals.stalled, totals.refused)
        });
    }

    /// Compares what was acknowledged with what the ledger says. `excused` judges a run by the
    /// one before it.
    pub(crate) fn judge<'a>(
        &mut self,
        books: &Books,
        acknowledged: impl IntoIterator<Item = &'a str>,
        excused: impl Fn(&Run, &Run) -> bool,
    ) {
        let is_done = |id: &&str| books.of(id).iter().any(|run| run.is_ok());
        self.lost += acknowledged.into_iter().filter(|id| !is_done(id)).count();
        for (_, runs) in books.by_job() {
            for pair in runs.windows(2) {
                self.repeated += 1;
                if excused(pair[0], pair[1]) {
                    self.excused += 1;
                } else if self.repeated - self.excused <= 3 {
                    self.broken.push(format!("run again: {pair:?}"));
                }
                self.must(pair[0].fence < pair[1].fence, || {
                    format!("a fence went back: {pair:?}")
                });
            }
        }
    }

    pub(crate) fn hold(&self) -> bool {
        let in_time = self.recovery.is_none_or(|(took, limit)| took <= limit);
        self.lost == 0 && self.repeated == self.excused && in_time && self.broken.is_empty()
    }

    pub(crate) fn verdict(&self) -> &'static str {
        if self.hold() { "holds" } else { "BROKEN" }
    }

    pub(crate) fn duplicated(&self) -> String {
        match self.repeated - self.excused {
            0 if self.repeated == 0 => "0".to_owned(),
            0 => format!("0; {} run again, as promised", thousands(self.repeated)),
            wrong => format!("{} of {}", thousands(wrong), thousands(self.repeated)),
        }
    }

    pub(crate) fn recovered(&self) -> String {
        self.recovery.map_or_else(
            || "–".to_owned(),
            |(took, limit)| {
                let limit = limit.as_secs_f64();
                format!("{:.1} s (≤ {limit} s)", took.as_secs_f64())
            },
        )
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
