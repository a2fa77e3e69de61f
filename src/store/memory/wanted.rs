//! Which jobs of a page are wanted.

use crate::codec;
use crate::id::JobId;
use crate::job::head::field_of;
use crate::job::history::{AttemptEntry, Counters};
use crate::job::record::name_of;
use crate::memory::attempts::stamp;
use crate::memory::state::{Collection, Job};
use crate::store::list::Wanted;

impl Wanted {
    /// Whether the job is wanted, and how many bytes were read to find out, beside its record.
    pub(crate) fn holds(&self, id: &JobId, job: &Job, now_ms: u64) -> (bool, usize) {
        let begins = |start: &String| id.as_str().starts_with(start);
        let named = |name: &String| name_of(&job.record) == Some(name.as_bytes());
        let in_group = |group: &String| field_of(&job.record, "group") == Some(group);
        if !self.id_prefix.as_ref().is_none_or(begins)
            || !self.name.as_ref().is_none_or(named)
            || !self.group.as_ref().is_none_or(in_group)
        {
            return (false, 0);
        }
        let mut bytes = 0;
        if self.older_ms.is_some() || self.newer_ms.is_some() {
            let (since_ms, read) = since(job);
            bytes += read;
            let age_ms = since_ms.map(|since_ms| now_ms as i64 - since_ms as i64);
            let is_old = |age_ms: &i64| self.older_ms.is_none_or(|least| *age_ms >= least as i64);
            let is_new = |age_ms: &i64| self.newer_ms.is_none_or(|most| *age_ms < most as i64);
            if age_ms.filter(is_old).filter(is_new).is_none() {
                return (false, bytes);
            }
        }
        let failed = |of: &Counters| self.failed.is_none_or(|least| of.failed >= least);
        let counters = job.history.as_ref().map(|history| history.counters);
        if !failed(&counters.unwrap_or_default()) {
            return (false, bytes);
        }
        match &self.error {
            None => (true, bytes),
            Some(text) => {
                let (has, read) = has_error(job, text);
                (has, bytes + read)
            }
        }
    }
}

/// From when the age of a job counts, and how many bytes were read for it.
fn since(job: &Job) -> (Option<u64>, usize) {
    let moment = |stored: &[u8]| Some(codec::split_stamp(stored)?.0);
    match job.collection {
        Collection::Completed | Collection::Dead => (u64::try_from(job.score).ok(), 0),
        Collection::Kept => {
            let outcome = job.outcome.as_deref().unwrap_or_default();
            (moment(outcome), outcome.len())
        }
        _ => (moment(job.record.get(1..).unwrap_or_default()), 0),
    }
}

/// Whether the error of the last of the recorded attempts has the text, and how many bytes were read for it.
fn has_error(job: &Job, text: &str) -> (bool, usize) {
    let last = job
        .history
        .as_ref()
        .and_then(|history| history.attempts.back());
    let Some(stored) = last else {
        return (false, 0);
    };
    let entry = stored.get(2 * stamp(0).len()..).unwrap_or_default();
    let entry = codec::decode_plain::<AttemptEntry>("an attempt", entry);
    let error = entry.map(|entry| entry.error.to_ascii_lowercase());
    let has = error.is_ok_and(|error| !error.is_empty() && error.contains(text));
    (has, stored.len())
}
