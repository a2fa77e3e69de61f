//! What must hold whatever happens, as Redis tells it: two implementations could be wrong alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Fence, JobId};
use crate::job::outcome::Outcome;
use crate::policy::retention::Retention;
use crate::policy::settings::SettingsInForce;
use crate::queue::info::Counts;
use crate::redis::keys::{OF_JOBS, PARTS, PLACES};
use crate::store::advance::{Advanced, Claimed, Settlement, Suspects};
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::tests::dump::Dump;
use crate::store::trim::Trimmed;

use super::names::paused;
use super::op::Turn;
use super::world::Wrong;
use super::{flows, gates, unique};

/// What has to be remembered from one step to the next.
#[derive(Default)]
pub(crate) struct Invariants {
    fences: BTreeMap<Fence, String>,
    /// Until when (ms) jobs are kept that ask for it themselves.
    kept: BTreeMap<JobId, u64>,
    /// The last one of the queue that was deleted. Later ones are larger, as long as the clock was not set
    /// back.
    before: Option<Fence>,
    clock_went_back: bool,
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(why()) }
}

impl Invariants {
    /// A fence is larger than all before it, but for that of a repeated call, which is the same
    /// for the same job. Gives the jobs that were claimed by no call before.
    pub(crate) fn claimed(
        &mut self,
        claimed: &[Claimed],
        limit: usize,
    ) -> Result<Vec<String>, Wrong> {
        ensure(claimed.len() <= limit, || {
            format!("{} jobs were claimed, {limit} asked for", claimed.len())
        })?;
        let mut new = Vec::new();
        for claim in claimed {
            let (fence, id) = (claim.fence, claim.id.to_string());
            let known = self.fences.get(&fence);
            let largest = self.last_fence();
            ensure(
                known == Some(&id) || known.is_none() && largest.is_none_or(|last| fence > last),
                || format!("fence {fence} of {id} does not grow: {largest:?}, {known:?}"),
            )?;
            if known.is_none() {
                new.push(id.clone());
            }
            self.fences.insert(fence, id);
        }
        Ok(new)
    }

    /// Jobs that were handed back go only to workers that ask for their names, but for jobs at which every worker is
    /// to look again.
    pub(crate) fn handed_on(
        &self,
        before: &Dump,
        claimed: &[Claimed],
        turn: &Turn,
    ) -> Result<(), Wrong> {
        let handlers = turn.handlers.as_deref().unwrap_or_default();
        for claim in claimed {
            let id = claim.id.as_str();
            if let Some(name) = before.get("attempts", &format!("{id}#name")) {
                let name = String::from_utf8_lossy(name);
                let asked = handlers
                    .iter()
                    .any(|handler| name.ends_with(&format!(" {handler}")));
                ensure(asked || turn.again, || {
                    format!("{id} went to a worker for {handlers:?}")
                })?;
            }
        }
        Ok(())
    }

    /// A worker that asked by name, and was told that there is no more, has left none behind.
    pub(crate) fn asked_by_name(&self, dump: &Dump, turn: &Turn, all: bool) -> Result<(), Wrong> {
        let handlers = turn.handlers.as_deref().unwrap_or_default();
        let paused = paused(dump);
        let mut names = dump.part("names");
        let left = names.find(|(offer, _)| {
            let name = offer.split(|byte| *byte == 0).next();
            handlers
                .iter()
                .filter(|handler| !paused.contains(&(**handler).to_owned()))
                .any(|handler| Some(handler.as_bytes()) == name)
        });
        ensure(!all || left.is_none(), || {
            format!("a worker for {handlers:?} has slots left, and was not given {left:?}")
        })
    }

    /// Suspects are as many as were asked for; one that must run alone comes alone, and only to a
    /// process in which none runs. Repeated calls bring what was asked for before.
    pub(crate) fn suspected(
        &self,
        before: &Dump,
        advanced: &Advanced,
        asked: Suspects,
    ) -> Result<(), Wrong> {
        let claimed = advanced.claimed.iter();
        let suspects: Vec<_> = claimed.filter(|claim| claim.stalls > 0).collect();
        ensure(suspects.len() <= asked.at_most, || {
            format!("{} suspects were claimed, {asked:?}", suspects.len())
        })?;
        let max_stalls = in_force(before).max_stalls;
        let lonely = |claim: &&Claimed| claim.stalls + 3 > max_stalls;
        for claim in &suspects {
            ensure(claim.alone == lonely(claim), || {
                format!("alone or not: {claim:?} of {max_stalls} stalls at most")
            })?;
        }
        let lonely = suspects.iter().any(|claim| claim.alone) && !advanced.repeated;
        ensure(!lonely || (suspects.len() == 1 && asked.alone), || {
            format!("a suspect that must be alone came with others: {asked:?}")
        })
    }

    /// These attempts have ended. A job that was to be cancelled is kept as its record says, whatever the worker says.
    pub(crate) fn asked_to_be_kept(
        &mut self,
        before: &Dump,
        advanced: &Advanced,
        settled: &[Settlement],
        now_ms: u64,
    ) {
        let refused = |position: &usize| advanced.refused.contains(position);
        let ended = settled.iter().enumerate();
        for (_, ended) in ended.filter(|(at, _)| !refused(at) && !advanced.repeated) {
            let ends = matches!(ended.outcome, Outcome::Completed(_) | Outcome::Cancelled(_));
            let request = format!("{}#cancel", ended.id);
            let obeyed =
                !ended.outcome.is_completed() && before.get("attempts", &request).is_some();
            // A saga does not end as cancelled: it is undone first, and one that is being undone has left something undone, and is dead.
            let undo = before.get("attempts", &format!("{}#undo", ended.id));
            let is_undone = !ended.outcome.is_completed() && undo.is_some();
            if let Some(Retention::For(age)) = ended.keep.filter(|_| ends && !obeyed && !is_undone)
            {
                let until_ms = now_ms + age.as_millis() as u64;
                self.kept.insert(ended.id.clone(), until_ms);
            }
        }
    }

    /// An operator removes these jobs.
    pub(crate) fn removed(&mut self, ids: &[JobId]) {
        self.kept.retain(|id, _| !ids.contains(id));
    }

    /// An operator deletes the list of jobs that are kept for longer.
    pub(crate) fn lost_what_is_kept(&mut self) {
        self.kept.clear();
    }

    /// Whatever is set for the queue, what asked for a retention of its own is there as long.
    pub(crate) fn kept(&mut self, dump: &Dump, now_ms: u64) -> Result<(), Wrong> {
        self.kept.retain(|_, until_ms| *until_ms > now_ms);
        let there = dump.names("kept");
        let gone = self
            .kept
            .iter()
            .find(|(id, _)| !there.contains(id.as_str()));
        ensure(gone.is_none(), || {
            format!("{gone:?} asked to be kept for longer than until {now_ms}")
        })
    }

    /// A round of trimming that says it has left nothing has left nothing.
    pub(crate) fn trimmed(&self, dump: &Dump, trimmed: &Trimmed, now_ms: u64) -> Result<(), Wrong> {
        let settings = in_force(dump);
        let keep_ms = settings.keep_completed.as_millis();
        let over = |part, until_ms: f64| {
            let mut jobs = dump.part(part);
            jobs.any(|(_, score)| {
                let score: f64 = String::from_utf8_lossy(score).parse().unwrap();
                score <= until_ms
            })
        };
        let over = over("completed", now_ms as f64 - keep_ms as f64) || over("kept", now_ms as f64);
        let many = dump.len("completed") as u64 > settings.keep_at_most;
        ensure(trimmed.more || !(over || many), || {
            format!("{settings:?}, and at {now_ms} {trimmed:?} has left too much or too many")
        })
    }

    /// In a quiet period no lease is judged, and no quiet period is longer than it may be; a lease that ends
    /// later than it can have been set is pulled back or keeps everybody from judging.
    pub(crate) fn recovered(
        &self,
        before: &Dump,
        after: &Dump,
        verb: &Recover,
        answer: &Recovered,
        now_ms: u64,
    ) -> Result<(), Wrong> {
        let numbers = |dump: &Dump| -> Vec<u64> {
            let known = dump.get("meta", "recovery").cloned().unwrap_or_default();
            let text = String::from_utf8_lossy(&known).into_owned();
            text.split_whitespace()
                .map(|n| n.parse().unwrap())
                .collect()
        };
        let (knew, knows) = (numbers(before), numbers(after));
        ensure(knows[1] <= now_ms + verb.quiet_ms, || {
            format!("the quiet is too long: {knows:?} at {now_ms}")
        })?;
        let judged = matches!(answer, Recovered::Done { .. });
        let looked = knew.first().copied().unwrap_or(0);
        let from_ms = knew.get(1).copied().unwrap_or(0);
        // However long the quiet was that a clock which stepped back shows.
        let quiet = from_ms.min(now_ms + verb.quiet_ms) > now_ms
            || (verb.quiet_ms > 0 && now_ms.saturating_sub(looked) > verb.gap_ms)
            || (verb.quiet_ms > 0 && looked > now_ms + verb.tolerance_ms)
            || (verb.quiet_ms > 0 && verb.doubt == Doubt::Jumped)
            || now_ms.abs_diff(verb.expected_ms) > verb.tolerance_ms;
        ensure(!(judged && quiet), || {
            format!("judged at {now_ms}, known was {knew:?}")
        })?;
        let longest = now_ms + knows[2] + verb.tolerance_ms;
        let late = after.part("active").find(|(_, until)| {
            let until: f64 = String::from_utf8_lossy(until).parse().unwrap();
            until > longest as f64
        });
        // Without a quiet period the next call does the rest.
        ensure(!judged || verb.quiet_ms == 0 || late.is_none(), || {
            format!("{late:?} ends later than it can have been set at {now_ms}")
        })
    }

    fn last_fence(&self) -> Option<Fence> {
        let last = self.fences.last_key_value().map(|(fence, _)| *fence);
        last.or(self.before)
    }

    pub(crate) fn clock_went_back(&mut self) {
        (self.clock_went_back, self.before) = (true, None);
    }

    /// Of a queue that was deleted nothing is left but the numbers of the last calls.
    pub(crate) fn deleted(&mut self, dump: &Dump) -> Result<(), Wrong> {
        let last = self.last_fence().filter(|_| !self.clock_went_back);
        self.before = last;
        self.fences.clear();
        self.kept.clear();
        let left: Vec<_> = PARTS.iter().filter(|part| dump.len(part) > 0).collect();
        ensure(
            left.iter().all(|part| ["calls", "sources"].contains(part)),
            || format!("{left:?} are left of a queue that was deleted"),
        )
    }

    /// The numbers of jobs are those of what is there.
    pub(crate) fn counted(&self, dump: &Dump, counts: &Counts) -> Result<(), Wrong> {
        let shown = [
            counts.waiting,
            counts.blocked,
            counts.delayed,
            counts.active,
            counts.completed,
            counts.dead,
        ];
        let there = [
            dump.len("waiting") + dump.len("suspects") + dump.len("unhandled"),
            dump.len("blocked"),
            dump.len("delayed"),
            dump.len("active"),
            dump.len("completed") + dump.len("kept"),
            dump.len("dead"),
        ];
        ensure(shown.map(|n| n as usize) == there, || {
            format!("{shown:?} are counted, {there:?} are there")
        })
    }

    pub(crate) fn check(&self, dump: &Dump) -> Result<(), Wrong> {
        let jobs = dump.names("jobs");
        let placed = one_place_each(dump)?;
        ensure(jobs == placed, || {
            let odd: Vec<_> = jobs.symmetric_difference(&placed).collect();
            format!("without a record or a place: {odd:?}")
        })?;
        for part in OF_JOBS {
            let orphan = dump.names(part).into_iter().find(|field| {
                let id = field.split_once('#').map_or(field.as_str(), |(id, _)| id);
                !jobs.contains(id)
            });
            ensure(orphan.is_none(), || {
                format!("`{part}` holds {orphan:?}, which is gone")
            })?;
        }
        ensure(dump.names("claims") == dump.names("active"), || {
            "claims are not those of the active jobs".to_owned()
        })?;
        rooms_are_for_what_is_due(dump)?;
        ended_have_outcomes(dump)?;
        suspects_have_stalled(dump)?;
        unhandled_have_names(dump)?;
        gates::check(dump)?;
        requests_are_for_attempts(dump)?;
        unique::check(dump)?;
        unique::check_expiry(dump)?;
        flows::check(dump)?;
        ensure(dump.len("wake") <= 1, || "several tokens".to_owned())
    }
}

/// What is set for the queue.
fn in_force(dump: &Dump) -> SettingsInForce {
    let text = dump.get("meta", "settings").cloned().unwrap_or_default();
    SettingsInForce::read(&String::from_utf8(text).unwrap(), "").unwrap()
}

fn one_place_each(dump: &Dump) -> Result<BTreeSet<String>, Wrong> {
    let mut placed = BTreeSet::new();
    for part in PLACES {
        for id in dump.names(part) {
            ensure(!placed.contains(&id), || format!("{id} is in two places"))?;
            placed.insert(id);
        }
    }
    Ok(placed)
}

/// Rooms are dropped by the call that sees that nothing is due any more; `due` leads to that call.
fn rooms_are_for_what_is_due(dump: &Dump) -> Result<(), Wrong> {
    let meta = dump.names("meta");
    let room = meta.iter().find(|field| field.starts_with("room "));
    ensure(room.is_none() || meta.contains("due"), || {
        format!("{room:?} is kept, and nothing is due")
    })?;
    ensure(dump.len("delayed") == 0 || meta.contains("due"), || {
        "nobody knows when the next job is due".to_owned()
    })
}

fn ended_have_outcomes(dump: &Dump) -> Result<(), Wrong> {
    let ended = ["completed", "kept", "dead"].map(|part| dump.names(part));
    let ended: BTreeSet<String> = ended.into_iter().flatten().collect();
    ensure(dump.names("results") == ended, || {
        "outcomes are not those of the jobs that have ended".to_owned()
    })
}

/// A request to cancel a job ends with the attempt; of a job that completed all the same, it may be left until the job goes.
fn requests_are_for_attempts(dump: &Dump) -> Result<(), Wrong> {
    let attempts = dump.names("attempts");
    let requested = attempts
        .iter()
        .filter_map(|field| field.strip_suffix("#cancel"));
    for id in requested {
        let is_in = |part| dump.get(part, id).is_some();
        let outcome = dump.get("results", id);
        let completed = outcome.is_some_and(|outcome| outcome[9..].starts_with(b"\x81\xa2v2"));
        ensure(is_in("active") || completed, || {
            format!("{id} does not run, and is still to be cancelled")
        })?;
        ensure(attempts.contains(id), || {
            format!("the request for {id} would be left behind")
        })?;
    }
    Ok(())
}

fn suspects_have_stalled(dump: &Dump) -> Result<(), Wrong> {
    let stalled = dump.names("stalls");
    ensure(dump.names("suspects").is_subset(&stalled), || {
        "a suspect has not stalled".to_owned()
    })?;
    ensure(dump.names("unhandled").is_disjoint(&stalled), || {
        "a suspect waits by its name".to_owned()
    })?;
    ensure(dump.names("waiting").is_disjoint(&stalled), || {
        "a job that stalled is not among the suspects".to_owned()
    })
}

fn unhandled_have_names(dump: &Dump) -> Result<(), Wrong> {
    let unhandled = dump.names("unhandled");
    let attempts = dump.names("attempts");
    let named = attempts
        .iter()
        .filter_map(|field| field.strip_suffix("#name"));
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    ensure(named == unhandled, || {
        format!("{unhandled:?} wait by their names, {named:?} have one")
    })?;
    let offers = dump.names("names");
    const PLACE_DIGITS: usize = 16;
    let ids = offers.iter().filter_map(|offer| {
        let (_, rest) = offer.split_once('\0')?;
        Some(rest.get(PLACE_DIGITS..)?.to_owned())
    });
    let offered: BTreeSet<String> = ids.collect();
    ensure(
        offered == unhandled && offers.len() == unhandled.len(),
        || format!("{unhandled:?} wait by their names, {offers:?} are offered"),
    )?;
    ensure(!unhandled.is_empty() || dump.len("asked") == 0, || {
        "names are asked for, of which there are no jobs".to_owned()
    })?;
    let told = dump
        .get("meta", "unhandled")
        .is_some_and(|news| news != b"0");
    ensure(told != unhandled.is_empty(), || {
        format!("{unhandled:?} wait by their names; told: {told}")
    })
}
